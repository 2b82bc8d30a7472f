package projections_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
	"github.com/parley-im/parley/projections"
)

const (
	// topic is what runtimes are told that read no log.
	topic = "parley.events"
	// logPartitions is how many partitions the logs of these tests have.
	logPartitions = 4
)

// until waits for a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// counter is a projection that tells every mistake of its runtime: it counts
// the events of each stream and keeps the order in which they came.
type counter struct {
	before func(events []domain.Recorded) // called in Apply; nil = nothing
}

func (counter) Name() string { return "counter" }

const counterSchema = `
	create table counts (stream text primary key, n int not null, trail text[] not null);
	create table refused (id uuid primary key)`

// Apply is refused by the database, with a data exception, for the events in
// the table refused.
func (c counter) Apply(ctx context.Context, tx pgx.Tx, _ int, events []domain.Recorded) error {
	if c.before != nil {
		c.before(events)
	}
	trails := map[string][]string{}
	ids := make([]uuid.UUID, len(events))
	for i, r := range events {
		ids[i] = r.ID
		trails[r.Stream()] = append(trails[r.Stream()], r.Data.(domain.MessageReceived).ExternalID)
	}
	for stream, trail := range trails {
		if _, err := tx.Exec(ctx, `
			insert into counts (stream, n, trail) values ($1, $2, $3)
			on conflict (stream) do update set n = counts.n + excluded.n, trail = counts.trail || excluded.trail`,
			stream, len(trail), trail); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `select 1 / (case when count(*) = 0 then 1 else 0 end) from refused where id = any($1)`, ids)
	return err
}

// rig is a log and a database, for the processes of a test.
type rig struct {
	brokers   []string
	topic     string // of its own: the log may be a Kafka that tests share
	log       *kafka.Log
	publisher *kafka.Publisher
	store     *eventstore.Store
	pool      *pgxpool.Pool
	written   map[string][]string // by stream
}

// testBrokers finds the log of a test: the Kafka that PARLEY_TEST_KAFKA names, or
// an embedded one.
func testBrokers(t testing.TB) []string {
	t.Helper()
	if named := os.Getenv("PARLEY_TEST_KAFKA"); named != "" {
		return strings.Split(named, ",")
	}
	broker, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	return broker.Brokers()
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{pool: database(t), brokers: testBrokers(t)}
	if _, err := r.pool.Exec(t.Context(), counterSchema); err != nil {
		t.Fatal(err)
	}
	r.log = kafka.NewLog(r.brokers)
	t.Cleanup(func() { r.log.Close() })
	var err error
	if r.publisher, err = kafka.NewPublisher(kafka.PublisherConfig{Brokers: r.brokers, Key: eventstore.PartitionKey}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.publisher.Close() })
	r.anew(t)
	return r
}

// anew goes on with an empty log, as if the one before had never been.
func (r *rig) anew(t testing.TB) {
	t.Helper()
	r.topic, r.written = eventstore.EventsTopic("test-"+uuid.NewString()), map[string][]string{}
	err := r.log.EnsureTopic(t.Context(), r.topic, logPartitions, 1, map[string]string{"retention.ms": "-1"})
	if err != nil {
		t.Fatal(err)
	}
	r.store, err = eventstore.New(eventstore.Config{
		Topic: r.topic, Publisher: r.publisher, Position: kafka.PositionOf, TooLarge: kafka.ErrTooLarge, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// written is the event that a contact's word makes.
func written(contact int, word string) domain.Event {
	ch := domain.Channel{ID: "620418", Account: "default", Dialect: domain.DialectRespondIO}
	now := time.Now()
	return ch.Receive(fmt.Sprintf("+1555010%02d", contact), word, now, domain.Content{Type: domain.ContentText, Text: word}, nil, now)
}

// write appends events and remembers them.
func (r *rig) write(t testing.TB, events ...domain.Event) []domain.Position {
	t.Helper()
	positions, err := r.store.Append(t.Context(), events...)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		r.written[e.Stream()] = append(r.written[e.Stream()], e.Data.(domain.MessageReceived).ExternalID)
	}
	return positions
}

// writeMany appends n events of 20 contacts.
func (r *rig) writeMany(t testing.TB, n int) {
	t.Helper()
	events := make([]domain.Event, n)
	for i := range events {
		events[i] = written(i%20, fmt.Sprintf("%d-%d", len(r.written[written(i%20, "").Stream()]), i))
	}
	r.write(t, events...)
}

// refuse makes the database refuse an event, or take it again.
func (r *rig) refuse(t testing.TB, id uuid.UUID, yes bool) {
	t.Helper()
	sql := "delete from refused where id = $1"
	if yes {
		sql = "insert into refused values ($1)"
	}
	if _, err := r.pool.Exec(t.Context(), sql, id); err != nil {
		t.Fatal(err)
	}
}

// trails are the rows.
func (r *rig) trails(t testing.TB) map[string][]string {
	t.Helper()
	rows, err := r.pool.Query(t.Context(), "select stream, n, trail from counts")
	if err != nil {
		t.Fatal(err)
	}
	trails := map[string][]string{}
	var stream string
	var n int
	var trail []string
	if _, err := pgx.ForEachRow(rows, []any{&stream, &n, &trail}, func() error {
		if n != len(trail) {
			t.Errorf("%s: counted %d, came %d", stream, n, len(trail))
		}
		trails[stream] = slices.Clone(trail)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return trails
}

// passed tells whether the checkpoint is at the log's end everywhere.
func (r *rig) passed(t testing.TB) bool {
	t.Helper()
	ends, err := r.log.Ends(t.Context(), r.topic)
	if err != nil {
		t.Fatal(err)
	}
	stand, err := projections.Checkpoints(t.Context(), r.pool, "counter")
	if err != nil {
		t.Fatal(err)
	}
	for number, end := range ends {
		if stand[number] < end {
			return false
		}
	}
	return true
}

// settled waits until everything was read and compares the rows with what was
// written, but for what the streams in held still keep back.
func (r *rig) settled(t testing.TB, held ...string) {
	t.Helper()
	until(t, "the log is read", func() bool { return r.passed(t) })
	got := r.trails(t)
	for stream, want := range r.written {
		if !slices.Contains(held, stream) && !slices.Equal(got[stream], want) {
			t.Errorf("stream %s: %d events, want %d:\n%v\n%v", stream, len(got[stream]), len(want), got[stream], want)
			return
		}
	}
}

// quarantined lists the records that an operator has to decide about.
func (r *rig) quarantined(t testing.TB) []projections.Quarantined {
	t.Helper()
	list, err := projections.Quarantine(t.Context(), r.pool)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// process is a runtime with its own subscriber and its own connections.
type process struct {
	runtime  *projections.Runtime
	registry *prometheus.Registry
	wire     *wire
	failed   chan error
	stopped  chan error // by partitions that stand still for good
	stop     func()
	logged   *syncBuffer
}

// start starts a process that takes all partitions, whoever else has them.
func (r *rig) start(t testing.TB, projection projections.Projection, change func(*projections.RuntimeConfig)) *process {
	t.Helper()
	return r.launch(t, projection, &wire{}, change)
}

// startOver starts a process whose way to Postgres is w.
func (r *rig) startOver(t testing.TB, projection projections.Projection, w *wire) *process {
	t.Helper()
	return r.launch(t, projection, w, nil)
}

func (r *rig) launch(t testing.TB, projection projections.Projection, w *wire, change func(*projections.RuntimeConfig)) *process {
	t.Helper()
	p := &process{registry: prometheus.NewRegistry(), wire: w, failed: make(chan error, 100), stopped: make(chan error, 100), logged: &syncBuffer{}}
	topic := r.topic
	cfg := projections.RuntimeConfig{
		Projection: projection, Pool: p.wire.pool(t, r.pool), Position: kafka.PositionOf,
		Ends: func(ctx context.Context) (map[int]int64, error) { return r.log.Ends(ctx, topic) },
		IDAt: func(ctx context.Context, partition int, offset int64) (string, bool, error) {
			return r.log.IDAt(ctx, topic, partition, offset)
		},
		Failed:   func(err error) { p.failed <- err },
		MaxBatch: 50, Now: time.Now, Logger: slog.New(slog.NewTextHandler(p.logged, nil)), Registerer: p.registry,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if p.runtime, err = projections.NewRuntime(cfg); err != nil {
		t.Fatal(err)
	}
	subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: r.brokers, Pipelined: true, Assigned: p.runtime.Assigned, Revoked: p.runtime.Revoked,
		Final:   func(err error) bool { return errors.Is(err, projections.ErrRegrown) },
		Stopped: func(_ string, _ int, err error) { p.stopped <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := subscriber.Subscribe(context.WithoutCancel(t.Context()), topic)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.runtime.Run(context.WithoutCancel(t.Context()), msgs)
	}()
	p.stop = sync.OnceFunc(func() { subscriber.Close(); <-done })
	t.Cleanup(func() {
		p.stop()
		if t.Failed() && os.Getenv("PARLEY_TEST_LOG") != "" {
			t.Log(p.logged.String())
		}
	})
	return p
}

// metric is the sum of a metric over its series.
func (p *process) metric(t testing.TB, name string) float64 {
	t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// syncBuffer takes a log that is read while it is written.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// errCut is what a cut connection gives.
var errCut = errors.New("the test has cut the connection")

// wire is the way to Postgres, which can be cut.
type wire struct {
	mu    sync.Mutex
	away  bool
	words []byte // cut at the first statement that holds them
	after bool   // let the statement through and swallow the answer
	cuts  int
}

// cutAt cuts the connection once, at a statement.
func (w *wire) cutAt(words string, after bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.words, w.after = []byte(words), after
}

// setAway cuts all connections, and lets none be made, until it is back.
func (w *wire) setAway(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

func (w *wire) isAway() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.away
}

func (w *wire) cut() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cuts
}

// strikes tells whether a write is to be cut, and how.
func (w *wire) strikes(b []byte) (now, after bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.words == nil || !bytes.Contains(b, w.words) {
		return false, false
	}
	w.words = nil
	w.cuts++
	return true, w.after
}

// pool gives connections to the same database over this wire. Statements travel
// as text each time.
func (w *wire) pool(t testing.TB, of *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	cfg := of.Config().Copy()
	dial := cfg.ConnConfig.DialFunc
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if w.isAway() {
			return nil, errCut
		}
		conn, err := dial(ctx, network, addr)
		return &wireConn{Conn: conn, wire: w}, err
	}
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

type wireConn struct {
	net.Conn
	wire    *wire
	swallow bool // owned by the one user of the connection
}

func (c *wireConn) Write(b []byte) (int, error) {
	now, after := c.wire.strikes(b)
	if c.wire.isAway() || (now && !after) {
		c.Conn.Close()
		return 0, errCut
	}
	c.swallow = c.swallow || now
	return c.Conn.Write(b)
}

func (c *wireConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.swallow || c.wire.isAway() { // the server has done it, and nobody hears
		c.Conn.Close()
		return 0, errCut
	}
	return n, err
}
