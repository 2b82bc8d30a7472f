package postgres_test

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// idempotencyBundle is a store on a database of its own.
func idempotencyBundle(t *testing.T) (*postgres.Idempotency, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool, os.DirFS("../../projections/migrations"), "public.schema_version"); err != nil {
		t.Fatal(err)
	}
	return postgres.NewIdempotency(pool), pool
}

// claim is what Begin gave.
type claim struct {
	State  postgres.KeyState
	Token  string
	Answer []byte
}

func begin(t *testing.T, store *postgres.Idempotency, account, key, request string) claim {
	t.Helper()
	state, token, answer, err := store.Begin(t.Context(), account, key, []byte(request))
	if err != nil {
		t.Fatal(err)
	}
	return claim{state, token, answer}
}

func want(t *testing.T, claim claim, state postgres.KeyState, answer string) {
	t.Helper()
	if claim.State != state || string(claim.Answer) != answer || (claim.Token != "") != (state == postgres.KeyTaken) {
		t.Errorf("got %+v, want state %d and answer %q", claim, state, answer)
	}
}

// Ensure that a key gives its first answer again, to the same request of the
// same account alone.
func TestIdempotency_answersAgain(t *testing.T) {
	t.Parallel()
	store, _ := idempotencyBundle(t)

	first := begin(t, store, "default", "k1", "a")
	want(t, first, postgres.KeyTaken, "")
	want(t, begin(t, store, "default", "k1", "a"), postgres.KeyBusy, "")
	want(t, begin(t, store, "default", "k1", "b"), postgres.KeyOther, "")
	want(t, begin(t, store, "other", "k1", "b"), postgres.KeyTaken, "")

	if err := store.Finish(t.Context(), "default", "k1", first.Token, []byte("done")); err != nil {
		t.Fatal(err)
	}
	want(t, begin(t, store, "default", "k1", "a"), postgres.KeyAnswered, "done")
	want(t, begin(t, store, "default", "k1", "b"), postgres.KeyOther, "")

	// What is answered stays answered.
	if err := store.Abandon(t.Context(), "default", "k1", first.Token); err != nil {
		t.Fatal(err)
	}
	want(t, begin(t, store, "default", "k1", "a"), postgres.KeyAnswered, "done")
}

// Ensure that an empty answer is an answer.
func TestIdempotency_emptyAnswer(t *testing.T) {
	t.Parallel()
	store, _ := idempotencyBundle(t)
	claim := begin(t, store, "default", "k1", "a")
	if err := store.Finish(t.Context(), "default", "k1", claim.Token, nil); err != nil {
		t.Fatal(err)
	}
	want(t, begin(t, store, "default", "k1", "a"), postgres.KeyAnswered, "")
}

// Ensure that an abandoned key can be used at once, for whatever request.
func TestIdempotency_abandon(t *testing.T) {
	t.Parallel()
	store, _ := idempotencyBundle(t)
	claim := begin(t, store, "default", "k1", "a")
	if err := store.Abandon(t.Context(), "default", "k1", claim.Token); err != nil {
		t.Fatal(err)
	}
	want(t, begin(t, store, "default", "k1", "b"), postgres.KeyTaken, "")
}

// Ensure that the claim of a holder that died is taken over by the same request,
// and that the holder, should it live, then changes nothing.
func TestIdempotency_takesOver(t *testing.T) {
	t.Parallel()
	store, pool := idempotencyBundle(t)
	dead := begin(t, store, "default", "k1", "a")
	if _, err := pool.Exec(t.Context(), "update idempotency set lease_until = now()"); err != nil {
		t.Fatal(err)
	}
	want(t, begin(t, store, "default", "k1", "b"), postgres.KeyOther, "")
	second := begin(t, store, "default", "k1", "a")
	want(t, second, postgres.KeyTaken, "")

	if err := store.Finish(t.Context(), "default", "k1", dead.Token, []byte("late")); err != nil {
		t.Fatal(err)
	}
	if err := store.Abandon(t.Context(), "default", "k1", dead.Token); err != nil {
		t.Fatal(err)
	}
	want(t, begin(t, store, "default", "k1", "a"), postgres.KeyBusy, "")
	if err := store.Finish(t.Context(), "default", "k1", second.Token, []byte("done")); err != nil {
		t.Fatal(err)
	}
	want(t, begin(t, store, "default", "k1", "a"), postgres.KeyAnswered, "done")
}

// Ensure that answers are forgotten after a day, and that old rows go away a few
// at a time.
func TestIdempotency_forgets(t *testing.T) {
	t.Parallel()
	store, pool := idempotencyBundle(t)
	for i := range 25 {
		claim := begin(t, store, "default", fmt.Sprint("old", i), "a")
		if err := store.Finish(t.Context(), "default", fmt.Sprint("old", i), claim.Token, []byte("done")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pool.Exec(t.Context(), "update idempotency set created_at = created_at - interval '24 hours'"); err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{16, 7, 3, 4} { // one is added each time
		want(t, begin(t, store, "default", fmt.Sprint("new", left), "b"), postgres.KeyTaken, "")
		var n int
		if err := pool.QueryRow(t.Context(), "select count(*) from idempotency").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != left {
			t.Errorf("%d rows are left, want %d", n, left)
		}
	}
	want(t, begin(t, store, "default", "old24", "b"), postgres.KeyTaken, "")
}

// Ensure that of many at once exactly one gets to act.
func TestIdempotency_oneOfMany(t *testing.T) {
	t.Parallel()
	store, _ := idempotencyBundle(t)
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			state, _, _, err := store.Begin(t.Context(), "default", "k1", []byte("a"))
			if err != nil {
				t.Error(err)
				return
			}
			if state == postgres.KeyTaken {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("%d callers got the key, want 1", n)
	}
}
