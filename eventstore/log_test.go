package eventstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/eventstore"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// testLog is an embedded log with a publisher.
type testLog struct {
	*kafka.Log
	brokers   []string
	publisher *kafka.Publisher
}

const (
	eventsTopic   = "parley.events"
	channelsTopic = "parley.channels"
)

func newTestLog(t testing.TB) *testLog {
	t.Helper()
	broker, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	l := &testLog{Log: kafka.NewLog(broker.Brokers()), brokers: broker.Brokers()}
	t.Cleanup(func() { l.Log.Close() })
	for topic, partitions := range map[string]int{eventsTopic: 4, channelsTopic: 1} {
		if err := l.EnsureTopic(t.Context(), topic, partitions, 1, map[string]string{"retention.ms": "-1"}); err != nil {
			t.Fatal(err)
		}
	}
	l.publisher, err = kafka.NewPublisher(kafka.PublisherConfig{Brokers: l.brokers, Key: eventstore.Key})
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
		Topic: eventsTopic, Publisher: l.publisher, Position: kafka.PositionOf, TooLarge: kafka.ErrTooLarge, Metrics: reg,
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
