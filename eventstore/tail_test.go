package eventstore_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// openTail is how a node opens what a tail reads.
type openTail = func(start func(context.Context, string, int) (int64, error), lost func(string, int, error)) (message.Subscriber, error)

// opens gives a subscriber of a log, as wrap wraps it.
func opens(brokers []string, wrap func(message.Subscriber) message.Subscriber) openTail {
	return func(start func(context.Context, string, int) (int64, error), lost func(string, int, error)) (message.Subscriber, error) {
		subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{Brokers: brokers, Pipelined: true, Assigned: start, Stopped: lost})
		if err != nil {
			return nil, err
		}
		if wrap == nil {
			return subscriber, nil
		}
		return wrap(subscriber), nil
	}
}

// followed is a tail that a test follows.
type followed struct {
	*eventstore.Tail

	shown chan domain.Recorded
	stop  func()
	reg   *prometheus.Registry
}

func followTail(t *testing.T, log *testLog, open openTail) *followed {
	t.Helper()
	f := &followed{shown: make(chan domain.Recorded, 1000), reg: prometheus.NewRegistry()}
	var err error
	f.Tail, err = eventstore.NewTail(eventstore.TailConfig{
		Topic: log.events, Dialect: domain.DialectChannelX, Ends: log.Ends, Open: open,
		Position: kafka.PositionOf, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Metrics: f.reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done, err := f.Follow(ctx, func(r domain.Recorded) { f.shown <- r })
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	f.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(f.stop)
	return f
}

// typed is an event of a dialect, told apart by n.
func typed(dialect domain.Dialect, stream string, n int) domain.Event {
	return domain.Event{
		ID: domain.DeriveID("tail", string(dialect), stream, strconv.Itoa(n)), Account: "acme", Channel: "c1", Dialect: dialect, ContactRef: stream,
		Time: domain.Stamp(time.Now()), Data: domain.TypingNoticed{ConversationID: uuid.New(), On: n%2 == 0},
	}
}

func appendAll(t *testing.T, store *eventstore.Store, events ...domain.Event) {
	t.Helper()
	for _, e := range events {
		for deadline := time.Now().Add(patience); ; {
			_, err := store.Append(t.Context(), e)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
}

// sees waits until exactly these events have been shown, those of a stream in
// order. Repeats of one that was shown do not count where repeats is set.
func (f *followed) sees(t *testing.T, repeats bool, events ...domain.Event) {
	t.Helper()
	missing, order := map[uuid.UUID]bool{}, map[string][]uuid.UUID{}
	for _, e := range events {
		missing[e.ID] = true
		order[e.ContactRef] = append(order[e.ContactRef], e.ID)
	}
	timeout := time.After(patience)
	for len(missing) > 0 {
		select {
		case r := <-f.shown:
			if !missing[r.ID] && repeats {
				continue
			}
			next := order[r.ContactRef]
			if len(next) == 0 || next[0] != r.ID {
				t.Fatalf("%s of %s was shown, out of order or not wanted", r.ID, r.ContactRef)
			}
			delete(missing, r.ID)
			order[r.ContactRef] = next[1:]
		case <-timeout:
			t.Fatalf("%d of %d events were not shown", len(missing), len(events))
		}
	}
}

// Ensure that a tail shows everything of its dialect that is appended after Follow
// has returned, in order, and nothing else.
func TestTailShowsWhatIsAppended(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	store := log.store(t, prometheus.NewRegistry())
	for n := range 10 {
		appendAll(t, store, typed(domain.DialectChannelX, "early", n))
	}
	f := followTail(t, log, opens(log.brokers, nil))
	var wanted []domain.Event
	for n := range 50 {
		wanted = append(wanted, typed(domain.DialectChannelX, "s"+strconv.Itoa(n%7), n))
		appendAll(t, store, wanted[n], typed(domain.DialectVoximplant, "other", n))
	}
	f.sees(t, false, wanted...)
	f.stop()
	select {
	case r := <-f.shown:
		t.Errorf("%s of %s was shown", r.ID, r.ContactRef)
	default:
	}
}

// Ensure that two tails of one log, as two nodes have them, show the same.
func TestTailsShareNothing(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	store := log.store(t, prometheus.NewRegistry())
	one, other := followTail(t, log, opens(log.brokers, nil)), followTail(t, log, opens(log.brokers, nil))
	var wanted []domain.Event
	for n := range 20 {
		wanted = append(wanted, typed(domain.DialectChannelX, "s"+strconv.Itoa(n%3), n))
	}
	appendAll(t, store, wanted...)
	one.sees(t, false, wanted...)
	other.sees(t, false, wanted...)
}

// breaking ends its subscription after a few messages, as if the client had broken.
type breaking struct {
	message.Subscriber

	after  int
	breaks *atomic.Int32
}

func (b breaking) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	msgs, err := b.Subscriber.Subscribe(ctx, topic)
	if err != nil {
		cancel()
		return nil, err
	}
	out := make(chan *message.Message)
	go func() {
		defer close(out)
		defer cancel()
		for range b.after {
			msg, ok := <-msgs
			if !ok {
				return
			}
			out <- msg
		}
		b.breaks.Add(1)
	}()
	return out, nil
}

// Ensure that a subscription that breaks is made anew where it was, without a
// record lost.
func TestTailGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	store := log.store(t, prometheus.NewRegistry())
	var breaks atomic.Int32
	f := followTail(t, log, opens(log.brokers, func(s message.Subscriber) message.Subscriber { return breaking{s, 5, &breaks} }))
	var wanted []domain.Event
	for n := range 14 {
		wanted = append(wanted, typed(domain.DialectChannelX, "s"+strconv.Itoa(n%2), n))
	}
	appendAll(t, store, wanted...)
	f.sees(t, false, wanted...)
	if breaks.Load() < 2 {
		t.Errorf("it broke %d times", breaks.Load())
	}
}

// Ensure that a tail outlives the log's brokers.
func TestTailOutlivesTheBrokers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broker, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	log := &testLog{brokers: broker.Brokers(), events: eventstore.EventsTopic("test-" + uuid.NewString())}
	log.Log = kafka.NewLog(log.brokers)
	t.Cleanup(func() { log.Log.Close() })
	if err := log.EnsureTopic(t.Context(), log.events, 2, 1, nil); err != nil {
		t.Fatal(err)
	}
	if log.publisher, err = kafka.NewPublisher(kafka.PublisherConfig{Brokers: log.brokers, Key: eventstore.Key}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.publisher.Close() })
	store := log.store(t, prometheus.NewRegistry())
	f := followTail(t, log, opens(log.brokers, nil))

	first := []domain.Event{typed(domain.DialectChannelX, "a", 1), typed(domain.DialectChannelX, "b", 2)}
	appendAll(t, store, first...)
	f.sees(t, false, first...)

	port, err := strconv.Atoi(log.brokers[0][len("127.0.0.1:"):])
	if err != nil {
		t.Fatal(err)
	}
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	if broker, err = embedded.Start(t.Context(), embedded.Config{Dir: dir, Port: port}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	var second []domain.Event
	for n := range 10 {
		second = append(second, typed(domain.DialectChannelX, "c"+strconv.Itoa(n%3), n))
	}
	appendAll(t, store, second...)
	f.sees(t, true, second...)
}

// losing loses a partition before it hands over anything.
type losing struct {
	message.Subscriber

	lose func()
}

func (l losing) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	msgs, err := l.Subscriber.Subscribe(ctx, topic)
	l.lose()
	return msgs, err
}

// Ensure that a tail whose log was cut short goes on at its end, and says so.
func TestTailOfALogThatWasCutShort(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	store := log.store(t, prometheus.NewRegistry())
	var once sync.Once
	lost := make(chan struct{})
	f := followTail(t, log, func(start func(context.Context, string, int) (int64, error), gone func(string, int, error)) (message.Subscriber, error) {
		return opens(log.brokers, func(s message.Subscriber) message.Subscriber {
			return losing{s, func() {
				once.Do(func() {
					for partition := range 4 {
						gone(log.events, partition, errors.New("cut"))
					}
					close(lost)
				})
			}}
		})(start, gone)
	})
	<-lost
	// What comes in between may be left out; what comes when it reads again is not.
	for n, timeout := 0, time.After(patience); ; n++ {
		appendAll(t, store, typed(domain.DialectChannelX, "s", n))
		select {
		case <-f.shown:
			if found := testutil.CollectAndCount(f.reg, "parley_channelx_tail_failed_total"); found != 1 {
				t.Errorf("there are %d counters of failures", found)
			}
			return
		case <-timeout:
			t.Fatal("it does not go on")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Ensure that a tail whose user hangs tells how far it is behind, and that it is
// not any more when it has caught up.
func TestTailTellsItsLag(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	store := log.store(t, prometheus.NewRegistry())
	tail, err := eventstore.NewTail(eventstore.TailConfig{
		Topic: log.events, Dialect: domain.DialectChannelX, Ends: log.Ends, Open: opens(log.brokers, nil),
		Position: kafka.PositionOf, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	hang := make(chan struct{})
	done, err := tail.Follow(ctx, func(domain.Recorded) { <-hang })
	t.Cleanup(func() { cancel(); <-done })
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, store, typed(domain.DialectChannelX, "s", 1))
	until := func(what string, ok func() bool) {
		t.Helper()
		for timeout, tick := time.After(patience), time.NewTicker(20*time.Millisecond); !ok(); {
			select {
			case <-tick.C:
			case <-timeout:
				t.Fatalf("%s: the lag is %s", what, tail.Lag())
			}
		}
	}
	until("the tail falls behind", func() bool { return tail.Lag() > 100*time.Millisecond })
	close(hang)
	until("the tail catches up", func() bool { return tail.Lag() == 0 })
}
