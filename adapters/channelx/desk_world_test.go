package channelx

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// ledger is a log of one account with the rows that it folds into, in memory. The
// rows are behind until somebody waits for them.
type ledger struct {
	mu         sync.Mutex
	now        time.Time
	log        []domain.Recorded
	taken      []bool // which of them took effect
	folded     int
	revisions  *domain.Revisions
	persons    map[int64]domain.Person
	active     map[int64]time.Time
	identities map[int64]domain.Identity
	tickets    map[int64]domain.Ticket
	posts      map[int64]domain.Post
	last       map[string]int64 // numbers, by kind
	held       map[string]*sync.Mutex

	channels  map[string]domain.Channel
	hooks     []domain.Webhook
	nodes     bool                                 // more than one node gives out numbers
	lockless  bool                                 // locks keep nobody out
	before    func(events []domain.Event)          // called before an append
	appending func(events []domain.Event) error    // may refuse it
	landing   bool                                 // what is refused lands all the same
	waiting   func(position domain.Position) error // refuses to wait for the rows
}

func newLedger() *ledger {
	l := &ledger{
		now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), revisions: domain.NewRevisions(), persons: map[int64]domain.Person{},
		active: map[int64]time.Time{}, identities: map[int64]domain.Identity{}, tickets: map[int64]domain.Ticket{},
		posts: map[int64]domain.Post{}, last: map[string]int64{}, held: map[string]*sync.Mutex{}, channels: map[string]domain.Channel{},
	}
	for number, id := range []string{"", "", "", "bridge", "second"} {
		if id != "" {
			l.channels[id] = domain.Channel{
				ID: id, Account: "acme", Dialect: domain.DialectChannelX, Name: "Mobile " + id, CallbackURL: "https://bridge.example.com/cx",
				Inbox: domain.Inbox{Number: int64(number)},
			}
		}
	}
	return l
}

// desk makes a desk at the ledger.
func (l *ledger) desk(t testing.TB) *desk {
	t.Helper()
	d, err := newDesk(deskConfig{
		Log: l, Freshness: l, People: l, Tickets: l, Posts: ledgerPosts{l}, Numbers: ledgerNumbers{l}, Locks: l, Directory: l, Inboxes: l,
		Webhooks: l, Minter: l, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), Now: l.time,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// time goes on by a millisecond with every look.
func (l *ledger) time() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = l.now.Add(time.Millisecond)
	return l.now
}

func (l *ledger) pass(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = l.now.Add(d)
}

// Who acts in tests.
var acme = domain.Account{Name: "acme", Title: "Acme Support", Number: 1}

func byAdmin() actor {
	return actor{account: acme, operator: &domain.Operator{ID: 4, Name: "Rui Costa", Short: "Rui"}, agent: 4, role: roleAdministrator}
}

func byAgent() actor {
	return actor{account: acme, operator: &domain.Operator{ID: 5, Name: "Mia Sole", Short: "Mia"}, agent: 5, role: roleAgent, channels: []string{"bridge"}}
}

func byContact() actor { return actor{account: acme, role: roleContact} }

func (l *ledger) Append(_ context.Context, events ...domain.Event) ([]domain.Position, error) {
	l.mu.Lock()
	before, appending := l.before, l.appending
	l.mu.Unlock()
	if before != nil {
		before(events)
	}
	var refusal error
	if appending != nil {
		refusal = appending(events)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if refusal != nil && !l.landing {
		return nil, refusal
	}
	positions := make([]domain.Position, 0, len(events))
	for _, e := range events {
		p := domain.Position{Offset: int64(len(l.log))}
		l.log = append(l.log, domain.Recorded{Event: e, Position: p})
		positions = append(positions, p)
	}
	return positions, refusal
}

func (l *ledger) Fresh(context.Context, string) error { return nil }

func (l *ledger) FreshFor(context.Context, string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fold()
	return nil
}

func (l *ledger) Reached(_ context.Context, _ string, p domain.Position) error {
	if l.waiting != nil {
		if err := l.waiting(p); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.Offset >= int64(len(l.log)) {
		return errors.New("beyond the end of the log")
	}
	l.fold()
	return nil
}

// fold takes in what the rows do not have yet.
func (l *ledger) fold() {
	for ; l.folded < len(l.log); l.folded++ {
		r := l.log[l.folded]
		took := l.revisions.Take(r)
		l.taken = append(l.taken, took)
		if took {
			l.apply(r)
		}
	}
}

func (l *ledger) apply(r domain.Recorded) {
	switch e := r.Data.(type) {
	case domain.MessageReceived:
		l.posted(e.Posted)
		l.active[l.identities[e.Posted.Scene.Ticket.IdentityID].PersonID] = r.Time
	case domain.MessageSent:
		l.posted(e.Posted)
	case domain.MessageNoted:
		l.posted(e.Posted)
	case domain.MessageChanged:
		l.posted(e.Posted)
	case domain.MessageFailed:
		p := l.posts[e.Posted.Post.ID]
		p.Status, p.Attributes = domain.StatusFailed, p.Attributes.With(domain.Object{domain.ExternalError: e.Error})
		p.Revision, p.UpdatedAt = l.revisions.Posts[p.ID].Revision, r.Time
		l.posts[p.ID] = p
	case domain.ConversationOpened:
		l.tickets[e.Scene.Ticket.Number] = e.Scene.Ticket
	case domain.ConversationTurned:
		l.tickets[e.Scene.Ticket.Number] = e.Scene.Ticket
	case domain.ConversationChanged:
		l.tickets[e.Scene.Ticket.Number] = e.Scene.Ticket
	case domain.ContactRegistered:
		l.persons[e.Person.ID] = e.Person
		if e.Identity != nil {
			l.identities[e.Identity.ID] = *e.Identity
		}
	case domain.ContactChanged:
		l.persons[e.Person.ID] = e.Person
	case domain.ContactLinked:
		l.identities[e.Identity.ID] = e.Identity
	case domain.ContactMerged:
		l.persons[e.Person.ID] = e.Person
		delete(l.persons, e.Merged)
		for id, i := range l.identities {
			if i.PersonID == e.Merged {
				i.PersonID, i.Claimed = e.Person.ID, i.Claimed || e.Claimed
				i.Revision++
				l.identities[id] = i
				if known := l.revisions.Identities[id]; known != nil {
					known.Revision = i.Revision
				} else {
					l.revisions.Identities[id] = &domain.Revised{Revision: i.Revision}
				}
			}
		}
	case domain.ContactRemoved:
		delete(l.persons, e.Person)
		for id, i := range l.identities {
			if i.PersonID == e.Person {
				delete(l.identities, id)
				l.revisions.Identities[id] = &domain.Revised{Removed: true}
			}
		}
	}
}

func (l *ledger) posted(p *domain.Posted) {
	l.tickets[p.Scene.Ticket.Number] = p.Scene.Ticket
	l.posts[p.Post.ID] = p.Post
}

func (l *ledger) Hold(_ context.Context, names ...string) (func(), error) {
	if !slices.IsSorted(names) {
		return nil, errors.New("the names of locks are not sorted")
	}
	if l.lockless {
		return func() {}, nil
	}
	var mine []*sync.Mutex
	for _, name := range names {
		l.mu.Lock()
		m := l.held[name]
		if m == nil {
			m = &sync.Mutex{}
			l.held[name] = m
		}
		l.mu.Unlock()
		m.Lock()
		mine = append(mine, m)
	}
	return func() {
		for _, m := range mine {
			m.Unlock()
		}
	}, nil
}

var errNone = domain.Errorf(domain.CodeNotFound, "there is no such thing")

func (l *ledger) person(id int64) (domain.PersonSeen, error) {
	p, ok := l.persons[id]
	if !ok {
		return domain.PersonSeen{}, errNone
	}
	seen := domain.PersonSeen{Person: p}
	if at, ok := l.active[id]; ok {
		seen.LastActivityAt = &at
	}
	for _, id := range slices.Sorted(maps.Keys(l.identities)) {
		if l.identities[id].PersonID == p.ID {
			seen.Identities = append(seen.Identities, l.identities[id])
		}
	}
	return seen, nil
}

func (l *ledger) Person(_ context.Context, _ string, id int64) (domain.PersonSeen, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.person(id)
}

func (l *ledger) PersonBy(_ context.Context, _ string, key domain.PersonKey) (domain.PersonSeen, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.persons {
		if key.Identifier != "" && p.Identifier == key.Identifier || key.Email != "" && p.Email == key.Email || key.Phone != "" && p.Phone == key.Phone {
			return l.person(p.ID)
		}
	}
	return domain.PersonSeen{}, errNone
}

func (l *ledger) Persons(context.Context, domain.PersonQuery) ([]domain.PersonSeen, int64, error) {
	return nil, 0, nil
}

func (l *ledger) Identity(_ context.Context, channel, source string) (domain.Identity, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range l.identities {
		if i.Channel == channel && i.SourceID == source {
			return i, nil
		}
	}
	return domain.Identity{}, errNone
}

func (l *ledger) IdentitiesBySource(_ context.Context, _, source string) ([]domain.Identity, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []domain.Identity
	for _, id := range slices.Sorted(maps.Keys(l.identities)) {
		if l.identities[id].SourceID == source {
			list = append(list, l.identities[id])
		}
	}
	return list, nil
}

func (l *ledger) IdentityByToken(context.Context, string) (domain.Identity, domain.Person, string, error) {
	return domain.Identity{}, domain.Person{}, "", errNone
}

func (l *ledger) IdentityByID(_ context.Context, id int64) (domain.Identity, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.identities[id]
	if !ok {
		return i, errNone
	}
	return i, nil
}

func (l *ledger) ticket(number int64) (domain.TicketSeen, error) {
	t, ok := l.tickets[number]
	identity, known := l.identities[t.IdentityID]
	if !ok || !known {
		return domain.TicketSeen{}, errNone
	}
	seen := domain.TicketSeen{Ticket: t, Identity: identity, Person: l.persons[identity.PersonID]}
	if p, ok := l.posts[t.LastPost]; ok {
		seen.Post = &p
	}
	if p, ok := l.posts[t.LastSaid]; ok {
		seen.Said = &p
	}
	if p, ok := l.posts[t.LastPublic]; ok {
		seen.Public = &p
	}
	return seen, nil
}

func (l *ledger) Ticket(_ context.Context, _ string, number int64) (domain.TicketSeen, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ticket(number)
}

func (l *ledger) Tickets(_ context.Context, q domain.TicketQuery) ([]domain.TicketSeen, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []domain.TicketSeen
	for number := range l.tickets {
		if !slices.Contains(q.IDs, domain.TicketID(q.Account, number)) {
			continue
		}
		seen, err := l.ticket(number)
		if err != nil {
			return nil, err
		}
		list = append(list, seen)
	}
	return list, nil
}

func (l *ledger) TicketCounts(context.Context, domain.TicketQuery, int64) (domain.TicketCounts, error) {
	return domain.TicketCounts{}, nil
}

func (l *ledger) LatestTicket(_ context.Context, identity int64) (domain.TicketSeen, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, number := range slices.Backward(slices.Sorted(maps.Keys(l.tickets))) {
		if l.tickets[number].IdentityID == identity {
			return l.ticket(number)
		}
	}
	return domain.TicketSeen{}, errNone
}

// ledgerPosts are the posts of a ledger.
type ledgerPosts struct{ *ledger }

// of lists the posts of a ticket, oldest first.
func (l ledgerPosts) of(number int64, wanted func(domain.Post) bool) []domain.Post {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []domain.Post
	for _, id := range slices.Sorted(maps.Keys(l.posts)) {
		if p := l.posts[id]; p.Number == number && wanted(p) {
			list = append(list, p)
		}
	}
	return list
}

// newest gives the last of a list.
func newest(list []domain.Post) (domain.Post, error) {
	if len(list) == 0 {
		return domain.Post{}, errNone
	}
	return list[len(list)-1], nil
}

func (l ledgerPosts) Posts(_ context.Context, q domain.PostQuery) ([]domain.Post, error) {
	list := l.of(q.Number, func(p domain.Post) bool { return !q.PublicOnly || p.Public() })
	if q.Newest && len(list) > q.Limit {
		return list[len(list)-q.Limit:], nil
	}
	return list[:min(len(list), q.Limit)], nil
}

func (l ledgerPosts) Post(_ context.Context, _ string, number, id int64) (domain.Post, error) {
	return newest(l.of(number, func(p domain.Post) bool { return p.ID == id }))
}

func (l ledgerPosts) PostBySource(_ context.Context, _ string, number int64, source string) (domain.Post, error) {
	return newest(l.of(number, func(p domain.Post) bool { return p.SourceID == source }))
}

func (l ledgerPosts) PostByKey(_ context.Context, _ string, number int64, key string) (domain.Post, error) {
	return newest(l.of(number, func(p domain.Post) bool { return p.Key == key }))
}

func (l ledgerPosts) UnreadPosts(_ context.Context, _ string, number int64, until time.Time, limit int) ([]domain.Post, error) {
	list := l.of(number, func(p domain.Post) bool {
		unread := p.Status == domain.StatusSent || p.Status == domain.StatusDelivered
		return p.Public() && p.Type != domain.PostIncoming && unread && !p.CreatedAt.After(until)
	})
	return list[:min(len(list), limit)], nil
}

func (l ledgerPosts) PostsSince(_ context.Context, _ string, number int64, since time.Time, most int) (int, error) {
	return min(most, len(l.of(number, func(p domain.Post) bool { return !p.CreatedAt.Before(since) }))), nil
}

// ledgerNumbers count from 1.
type ledgerNumbers struct{ *ledger }

func (l ledgerNumbers) next(kind string, above int64) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nodes && kind == "post" { // two that have numbers in stock, in turn
		l.last[kind]++
		return max(l.last[kind]%2*1000+l.last[kind], above+1), nil
	}
	l.last[kind] = max(l.last[kind], above) + 1
	return l.last[kind], nil
}

func (l ledgerNumbers) Ticket(context.Context, string) (int64, error) { return l.next("ticket", 0) }

func (l ledgerNumbers) ID(_ context.Context, kind string, above int64) (int64, error) {
	return l.next(kind, above)
}

func (l ledgerNumbers) Webhook(_ context.Context, _ string, above int64) (int64, error) {
	return l.next("webhook", above)
}

func (l *ledger) Token(string) (domain.Token, bool)                 { return domain.Token{}, false }
func (l *ledger) Account(string) (domain.Account, bool)             { return acme, true }
func (l *ledger) AccountByNumber(int64) (domain.Account, bool)      { return acme, true }
func (l *ledger) Tokens(string) []domain.Token                      { return nil }
func (l *ledger) Queues(string) []domain.Queue                      { return nil }
func (l *ledger) Tags(string) []domain.Tag                          { return nil }
func (l *ledger) Agents(string) []domain.Agent                      { return nil }
func (l *ledger) SocketToken(owner string) string                   { return "socket of " + owner }
func (l *ledger) Webhooks(string) []domain.Webhook                  { return l.hooks }
func (l *ledger) ChannelByIdentifier(string) (domain.Channel, bool) { return domain.Channel{}, false }

func (l *ledger) Agent(_ string, number int64) (domain.Agent, bool) {
	name, ok := map[int64]string{4: "Rui Costa", 5: "Mia Sole"}[number]
	return domain.Agent{Number: number, Account: "acme", Username: name, DisplayName: name}, ok
}

func (l *ledger) Queue(_ string, number int64) (domain.Queue, bool) {
	return domain.Queue{Number: number, Account: "acme", Name: "Billing"}, number == 2
}

func (l *ledger) Channel(id string) (domain.Channel, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ch, ok := l.channels[id]
	return ch, ok
}

func (l *ledger) Channels(string) []domain.Channel { return nil }

func (l *ledger) ChannelByInbox(string, int64) (domain.Channel, bool) { return domain.Channel{}, false }

func (l *ledger) CreateWebhook(context.Context, domain.Webhook) (domain.Webhook, error) {
	return domain.Webhook{}, errNone
}

func (l *ledger) ChangeWebhook(context.Context, string, int64, func(*domain.Webhook) error) (domain.Webhook, error) {
	return domain.Webhook{}, errNone
}

func (l *ledger) DeleteWebhook(context.Context, string, int64) error { return errNone }

// change changes an inbox.
func (l *ledger) change(id string, change func(*domain.Channel)) domain.Channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	ch := l.channels[id]
	change(&ch)
	l.channels[id] = ch
	return ch
}

// bridge is the inbox of most tests.
func (l *ledger) bridge() *domain.Channel {
	ch, _ := l.Channel("bridge")
	return &ch
}

// ana makes a person with an identity on the bridge.
func (l *ledger) ana(t testing.TB, d *desk) (domain.PersonSeen, domain.Identity) {
	t.Helper()
	p, i, err := d.registerPerson(t.Context(), byAdmin(), personInput{Name: "Ana Prado", Identifier: "crm-48213"}, &linkInput{Channel: *l.bridge()})
	if err != nil {
		t.Fatal(err)
	}
	return p, *i
}

// conversation makes a ticket of ana.
func (l *ledger) conversation(t testing.TB, d *desk) domain.TicketSeen {
	t.Helper()
	_, i := l.ana(t, d)
	ticket, err := d.open(t.Context(), byAdmin(), ticketInput{SourceID: i.SourceID})
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// since lists what the log tells after some events, one line an event: its name,
// who is told (c the callback, w a webhook), what changed, and the ticket's revision.
func (l *ledger) since(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, r := range l.log[n:] {
		lines = append(lines, line(r))
	}
	return lines
}

func (l *ledger) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.log)
}

// line shows an event.
func line(r domain.Recorded) string {
	words := []string{domainName(r.Data)}
	for _, d := range domain.NoticesOf(r) {
		who := "w"
		if d.Subject.Notice.Target == "" {
			who = "c"
		}
		words = append(words, who+":"+d.Subject.Notice.Name)
	}
	n, _ := domain.NoticeOf(r)
	for _, c := range n.Changes {
		words = append(words, c.Name)
	}
	return strings.Join(words, " ")
}

// domainName names an event shortly.
func domainName(data domain.Data) string {
	switch data.(type) {
	case domain.MessageReceived:
		return "received"
	case domain.MessageSent:
		return "sent"
	case domain.MessageNoted:
		return "noted"
	case domain.MessageChanged:
		return "altered"
	case domain.ConversationOpened:
		return "opened"
	case domain.ConversationTurned:
		return "turned"
	case domain.ConversationChanged:
		return "changed"
	case domain.TypingNoticed:
		return "typing"
	case domain.ContactRegistered:
		return "registered"
	case domain.ContactChanged:
		return "person"
	case domain.ContactLinked:
		return "linked"
	case domain.ContactMerged:
		return "merged"
	case domain.ContactRemoved:
		return "removed"
	default:
		return "unknown"
	}
}

// says adds a post, which must succeed.
func says(t testing.TB, d *desk, a actor, number int64, in postInput) (domain.Post, domain.TicketSeen) {
	t.Helper()
	p, seen, err := d.post(t.Context(), a, number, in)
	if err != nil {
		t.Fatal(err)
	}
	return p, seen
}

func incoming(s string) postInput { return postInput{Type: domain.PostIncoming, Content: new(s)} }

func outgoing(s string) postInput { return postInput{Type: domain.PostOutgoing, Content: new(s)} }

// equal compares lines.
func equal(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// deskRefusal makes sure that an error is one of the desk's refusals, and gives its text.
func deskRefusal(t testing.TB, err error) string {
	t.Helper()
	if err == nil || !refused(err) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return err.Error()
}
