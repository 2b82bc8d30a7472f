package projections_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
)

// Ensure that however a log of people and tickets is cut into batches, and
// whichever prefix is given again, the rows are those of a rebuild from nothing,
// and that an event which was decided about something older, or is told again,
// leaves no trace in any of them.
func TestTickets_rowsDoNotDependOnBatches(t *testing.T) {
	t.Parallel()
	pool := database(t)
	rapid.Check(t, func(t *rapid.T) {
		o := busy(t)
		forget(t, pool)
		for _, r := range o.log {
			if !o.void[r.Position.Offset] {
				mustProject(t, pool, r)
			}
		}
		want := dump(t, pool)

		forget(t, pool)
		mustProject(t, pool, o.log...)
		if diff := cmp.Diff(want, dump(t, pool)); diff != "" {
			t.Fatalf("a single batch, with void events, gives other rows (-singly +one batch):\n%s", diff)
		}

		forget(t, pool)
		for rest, done := o.log, 0; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			again := rapid.IntRange(0, done).Draw(t, "given again")
			mustProject(t, pool, o.log[done-again:done+n]...)
			rest, done = rest[n:], done+n
		}
		if diff := cmp.Diff(want, dump(t, pool)); diff != "" {
			t.Fatalf("these batches give other rows (-singly +batches):\n%s", diff)
		}
	})
}

// Ensure that tickets and conversations of other dialects, whose messages bring no
// post along, go into one batch.
func TestTickets_shareBatchesWithOtherDialects(t *testing.T) {
	t.Parallel()
	pool := database(t)
	o := newAgency()
	_, identity := o.register("Ana", "c1")
	other := domain.Channel{ID: "c9", Account: agencyAccount, Dialect: domain.DialectRespondIO}
	o.append(other.Receive("una", "m1", o.now, domain.Content{Type: domain.ContentText, Text: "hello"}, nil, o.tick()))
	o.open(identity)
	o.say(0, "incoming", "hi")
	o.append(other.Receive("una", "m2", o.now, domain.Content{Type: domain.ContentText, Text: "anybody?"}, nil, o.tick()))
	for _, r := range o.log {
		mustProject(t, pool, r)
	}
	want := dump(t, pool)
	if len(want["messages"]) != 3 || len(want["posts"]) != 1 {
		t.Fatalf("%d messages, %d posts", len(want["messages"]), len(want["posts"]))
	}
	forget(t, pool)
	mustProject(t, pool, o.log...)
	if diff := cmp.Diff(want, dump(t, pool)); diff != "" {
		t.Errorf("one batch gives other rows (-singly +one batch):\n%s", diff)
	}
}

// Ensure that rows are what the agency knows.
func TestTickets_rowsAreWhatWasTold(t *testing.T) {
	t.Parallel()
	pool := database(t)
	reads := readsOf(pool)
	rapid.Check(t, func(t *rapid.T) {
		o := busy(t)
		forget(t, pool)
		mustProject(t, pool, o.log...)
		ctx := t.Context()
		for _, p := range o.people {
			got, err := reads.Person(ctx, agencyAccount, p.ID)
			if diff := cmp.Diff(p, got.Person); err != nil || diff != "" {
				t.Fatalf("person %d: %v\n%s", p.ID, err, diff)
			}
			for _, i := range got.Identities {
				if diff := cmp.Diff(o.identities[i.ID], i); diff != "" {
					t.Fatalf("identity %d:\n%s", i.ID, diff)
				}
			}
		}
		for _, k := range o.tickets {
			got, err := reads.Ticket(ctx, agencyAccount, k.Number)
			if diff := cmp.Diff(k, got.Ticket); err != nil || diff != "" {
				t.Fatalf("ticket %d: %v\n%s", k.Number, err, diff)
			}
			if got.Person.ID != o.identities[k.IdentityID].PersonID {
				t.Fatalf("ticket %d is person %d's", k.Number, got.Person.ID)
			}
			posts, err := reads.Posts(ctx, domain.PostQuery{Account: agencyAccount, Number: k.Number})
			if diff := cmp.Diff(append([]domain.Post{}, o.posts[k.ID]...), append([]domain.Post{}, posts...)); err != nil || diff != "" {
				t.Fatalf("posts of ticket %d: %v\n%s", k.Number, err, diff)
			}
		}
		list, err := reads.Tickets(ctx, domain.TicketQuery{Account: agencyAccount})
		if err != nil || len(list) != len(o.tickets) {
			t.Fatalf("%d tickets, want %d: %v", len(list), len(o.tickets), err)
		}
		_, count, err := reads.Persons(ctx, domain.PersonQuery{Account: agencyAccount})
		if err != nil || int(count) != len(o.people) {
			t.Fatalf("%d people, want %d: %v", count, len(o.people), err)
		}
	})
}
