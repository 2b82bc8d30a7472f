package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
)

// gate is a durability barrier that holds until it is opened.
type gate chan struct{}

func (g gate) sync(ctx context.Context, _ string, _ int, _ int64) error {
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ensure appends that come in while one is under way share the next produce
// request, and that each gets its own position, its messages side by side.
func TestPublisherGroupCommit(t *testing.T) {
	t.Parallel()
	log := startFaulty(t)
	topic := newTopic(t, log.brokers, 1)
	reg, hold := prometheus.NewRegistry(), make(gate)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: log.brokers, Registerer: reg, Sync: hold.sync, Timeout: patience})

	var wg sync.WaitGroup
	calls := make([][]*message.Message, 51)
	for i := range calls {
		for n := range 3 {
			calls[i] = append(calls[i], newMessage(strconv.Itoa(i), n))
		}
		wg.Go(func() {
			if err := pub.Publish(topic, calls[i]...); err != nil {
				t.Error(err)
			}
		})
		if i == 0 {
			eventually(t, "the first append reaches the log", func() bool { return log.produces.Load() == 1 })
		}
	}
	eventually(t, "all other appends are queued", func() bool { return pub.Queued(topic) == len(calls)-1 })
	if n := metric(t, reg, "parley_log_append_waiting_records"); n != float64(3*len(calls)) {
		t.Errorf("%v records wait, want %d", n, 3*len(calls))
	}
	close(hold)
	wg.Wait()
	if n := log.produces.Load(); n != 2 {
		t.Errorf("%d produce requests, want 2", n)
	}
	ids := idsAt(t, log.brokers, topic, 0)
	if len(ids) != 3*len(calls) {
		t.Errorf("%d records, want %d", len(ids), 3*len(calls))
	}
	for _, call := range calls {
		_, first, _ := kafka.PositionOf(call[0])
		for n, msg := range call {
			_, offset, ok := kafka.PositionOf(msg)
			if !ok || offset != first+int64(n) || ids[offset] != msg.UUID {
				t.Fatalf("message %d of a call is at %d (%v), its first at %d", n, offset, ok, first)
			}
		}
	}
	if n := metric(t, reg, "parley_log_appends_total", "outcome", "ok"); n != float64(len(calls)) {
		t.Errorf("%v appends counted, want %d", n, len(calls))
	}
}

// Ensure a full publisher refuses at once, and takes appends again when there is room.
func TestPublisherBackPressure(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 2)
	reg, hold := prometheus.NewRegistry(), make(gate)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers, Registerer: reg, MaxWaiting: 10, Sync: hold.sync, Timeout: patience})
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if err := pub.Publish(topic, newMessage(strconv.Itoa(i), i)); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all appends wait", func() bool {
		return metric(t, reg, "parley_log_append_waiting_records") == 10
	})
	refused := newMessage("x", 0)
	start := time.Now()
	if err := pub.Publish(topic, refused); !errors.Is(err, kafka.ErrFull) {
		t.Errorf("append to a full publisher: %v, want ErrFull", err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("refused after %v", d)
	}
	if _, _, ok := kafka.PositionOf(refused); ok {
		t.Error("a refused message has a position")
	}
	close(hold)
	wg.Wait()
	publish(t, pub, topic, refused)
	if n := metric(t, reg, "parley_log_append_waiting_records"); n != 0 {
		t.Errorf("%v records wait at the end", n)
	}
}

// Ensure an append fails within its time while the log is away, and that the same
// publisher works again when the log is back, with everything still there.
func TestPublisherLogAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := startEmbedded(t, embedded.Config{Dir: dir})
	brokers := log.Brokers()
	topic := newTopic(t, brokers, 1)
	const timeout = time.Second
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers, Timeout: timeout})
	before := newMessage("a", 1)
	publish(t, pub, topic, before)
	log.Close()

	start := time.Now()
	if err := pub.Publish(topic, newMessage("a", 2)); !errors.Is(err, kafka.ErrUnavailable) {
		t.Errorf("append while the log is away: %v, want ErrUnavailable", err)
	}
	if d := time.Since(start); d > timeout+500*time.Millisecond {
		t.Errorf("gave up after %v, want at most about %v", d, timeout)
	}

	_, port, _ := net.SplitHostPort(brokers[0])
	number, _ := strconv.Atoi(port)
	startEmbedded(t, embedded.Config{Dir: dir, Port: number})
	after := newMessage("a", 3)
	eventually(t, "the log is back", func() bool { return pub.Publish(topic, after) == nil })
	ids := idsAt(t, brokers, topic, 0)
	if ids[0] != before.UUID || !slices.Contains(ids, after.UUID) {
		t.Errorf("log holds %v, want %v first and %v", ids, before.UUID, after.UUID)
	}
}

// Ensure a lost request and a lost answer both end in success, and that what the
// caller is told is in the log. A lost answer doubles the record: consumers meet
// the same id twice.
func TestPublisherLostOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fail func(*faultyLog)
		want int
	}{
		{"did not land", func(f *faultyLog) { f.loseNext.Store(1) }, 1},
		{"did not land, twice", func(f *faultyLog) { f.loseNext.Store(2) }, 1},
		{"landed but said it failed", func(f *faultyLog) { f.muteNext.Store(1) }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log := startFaulty(t)
			topic := newTopic(t, log.brokers, 1)
			pub := newPublisher(t, kafka.PublisherConfig{Brokers: log.brokers})
			publish(t, pub, topic, newMessage("a", 0))
			c.fail(log)
			msg, last := newMessage("a", 1), newMessage("a", 2)
			publish(t, pub, topic, msg)
			publish(t, pub, topic, last)
			ids := idsAt(t, log.brokers, topic, 0)
			if n := len(ids) - 2; n != c.want {
				t.Errorf("landed %d times, want %d", n, c.want)
			}
			if _, offset, _ := kafka.PositionOf(msg); ids[offset] != msg.UUID {
				t.Errorf("position %d does not hold the message", offset)
			}
			if ids[len(ids)-1] != last.UUID {
				t.Error("a later append overtook a repeated one")
			}
		})
	}
}

// Ensure a failed barrier is reported, and the records are not sent a second time.
func TestPublisherFailedBarrier(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 1)
	broken := errors.New("disk is gone")
	pub := newPublisher(t, kafka.PublisherConfig{
		Brokers: brokers, Sync: func(context.Context, string, int, int64) error { return broken },
	})
	msg := newMessage("a", 1)
	err := pub.Publish(topic, msg)
	if !errors.Is(err, kafka.ErrUnavailable) || !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, _, ok := kafka.PositionOf(msg); ok {
		t.Error("a message that may not be durable has a position")
	}
	if ids := idsAt(t, brokers, topic, 0); len(ids) != 1 {
		t.Errorf("%d records, want 1", len(ids))
	}
}

// Ensure a message that the log finds too large fails alone.
func TestPublisherTooLarge(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 1)
	reg, hold := prometheus.NewRegistry(), make(gate)
	pub := newPublisher(t, kafka.PublisherConfig{
		Brokers: brokers, Registerer: reg, Sync: hold.sync, Timeout: patience, MaxBatchBytes: 1 << 30,
	})
	large := newMessage("a", 0)
	large.Payload = make([]byte, 2<<20)
	messages := []*message.Message{newMessage("a", 1), newMessage("a", 2), large, newMessage("a", 3)}
	results := make([]error, len(messages))
	var wg sync.WaitGroup
	for i, msg := range messages {
		wg.Go(func() { results[i] = pub.Publish(topic, msg) })
		eventually(t, "the append waits", func() bool {
			return metric(t, reg, "parley_log_append_waiting_records") == float64(i+1)
		})
	}
	close(hold)
	wg.Wait()
	for i, err := range results {
		if messages[i] == large {
			if !errors.Is(err, kafka.ErrTooLarge) {
				t.Errorf("too large message: %v, want ErrTooLarge", err)
			}
		} else if err != nil {
			t.Errorf("neighbour %d: %v", i, err)
		}
	}
}

// Ensure keys go to the partitions where other Kafka clients look for them.
func TestPublisherPartitions(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 7)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	for key, hash := range map[string]int32{ // from Kafka's own tests
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
	} {
		msg := newMessage(key, 0)
		publish(t, pub, topic, msg)
		if partition, _, _ := kafka.PositionOf(msg); partition != int(hash&0x7fffffff)%7 {
			t.Errorf("%s went to partition %d, want %d", key, partition, int(hash&0x7fffffff)%7)
		}
	}
}

// Ensure a call to a topic that does not exist, or on a closed publisher, fails.
func TestPublisherRefusals(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	err := pub.Publish(fmt.Sprintf("missing-%d", time.Now().UnixNano()), newMessage("a", 1))
	if !errors.Is(err, kafka.ErrNoTopic) || !errors.Is(err, kafka.ErrUnavailable) {
		t.Errorf("append to a missing topic: %v", err)
	}
	pub.Close()
	if err := pub.Publish("any", newMessage("a", 1)); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
}
