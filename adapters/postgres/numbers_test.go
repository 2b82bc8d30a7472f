package postgres_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/parley-im/parley/adapters/postgres"
)

// Ensure that a number is given once, whoever asks at the same time, and that
// numbers of different things and accounts do not meet.
func TestNumbers_areGivenOnce(t *testing.T) {
	t.Parallel()
	_, pool := idempotencyBundle(t)
	numbers := postgres.NewNumbers(pool)
	var mu sync.Mutex
	var given []int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 25 {
				n, err := numbers.Next(t.Context(), "acme", "queue", 0)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				given = append(given, n)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	slices.Sort(given)
	if len(slices.Compact(given)) != 200 || given[0] != 1 || given[199] != 200 {
		t.Errorf("given: %v", given)
	}
	next := func(account, kind string, above, want int64) {
		t.Helper()
		n, err := numbers.Next(t.Context(), account, kind, above)
		if err != nil || n != want {
			t.Errorf("%s of %s above %d: %d, %v; want %d", kind, account, above, n, err, want)
		}
	}
	next("umbra", "queue", 0, 1)
	next("acme", "tag", 0, 1)
	next("acme", "queue", 7, 201)
	next("acme", "queue", 1000, 1001)
	next("acme", "queue", 1000, 1002)
	if _, err := pool.Exec(t.Context(), "delete from numbers"); err != nil {
		t.Fatal(err)
	}
	next("acme", "queue", 1002, 1003) // the registry knows
	next("acme", "queue", 1002, 1004) // the first one is on its way
}
