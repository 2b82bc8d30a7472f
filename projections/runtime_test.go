package projections_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
	"github.com/parley-im/parley/projections"
)

// Ensure that rows and checkpoint are one: nobody ever sees one without the other.
func TestRuntimeMovesRowsAndCheckpointTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	watching, enough := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- r.watch(watching) }()
	p := r.start(t, counter{}, nil)
	for range 10 {
		r.writeMany(t, 100)
	}
	r.settled(t)
	enough()
	if err := <-watched; err != nil {
		t.Error(err)
	}
	if got := p.metric(t, "parley_projection_events_applied_total"); got != 1000 {
		t.Errorf("%g events are counted, want 1000", got)
	}
}

// watch compares rows and checkpoints in one snapshot, again and again.
func (r *rig) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		var rows, records int64
		err := r.pool.QueryRow(ctx, `select (select coalesce(sum(n), 0) from counts), (select coalesce(sum(next), 0) from checkpoints)`).
			Scan(&rows, &records)
		if err == nil && rows != records {
			return fmt.Errorf("%d rows beside a checkpoint of %d", rows, records)
		}
	}
	return nil
}

// steps are the moments of a transaction at which it can end.
var steps = []struct {
	name, words string
	after       bool
}{
	{"before the transaction", "begin", false},
	{"before the checkpoint", "update checkpoints", false},
	{"behind the checkpoint", "update checkpoints", true},
	{"before the rows", "insert into counts", false},
	{"behind the rows", "insert into counts", true},
	{"before the commit", "commit", false},
	{"behind the commit, unheard", "commit", true},
}

// Ensure that a connection lost at any step costs no event and doubles none, and
// that a follower is told all the same.
func TestRuntimeGoesOnAfterLostConnection(t *testing.T) {
	t.Parallel()
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			r, told := newRig(t), &listener{next: map[int]int64{}, has: map[int]bool{}}
			r.writeMany(t, 500)
			p := r.start(t, counter{}, func(cfg *projections.RuntimeConfig) { cfg.Follower = told })
			for range 3 {
				p.wire.cutAt(step.words, step.after)
				r.writeMany(t, 300)
				r.settled(t)
			}
			if p.wire.cut() == 0 {
				t.Error("nothing was cut")
			}
			if p.metric(t, "parley_projection_batches_failed_total")+p.metric(t, "parley_projection_fenced_total") == 0 {
				t.Error("no metric has told")
			}
			p.stop()
			told.check(t, r.written)
		})
	}
}

// Ensure that a process that ends at any step leaves a state from which the next
// one comes to the same counts.
func TestRuntimeRestartsAfterAnyStep(t *testing.T) {
	t.Parallel()
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.writeMany(t, 400)
			for range 3 {
				p := r.start(t, counter{}, nil)
				p.wire.cutAt(step.words, step.after)
				r.writeMany(t, 200)
				until(t, "the connection is cut", func() bool { return p.wire.cut() > 0 })
				p.wire.setAway(true) // nothing that this process does counts from here on
				p.stop()
			}
			r.start(t, counter{}, nil)
			r.settled(t)
		})
	}
}

// Ensure that an Apply that fails is rolled back with its checkpoint and tried again.
func TestRuntimeRetriesFailedApply(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t, &moody{failures: 5}, nil)
	r.writeMany(t, 200)
	r.settled(t)
	if got := p.metric(t, "parley_projection_batches_failed_total"); got != 5 {
		t.Errorf("%g failures are counted, want 5", got)
	}
	if list := r.quarantined(t); len(list) != 0 {
		t.Errorf("%d records are in quarantine", len(list))
	}
}

// moody writes its rows and then fails for some times.
type moody struct {
	counter
	mu       sync.Mutex
	failures int
}

func (m *moody) Apply(ctx context.Context, tx pgx.Tx, partition int, events []domain.Recorded) error {
	if err := m.counter.Apply(ctx, tx, partition, events); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures > 0 {
		m.failures--
		return errors.New("not now")
	}
	return nil
}

// Ensure that two processes that both think they have a partition count every
// event once, and that somebody hears of it.
func TestRuntimeFencesZombies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	small := func(cfg *projections.RuntimeConfig) { cfg.MaxBatch = 20 }
	one, two, three := r.start(t, counter{}, small), r.start(t, counter{}, small), r.start(t, counter{}, small)
	for range 20 {
		r.writeMany(t, 200)
	}
	r.settled(t)
	fenced := one.metric(t, "parley_projection_fenced_total") + two.metric(t, "parley_projection_fenced_total") +
		three.metric(t, "parley_projection_fenced_total")
	if fenced == 0 {
		t.Error("nobody was fenced: the test has shown nothing")
	}
	t.Logf("%g lost swaps", fenced)
}

// Ensure that a partition is not given away while a transaction is in hand.
func TestRuntimeRevokedWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	inside, goOn := make(chan struct{}), make(chan struct{})
	projection := counter{before: func([]domain.Recorded) { close(inside); <-goOn }}
	runtime := r.runtime(t, projection, nil)
	assigned, revoke := context.WithCancel(t.Context())
	defer revoke()
	if next, err := runtime.Assigned(assigned, topic, 2); err != nil || next != 0 {
		t.Fatalf("assigned from %d, %v", next, err)
	}
	msgs := make(chan *message.Message)
	ended := make(chan struct{})
	go func() { defer close(ended); runtime.Run(context.WithoutCancel(t.Context()), msgs) }()
	first, second := delivered(t, 2, 0, written(1, "a")), delivered(t, 2, 1, written(1, "b"))
	msgs <- first
	<-inside
	msgs <- second
	revoke()
	revoked := make(chan struct{})
	go func() { defer close(revoked); runtime.Revoked(topic, 2) }()
	select {
	case <-revoked:
		t.Error("the partition was given away with a transaction in hand")
	case <-time.After(100 * time.Millisecond):
	}
	close(goOn)
	<-revoked
	if stand, err := projections.Checkpoints(t.Context(), r.pool, "counter"); err != nil || stand[2] != 1 {
		t.Errorf("the checkpoint is %d (%v), want 1", stand[2], err)
	}
	<-first.Acked()
	<-second.Nacked() // at once: nobody has to wait for an answer to it
	late := delivered(t, 2, 2, written(1, "c"))
	msgs <- late
	<-late.Nacked()
	close(msgs)
	<-ended
}

// runtime gives a runtime without a subscriber; idAt may be nil.
func (r *rig) runtime(t *testing.T, projection projections.Projection, idAt func(context.Context, int, int64) (string, bool, error)) *projections.Runtime {
	t.Helper()
	runtime, err := projections.NewRuntime(projections.RuntimeConfig{
		Projection: projection, Pool: r.pool, Position: kafka.PositionOf, IDAt: idAt,
		Ends: func(context.Context) (map[int]int64, error) { return map[int]int64{}, nil },
		Now:  time.Now, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return runtime
}

// delivered is a message as a subscriber hands it over.
func delivered(t *testing.T, number int, offset int64, event domain.Event) *message.Message {
	t.Helper()
	msg, err := eventstore.Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	msg.SetContext(kafka.WithRecord(t.Context(), kafka.Record{Topic: topic, Partition: number, Offset: offset}))
	return msg
}

// Ensure that a database that has forgotten what was applied is not gone on with
// as if nothing were missing: the process is told, and a new one loses nothing.
func TestRuntimeCheckpointWentBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t, counter{}, nil)
	r.writeMany(t, 200)
	r.settled(t)
	if _, err := r.pool.Exec(t.Context(), "truncate counts, checkpoints"); err != nil {
		t.Fatal(err)
	}
	r.writeMany(t, 200)
	select {
	case err := <-p.failed:
		t.Log(err)
	case <-time.After(patience):
		t.Fatal("the process was not told")
	}
	if got := r.trails(t); len(got) != 0 {
		t.Errorf("rows with a hole before them: %v", got)
	}
	p.stop()
	r.start(t, counter{}, nil)
	r.settled(t)
}

// listener checks what a follower is told.
type listener struct {
	mu    sync.Mutex
	has   map[int]bool
	next  map[int]int64
	wrong []string
	heard map[string][]string // since the start, by stream; a part may be heard anew
}

func (l *listener) Gained(_ context.Context, number int, next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.has[number] || next < l.next[number] {
		l.wrong = append(l.wrong, fmt.Sprintf("partition %d gained from %d, had %t at %d", number, next, l.has[number], l.next[number]))
	}
	l.has[number], l.next[number] = true, next
}

func (l *listener) Applied(number int, events []domain.Recorded, next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.next[number]
	for _, r := range events {
		if !l.has[number] || r.Position.Offset < at {
			l.wrong = append(l.wrong, fmt.Sprintf("event %d:%d told at %d", number, r.Position.Offset, at))
		}
		at = r.Position.Offset + 1
		if l.heard == nil {
			l.heard = map[string][]string{}
		}
		l.heard[r.Stream()] = append(l.heard[r.Stream()], r.Data.(domain.MessageReceived).ExternalID)
	}
	if next < at {
		l.wrong = append(l.wrong, fmt.Sprintf("partition %d: next is %d behind %d", number, next, at))
	}
	l.next[number] = next
}

func (l *listener) Lost(number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.has[number] {
		l.wrong = append(l.wrong, fmt.Sprintf("partition %d lost twice", number))
	}
	l.has[number] = false
}

// check tells what was told wrongly. Events whose commit was not heard of are not
// told: the follower has begun anew behind them.
func (l *listener) check(t *testing.T, written map[string][]string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.wrong {
		t.Error(w)
	}
	for number, has := range l.has {
		if has {
			t.Errorf("partition %d was never lost", number)
		}
	}
	for stream, heard := range l.heard {
		rest := written[stream]
		for _, word := range heard {
			i := slices.Index(rest, word)
			if i < 0 {
				t.Errorf("%s: %q was told twice or out of order", stream, word)
				break
			}
			rest = rest[i+1:]
		}
	}
}

// Ensure that what somebody waits for is applied without waiting for the beat, and
// what came before it in the partition with it.
func TestRuntimeAwaited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(t, counter{}, func(cfg *projections.RuntimeConfig) {
		cfg.Beat = time.Hour
		cfg.Awaited = func(msg *message.Message) bool { return strings.Contains(string(msg.Payload), "urgent") }
	})
	r.write(t, written(1, "first"))
	r.settled(t) // nothing came before: it waits for no beat
	r.write(t, written(1, "second"))
	r.write(t, written(1, "urgent"))
	r.settled(t)
}
