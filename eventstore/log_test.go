package eventstore_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/eventstore"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// testLog is a log with a publisher and topics of its own: on the Kafka that
// PARLEY_TEST_KAFKA names, or an embedded one.
type testLog struct {
	*kafka.Log
	brokers   []string
	publisher *kafka.Publisher

	events, channels string // topics
}

// testBrokers finds the log of a test.
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

func newTestLog(t testing.TB) *testLog {
	t.Helper()
	prefix := "test-" + uuid.NewString()
	l := &testLog{brokers: testBrokers(t), events: eventstore.EventsTopic(prefix), channels: eventstore.ChannelsTopic(prefix)}
	l.Log = kafka.NewLog(l.brokers)
	t.Cleanup(func() { l.Log.Close() })
	for topic, partitions := range map[string]int{l.events: 4, l.channels: 1} {
		if err := l.EnsureTopic(t.Context(), topic, partitions, 1, map[string]string{"retention.ms": "-1"}); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	l.publisher, err = kafka.NewPublisher(kafka.PublisherConfig{Brokers: l.brokers, Key: eventstore.PartitionKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.publisher.Close() })
	return l
}

// store gives the door to the topic of events.
func (l *testLog) store(t testing.TB, reg prometheus.Registerer) *eventstore.Store {
	t.Helper()
	store, err := eventstore.New(eventstore.Config{
		Topic: l.events, Publisher: l.publisher, Position: kafka.PositionOf, TooLarge: kafka.ErrTooLarge, Metrics: reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// read gives all messages of a topic from its start, as they come, until the test
// ends or stop is called.
func (l *testLog) read(t testing.TB, topic string) (msgs <-chan *message.Message, stop func()) {
	t.Helper()
	subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{Brokers: l.brokers, Pipelined: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { subscriber.Close() })
	msgs, err = subscriber.Subscribe(context.WithoutCancel(t.Context()), topic)
	if err != nil {
		t.Fatal(err)
	}
	return msgs, func() { subscriber.Close() }
}
