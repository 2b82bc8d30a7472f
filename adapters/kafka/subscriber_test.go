package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
)

// quiet checks that nothing is handed over for a moment.
func quiet(t *testing.T, ch <-chan *message.Message) {
	t.Helper()
	select {
	case msg := <-ch:
		t.Fatalf("%s was handed over too early", msg.Payload)
	case <-time.After(150 * time.Millisecond):
	}
}

// Ensure the lag of a consumer that is stuck grows with the log.
func TestSubscriberLag(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 1)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	reg := prometheus.NewRegistry()
	cfg := kafka.SubscriberConfig{
		Brokers: brokers, Group: "g" + watermill.NewUUID(), Pipelined: true, MaxInFlight: 2, CommitInterval: 50 * time.Millisecond, Registerer: reg,
	}
	newSubscriber(t, cfg) // a second subscriber shares the metrics
	ch := subscribe(t, newSubscriber(t, cfg), topic)
	lag := func() float64 { return metric(t, reg, "parley_log_lag_records", "topic", topic, "partition", "0") }
	publish(t, pub, topic, newMessage("a", 0))
	held := []*message.Message{next(t, ch)}
	for i := 1; i < 30; i++ {
		publish(t, pub, topic, newMessage("a", i))
	}
	eventually(t, "the lag shows the whole log", func() bool { return lag() == 30 })
	for len(held) < 30 {
		held[len(held)-1].Ack()
		held = append(held, next(t, ch))
	}
	held[29].Ack()
	eventually(t, "there is no lag left", func() bool { return lag() == 0 })
	if n := metric(t, reg, "parley_log_records_total", "topic", topic); n != 30 {
		t.Errorf("%v records counted, want 30", n)
	}
}

// Ensure nothing is handed over that a power cut may still take back.
func TestSubscriberSync(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 1)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	var safe atomic.Bool
	asked := make(chan int64, 100)
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{
		Brokers: brokers, Pipelined: true,
		Sync: func(_ context.Context, _ string, _ int, base int64) error {
			select {
			case asked <- base:
			default: // the first calls are enough
			}
			if !safe.Load() {
				return errors.New("the disk is busy")
			}
			return nil
		},
	}), topic)
	publish(t, pub, topic, newMessage("a", 1))
	if base := <-asked; base != 0 {
		t.Errorf("asked for the records from %d on, want 0", base)
	}
	quiet(t, ch)
	safe.Store(true)
	msg := next(t, ch)
	if string(msg.Payload) != "a-1" {
		t.Errorf("handed over %s", msg.Payload)
	}
	msg.Ack()
}

// Ensure the messages of one key wait for each other, and other keys do not.
func TestSubscriberLanes(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 1)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	publish(t, pub, topic, newMessage("a", 1), newMessage("a", 2), newMessage("b", 1))
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{Brokers: brokers}), topic)

	held := map[string]*message.Message{}
	for range 2 {
		msg := next(t, ch)
		held[string(msg.Payload)] = msg
	}
	if held["a-1"] == nil || held["b-1"] == nil {
		t.Fatalf("first of each key expected, got %v", held)
	}
	quiet(t, ch)
	held["a-1"].Ack()
	if msg := next(t, ch); string(msg.Payload) != "a-2" {
		t.Errorf("got %s after the acknowledgement, want a-2", msg.Payload)
	}
}

// Ensure a refused message is offered again after the pause, before its followers.
func TestSubscriberNack(t *testing.T) {
	t.Parallel()
	for _, pipelined := range []bool{false, true} {
		brokers := testBrokers(t)
		topic := newTopic(t, brokers, 1)
		pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
		publish(t, pub, topic, newMessage("a", 1))
		const delay = 200 * time.Millisecond
		ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{Brokers: brokers, NackDelay: delay, Pipelined: pipelined}), topic)
		first := next(t, ch)
		publish(t, pub, topic, newMessage("a", 2))
		if pipelined {
			next(t, ch).Ack()
		}
		start := time.Now()
		first.Nack()
		again := next(t, ch)
		if d := time.Since(start); d < delay {
			t.Errorf("offered again after %v, want at least %v", d, delay)
		}
		if again.UUID != first.UUID || again == first {
			t.Errorf("got %s again, want a new a-1", again.Payload)
		}
		if first.Context().Err() == nil || again.Context().Err() != nil {
			t.Error("the context ends with the refusal, and the new message has its own")
		}
		again.Ack()
		if !pipelined {
			if msg := next(t, ch); string(msg.Payload) != "a-2" {
				t.Errorf("then %s, want a-2", msg.Payload)
			}
		}
	}
}

// Ensure a pipelined partition is handed over in offset order without waiting for
// acknowledgements, up to MaxInFlight.
func TestSubscriberPipelined(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 1)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	for i := range 10 {
		publish(t, pub, topic, newMessage("a", i))
	}
	const limit = 4
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{Brokers: brokers, Pipelined: true, MaxInFlight: limit}), topic)
	var held []*message.Message
	for i := range 10 {
		if i >= limit {
			quiet(t, ch)
			held[0].Ack()
			held = held[1:]
		}
		msg := next(t, ch)
		if _, offset, _ := kafka.PositionOf(msg); offset != int64(i) {
			t.Fatalf("got offset %d, want %d", offset, i)
		}
		held = append(held, msg)
	}
}

// Ensure that only the contiguous acknowledged prefix is committed: what comes
// after a hole is handed over again to the next member.
func TestSubscriberCommitsPrefix(t *testing.T) {
	t.Parallel()
	for _, pipelined := range []bool{false, true} {
		brokers := testBrokers(t)
		topic := newTopic(t, brokers, 1)
		pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
		for i := range 8 {
			publish(t, pub, topic, newMessage(strconv.Itoa(i), i))
		}
		cfg := kafka.SubscriberConfig{Brokers: brokers, Group: watermill.NewUUID(), Pipelined: pipelined, Grace: 100 * time.Millisecond}
		sub := newSubscriber(t, cfg)
		ch := subscribe(t, sub, topic)
		for range 8 {
			if msg := next(t, ch); string(msg.Payload) != "3-3" {
				msg.Ack()
			}
		}
		if err := sub.Close(); err != nil {
			t.Fatal(err)
		}
		if _, open := <-ch; open {
			t.Error("the channel is open after Close")
		}
		var offsets []int64
		ch = subscribe(t, newSubscriber(t, cfg), topic)
		for range 5 {
			_, offset, _ := kafka.PositionOf(next(t, ch))
			offsets = append(offsets, offset)
		}
		slices.Sort(offsets)
		if want := []int64{3, 4, 5, 6, 7}; !slices.Equal(offsets, want) {
			t.Errorf("pipelined %v: handed over again: %v, want %v", pipelined, offsets, want)
		}
	}
}

// Ensure a partition starts where Assigned says, with and without a group, and
// that Revoked follows once, after the messages' contexts have ended.
func TestSubscriberHooks(t *testing.T) {
	t.Parallel()
	for _, group := range []string{"", watermill.NewUUID()} {
		brokers := testBrokers(t)
		topic := newTopic(t, brokers, 2)
		pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
		for i := range 40 {
			publish(t, pub, topic, newMessage(strconv.Itoa(i), i))
		}
		var assigned, revoked atomic.Int64
		var inHand [2]atomic.Pointer[message.Message]
		var ours [2]atomic.Pointer[context.Context]
		sub := newSubscriber(t, kafka.SubscriberConfig{
			Brokers: brokers, Group: group, Grace: 100 * time.Millisecond,
			Assigned: func(ctx context.Context, _ string, partition int) (int64, error) {
				assigned.Add(1)
				ours[partition].Store(&ctx)
				return int64(5 + partition), nil
			},
			Revoked: func(_ string, partition int) {
				if inHand[partition].Load().Context().Err() == nil || (*ours[partition].Load()).Err() == nil {
					t.Error("revoked while a message in hand was still good")
				}
				revoked.Add(1)
			},
		})
		ch := subscribe(t, sub, topic)
		lowest := map[int]int64{}
		for len(lowest) < 2 || lowest[0] > 5 || lowest[1] > 6 {
			msg := next(t, ch)
			partition, offset, _ := kafka.PositionOf(msg)
			inHand[partition].Store(msg)
			if low, ok := lowest[partition]; !ok || offset < low {
				lowest[partition] = offset
			}
		}
		if lowest[0] != 5 || lowest[1] != 6 {
			t.Errorf("started at %v, want 5 and 6", lowest)
		}
		sub.Close()
		if assigned.Load() != 2 || revoked.Load() != 2 {
			t.Errorf("%d assigned, %d revoked, want 2 and 2", assigned.Load(), revoked.Load())
		}
	}
}

// Ensure a partition whose Assigned fails is asked again, while the others go on in
// the same generation.
func TestSubscriberAssignedFails(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 2)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	for i := range 40 {
		publish(t, pub, topic, newMessage(strconv.Itoa(i), i))
	}
	var mu sync.Mutex
	calls := map[int]int{}
	healthy := make(chan struct{})
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{
		Brokers: brokers, Group: watermill.NewUUID(),
		Assigned: func(_ context.Context, _ string, partition int) (int64, error) {
			mu.Lock()
			defer mu.Unlock()
			calls[partition]++
			select {
			case <-healthy:
			default:
				if partition == 0 {
					return 0, errors.New("no database")
				}
			}
			return kafka.Earliest, nil
		},
	}), topic)
	attempts := func() int {
		mu.Lock()
		defer mu.Unlock()
		return calls[0]
	}
	for range 3 {
		msg := next(t, ch)
		if partition, _, _ := kafka.PositionOf(msg); partition != 1 {
			t.Fatalf("a message of partition %d before its Assigned succeeded", partition)
		}
		msg.Ack()
	}
	eventually(t, "three attempts", func() bool { return attempts() >= 3 })
	close(healthy)
	for {
		msg := next(t, ch)
		msg.Ack()
		if partition, _, _ := kafka.PositionOf(msg); partition == 0 {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if calls[1] != 1 {
		t.Errorf("partition 1 was assigned %d times: the generation ended", calls[1])
	}
}

// Ensure a partition stops loudly when the log ends before the wanted offset.
func TestSubscriberTruncated(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 1)
	publish(t, newPublisher(t, kafka.PublisherConfig{Brokers: brokers}), topic, newMessage("a", 1))
	stopped := make(chan error, 1)
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{
		Brokers: brokers, Group: watermill.NewUUID(),
		Assigned: func(context.Context, string, int) (int64, error) { return 100, nil },
		Stopped:  func(_ string, _ int, err error) { stopped <- err },
	}), topic)
	select {
	case err := <-stopped:
		if !errors.Is(err, kafka.ErrTruncated) {
			t.Errorf("stopped with %v, want ErrTruncated", err)
		}
	case <-ch:
		t.Error("a message")
	case <-time.After(patience):
		t.Error("not stopped")
	}
}

// Ensure a partition stops loudly when the wanted records were removed, unless it
// may start at the log's start.
func TestSubscriberExpired(t *testing.T) {
	t.Parallel()
	log := startFaulty(t)
	topic := "expiring"
	if err := newLog(t, log.brokers).EnsureTopic(t.Context(), topic, 1, 1, map[string]string{"retention.ms": "1"}); err != nil {
		t.Fatal(err)
	}
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: log.brokers})
	publish(t, pub, topic, newMessage("a", 1))
	eventually(t, "the record is removed", func() bool {
		log.cluster.ApplyRetention()
		starts, err := newLog(t, log.brokers).Starts(t.Context(), topic)
		return err == nil && starts[0] == 1
	})
	zero := func(context.Context, string, int) (int64, error) { return 0, nil }
	stopped := make(chan error, 1)
	subscribe(t, newSubscriber(t, kafka.SubscriberConfig{
		Brokers: log.brokers, Assigned: zero, Stopped: func(_ string, _ int, err error) { stopped <- err },
	}), topic)
	select {
	case err := <-stopped:
		if !errors.Is(err, kafka.ErrExpired) {
			t.Errorf("stopped with %v, want ErrExpired", err)
		}
	case <-time.After(patience):
		t.Error("not stopped")
	}
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{Brokers: log.brokers, Assigned: zero, StartAtLogStart: true}), topic)
	publish(t, pub, topic, newMessage("a", 2))
	if msg := next(t, ch); string(msg.Payload) != "a-2" {
		t.Errorf("got %s", msg.Payload)
	}
}

// Ensure answers that break off in the middle lose no record and double none.
func TestSubscriberCutConnections(t *testing.T) {
	t.Parallel()
	log := startFaulty(t)
	topic := newTopic(t, log.brokers, 1)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: log.brokers})
	const total = 3000
	for i := 0; i < total; i += 50 {
		var msgs []*message.Message
		for n := range 50 {
			msg := newMessage("a", i+n)
			msg.Payload = append(msg.Payload, make([]byte, 4000)...)
			msgs = append(msgs, msg)
		}
		publish(t, pub, topic, msgs...)
	}
	log.cutEvery.Store(2)
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{Brokers: log.brokers, Pipelined: true}), topic)
	for i := range total {
		msg := next(t, ch)
		if _, offset, _ := kafka.PositionOf(msg); offset != int64(i) {
			t.Fatalf("got offset %d, want %d", offset, i)
		}
		msg.Ack()
	}
	if n := log.fetches.Load(); n < 4 {
		t.Errorf("only %d fetches: nothing was cut", n)
	}
}

// Ensure a group goes on after the log was away.
func TestSubscriberLogRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := startEmbedded(t, embedded.Config{Dir: dir})
	brokers := log.Brokers()
	topic := newTopic(t, brokers, 2)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{Brokers: brokers, Group: "g"}), topic)
	publish(t, pub, topic, newMessage("a", 1))
	next(t, ch).Ack()
	log.Close()
	_, port, _ := net.SplitHostPort(brokers[0])
	number, _ := strconv.Atoi(port)
	startEmbedded(t, embedded.Config{Dir: dir, Port: number})
	eventually(t, "an append", func() bool { return pub.Publish(topic, newMessage("a", 2)) == nil })
	for {
		msg := next(t, ch)
		msg.Ack()
		if string(msg.Payload) == "a-2" {
			return
		}
	}
}

// Ensure a missing topic and a closed subscriber are errors.
func TestSubscribeRefusals(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	sub := newSubscriber(t, kafka.SubscriberConfig{Brokers: brokers})
	missing := fmt.Sprintf("missing-%d", time.Now().UnixNano())
	if _, err := sub.Subscribe(t.Context(), missing); !errors.Is(err, kafka.ErrNoTopic) {
		t.Errorf("missing topic: %v", err)
	}
	sub.Close()
	if _, err := sub.Subscribe(t.Context(), missing); err == nil {
		t.Error("subscribed after Close")
	}
}

// Ensure a subscriber that finds other records where it has read before, when the log
// is back, stops loudly; and one that finds its own goes on (TestSubscriberLogRestart).
func TestSubscriberRegrown(t *testing.T) {
	t.Parallel()
	const topic = "regrown"
	log := startEmbedded(t, embedded.Config{Dir: t.TempDir()})
	brokers := log.Brokers()
	fill := func(brokers []string, n int) {
		t.Helper()
		if err := newLog(t, brokers).EnsureTopic(t.Context(), topic, 1, 1, nil); err != nil {
			t.Fatal(err)
		}
		pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
		for i := range n {
			publish(t, pub, topic, newMessage("a", i))
		}
	}
	fill(brokers, 3)
	other := t.TempDir()
	elsewhere := startEmbedded(t, embedded.Config{Dir: other})
	fill(elsewhere.Brokers(), 6)
	elsewhere.Close()

	stopped := make(chan error, 1)
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{
		Brokers: brokers, Stopped: func(_ string, _ int, err error) { stopped <- err },
	}), topic)
	for range 3 {
		next(t, ch).Ack()
	}
	log.Close()
	_, port, _ := net.SplitHostPort(brokers[0])
	number, _ := strconv.Atoi(port)
	startEmbedded(t, embedded.Config{Dir: other, Port: number})
	select {
	case err := <-stopped:
		if !errors.Is(err, kafka.ErrRegrown) {
			t.Errorf("stopped with %v, want ErrRegrown", err)
		}
	case msg := <-ch:
		t.Errorf("%s was handed over", msg.Payload)
	case <-time.After(patience):
		t.Error("not stopped")
	}
}
