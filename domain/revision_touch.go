package domain

import "github.com/google/uuid"

// Touched is what has to be known of a run of events before Revisions can take
// them. The values of the maps say nothing.
type Touched struct {
	People     map[int64]struct{}
	Identities map[int64]struct{}
	Tickets    map[uuid.UUID]struct{}
	Posts      map[int64]struct{}
	Merged     map[int64]struct{} // people whose identities become another's
}

// Touches lists what a run of events of dialects with tickets is about; ok is
// false when there is none of them in it.
func Touches(events []Recorded) (t Touched, ok bool) {
	for _, r := range events {
		if !r.Dialect.HasTickets() {
			continue
		}
		if !ok {
			t = Touched{
				People: map[int64]struct{}{}, Identities: map[int64]struct{}{}, Tickets: map[uuid.UUID]struct{}{},
				Posts: map[int64]struct{}{}, Merged: map[int64]struct{}{},
			}
			ok = true
		}
		t.event(r)
	}
	return t, ok
}

func (t Touched) event(r Recorded) {
	switch e := r.Data.(type) {
	case MessageReceived:
		t.posted(e.Posted)
	case MessageSent:
		t.posted(e.Posted)
	case MessageNoted:
		t.posted(e.Posted)
	case MessageChanged:
		t.posted(e.Posted)
	case MessageFailed:
		if e.Posted != nil {
			t.Posts[e.Posted.Post.ID] = struct{}{}
		}
	case ConversationOpened:
		t.turned(e.Scene.Ticket)
	case ConversationTurned:
		t.turned(e.Scene.Ticket)
	case ConversationChanged:
		t.turned(e.Scene.Ticket)
	case ContactRegistered:
		t.People[e.Person.ID] = struct{}{}
		if e.Identity != nil {
			t.Identities[e.Identity.ID] = struct{}{}
		}
	case ContactChanged:
		t.People[e.Person.ID] = struct{}{}
	case ContactMerged:
		t.People[e.Person.ID], t.People[e.Merged], t.Merged[e.Merged] = struct{}{}, struct{}{}, struct{}{}
	case ContactRemoved:
		t.People[e.Person] = struct{}{}
	case ContactLinked:
		t.People[e.Identity.PersonID], t.Identities[e.Identity.ID] = struct{}{}, struct{}{}
	}
}

func (t Touched) posted(p *Posted) {
	if p != nil {
		t.Posts[p.Post.ID] = struct{}{}
		t.turned(p.Scene.Ticket)
	}
}

func (t Touched) turned(ticket Ticket) {
	t.Tickets[ticket.ID], t.Identities[ticket.IdentityID] = struct{}{}, struct{}{}
}
