package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/projections"
)

// patience bounds what a test waits for.
const patience = 20 * time.Second

func waiting(ctx context.Context, w *projections.Waiter, positions map[int]int64) <-chan error {
	done := make(chan error, 1)
	go func() { done <- w.Wait(ctx, "conversations", positions) }()
	return done
}

func ended(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("still waiting")
	}
}

// Ensure that a commit of this process ends a wait, and one of another
// partition or projection does not.
func TestWaiter_hearsOfCommitsHere(t *testing.T) {
	t.Parallel()
	w := projections.NewWaiter(database(t))
	done := waiting(t.Context(), w, map[int]int64{1: 5, 2: 1})
	w.Moved("conversations", 1, 4)
	w.Moved("conversations", 2, 1)
	w.Moved("conversations", 3, 9)
	w.Moved("deliveries", 1, 9)
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := w.Wait(ctx, "conversations", map[int]int64{1: 5}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want that the time is up", err)
	}
	select {
	case err := <-done:
		t.Fatalf("the wait ended before its time: %v", err)
	default:
	}
	w.Moved("conversations", 1, 5)
	ended(t, done)
	ended(t, waiting(t.Context(), w, map[int]int64{1: 5}))
	ended(t, waiting(t.Context(), w, nil))
}

// Ensure that a commit of another process is seen in Postgres.
func TestWaiter_seesCommitsElsewhere(t *testing.T) {
	t.Parallel()
	pool := database(t)
	w := projections.NewWaiter(pool)
	done := waiting(t.Context(), w, map[int]int64{3: 7})
	for _, next := range []int{6, 7} {
		_, err := pool.Exec(t.Context(), `insert into checkpoints (projection, partition, next) values ('conversations', 3, $1)
			on conflict (projection, partition) do update set next = excluded.next`, next)
		if err != nil {
			t.Fatal(err)
		}
	}
	ended(t, done)
	got, err := projections.Checkpoints(t.Context(), pool, "conversations")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int]int64{3: 7}, got); diff != "" {
		t.Errorf("checkpoints (-want +got):\n%s", diff)
	}
}

// Ensure that a wait that cannot end is ended by its context, and says so.
func TestWaiter_endsWithItsContext(t *testing.T) {
	t.Parallel()
	w := projections.NewWaiter(database(t))
	ctx, stop := context.WithCancel(t.Context())
	done := waiting(ctx, w, map[int]int64{0: 1})
	stop()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want that it was cancelled", err)
		}
	case <-time.After(patience):
		t.Fatal("still waiting")
	}
}
