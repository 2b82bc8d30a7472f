package kafka_test

import (
	"slices"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/adapters/kafka"
)

// Ensure a message comes back from the log as it went in, with its position.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, pipelined := range []bool{false, true} {
		brokers := testBrokers(t)
		topic := newTopic(t, brokers, 3)
		pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
		sub := newSubscriber(t, kafka.SubscriberConfig{Brokers: brokers, Pipelined: pipelined})
		in := newMessage("a", 1)
		in.Metadata.Set("ce_type", "message.received.v1")
		publish(t, pub, topic, in)
		out := next(t, subscribe(t, sub, topic))
		if out.UUID != in.UUID || string(out.Payload) != "a-1" || out.Metadata.Get("ce_type") != "message.received.v1" {
			t.Errorf("read %v %v %q", out.UUID, out.Metadata, out.Payload)
		}
		want, ok := kafka.RecordOf(in)
		if !ok {
			t.Fatal("no position after the acknowledgement")
		}
		got, _ := kafka.RecordOf(out)
		if got.End != got.Offset+1 {
			t.Errorf("end is %d at offset %d", got.End, got.Offset)
		}
		if got.End = 0; !got.Time.Equal(want.Time) || got.Partition != want.Partition || got.Offset != want.Offset || got.Key != "a" {
			t.Errorf("read from %+v, published to %+v", got, want)
		}
		out.Ack()
	}
}

// Ensure an empty payload becomes a tombstone.
func TestTombstone(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 1)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	full, empty, null := newMessage("a", 1), newMessage("a", 2), newMessage("a", 3)
	empty.Payload, null.Payload = message.Payload{}, nil
	publish(t, pub, topic, full, empty, null)
	var tombstones []bool
	for msg, err := range newLog(t, brokers).Scan(t.Context(), topic, 0, kafka.Earliest, 3) {
		if err != nil {
			t.Fatal(err)
		}
		r, _ := kafka.RecordOf(msg)
		tombstones = append(tombstones, r.Tombstone && msg.Payload == nil)
	}
	if want := []bool{false, true, true}; !slices.Equal(tombstones, want) {
		t.Errorf("tombstones are %v, want %v", tombstones, want)
	}
}
