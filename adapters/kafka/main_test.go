package kafka_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// TestMain ends with an error when a goroutine outlives what started it. Those of
// watermill's suite, which drops channels without draining them, are left out.
func TestMain(m *testing.M) {
	const multiplier = "github.com/ThreeDotsLabs/watermill/internal/subscriber.(*multiplier).Subscribe."
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(multiplier+"func2"), goleak.IgnoreAnyFunction(multiplier+"func3"))
}

// testBrokers returns the brokers of PARLEY_TEST_KAFKA, or of an embedded log that
// lives as long as the test.
func testBrokers(t *testing.T) []string {
	t.Helper()
	if env := os.Getenv("PARLEY_TEST_KAFKA"); env != "" {
		return strings.Split(env, ",")
	}
	return startEmbedded(t, embedded.Config{Dir: t.TempDir()}).Brokers()
}

func startEmbedded(t *testing.T, cfg embedded.Config) *embedded.Log {
	t.Helper()
	cfg.Logger = testLogger(t)
	log, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// testLogger logs to standard error when PARLEY_TEST_LOG is set.
func testLogger(t *testing.T) *slog.Logger {
	t.Helper()
	if os.Getenv("PARLEY_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil)).With("test", t.Name())
}

// newTopic creates a topic with a name of its own.
func newTopic(t *testing.T, brokers []string, partitions int) string {
	t.Helper()
	log := newLog(t, brokers)
	name := "test-" + watermill.NewUUID()
	if err := log.EnsureTopic(t.Context(), name, partitions, min(3, len(brokers)), map[string]string{"retention.ms": "-1"}); err != nil {
		t.Fatal(err)
	}
	return name
}

func newLog(t *testing.T, brokers []string) *kafka.Log {
	t.Helper()
	log := kafka.NewLog(brokers)
	t.Cleanup(func() { log.Close() })
	return log
}

// byKey takes the record key from the message's metadata.
func byKey(msg *message.Message) string { return msg.Metadata.Get("key") }

func newPublisher(t *testing.T, cfg kafka.PublisherConfig) *kafka.Publisher {
	t.Helper()
	if cfg.Key == nil {
		cfg.Key = byKey
	}
	cfg.Logger = testLogger(t)
	pub, err := kafka.NewPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pub.Close() })
	return pub
}

func newSubscriber(t *testing.T, cfg kafka.SubscriberConfig) *kafka.Subscriber {
	t.Helper()
	cfg.Logger = testLogger(t)
	sub, err := kafka.NewSubscriber(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return sub
}

func subscribe(t *testing.T, sub *kafka.Subscriber, topic string) <-chan *message.Message {
	t.Helper()
	ch, err := sub.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// newMessage returns a message with a key, and the payload "<key>-<n>".
func newMessage(key string, n int) *message.Message {
	msg := message.NewMessage(watermill.NewUUID(), fmt.Appendf(nil, "%s-%d", key, n))
	msg.Metadata.Set("key", key)
	return msg
}

func publish(t *testing.T, pub *kafka.Publisher, topic string, msgs ...*message.Message) {
	t.Helper()
	if err := pub.Publish(topic, msgs...); err != nil {
		t.Fatal(err)
	}
}

// next returns the next message, without acknowledging it.
func next(t *testing.T, ch <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case msg, ok := <-ch:
		if !ok {
			t.Fatal("the channel was closed")
		}
		return msg
	case <-time.After(patience):
		t.Fatal("no message")
	}
	return nil
}

// eventually polls until ok returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
