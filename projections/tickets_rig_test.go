package projections_test

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// agency keeps what a desk would know, and writes the log that it would write.
type agency struct {
	now        time.Time
	log        []domain.Recorded
	void       map[int64]bool // by offset: events that are to have no effect
	next       int64          // id
	people     map[int64]domain.Person
	identities map[int64]domain.Identity
	tickets    []domain.Ticket
	posts      map[uuid.UUID][]domain.Post // by ticket
	told       []domain.Recorded           // those that took effect
}

func newAgency() *agency {
	return &agency{
		now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), void: map[int64]bool{}, people: map[int64]domain.Person{},
		identities: map[int64]domain.Identity{}, posts: map[uuid.UUID][]domain.Post{},
	}
}

const agencyAccount = "acme"

func (o *agency) id() int64 { o.next++; return o.next }

func (o *agency) tick() time.Time {
	o.now = o.now.Add(time.Second)
	return o.now
}

// tell appends an event that takes effect.
func (o *agency) tell(e domain.Event) domain.Recorded {
	r := o.append(e)
	o.told = append(o.told, r)
	return r
}

func (o *agency) append(e domain.Event) domain.Recorded {
	if e.ID == uuid.Nil {
		e.ID = domain.DeriveID("test", strconv.Itoa(len(o.log)))
	}
	r := domain.Recorded{Event: e, Position: domain.Position{Partition: partition, Offset: int64(len(o.log))}}
	o.log = append(o.log, r)
	return r
}

// vain appends an event that has no effect.
func (o *agency) vain(e domain.Event) { o.void[o.append(e).Position.Offset] = true }

func (o *agency) register(name string, ch string) (domain.Person, domain.Identity) {
	now := o.tick()
	p := domain.Person{ID: o.id(), Revision: 1, Name: name, CreatedAt: now, UpdatedAt: now, Labels: []string{"new"}}
	p.Email, p.Identifier = fmt.Sprintf("p%d@example.com", p.ID), fmt.Sprintf("crm-%d", p.ID)
	i := domain.Identity{
		ID: o.id(), Revision: 1, PersonID: p.ID, Channel: ch, SourceID: fmt.Sprintf("source-%d", p.ID),
		TokenHash: fmt.Sprintf("%064d", p.ID), CreatedAt: now, UpdatedAt: now,
	}
	o.people[p.ID], o.identities[i.ID] = p, i
	e := p.About(agencyAccount, now)
	e.Data = domain.ContactRegistered{Account: domain.Named{ID: 1, Name: "Acme"}, Person: p, Identity: &i, Telling: o.telling(true)}
	o.tell(e)
	return p, i
}

// telling tells the callback, but not of contacts, and a webhook.
func (o *agency) telling(contact bool) domain.Telling {
	if contact {
		return domain.Telling{Targets: []string{domain.WebhookTarget(agencyAccount, 1)}}
	}
	return domain.Telling{Targets: []string{"", domain.WebhookTarget(agencyAccount, 1)}}
}

func (o *agency) change(p domain.Person) {
	now := o.tick()
	p.Revision, p.UpdatedAt, p.Name = p.Revision+1, now, p.Name+"+"
	o.people[p.ID] = p
	e := p.About(agencyAccount, now)
	e.Data = domain.ContactChanged{Account: domain.Named{ID: 1, Name: "Acme"}, Person: p, Telling: o.telling(true)}
	o.tell(e)
}

func (o *agency) verify(i domain.Identity) {
	now := o.tick()
	i.Revision, i.Verified, i.UpdatedAt = i.Revision+1, true, now
	o.identities[i.ID] = i
	e := o.people[i.PersonID].About(agencyAccount, now)
	e.Data = domain.ContactLinked{Identity: i}
	o.tell(e)
}

func (o *agency) merge(base, merged domain.Person) {
	now := o.tick()
	base.Revision, base.UpdatedAt = base.Revision+1, now
	o.people[base.ID] = base
	delete(o.people, merged.ID)
	for id, i := range o.identities {
		if i.PersonID == merged.ID {
			i.PersonID, i.Revision, i.UpdatedAt = base.ID, i.Revision+1, now
			o.identities[id] = i
		}
	}
	e := base.About(agencyAccount, now)
	e.Data = domain.ContactMerged{Account: domain.Named{ID: 1, Name: "Acme"}, Person: base, Merged: merged.ID}
	o.tell(e)
}

// remove forgets a person, with the identities and tickets.
func (o *agency) remove(p domain.Person) {
	e := p.About(agencyAccount, o.tick())
	e.Data = domain.ContactRemoved{Person: p.ID}
	o.tell(e)
	delete(o.people, p.ID)
	o.tickets = slices.DeleteFunc(o.tickets, func(t domain.Ticket) bool { return o.identities[t.IdentityID].PersonID == p.ID })
	for id, i := range o.identities {
		if i.PersonID == p.ID {
			delete(o.identities, id)
		}
	}
}

func (o *agency) scene(t domain.Ticket) domain.Scene {
	i := o.identities[t.IdentityID]
	return domain.Scene{Account: domain.Named{ID: 1, Name: "Acme"}, Ticket: t, Identity: i, Person: o.people[i.PersonID]}
}

func (o *agency) open(i domain.Identity) domain.Ticket {
	now, number := o.tick(), o.id()
	t := domain.Ticket{
		ID: domain.TicketID(agencyAccount, number), Number: number, Revision: 1, IdentityID: i.ID, Status: domain.TicketOpen,
		LastActivityAt: now, CreatedAt: now, UpdatedAt: now,
	}
	o.tickets = append(o.tickets, t)
	e := i.About(agencyAccount, now)
	e.Data = domain.ConversationOpened{
		ConversationID: t.ID, ContactID: domain.ContactID(i.Channel, i.Ref()), Turned: domain.Turned{Telling: o.telling(false), Scene: o.scene(t)},
	}
	o.tell(e)
	return t
}

// turn tells the two events of another status, as one append does.
func (o *agency) turn(n int, status domain.TicketStatus) {
	t, now := o.tickets[n], o.tick()
	t.Status = status
	for again := range 2 {
		t.Revision, t.UpdatedAt = t.Revision+1, now
		o.tickets[n] = t
		turned := domain.Turned{Telling: o.telling(false), Scene: o.scene(t)}
		e := o.identities[t.IdentityID].About(agencyAccount, now)
		if e.Data = (domain.ConversationTurned{ConversationID: t.ID, Turned: turned}); again == 1 {
			e.Data = domain.ConversationChanged{ConversationID: t.ID, Turned: turned}
		}
		o.tell(e)
	}
}

// say adds a post of a kind: incoming, outgoing, note or activity.
func (o *agency) say(n int, kind, text string) domain.Post {
	t, now := o.tickets[n], o.tick()
	p := domain.Post{
		ID: o.id(), Ticket: t.ID, Number: t.Number, Revision: 1, Content: &text, ContentType: "text", Status: domain.StatusSent,
		CreatedAt: now, UpdatedAt: now, SourceID: "s-" + text, Key: "k-" + text,
		Files: []domain.PostFile{{ID: o.id(), Kind: "image", Name: "a.png", URL: "https://files.example.com/a.png"}},
	}
	p.Message = domain.DeriveID("post", strconv.FormatInt(p.ID, 10))
	switch kind {
	case "outgoing":
		p.Type = domain.PostOutgoing
	case "note":
		p.Type, p.Private = domain.PostOutgoing, true
	case "activity":
		p.Type = domain.PostActivity
	}
	e := o.speak(t, p, now)
	o.tickets[n] = e.ticket
	o.posts[t.ID] = append(o.posts[t.ID], p)
	o.tell(e.Event)
	return p
}

// spoken is an event with the ticket after it.
type spoken struct {
	domain.Event

	ticket domain.Ticket
}

func (o *agency) speak(t domain.Ticket, p domain.Post, now time.Time) spoken {
	t.Revision, t.LastPost, t.LastActivityAt, t.UpdatedAt = t.Revision+1, p.ID, now, now
	if p.Type != domain.PostActivity {
		t.LastSaid = p.ID
	}
	if p.Public() {
		t.LastPublic = p.ID
	}
	i := o.identities[t.IdentityID]
	posted := &domain.Posted{Post: p, Scene: o.scene(t)}
	if p.Type != domain.PostActivity {
		posted.Telling = o.telling(false)
	}
	content := domain.Content{Type: domain.ContentText, Text: *p.Content, Attachments: []domain.Item{{Type: "image", URL: p.Files[0].URL}}}
	e := i.About(agencyAccount, now)
	contact := domain.ContactID(i.Channel, i.Ref())
	switch {
	case !p.Public():
		e.Data = domain.MessageNoted{MessageID: p.Message, ConversationID: t.ID, Posted: posted}
	case p.Type == domain.PostIncoming:
		e.Data = domain.MessageReceived{
			MessageID: p.Message, ConversationID: t.ID, ContactID: contact, ExternalID: p.SourceID, SentAt: now, Content: content, Posted: posted,
		}
	default:
		e.Data = domain.MessageSent{MessageID: p.Message, ConversationID: t.ID, ContactID: contact, Content: content, Posted: posted}
	}
	return spoken{e, t}
}

// alter tells of a post that is not what it was.
func (o *agency) alter(n, which int, change func(*domain.Post)) {
	t, now := o.tickets[n], o.tick()
	p := o.posts[t.ID][which]
	p.Revision, p.UpdatedAt = p.Revision+1, now
	change(&p)
	o.posts[t.ID][which] = p
	e := o.identities[t.IdentityID].About(agencyAccount, now)
	e.Data = domain.MessageChanged{
		MessageID: p.Message, ConversationID: t.ID, Posted: &domain.Posted{Telling: o.telling(false), Post: p, Scene: o.scene(t)},
	}
	o.tell(e)
}

// fail tells that the callback did not take a post; told tells whether it is news.
func (o *agency) fail(n, which int, text string) {
	t, now := o.tickets[n], o.tick()
	p := o.posts[t.ID][which]
	e := o.identities[t.IdentityID].About(agencyAccount, now)
	e.Data = domain.MessageFailed{
		MessageID: p.Message, ConversationID: t.ID, Error: text, Posted: &domain.Posted{Telling: o.telling(false), Post: p, Scene: o.scene(t)},
	}
	if failure := p.Failure(); failure != nil && *failure == text {
		o.vain(e)
		return
	}
	attributes := domain.Object{domain.ExternalError: text}
	if p.Deleted() {
		attributes["deleted"] = true
	}
	p.Status, p.Attributes, p.Revision, p.UpdatedAt = domain.StatusFailed, attributes, p.Revision+1, now
	o.posts[t.ID][which] = p
	o.tell(e)
}

// deleted is what is left of a post.
func deleted(p *domain.Post) {
	text := "This message was deleted"
	p.Content, p.Attributes, p.Files = &text, domain.Object{"deleted": true}, nil
}

// busy writes a log of many kinds of events, with repeats and with decisions that
// were made about what is no longer so.
func busy(t *rapid.T) *agency {
	o := newAgency()
	for range 2 {
		_, i := o.register("Ana", "c1")
		o.open(i)
	}
	for range rapid.IntRange(5, 40).Draw(t, "steps") {
		o.step(t)
	}
	return o
}

func (o *agency) step(t *rapid.T) {
	what := rapid.SampledFrom([]string{
		"register", "change", "verify", "merge", "remove", "open", "turn", "say", "say", "say", "say", "alter", "delete", "fail",
		"again", "stale ticket", "stale post", "stale person", "typing",
	}).Draw(t, "what")
	person := func() domain.Person {
		return o.people[pick(t, "person", o.people)]
	}
	ticket := -1
	if len(o.tickets) > 0 {
		ticket = rapid.IntRange(0, len(o.tickets)-1).Draw(t, "ticket")
	}
	post := -1
	if ticket >= 0 && len(o.posts[o.tickets[ticket].ID]) > 0 {
		post = rapid.IntRange(0, len(o.posts[o.tickets[ticket].ID])-1).Draw(t, "post")
	}
	switch {
	case what == "register" || len(o.people) == 0:
		o.register("Bo", rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "channel"))
	case what == "change":
		o.change(person())
	case what == "verify":
		o.verify(o.identities[pick(t, "identity", o.identities)])
	case what == "merge":
		if base, merged := person(), person(); base.ID != merged.ID {
			o.merge(base, merged)
		}
	case what == "remove":
		if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
			o.remove(person())
		}
	case what == "open":
		o.open(o.identities[pick(t, "identity", o.identities)])
	case what == "again" && len(o.told) > 0:
		r := o.told[rapid.IntRange(0, len(o.told)-1).Draw(t, "which")]
		if _, typing := r.Data.(domain.TypingNoticed); !typing && !o.removesAgain(r) {
			o.vain(r.Event)
		}
	case what == "stale person":
		p := person()
		p.Revision, p.Name = rapid.IntRange(0, p.Revision).Draw(t, "revision"), "stale"
		e := p.About(agencyAccount, o.tick())
		e.Data = domain.ContactChanged{Person: p, Telling: o.telling(true)}
		o.vain(e)
	case ticket < 0:
	case what == "turn":
		o.turn(ticket, rapid.SampledFrom(domain.TicketStatuses).Draw(t, "status"))
	case what == "say":
		o.say(ticket, rapid.SampledFrom([]string{"incoming", "outgoing", "note", "activity"}).Draw(t, "kind"), fmt.Sprint("text ", len(o.log)))
	case what == "stale ticket":
		was := o.tickets[ticket]
		was.Revision, was.Priority = rapid.IntRange(0, was.Revision-1).Draw(t, "revision"), "urgent"
		text := "never said"
		o.vain(o.speak(was, domain.Post{
			ID: o.id(), Message: domain.DeriveID("stale", strconv.Itoa(len(o.log))), Ticket: was.ID, Content: &text, Revision: 1, Files: make([]domain.PostFile, 1),
		}, o.tick()).Event)
	case what == "typing":
		e := o.identities[o.tickets[ticket].IdentityID].About(agencyAccount, o.tick())
		e.Data = domain.TypingNoticed{Telling: o.telling(false), ConversationID: o.tickets[ticket].ID, On: true, Scene: o.scene(o.tickets[ticket])}
		o.tell(e)
	case post < 0:
	case what == "alter":
		status := rapid.SampledFrom([]domain.Status{domain.StatusSent, domain.StatusDelivered, domain.StatusRead}).Draw(t, "status")
		o.alter(ticket, post, func(p *domain.Post) { p.Status, p.Attributes = status, nil })
	case what == "delete":
		o.alter(ticket, post, deleted)
	case what == "fail":
		o.fail(ticket, post, rapid.SampledFrom([]string{"500 Internal Server Error", "timed out"}).Draw(t, "error"))
	case what == "stale post":
		p := o.posts[o.tickets[ticket].ID][post]
		p.Revision, p.Status = rapid.IntRange(0, p.Revision).Draw(t, "revision"), domain.StatusRead
		e := o.identities[o.tickets[ticket].IdentityID].About(agencyAccount, o.tick())
		e.Data = domain.MessageChanged{
			MessageID: p.Message, ConversationID: p.Ticket, Posted: &domain.Posted{Telling: o.telling(false), Post: p, Scene: o.scene(o.tickets[ticket])},
		}
		o.vain(e)
	}
}

// removesAgain tells of a failure that would be news by now: told once more it
// counts, as a second failure does.
func (o *agency) removesAgain(r domain.Recorded) bool {
	_, fails := r.Data.(domain.MessageFailed)
	return fails
}

func pick[V any](t *rapid.T, what string, from map[int64]V) int64 {
	keys := make([]int64, 0, len(from))
	for k := range from {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return rapid.SampledFrom(keys).Draw(t, what)
}

func readsOf(pool *pgxpool.Pool) *projections.Reads { return projections.NewReads(pool) }
