package channelx

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// What there is in an office.
const (
	officeAccount = "acme" // account_id 7
	bridge        = "620418000017"
	nightDesk     = "620418000018"
	rui           = 4 // an agent, member of the bridge
	bia           = 5 // an agent, member of nothing
	anasID        = 77
	anasSource    = "a5f0c1d2-7b34-4c8e-9d21-0f6b3e7a9c44"
	adminToken    = "admin-token-of-acme"
	ruisToken     = "token-of-rui"
	biasToken     = "token-of-bia"
	readersToken  = "token-of-a-reader"
	umbrasToken   = "token-of-umbra"
)

var officeNoon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// office is a Door over what is in memory: things that are set up can be changed,
// people can only be read.
type office struct {
	mu       sync.Mutex
	accounts []domain.Account
	tokens   map[string]domain.Token
	agents   []domain.Agent
	queues   []domain.Queue
	tags     []domain.Tag
	channels map[string]domain.Channel
	hooks    []domain.Webhook
	persons  []domain.PersonSeen
	tickets  []domain.TicketSeen
	present  []int64 // contacts
	working  []int64 // operators
	stale    error   // of FreshFor
	numbers  int64
	asked    []domain.PersonQuery
	wanted   []domain.TicketQuery
	kept     []string // names of files
	paused   map[string]domain.Endpoint
	appended []domain.Event

	mux *http.ServeMux
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{
		accounts: []domain.Account{{Name: officeAccount, Title: "Acme Support", Number: 7}, {Name: "umbra", Number: 8}},
		tokens: map[string]domain.Token{
			adminToken:   {ID: "t1", Account: officeAccount, Name: "the bridge", Role: domain.RoleAdmin},
			ruisToken:    {ID: "t2", Account: officeAccount, Name: "rui's", Role: domain.RoleAgent, Agent: rui},
			biasToken:    {ID: "t3", Account: officeAccount, Name: "bia's", Role: domain.RoleAgent, Agent: bia},
			readersToken: {ID: "t4", Account: officeAccount, Name: "dashboard", Role: domain.RoleReader},
			umbrasToken:  {ID: "t5", Account: "umbra", Name: "theirs", Role: domain.RoleAdmin},
		},
		agents: []domain.Agent{
			{Number: rui, Account: officeAccount, Username: "rui", DisplayName: "Rui Costa", Email: "rui@example.com", Queues: []int64{2}},
			{Number: bia, Account: officeAccount, Username: "bia"},
		},
		queues:   []domain.Queue{{Number: 2, Account: officeAccount, Name: "billing"}, {Number: 3, Account: officeAccount, Name: "sales"}},
		tags:     []domain.Tag{{Number: 5, Account: officeAccount, Name: "refund"}},
		channels: map[string]domain.Channel{},
		persons: []domain.PersonSeen{{
			Person: domain.Person{ID: anasID, Revision: 1, Name: "Ana Prado", Identifier: "crm-48213", Phone: "+15550100", Labels: []string{"vip"}, CreatedAt: officeNoon},
			Identities: []domain.Identity{
				{ID: 90, PersonID: anasID, Channel: bridge, SourceID: "older"},
				{ID: 91, PersonID: anasID, Channel: bridge, SourceID: anasSource},
			},
		}},
	}
	for i, id := range []string{bridge, nightDesk} {
		o.channels[id] = domain.Channel{
			ID: id, Account: officeAccount, Dialect: domain.DialectChannelX, Name: []string{"Mobile bridge", "a night desk"}[i],
			CallbackURL: "https://bridge.example.com/cx", Delivery: domain.DeliveryPolicy{Schedule: []time.Duration{time.Second}},
			Credentials: domain.Credentials{HMACToken: "k9Yw2rTzQm4VbX7sLd1NcA5e", Secret: "Zt6qWm3pXc8RfJ2hVd5KsB7n"},
			Inbox:       domain.Inbox{Number: int64(3 + i), Identifier: []string{"wQ7hK2mXv9TzR4sYb8LcNd31", "wQ7hK2mXv9TzR4sYb8LcNd32"}[i]},
			CreatedAt:   officeNoon, UpdatedAt: officeNoon, Revision: 1,
		}
	}
	ch := o.channels[bridge]
	ch.Inbox.Members = []int64{rui}
	o.channels[bridge] = ch
	o.channels["kit"] = domain.Channel{ID: "kit", Account: officeAccount, Dialect: domain.DialectVoximplant, Name: "another dialect's"}

	o.opens(t, o.config())
	return o
}

// config wires a door to the office.
func (o *office) config() Config {
	return Config{
		Directory: o, Inboxes: o, InboxAdmin: o, Endpoints: o, Log: o, Webhooks: o, People: o, Tickets: o, Numbers: officeNumbers{o}, Freshness: o, Presence: o, Keeper: o, Minter: o,
		Limits: Limits{Searches: 20}, Now: func() time.Time { return officeNoon }, Random: rand.Reader,
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	}
}

// opens puts a door on the office.
func (o *office) opens(t *testing.T, cfg Config) {
	t.Helper()
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o.mux = http.NewServeMux()
	d.Register(o.mux)
}

// newBusyOffice is an office whose people are those of a ledger, which can be
// changed: there is nobody at first.
func newBusyOffice(t *testing.T) (*office, *ledger) {
	t.Helper()
	o, l := newOffice(t), newLedger()
	cfg := o.config()
	cfg.People, cfg.Tickets, cfg.Posts, cfg.Numbers, cfg.Locks, cfg.Log, cfg.Freshness = l, l, ledgerPosts{l}, ledgerNumbers{l}, l, l, l
	o.opens(t, cfg)
	return o, l
}

// says sends a request with a JSON body, or with none, and gives the status and
// the answer, which is nil where it has no body.
func (o *office) says(t *testing.T, token, method, path, body string) (int, any) {
	t.Helper()
	return o.sends(t, token, method, path, "application/json", body)
}

func (o *office) sends(t *testing.T, token, method, path, contentType, body string) (int, any) {
	t.Helper()
	if !strings.HasPrefix(path, "/api") {
		path = "/api/v1/accounts/7" + path
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Api_access_token", token)
	if body != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	o.mux.ServeHTTP(w, r)
	if w.Body.Len() == 0 {
		return w.Code, nil
	}
	var answer any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		return w.Code, w.Body.String()
	}
	return w.Code, answer
}

// gets is says for what must succeed.
func (o *office) gets(t *testing.T, token, method, path, body string) any {
	t.Helper()
	status, answer := o.says(t, token, method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s answered %d %v", method, path, status, answer)
	}
	return answer
}

// refuses expects a refusal with a body, given as JSON; "" is none.
func (o *office) refuses(t *testing.T, token, method, path, body string, status int, want string) {
	t.Helper()
	got, answer := o.says(t, token, method, path, body)
	var wanted any
	if want != "" {
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
	}
	if got != status || !reflect.DeepEqual(answer, wanted) {
		t.Errorf("%s %s %s answered %d %v, want %d %s", method, path, body, got, answer, status, want)
	}
}

// at walks into an answer, by names and indexes.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("%v is no object for %v", v, path)
			}
			v = object[step]
		case int:
			list, ok := v.([]any)
			if !ok || step >= len(list) {
				t.Fatalf("%v has no element %v", v, path)
			}
			v = list[step]
		}
	}
	return v
}

func (o *office) Token(secret string) (domain.Token, bool) { t, ok := o.tokens[secret]; return t, ok }

func (o *office) Account(name string) (domain.Account, bool) {
	i := slices.IndexFunc(o.accounts, func(a domain.Account) bool { return a.Name == name })
	if i < 0 {
		return domain.Account{}, false
	}
	return o.accounts[i], true
}

func (o *office) AccountByNumber(number int64) (domain.Account, bool) {
	i := slices.IndexFunc(o.accounts, func(a domain.Account) bool { return a.WireNumber() == number })
	if i < 0 {
		return domain.Account{}, false
	}
	return o.accounts[i], true
}

func (o *office) Agent(account string, number int64) (domain.Agent, bool) {
	for _, a := range o.agents {
		if a.Account == account && a.Number == number {
			return a, true
		}
	}
	return domain.Agent{}, false
}

func (o *office) Agents(account string) []domain.Agent {
	return slices.DeleteFunc(slices.Clone(o.agents), func(a domain.Agent) bool { return a.Account != account })
}

func (o *office) Tokens(account string) []domain.Token {
	list := slices.SortedFunc(maps.Values(o.tokens), func(a, b domain.Token) int { return strings.Compare(a.ID, b.ID) })
	return slices.DeleteFunc(list, func(t domain.Token) bool { return t.Account != account })
}

func (o *office) Queue(string, int64) (domain.Queue, bool) { return domain.Queue{}, false }

func (o *office) Queues(account string) []domain.Queue {
	return slices.DeleteFunc(slices.Clone(o.queues), func(q domain.Queue) bool { return q.Account != account })
}

func (o *office) Tags(string) []domain.Tag { return o.tags }

func (o *office) Channel(id string) (domain.Channel, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	ch, ok := o.channels[id]
	return ch, ok
}

func (o *office) Channels(account string) []domain.Channel {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []domain.Channel
	for _, ch := range o.channels {
		if ch.Account == account {
			list = append(list, ch)
		}
	}
	return list
}

func (o *office) ChannelByInbox(account string, number int64) (domain.Channel, bool) {
	for _, ch := range o.Channels(account) {
		if ch.Inbox.Number == number && ch.Dialect.HasTickets() {
			return ch, true
		}
	}
	return domain.Channel{}, false
}

func (o *office) ChannelByIdentifier(string) (domain.Channel, bool) { return domain.Channel{}, false }

func (o *office) CreateChannel(_ context.Context, ch domain.Channel) (domain.Channel, error) {
	if err := ch.Validate(); err != nil {
		return domain.Channel{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, other := range o.channels {
		if other.Inbox.Number == ch.Inbox.Number {
			return domain.Channel{}, &domain.Error{Code: domain.CodeConflict, Field: "inbox_id", Message: "is that of another inbox"}
		}
	}
	o.channels[ch.ID] = ch
	return ch, nil
}

func (o *office) ChangeChannel(_ context.Context, id string, change func(*domain.Channel) error) (domain.Channel, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	ch, ok := o.channels[id]
	if !ok {
		return ch, errNotThere
	}
	ch.Inbox.Members, ch.Inbox.Hours = slices.Clone(ch.Inbox.Members), slices.Clone(ch.Inbox.Hours)
	if err := change(&ch); err != nil {
		return domain.Channel{}, err
	}
	if err := ch.Validate(); err != nil {
		return domain.Channel{}, err
	}
	o.channels[id] = ch
	return ch, nil
}

func (o *office) DeleteChannel(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.channels, id)
	return nil
}

func (o *office) Endpoint(target string) (domain.Endpoint, bool) {
	e, ok := o.paused[target]
	return e, ok
}

func (o *office) ChangeEndpoint(_ context.Context, _, target string, change func(*domain.Endpoint) error) (domain.Endpoint, error) {
	e := o.paused[target]
	if err := change(&e); err != nil {
		return e, err
	}
	o.paused[target] = e
	return e, nil
}

func (o *office) Append(_ context.Context, events ...domain.Event) ([]domain.Position, error) {
	o.appended = append(o.appended, events...)
	return make([]domain.Position, len(events)), nil
}

func (o *office) LastInbox() int64 { return 4 }

func (o *office) Webhooks(account string) []domain.Webhook {
	return slices.DeleteFunc(slices.Clone(o.hooks), func(w domain.Webhook) bool { return w.Account != account })
}

func (o *office) CreateWebhook(_ context.Context, w domain.Webhook) (domain.Webhook, error) {
	for _, other := range o.Webhooks(w.Account) {
		if other.URL == w.URL {
			return domain.Webhook{}, &domain.Error{Code: domain.CodeConflict, Field: "url", Message: "is that of another webhook"}
		}
	}
	if err := w.Validate(); err != nil {
		return domain.Webhook{}, err
	}
	o.hooks = append(o.hooks, w)
	return w, nil
}

func (o *office) ChangeWebhook(_ context.Context, account string, number int64, change func(*domain.Webhook) error) (domain.Webhook, error) {
	for i, w := range o.hooks {
		if w.Account == account && w.Number == number {
			if err := change(&w); err != nil {
				return domain.Webhook{}, err
			}
			o.hooks[i] = w
			return w, w.Validate()
		}
	}
	return domain.Webhook{}, errNotThere
}

func (o *office) DeleteWebhook(_ context.Context, account string, number int64) error {
	before := len(o.hooks)
	o.hooks = slices.DeleteFunc(o.hooks, func(w domain.Webhook) bool { return w.Account == account && w.Number == number })
	if len(o.hooks) == before {
		return errNotThere
	}
	return nil
}

func (o *office) Person(_ context.Context, account string, id int64) (domain.PersonSeen, error) {
	for _, p := range o.persons {
		if account == officeAccount && p.ID == id {
			return p, nil
		}
	}
	return domain.PersonSeen{}, errNotThere
}

func (o *office) PersonBy(context.Context, string, domain.PersonKey) (domain.PersonSeen, error) {
	return domain.PersonSeen{}, errNotThere
}

func (o *office) Persons(_ context.Context, q domain.PersonQuery) ([]domain.PersonSeen, int64, error) {
	o.asked = append(o.asked, q)
	from := min(q.Offset, len(o.persons))
	return o.persons[from:min(from+q.Limit, len(o.persons))], int64(len(o.persons)), nil
}

func (o *office) Identity(_ context.Context, channel, source string) (domain.Identity, error) {
	for _, p := range o.persons {
		for _, i := range p.Identities {
			if i.Channel == channel && i.SourceID == source {
				return i, nil
			}
		}
	}
	return domain.Identity{}, errNotThere
}

func (o *office) IdentitiesBySource(context.Context, string, string) ([]domain.Identity, error) {
	return nil, nil
}

func (o *office) IdentityByToken(context.Context, string) (domain.Identity, domain.Person, string, error) {
	return domain.Identity{}, domain.Person{}, "", errNotThere
}

func (o *office) IdentityByID(context.Context, int64) (domain.Identity, error) {
	return domain.Identity{}, errNotThere
}

func (o *office) Ticket(context.Context, string, int64) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errNotThere
}

func (o *office) Tickets(_ context.Context, q domain.TicketQuery) ([]domain.TicketSeen, error) {
	o.wanted = append(o.wanted, q)
	return o.tickets, nil
}

func (o *office) TicketCounts(context.Context, domain.TicketQuery, int64) (domain.TicketCounts, error) {
	return domain.TicketCounts{}, nil
}

func (o *office) LatestTicket(context.Context, int64) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errNotThere
}

func (o *office) Present(_ context.Context, _ string, kind domain.PresenceKind, since time.Time) ([]int64, error) {
	if since.After(officeNoon) {
		return nil, nil
	}
	if kind == domain.PresentContact {
		return o.present, nil
	}
	return o.working, nil
}

func (o *office) Seen(context.Context, string, domain.PresenceKind, ...int64) error { return nil }

func (o *office) Keep(_ context.Context, name, _ string, content io.Reader) (string, int64, error) {
	var b bytes.Buffer
	size, err := b.ReadFrom(content)
	o.kept = append(o.kept, name)
	return "http://parley.example.com/files/x/" + name, size, err
}

func (o *office) Fresh(context.Context, string) error { return o.stale }

func (o *office) FreshFor(context.Context, string) error { return o.stale }

func (o *office) Reached(context.Context, string, domain.Position) error { return nil }

// officeNumbers gives out numbers.
type officeNumbers struct{ o *office }

func (n officeNumbers) Ticket(context.Context, string) (int64, error) { return 1, nil }

func (n officeNumbers) ID(_ context.Context, _ string, above int64) (int64, error) {
	n.o.numbers = max(n.o.numbers, above) + 1
	return n.o.numbers, nil
}

func (n officeNumbers) Webhook(_ context.Context, _ string, above int64) (int64, error) {
	return above + 1, nil
}

func (o *office) SocketToken(owner string) string { return "socket of " + owner }
