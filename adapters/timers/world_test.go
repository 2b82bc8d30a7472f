package timers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// world is a log, its rows and the directory, in memory. Rows are the real fold of
// what was appended, up to as many events as have been projected. It is made in a
// bubble of synctest: time passes when everybody waits.
type world struct {
	t *testing.T

	mu        sync.Mutex
	log       []domain.Recorded
	rows      *domain.Thread
	projected int
	stalled   bool                          // nothing is projected
	episodes  map[uuid.UUID]*domain.Episode // as of the log's end
	effective map[uuid.UUID]int             // how often an event took effect
	told      map[uuid.UUID]int             // how often it was appended
	claims    map[uuid.UUID]time.Time
	looks     int // calls of the store

	storeFails  error
	logFails    error
	landsAnyway bool // what fails to be appended is in the log nevertheless
	claimed     func(ids []uuid.UUID)
	refused     uuid.UUID // an event that the log never takes

	channel  map[string]domain.Channel
	queues   []domain.Queue
	agents   []domain.Agent
	accounts []domain.Account
}

const account = "acme"

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{
		t: t, rows: domain.NewThread(), episodes: map[uuid.UUID]*domain.Episode{}, effective: map[uuid.UUID]int{},
		told: map[uuid.UUID]int{}, claims: map[uuid.UUID]time.Time{}, channel: map[string]domain.Channel{},
		accounts: []domain.Account{{Name: domain.DefaultAccount}, {Name: account}},
	}
}

// channelWith adds or changes a channel.
func (w *world) channelWith(id string, change func(*domain.Channel)) domain.Channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch, there := w.channel[id]
	if !there {
		ch = domain.Channel{ID: id, Account: account, Dialect: domain.DialectVoximplant, Desk: domain.Desk{CloseAfter: 86_400, BotClose: 86_400}}
	}
	if change != nil {
		change(&ch)
	}
	w.channel[id] = ch
	return ch
}

func desk(d domain.Desk) func(*domain.Channel) {
	return func(ch *domain.Channel) {
		ch.Desk = d
		if d.BotClose == 0 {
			ch.Desk.BotClose = domain.DefaultCloseSeconds
		}
	}
}

// keeper runs a keeper until the test ends, or until stop is called.
func (w *world) keeper(change func(*Config)) (stop func()) {
	w.t.Helper()
	cfg := Config{Store: w, Log: w, Directory: w, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	k, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

// pass lets time pass.
func pass(d time.Duration) { <-time.After(d) }

// tell appends an event as the rest of the world does.
func (w *world) tell(e domain.Event) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(e)
}

// put adds an event to the log. The caller holds mu.
func (w *world) put(e domain.Event) {
	r := domain.Recorded{Event: e, Position: domain.Position{Offset: int64(len(w.log))}}
	w.log = append(w.log, r)
	w.told[e.ID]++
	id := domain.ConversationID(e.Channel, e.ContactRef)
	if w.episodes[id] == nil {
		w.episodes[id] = &domain.Episode{}
	}
	if w.episodes[id].Apply(r) {
		w.effective[e.ID]++
	}
	w.project()
}

// project applies what the log has, unless projecting is stalled.
func (w *world) project() {
	for !w.stalled && w.projected < len(w.log) {
		w.rows.Apply(w.log[w.projected])
		w.projected++
	}
}

func (w *world) stall(stalled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalled = stalled
	w.project()
}

// writes lets a contact write to a channel.
func (w *world) writes(channel, ref string) domain.Event {
	w.t.Helper()
	ch := w.channelWith(channel, nil)
	now := time.Now()
	e := ch.Receive(ref, "m"+strconv.Itoa(len(w.log)), now, domain.Content{Type: domain.ContentText, Text: "hello"}, nil, now)
	w.tell(e)
	return e
}

// answers lets somebody of the business write.
func (w *world) answers(channel, ref string, sender *domain.Sender) {
	w.t.Helper()
	ch := w.channelWith(channel, nil)
	w.tell(ch.SendAs(sender, ref, uuid.New(), domain.Content{Type: domain.ContentText, Text: "hi"}, "desk", time.Now()))
}

func (w *world) assigns(channel, ref string, a domain.Assignment) {
	w.t.Helper()
	e, err := w.at(channel, ref).Assign(w.channelWith(channel, nil), uuid.New(), a, "desk", time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	w.tell(e)
}

// at gives a conversation as the rows have it.
func (w *world) at(channel, ref string) domain.Conversation {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.rows.Conversations[domain.ConversationID(channel, ref)]
	if c == nil {
		w.t.Fatalf("no conversation of %s on %s", ref, channel)
	}
	return copied(c)
}

// episode gives an episode as of the log's end.
func (w *world) episode(channel, ref string) domain.Episode {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *w.episodes[domain.ConversationID(channel, ref)]
}

// stands makes sure of the status of a conversation.
func (w *world) stands(channel, ref string, want domain.RequestStatus) {
	w.t.Helper()
	e := w.episode(channel, ref)
	if got := e.Status(); got != want {
		w.t.Fatalf("%s after %s: is %s, want %s", ref, time.Since(e.OpenedAt), got, want)
	}
}

// deliveries lists what the integration is told, by kind.
func (w *world) deliveries() []domain.Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	episodes := map[string]*domain.Episode{}
	var all []domain.Delivery
	for _, r := range w.log {
		e := episodes[r.Stream()]
		if e == nil {
			e = &domain.Episode{}
			episodes[r.Stream()] = e
		}
		if d, ok := domain.DeliveryOf(r, e, e.Apply(r)); ok {
			all = append(all, d)
		}
	}
	return all
}

// repeats counts the appends that were not needed.
func (w *world) repeats() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, times := range w.told {
		n += times - 1
	}
	return n
}

func copied(c *domain.Conversation) domain.Conversation {
	d := *c
	if c.State != nil {
		text, err := json.Marshal(c.State) // as the rows keep it
		if err != nil {
			return d
		}
		d.State = &domain.Episode{}
		if json.Unmarshal(text, d.State) != nil {
			d.State = nil
		}
	}
	return d
}

// find lists open conversations, ordered by a time that tell gives them.
func (w *world) find(ctx context.Context, limit int, tell func(domain.Conversation) (time.Time, bool)) ([]domain.Conversation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	if w.storeFails != nil {
		return nil, w.storeFails
	}
	type row struct {
		at time.Time
		c  domain.Conversation
	}
	var rows []row
	for _, c := range w.rows.Conversations {
		if c.State == nil || !c.State.Open {
			continue
		}
		if at, ok := tell(*c); ok {
			rows = append(rows, row{at: at, c: copied(c)})
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(a.at.Compare(b.at), bytes.Compare(a.c.ID[:], b.c.ID[:]))
	})
	var list []domain.Conversation
	for _, r := range rows[:min(limit, len(rows))] {
		list = append(list, r.c)
	}
	return list, ctx.Err()
}

func (w *world) Due(ctx context.Context, now time.Time, terms []domain.ClosingTerm, limit int) ([]domain.Conversation, error) {
	return w.find(ctx, limit, func(c domain.Conversation) (time.Time, bool) {
		timer, since, after := c.State.Closing()
		for _, term := range terms {
			if seconds := map[domain.Timer]int64{domain.TimerAgent: term.CloseAfter, domain.TimerBot: term.BotClose}[timer]; term.Channel == c.Channel {
				after = min(after, time.Duration(seconds)*time.Second)
			}
		}
		return since.Add(after), timer != domain.TimerNone && !now.Before(since.Add(after))
	})
}

func (w *world) Overdue(ctx context.Context, now time.Time, limit int) ([]domain.Conversation, error) {
	return w.find(ctx, limit, func(c domain.Conversation) (time.Time, bool) {
		until := c.State.WaitsUntil()
		if until == nil {
			return time.Time{}, false
		}
		return *until, !now.Before(*until)
	})
}

func (w *world) Waiting(ctx context.Context, limit int) ([]domain.Conversation, error) {
	return w.find(ctx, limit, func(c domain.Conversation) (time.Time, bool) {
		return c.State.HandlingAt, c.State.Handler == domain.HandlerQueue
	})
}

func (w *world) OpenOf(ctx context.Context, channel string, limit int) ([]domain.Conversation, error) {
	return w.find(ctx, limit, func(c domain.Conversation) (time.Time, bool) { return c.CreatedAt, c.Channel == channel })
}

func (w *world) Busy(_ context.Context, account string) (map[string]int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	busy := map[string]int{}
	for _, c := range w.rows.Conversations {
		if c.Account == account && c.State != nil && c.State.Open && c.State.Handler == domain.HandlerAgent {
			busy[c.State.AgentID]++
		}
	}
	return busy, w.storeFails
}

func (w *world) Claim(ctx context.Context, ids []uuid.UUID, lease time.Duration) ([]uuid.UUID, error) {
	w.mu.Lock()
	if w.storeFails != nil {
		defer w.mu.Unlock()
		return nil, w.storeFails
	}
	var free []uuid.UUID
	for _, id := range ids {
		if now := time.Now(); !now.Before(w.claims[id]) {
			w.claims[id] = now.Add(lease)
			free = append(free, id)
		}
	}
	claimed := w.claimed
	w.mu.Unlock()
	if claimed != nil {
		claimed(free)
	}
	return free, ctx.Err()
}

var errRefused = domain.Errorf(domain.CodeInternal, "cannot be encoded")

func (w *world) Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.ContainsFunc(events, func(e domain.Event) bool { return e.ID == w.refused }) {
		return nil, errRefused
	}
	if w.logFails == nil || w.landsAnyway {
		for _, e := range events {
			w.put(e)
		}
	}
	if w.logFails != nil {
		return nil, &domain.Error{Code: domain.CodeUnavailable, Message: "the log is away", Err: w.logFails}
	}
	return make([]domain.Position, len(events)), nil
}

func (w *world) Accounts() []domain.Account { return w.accounts }

func (w *world) Channels(account string) []domain.Channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []domain.Channel
	for _, ch := range w.channel {
		if ch.Account == account {
			list = append(list, ch)
		}
	}
	return list
}

func (w *world) Channel(id string) (domain.Channel, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch, there := w.channel[id]
	return ch, there
}

func (w *world) Queues(string) []domain.Queue {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.queues)
}

func (w *world) Agents(name string) []domain.Agent {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != account {
		return nil
	}
	return slices.Clone(w.agents)
}

// staff sets the agents.
func (w *world) staff(agents ...domain.Agent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.agents = agents
}

func (w *world) fails(store, log error, lands bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.storeFails, w.logFails, w.landsAnyway = store, log, lands
}

var errAway = errors.New("is away")

// fresh waits until the rows have what the log held at the call.
type fresh struct{ w *world }

func (f fresh) Fresh(ctx context.Context, name string) error {
	if name != projection {
		return errors.New("no projection " + name)
	}
	f.w.mu.Lock()
	end := len(f.w.log)
	f.w.mu.Unlock()
	for {
		f.w.mu.Lock()
		projected := f.w.projected
		f.w.mu.Unlock()
		if projected >= end {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// counts reads a counter of all keepers that use r.
func counts(t *testing.T, r *prometheus.Registry, name, label, value string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					return m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	t.Fatalf("no %s{%s=%q}", name, label, value)
	return 0
}

// lines keeps what is logged, one JSON object a line.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, strings.TrimSpace(string(p)))
	return len(p), nil
}

// with counts the lines that hold all of the words.
func (l *lines) with(words ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.all {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			n++
		}
	}
	return n
}
