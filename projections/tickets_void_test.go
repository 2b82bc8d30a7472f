package projections_test

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// Ensure that somebody who was removed stays so, whatever others decided about them
// at that moment, and that nothing that was told of them is left in any row.
func TestTickets_whoWasRemovedStaysSo(t *testing.T) {
	t.Parallel()
	o := newAgency()
	ana, identity := o.register("Ana", "c1")
	ticket := o.open(identity)
	o.say(0, "incoming", "a secret")
	o.say(0, "outgoing", "another secret")
	after := *o
	after.tickets = append([]domain.Ticket{}, o.tickets...)
	o.remove(ana)
	pool := database(t)
	mustProject(t, pool, o.log...)
	want := dump(t, pool)
	for table, rows := range want {
		switch table {
		case "contacts", "conversations", "messages", "early_receipts":
			if len(rows) > 0 {
				t.Errorf("%s has %v", table, rows)
			}
		default:
			for _, row := range rows {
				if regexp.MustCompile("secret|Ana|example.com|source-").MatchString(row) {
					t.Errorf("%s tells %s", table, row)
				}
			}
		}
	}

	// Decided by those who did not know of it, and told of behind it.
	late := newAgency()
	late.log, late.next, late.now = o.log, 500, o.now
	late.people = map[int64]domain.Person{ana.ID: ana}
	late.identities = map[int64]domain.Identity{identity.ID: identity}
	late.tickets = after.tickets
	done := len(o.log)
	late.change(ana)
	late.verify(identity)
	late.open(identity)
	late.say(0, "incoming", "a last word")
	late.turn(0, domain.TicketResolved)
	p := o.posts[ticket.ID][0]
	p.Revision = 9
	e := identity.About(agencyAccount, late.tick())
	e.Data = domain.MessageChanged{MessageID: p.Message, ConversationID: ticket.ID, Posted: &domain.Posted{Post: p, Scene: late.scene(late.tickets[0])}}
	late.append(e)
	e.Data = domain.MessageFailed{MessageID: p.Message, ConversationID: ticket.ID, Error: "503", Posted: &domain.Posted{Post: p, Scene: late.scene(late.tickets[0])}}
	late.append(e)
	another := identity
	another.ID, another.SourceID = 600, "source-600"
	e = ana.About(agencyAccount, late.tick())
	e.Data = domain.ContactLinked{Identity: another}
	late.append(e)
	e.Data = domain.ContactRemoved{Person: ana.ID}
	late.append(e)
	for _, r := range late.log[done:] {
		mustProject(t, pool, r)
		if diff := cmp.Diff(want, dump(t, pool)); diff != "" {
			t.Fatalf("%T has left something (-before +after):\n%s", r.Data, diff)
		}
	}
	forget(t, pool)
	mustProject(t, pool, late.log...)
	if diff := cmp.Diff(want, dump(t, pool)); diff != "" {
		t.Fatalf("a rebuild (-before +after):\n%s", diff)
	}
	reads := projections.NewReads(pool)
	if _, err := reads.Person(t.Context(), agencyAccount, ana.ID); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("the person: %v", err)
	}
	if _, err := reads.Ticket(t.Context(), agencyAccount, ticket.Number); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("the ticket: %v", err)
	}
	if posts, err := reads.Posts(t.Context(), domain.PostQuery{Account: agencyAccount, Number: ticket.Number}); err != nil || len(posts) != 0 {
		t.Errorf("%d posts, %v", len(posts), err)
	}
}

// Ensure that a change of a post that was decided about an older ticket is void as
// a whole, unlike one about the ticket as it is.
func TestTickets_changeAboutAnOlderTicket(t *testing.T) {
	t.Parallel()
	o := newAgency()
	_, identity := o.register("Ana", "c1")
	o.open(identity)
	o.say(0, "outgoing", "hello")
	older := o.tickets[0]
	o.say(0, "outgoing", "again")
	pool := database(t)
	mustProject(t, pool, o.log...)
	want := dump(t, pool)
	p := o.posts[older.ID][0]
	p.Revision, p.Status = 2, domain.StatusRead
	change := func(scene domain.Ticket) domain.Recorded {
		e := identity.About(agencyAccount, o.tick())
		e.Data = domain.MessageChanged{
			MessageID: p.Message, ConversationID: older.ID, Posted: &domain.Posted{Telling: o.telling(false), Post: p, Scene: o.scene(scene)},
		}
		return o.append(e)
	}
	stale := change(older)
	mustProject(t, pool, stale)
	if diff := cmp.Diff(want, dump(t, pool)); diff != "" {
		t.Errorf("about an older ticket (-before +after):\n%s", diff)
	}
	deliveries := projections.NewDeliveries(pool)
	applyDeliveries(t, pool, deliveries, partition, o.log)
	if made := deliveries.Made(partition, stale.Position.Offset); len(made) != 0 {
		t.Errorf("it is told to %d", len(made))
	}
	mustProject(t, pool, change(o.tickets[0]))
	got, err := projections.NewReads(pool).Post(t.Context(), agencyAccount, older.Number, p.ID)
	if err != nil || got.Status != domain.StatusRead {
		t.Errorf("about the ticket as it is: %s, %v", got.Status, err)
	}
}
