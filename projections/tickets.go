package projections

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// ticketRun is one run of events of dialects with tickets, folded in memory into
// rows of people, identities, tickets and posts. It is folded before the thread
// and tells it which events are void. nil is a run without such events: it costs
// nothing.
type ticketRun struct {
	touched    domain.Touched
	revisions  *domain.Revisions
	people     map[int64]*personRow
	identities map[int64]*identityRow
	tickets    map[uuid.UUID]*ticketRow
	posts      map[int64]*postRow
	merged     []int64 // people who are somebody else now
	forgotten  []int64 // people to remove, with all that is theirs
}

// personRow is a person as one run sees them.
type personRow struct {
	domain.Person

	account string
	active  *time.Time // of what they wrote themselves
	told    bool       // the whole person is to be written
	wrote   bool       // only active is
}

type identityRow struct {
	domain.Identity

	account string
	dirty   bool
}

type ticketRow struct {
	domain.Ticket

	account, channel string
}

type postRow struct {
	domain.Post

	file  int64 // highest id of a file that it had in the run
	dirty bool
}

func newTicketRun(events []domain.Recorded) *ticketRun {
	touched, ok := domain.Touches(events)
	if !ok {
		return nil
	}
	return &ticketRun{
		touched: touched, revisions: domain.NewRevisions(),
		people: map[int64]*personRow{}, identities: map[int64]*identityRow{},
		tickets: map[uuid.UUID]*ticketRow{}, posts: map[int64]*postRow{},
	}
}

const (
	selectPeople = `select id, account, revision, removed, last_activity_at from people where id = any(
		array(select unnest($1::bigint[]) union select person_id from identities where id = any($2::bigint[])))`

	selectIdentities = `select id, account, channel_id, person_id, revision, removed, source_id, verified, claimed, token_hash,
			created_at, updated_at
		from identities where id = any(
			array(select unnest($1::bigint[]) union select id from identities where person_id = any($2::bigint[]) and not removed))`

	selectTickets = `select id, revision, removed from tickets where id = any($1)`

	selectPosts = `select id, revision, removed, state from posts where id = any($1)`
)

// queueLoad reads what the run touches.
func (run *ticketRun) queueLoad(b *pgx.Batch) {
	if run == nil {
		return
	}
	identities := numbersOf(run.touched.Identities)
	b.Queue(selectPeople, numbersOf(run.touched.People), identities).Query(eachRow(run.loadPerson))
	b.Queue(selectIdentities, identities, numbersOf(run.touched.Merged)).Query(eachRow(run.loadIdentity))
	if len(run.touched.Tickets) > 0 {
		b.Queue(selectTickets, keysOf(run.touched.Tickets)).Query(eachRow(run.loadTicket))
	}
	if len(run.touched.Posts) > 0 {
		b.Queue(selectPosts, numbersOf(run.touched.Posts)).Query(eachRow(run.loadPost))
	}
}

func (run *ticketRun) loadPerson(row pgx.CollectableRow) error {
	p, known := &personRow{}, &domain.Revised{}
	if err := row.Scan(&p.ID, &p.account, &known.Revision, &known.Removed, &p.active); err != nil {
		return fmt.Errorf("read a person: %w", err)
	}
	run.people[p.ID], run.revisions.People[p.ID] = p, known
	return nil
}

func (run *ticketRun) loadIdentity(row pgx.CollectableRow) error {
	i, known := &identityRow{}, &domain.Revised{}
	err := row.Scan(&i.ID, &i.account, &i.Channel, &i.PersonID, &i.Revision, &known.Removed, &i.SourceID, &i.Verified, &i.Claimed, &i.TokenHash,
		&i.CreatedAt, &i.UpdatedAt)
	if err != nil {
		return fmt.Errorf("read an identity: %w", err)
	}
	known.Revision = i.Revision
	run.identities[i.ID], run.revisions.Identities[i.ID] = i, known
	return nil
}

func (run *ticketRun) loadTicket(row pgx.CollectableRow) error {
	var id uuid.UUID
	known := &domain.Revised{}
	if err := row.Scan(raw(&id), &known.Revision, &known.Removed); err != nil {
		return fmt.Errorf("read a ticket: %w", err)
	}
	run.revisions.Tickets[id] = known
	return nil
}

func (run *ticketRun) loadPost(row pgx.CollectableRow) error {
	p, known := &postRow{}, &domain.Revised{}
	var id int64
	var state []byte
	if err := row.Scan(&id, &known.Revision, &known.Removed, &state); err != nil {
		return fmt.Errorf("read a post: %w", err)
	}
	if err := json.Unmarshal(state, &p.Post); err != nil {
		return fmt.Errorf("read post %d: %w", id, err)
	}
	known.Error = p.Failure()
	run.posts[id], run.revisions.Posts[id] = p, known
	return nil
}

// apply folds one event; false means that it is void, for the thread, too.
func (run *ticketRun) apply(r domain.Recorded) bool {
	if run == nil || !r.Dialect.HasTickets() { // of another dialect, beside tickets in its partition
		return true
	}
	if !run.revisions.Take(r) {
		return false
	}
	switch e := r.Data.(type) {
	case domain.MessageReceived:
		run.posted(r, e.Posted)
		run.wrote(e.Posted, r.Time)
	case domain.MessageSent:
		run.posted(r, e.Posted)
	case domain.MessageNoted:
		run.posted(r, e.Posted)
	case domain.MessageChanged:
		run.posted(r, e.Posted)
	case domain.MessageFailed:
		run.failed(r, e)
	case domain.ConversationOpened:
		run.turned(r, e.Scene.Ticket)
	case domain.ConversationTurned:
		run.turned(r, e.Scene.Ticket)
	case domain.ConversationChanged:
		run.turned(r, e.Scene.Ticket)
	case domain.ContactRegistered:
		run.person(r, e.Person)
		if e.Identity != nil {
			run.identity(r, *e.Identity)
		}
	case domain.ContactChanged:
		run.person(r, e.Person)
	case domain.ContactLinked:
		run.identity(r, e.Identity)
	case domain.ContactMerged:
		run.person(r, e.Person)
		run.merge(r, e)
	case domain.ContactRemoved:
		run.forgotten = append(run.forgotten, e.Person)
	}
	return true
}

func (run *ticketRun) person(r domain.Recorded, p domain.Person) {
	row := run.people[p.ID]
	if row == nil {
		row = &personRow{}
		run.people[p.ID] = row
	}
	row.Person, row.account, row.told = p, r.Account, true
}

func (run *ticketRun) identity(r domain.Recorded, i domain.Identity) {
	known := run.revisions.Identities[i.ID]
	if known.Removed || known.Revision != max(i.Revision, 1) {
		return // an id that was given before
	}
	i.Revision = known.Revision
	run.identities[i.ID] = &identityRow{Identity: i, account: r.Account, dirty: true}
}

// merge gives the identities of one person to another, and with them what they
// have written.
func (run *ticketRun) merge(r domain.Recorded, e domain.ContactMerged) {
	for _, i := range run.identities {
		known := run.revisions.Identities[i.ID]
		if i.PersonID != e.Merged || known.Removed {
			continue
		}
		known.Revision++
		i.PersonID, i.Revision, i.UpdatedAt, i.dirty = e.Person.ID, known.Revision, r.Time, true
		i.Claimed = i.Claimed || e.Claimed
	}
	base := run.people[e.Person.ID]
	if other := run.people[e.Merged]; other != nil && later(other.active, base.active) {
		base.active = other.active
	}
	run.merged = append(run.merged, e.Merged)
}

// wrote notes that the person of a ticket has written.
func (run *ticketRun) wrote(p *domain.Posted, at time.Time) {
	identity := run.identities[p.Scene.Ticket.IdentityID]
	if identity == nil {
		return
	}
	if row := run.people[identity.PersonID]; row != nil && later(&at, row.active) {
		row.active, row.wrote = &at, true
	}
}

func later(a, b *time.Time) bool { return a != nil && (b == nil || a.After(*b)) }

// turned takes a ticket, unless a post's event tells of it as it was.
func (run *ticketRun) turned(r domain.Recorded, t domain.Ticket) {
	if known := run.revisions.Tickets[t.ID]; known == nil || known.Revision != t.Revision {
		return
	}
	run.tickets[t.ID] = &ticketRow{Ticket: t, account: r.Account, channel: r.Channel}
}

func (run *ticketRun) posted(r domain.Recorded, p *domain.Posted) {
	if known := run.revisions.Tickets[p.Scene.Ticket.ID]; known != nil && known.Changed {
		run.turned(r, p.Scene.Ticket)
	}
	row := &postRow{Post: p.Post, dirty: true}
	if was := run.posts[p.Post.ID]; was != nil {
		row.file = was.file
	}
	for _, f := range p.Post.Files {
		row.file = max(row.file, f.ID)
	}
	run.posts[p.Post.ID] = row
}

// failed keeps why a post did not reach its callback, and no more: the event
// shows the post as it was told.
func (run *ticketRun) failed(r domain.Recorded, e domain.MessageFailed) {
	row := run.posts[e.Posted.Post.ID]
	attributes := maps.Clone(row.Attributes)
	if attributes == nil {
		attributes = domain.Object{}
	}
	attributes[domain.ExternalError] = e.Error
	row.Attributes, row.Status, row.Revision, row.dirty = attributes, domain.StatusFailed, run.revisions.Posts[row.ID].Revision, true
	row.UpdatedAt = r.Time
}

// numbersOf gives sorted ids as a parameter.
func numbersOf(ids map[int64]struct{}) []int64 { return slices.Sorted(maps.Keys(ids)) }

// stateOf is the JSON of what a row holds, fit to be stored: the database keeps no
// zero characters.
func stateOf(v any) (json.RawMessage, error) {
	text, err := json.Marshal(v)
	if err != nil || !bytes.Contains(text, []byte(`\u0000`)) {
		return text, err
	}
	kept := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			kept = append(kept, text[i])
			continue
		}
		if bytes.HasPrefix(text[i:], []byte(`\u0000`)) {
			i += len(`\u0000`) - 1
			continue
		}
		kept = append(kept, text[i], text[i+1]) // what is escaped is at least one character
		i++
	}
	return kept, nil
}
