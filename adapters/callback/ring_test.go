package callback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// memoryLog is a log in memory. It may be told to fail, before or after the
// events have landed: all of a call, or none.
type memoryLog struct {
	mu         sync.Mutex
	partitions [][]domain.Recorded
	grown      chan struct{} // closed and replaced on each append
	fail       func(domain.Event) (lands bool, err error)
}

func newMemoryLog(partitions int) *memoryLog {
	return &memoryLog{partitions: make([][]domain.Recorded, partitions), grown: make(chan struct{})}
}

func (l *memoryLog) Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var positions []domain.Position
	var failed error
	for _, e := range events {
		if l.fail == nil || failed != nil {
			break
		}
		lands, err := l.fail(e)
		if !lands {
			return nil, err
		}
		failed = err
	}
	for _, e := range events {
		positions = append(positions, l.land(e))
	}
	close(l.grown)
	l.grown = make(chan struct{})
	if failed != nil {
		return nil, failed
	}
	return positions, nil
}

// land puts an event at the end. It runs under the lock.
func (l *memoryLog) land(e domain.Event) domain.Position {
	p := l.partitionOf(e.Stream())
	at := domain.Position{Partition: p, Offset: int64(len(l.partitions[p]))}
	l.partitions[p] = append(l.partitions[p], domain.Recorded{Event: e, Position: at})
	return at
}

func (l *memoryLog) partitionOf(stream string) int {
	h := fnv.New32a()
	_, _ = io.WriteString(h, stream)
	return int(h.Sum32() % uint32(len(l.partitions)))
}

func (l *memoryLog) end(_ context.Context, partition int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.partitions[partition])), nil
}

// after gives at most n records from an offset on, and what tells of growth.
func (l *memoryLog) after(partition int, next int64, n int) ([]domain.Recorded, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := l.partitions[partition][next:]
	return slices.Clone(records[:min(n, len(records))]), l.grown
}

// attempts lists the outcomes of the log.
func (l *memoryLog) attempts() []domain.DeliveryAttempted {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []domain.DeliveryAttempted
	for _, p := range l.partitions {
		for _, r := range p {
			if a, ok := r.Data.(domain.DeliveryAttempted); ok {
				list = append(list, a)
			}
		}
	}
	return list
}

// registry is the channels, in memory.
type registry struct {
	mu   sync.Mutex
	list map[string]domain.Channel
}

func (r *registry) Channel(id string) (domain.Channel, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch, ok := r.list[id]
	return ch, ok
}

func (r *registry) put(ch domain.Channel) domain.Channel {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch.Account = domain.DefaultAccount
	if ch.Dialect == "" {
		ch.Dialect, ch.IDType = domain.DialectRespondIO, domain.IDTypeCustom
	}
	r.list[ch.ID] = ch
	return ch
}

// plain is a dialect with the simplest wire: the text is the body.
type plain struct{}

func (plain) Request(ch domain.Channel, d domain.Delivery) (domain.Call, error) {
	if d.Content.Text == "unfit" {
		return domain.Call{}, errors.New("the text is unfit")
	}
	body, err := json.Marshal(told{Contact: d.ContactRef, Text: d.Content.Text})
	return domain.Call{
		Method: http.MethodPost, URL: ch.CallbackURL, Body: body,
		Headers: []domain.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "Idempotency-Key", Value: d.MessageID.String()}},
	}, err
}

func (plain) Outcome(_ domain.Delivery, a domain.Answer, _ time.Time) domain.Outcome {
	o := domain.Outcome{HTTPStatus: a.Status, Detail: a.Detail, Response: a.Body}
	if s, err := strconv.Atoi(a.RetryAfter); err == nil {
		o.RetryAfter = time.Duration(s) * time.Second
	}
	switch {
	case a.Fault != "":
		o.Verdict, o.Reason = domain.Retry, a.Fault
	case a.Status == http.StatusTooManyRequests:
		o.Verdict, o.Reason = domain.Retry, domain.ReasonRateLimited
	case a.Status >= 500:
		o.Verdict, o.Reason = domain.Retry, domain.ReasonServerError
	case a.Status >= 300:
		o.Verdict, o.Reason, o.Detail = domain.Refused, domain.ReasonRejected, string(a.Body)
	default:
		o.Verdict, o.Reason, o.ExternalID = domain.Delivered, domain.ReasonOK, string(a.Body)
	}
	return o
}

// received is a call as the receiver saw it.
type received struct {
	channel, contact, text, key string
	at                          time.Time
}

// told is what the plain dialect sends.
type told struct {
	Contact string `json:"contact"`
	Text    string `json:"text"`
}

// receiver is a callback. What it answers is up to answer; nil = 200.
type receiver struct {
	mu     sync.Mutex
	calls  []received
	more   chan struct{} // closed and replaced on each call
	answer func(received) (status int, header http.Header)
	block  func(received) <-chan struct{} // a call waits for it, if it is not nil
	now    func() time.Time
}

func newReceiver() *receiver { return &receiver{more: make(chan struct{}), now: time.Now} }

// RoundTrip lets a receiver stand in for the network.
func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	var body told
	if err := json.NewDecoder(request.Body).Decode(&body); err != nil {
		return nil, err
	}
	var key string
	for name, v := range request.Header { // the spelling is the sender's
		if strings.EqualFold(name, "Idempotency-Key") {
			key = v[0]
		}
	}
	status, header, err := r.take(request.Context(), received{
		channel: request.URL.Path[1:], contact: body.Contact, text: body.Text, key: key, at: r.now(),
	})
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: request}, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var body told
	if err := json.NewDecoder(request.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status, header, err := r.take(request.Context(), received{
		channel: request.URL.Path[1:], contact: body.Contact, text: body.Text, key: request.Header.Get("Idempotency-Key"), at: r.now(),
	})
	if err != nil {
		return
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "m-"+body.Text)
}

func (r *receiver) take(ctx context.Context, c received) (int, http.Header, error) {
	r.mu.Lock()
	r.calls = append(r.calls, c)
	close(r.more)
	r.more = make(chan struct{})
	answer, block := r.answer, r.block
	r.mu.Unlock()
	if block != nil {
		if wait := block(c); wait != nil {
			select {
			case <-wait:
			case <-ctx.Done():
				return 0, nil, ctx.Err()
			}
		}
	}
	if answer == nil {
		return http.StatusOK, http.Header{}, nil
	}
	status, header := answer(c)
	return status, header, nil
}

func (r *receiver) seen() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// texts lists what a contact was told, in order.
func (r *receiver) texts(contact string) []string {
	var list []string
	for _, c := range r.seen() {
		if c.contact == contact {
			list = append(list, c.text)
		}
	}
	return list
}

// await waits until the calls fulfil done.
func (r *receiver) await(t testing.TB, done func([]received) bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		ok, more := done(r.calls), r.more
		n := len(r.calls)
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-more:
		case <-deadline.C:
			t.Fatalf("the receiver had %d calls and not those that were awaited", n)
		}
	}
}

func calls(n int) func([]received) bool {
	return func(list []received) bool { return len(list) >= n }
}

// store is a Store that can take in events.
type store interface {
	Store
	project(ctx context.Context, partition int, events []domain.Recorded) error
}

// tables is the real store: the projection in Postgres.
type tables struct {
	*projections.Deliveries
	pool *pgxpool.Pool
}

func newTables(t testing.TB) *tables {
	t.Helper()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool, os.DirFS("../../projections/migrations"), "public.schema_version"); err != nil {
		t.Fatal(err)
	}
	return &tables{Deliveries: projections.NewDeliveries(pool), pool: pool}
}

func (s *tables) project(ctx context.Context, partition int, events []domain.Recorded) error {
	s.Begin(partition)
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.Apply(ctx, tx, partition, events) })
}

// ring is a worker on a log in memory, whose events come back to it through a
// projection.
type ring struct {
	t        testing.TB
	log      *memoryLog
	store    store
	channels *registry
	receiver *receiver
	server   *httptest.Server
	next     []int64 // checkpoints
	gate     chan struct{}
}

func newRing(t testing.TB, partitions int, s store) *ring {
	t.Helper()
	return &ring{
		t: t, log: newMemoryLog(partitions), store: s, channels: &registry{list: map[string]domain.Channel{}},
		receiver: newReceiver(), next: make([]int64, partitions),
	}
}

// overHTTP puts the receiver behind a real server.
func (r *ring) overHTTP() {
	r.server = httptest.NewServer(r.receiver)
	r.t.Cleanup(r.server.Close)
}

// channel makes a channel whose callback is the receiver.
func (r *ring) channel(id string, change ...func(*domain.Channel)) domain.Channel {
	ch := domain.Channel{ID: id, CallbackURL: "http://receiver.example.com/" + id}
	if r.server != nil {
		ch.CallbackURL = r.server.URL + "/" + id
	}
	for _, c := range change {
		c(&ch)
	}
	return r.channels.put(ch)
}

func waits(list ...time.Duration) func(*domain.Channel) {
	return func(ch *domain.Channel) { ch.Delivery.Schedule = list }
}

// send appends messages to one contact.
func (r *ring) send(ch domain.Channel, contact string, texts ...string) []domain.Recorded {
	r.t.Helper()
	var sent []domain.Recorded
	for _, text := range texts {
		e := ch.Send(contact, uuid.New(), domain.Content{Type: domain.ContentText, Text: text}, "", time.Now())
		at, err := r.log.Append(context.Background(), e)
		if err != nil {
			r.t.Fatal(err)
		}
		sent = append(sent, domain.Recorded{Event: e, Position: at[0]})
	}
	return sent
}

// running is a worker with its projection.
type running struct {
	*Worker
	stop    context.CancelFunc
	stopped chan struct{}
}

// start gives a worker all partitions, and projects them to it.
func (r *ring) start(change ...func(*Config)) *running {
	r.t.Helper()
	cfg := Config{
		Log: r.log, Channels: r.channels, Store: r.store, Ends: r.log.end, Partitions: len(r.next),
		Dialects: map[domain.Dialect]Dialect{domain.DialectRespondIO: plain{}},
		Allow:    []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	if r.server == nil {
		cfg.Transport = r.receiver
	}
	for _, c := range change {
		c(&cfg)
	}
	w, err := NewWorker(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{Worker: w, stop: cancel, stopped: make(chan struct{})}
	var loops sync.WaitGroup
	for p := range r.next {
		loops.Go(func() { r.project(ctx, w, p) })
	}
	go func() {
		defer close(run.stopped)
		loops.Wait()
	}()
	r.t.Cleanup(run.end)
	return run
}

func (w *running) end() {
	w.stop()
	<-w.stopped
	w.sender.Close()
}

// project is the runtime of one partition.
func (r *ring) project(ctx context.Context, w *Worker, p int) {
	w.Gained(ctx, p, r.next[p])
	defer w.Lost(p)
	for {
		events, grown := r.log.after(p, r.next[p], 500)
		if len(events) == 0 || r.gate != nil {
			select {
			case <-ctx.Done():
				return
			case <-grown:
				continue
			case <-r.gate:
				r.gate = nil
				continue
			}
		}
		if err := r.store.project(context.WithoutCancel(ctx), p, events); err != nil {
			r.t.Errorf("project: %v", err)
			return
		}
		r.next[p] += int64(len(events))
		w.Applied(p, events, r.next[p])
		if ctx.Err() != nil {
			return
		}
	}
}

// settled waits until the projection says so of a delivery.
func (r *ring) settled(id uuid.UUID, state domain.DeliveryState) domain.Delivery {
	r.t.Helper()
	var last domain.Delivery
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for range 4000 {
		d, _, err := r.store.(*tables).Delivery(context.Background(), domain.DefaultAccount, id)
		if err == nil && d.State == state {
			return d
		}
		last = d
		<-poll.C
	}
	r.t.Fatalf("delivery %s is %q, not %q", id, last.State, state)
	return last
}

func name(kind string, i int) string { return fmt.Sprintf("%s%03d", kind, i) }
