package projections_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// Ensure that ids of two nodes never meet, grow, and are above what the caller
// knows to be taken.
func TestNumbers_ids(t *testing.T) {
	t.Parallel()
	pool := database(t)
	caught := func(context.Context) error { return nil }
	var mu sync.Mutex
	var all []int64
	var wg sync.WaitGroup
	for range 2 {
		node := projections.NewNumbers(pool, postgres.NewNumbers(pool), caught)
		for range 4 {
			wg.Go(func() {
				last := int64(0)
				for range 80 {
					id, err := node.ID(t.Context(), "post", last)
					if err != nil || id <= last {
						t.Errorf("id %d after %d: %v", id, last, err)
					}
					last = id
					mu.Lock()
					all = append(all, id)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 640 {
		t.Errorf("%d ids, want 640", n)
	}
	node := projections.NewNumbers(pool, postgres.NewNumbers(pool), caught)
	if id, err := node.ID(t.Context(), "post", 50_000); err != nil || id != 50_001 {
		t.Errorf("above 50000: %d, %v", id, err)
	}
	if id, err := node.ID(t.Context(), "post", 50_050); err != nil || id != 50_051 {
		t.Errorf("above 50050: %d, %v", id, err)
	}
	if id, err := node.ID(t.Context(), "post", 3); err != nil || id != 50_052 {
		t.Errorf("above 3: %d, %v", id, err)
	}
	if _, err := node.ID(t.Context(), "contact", 0); domain.CodeOf(err) != domain.CodeInternal {
		t.Errorf("a kind that is not known: %v", err)
	}
}

// Ensure that what the log knows is not given again where the database was lost and
// built again, and that nothing is given while it is not known what is taken.
func TestNumbers_afterALostDatabase(t *testing.T) {
	t.Parallel()
	pool, o := database(t), newAgency()
	o.next = 700
	_, i := o.register("Ana", "c1")
	ticket := o.open(i)
	post := o.say(0, "incoming", "hello")
	o.alter(0, 0, deleted) // its file's id stays taken
	behind := errors.New("behind")
	ready := false
	node := projections.NewNumbers(pool, postgres.NewNumbers(pool), func(context.Context) error {
		if !ready {
			return behind
		}
		mustProject(t, pool, o.log...)
		return nil
	})
	if _, err := node.ID(t.Context(), "post", 0); !errors.Is(err, behind) {
		t.Errorf("while the rows are behind: %v", err)
	}
	ready = true
	given := int64(0)
	for kind, taken := range map[string]int64{"person": 701, "identity": i.ID, "post": post.ID, "file": post.Files[0].ID} {
		id, err := node.ID(t.Context(), kind, 0)
		if want := taken + 10_001; err != nil || id != want { // what is left of lost blocks is left out
			t.Errorf("%s: %d, %v; want %d", kind, id, err, want)
		}
		if kind == "post" {
			given = id
		}
	}
	if id, err := node.ID(t.Context(), "inbox", 0); err != nil || id != 1 {
		t.Errorf("inbox: %d, %v", id, err)
	}
	if n, err := node.Ticket(t.Context(), agencyAccount); err != nil || n != ticket.Number+1 {
		t.Errorf("ticket: %d, %v; want %d", n, err, ticket.Number+1)
	}
	if n, err := node.Ticket(t.Context(), agencyAccount); err != nil || n != ticket.Number+2 {
		t.Errorf("the next ticket: %d, %v; want %d", n, err, ticket.Number+2)
	}
	if n, err := node.Ticket(t.Context(), "umbra"); err != nil || n != 1 {
		t.Errorf("the first ticket of another account: %d, %v", n, err)
	}
	// The table is lost under a process that goes on.
	if _, err := pool.Exec(t.Context(), "truncate numbers"); err != nil {
		t.Fatal(err)
	}
	o.next = given - 1
	o.say(0, "incoming", "again")
	mustProject(t, pool, o.log...)
	other := projections.NewNumbers(pool, postgres.NewNumbers(pool), func(context.Context) error { return nil })
	mine, err := node.ID(t.Context(), "post", 0) // of its block
	theirs, errOther := other.ID(t.Context(), "post", 0)
	if mine != given+1 || err != nil || errOther != nil || theirs != given+10_001 {
		t.Errorf("this node gives %d, %v, after %d; another %d, %v", mine, err, given, theirs, errOther)
	}
	if n, err := node.Webhook(t.Context(), agencyAccount, 4); err != nil || n != 5 {
		t.Errorf("webhook: %d, %v", n, err)
	}
}
