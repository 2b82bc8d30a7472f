package kafka_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/parley-im/parley/adapters/kafka"
)

// TestPubSub is watermill's universal suite. Messages of one payload share a key,
// because the suite orders messages by payload; those of a test share a group,
// because tests go on where an earlier subscriber stopped.
func TestPubSub(t *testing.T) {
	brokers := testBrokers(t)
	for _, mode := range []struct {
		name      string
		group     bool
		partition int
		features  tests.Features
	}{
		{name: "group", group: true, partition: 4, features: tests.Features{
			ConsumerGroups:  true,
			GuaranteedOrder: true,
			Persistent:      true,
		}},
		{name: "all partitions", partition: 4, features: tests.Features{
			GuaranteedOrder:                     true,
			GuaranteedOrderWithSingleSubscriber: true,
			Persistent:                          true,
			NewSubscriberReceivesOldMessages:    true,
		}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			pubSub := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
				t.Helper()
				pub := newPublisher(t, kafka.PublisherConfig{
					Brokers: brokers,
					Key:     func(msg *message.Message) string { return string(msg.Payload) },
				})
				return pub, newSubscriber(t, kafka.SubscriberConfig{
					Brokers: brokers, Group: group, Partitions: mode.partition, Replication: min(3, len(brokers)),
					NackDelay: 5 * time.Millisecond, Grace: 200 * time.Millisecond,
				})
			}
			tests.TestPubSub(t, mode.features, func(t *testing.T) (message.Publisher, message.Subscriber) {
				t.Helper()
				if !mode.group {
					return pubSub(t, "")
				}
				return pubSub(t, strings.ReplaceAll(t.Name(), "/", "."))
			}, pubSub)
		})
	}
}
