package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// lockNodes are the locks of several nodes on one database.
func lockNodes(t *testing.T, nodes int, conns int32, wait time.Duration) []*postgres.Locks {
	t.Helper()
	url, locks := pgtest.URL(t), []*postgres.Locks{}
	for range nodes {
		pool, err := postgres.Open(t.Context(), url, postgres.LockPoolOptions(conns))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		locks = append(locks, postgres.NewLocks(pool, wait))
	}
	return locks
}

func hold(t *testing.T, l *postgres.Locks, names ...string) func() {
	t.Helper()
	release, err := l.Hold(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

// Ensure that whoever holds names holds them alone, whatever names others ask for
// at the same time, in whatever order, on whatever node, and that all get them.
func TestLocks_excludeEachOther(t *testing.T) {
	t.Parallel()
	nodes := lockNodes(t, 2, 3, time.Minute)
	var inside [5]atomic.Int32
	var wg sync.WaitGroup
	for worker := range 12 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 7))
			for range 25 {
				picked := random.Perm(len(inside))[:1+random.IntN(3)]
				names := []string{fmt.Sprintf("ticket/acme/%d", picked[0])} // which comes twice
				for _, n := range picked {
					names = append(names, fmt.Sprintf("ticket/acme/%d", n))
				}
				release, err := nodes[worker%2].Hold(t.Context(), names...)
				if err != nil {
					t.Error(err)
					return
				}
				for _, n := range picked {
					if others := inside[n].Add(1); others != 1 {
						t.Errorf("%d hold %d", others, n)
					}
				}
				for _, n := range picked {
					inside[n].Add(-1)
				}
				release()
			}
		})
	}
	wg.Wait()
}

// Ensure that one who does not get a name in time is told so and leaves nothing
// behind: the others go on.
func TestLocks_giveUp(t *testing.T) {
	t.Parallel()
	nodes := lockNodes(t, 2, 4, time.Second)
	release := hold(t, nodes[0], "a", "b")
	for i, l := range nodes {
		if _, err := l.Hold(t.Context(), "b", "c"); !errors.Is(err, postgres.ErrBusy) {
			t.Errorf("node %d: %v, want ErrBusy", i, err)
		}
		hold(t, l, "c")()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := nodes[1].Hold(gone, "a"); !errors.Is(err, context.Canceled) || errors.Is(err, postgres.ErrBusy) {
		t.Errorf("a caller who has gone: %v", err)
	}
	release()
	release() // has no effect
	again := hold(t, nodes[1], "a", "b")
	if _, err := nodes[0].Hold(t.Context(), "a"); !errors.Is(err, postgres.ErrBusy) {
		t.Errorf("a lock that was released twice: %v", err)
	}
	again()
	hold(t, nodes[0], "a", "b")()
}

// Ensure that no more are at it than there are connections, that the rest wait,
// and that a wait for a connection ends, too.
func TestLocks_areBounded(t *testing.T) {
	t.Parallel()
	l := lockNodes(t, 1, 2, time.Second)[0]
	first, second := hold(t, l, "a"), hold(t, l, "b")
	if _, err := l.Hold(t.Context(), "c"); !errors.Is(err, postgres.ErrBusy) {
		t.Errorf("a third: %v, want ErrBusy", err)
	}
	first()
	hold(t, l, "c")()
	second()
}

// Ensure that a lock ends with its connection, and that its holder can still let go.
func TestLocks_endWithTheConnection(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	pool, err := postgres.Open(t.Context(), url, postgres.LockPoolOptions(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	other, err := postgres.Open(t.Context(), url, postgres.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	mine, theirs := postgres.NewLocks(pool, time.Second), postgres.NewLocks(other, 10*time.Second)
	release := hold(t, mine, "a")
	if _, err := other.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
		where application_name = 'parley locks' and datname = current_database()`); err != nil {
		t.Fatal(err)
	}
	taken := hold(t, theirs, "a")
	release()
	if _, err := mine.Hold(t.Context(), "a"); !errors.Is(err, postgres.ErrBusy) {
		t.Errorf("a lock that somebody has: %v, want ErrBusy", err)
	}
	taken()
	hold(t, mine, "a")()
}

// Ensure that blocks of several nodes never meet, that they are above what a
// caller knows, and that a table which was lost says so.
func TestNumbers_blocks(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool, os.DirFS("../../projections/migrations"), "public.schema_version"); err != nil {
		t.Fatal(err)
	}
	if first, fresh := takeBlock(t, pool, 41); first != 42 || !fresh {
		t.Errorf("the first block begins at %d, fresh %v", first, fresh)
	}
	if first, fresh := takeBlock(t, pool, 0); first != 142 || fresh {
		t.Errorf("the second block begins at %d, fresh %v", first, fresh)
	}
	if first, _ := takeBlock(t, pool, 5000); first != 5001 {
		t.Errorf("a block above 5000 begins at %d", first)
	}
	var mu sync.Mutex
	var firsts []int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				first, _ := takeBlock(t, pool, 0)
				mu.Lock()
				firsts = append(firsts, first)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(firsts)
	for i, first := range firsts {
		if want := int64(5101 + 100*i); first != want {
			t.Fatalf("block %d begins at %d, want %d", i, first, want)
		}
	}
	if _, err := pool.Exec(t.Context(), "truncate numbers"); err != nil {
		t.Fatal(err)
	}
	if first, fresh := takeBlock(t, pool, 13_100); first != 13_101 || !fresh {
		t.Errorf("a lost table gives a block at %d, fresh %v", first, fresh)
	}
}

func takeBlock(t *testing.T, pool *pgxpool.Pool, above int64) (first int64, fresh bool) {
	t.Helper()
	first, fresh, err := postgres.NewNumbers(pool).Block(t.Context(), "", "post", 100, above)
	if err != nil {
		t.Error(err)
	}
	return first, fresh
}
