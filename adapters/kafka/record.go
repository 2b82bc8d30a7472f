package kafka

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
)

// IDHeader is the record header that carries a message's UUID. It is the id
// attribute of a CloudEvent in Kafka's binary mode.
const IDHeader = "ce_id"

// Record says where in the log a message is. Messages handed out by a Subscriber
// or by Log.Scan carry it in their context, and so do messages that a Publisher
// has had acknowledged.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	// Key is the record's key. It is empty for a record without one.
	Key string
	// Time is the record's timestamp, in milliseconds.
	Time time.Time
	// End is the offset after the partition's last record, as known when this
	// record was read. A message with Offset+1 == End was the newest. It is 0 on
	// published messages.
	End int64
	// Tombstone is true when the record has a key and no value: on a compacted topic
	// it removes the key.
	Tombstone bool
}

type recordKey struct{}

// recordContext adds a Record to a context without another layer of values: it is
// built once for each message.
type recordContext struct {
	context.Context
	record Record
}

// Value returns the record for this package's key and asks the parent otherwise.
func (c *recordContext) Value(key any) any {
	if _, ok := key.(recordKey); ok {
		return &c.record
	}
	return c.Context.Value(key)
}

// RecordOf returns where in the log the message is. It is false for a message that
// was neither read from the log nor acknowledged by it.
func RecordOf(msg *message.Message) (Record, bool) {
	r, ok := msg.Context().Value(recordKey{}).(*Record)
	if !ok {
		return Record{}, false
	}
	return *r, true
}

// PositionOf returns the partition and offset of a message that was read from the
// log or acknowledged by it.
func PositionOf(msg *message.Message) (partition int, offset int64, ok bool) {
	r, ok := RecordOf(msg)
	return r.Partition, r.Offset, ok
}

// WithRecord returns a context that carries the record, as the contexts of read
// messages do. It is meant for tests of consumers.
func WithRecord(ctx context.Context, r Record) context.Context {
	return &recordContext{Context: ctx, record: r}
}

// messageOf turns a record into a message. The value is the message's own: kafka-go
// allocates it for each record. It does not tell a null value from an empty one; both
// become a nil payload.
func messageOf(ctx context.Context, m *kafka.Message, end int64) *message.Message {
	metadata := make(message.Metadata, len(m.Headers))
	id := ""
	for _, h := range m.Headers {
		if h.Key == IDHeader {
			id = string(h.Value)
			continue
		}
		metadata[h.Key] = string(h.Value)
	}
	msg := message.NewMessage(id, m.Value)
	msg.Metadata = metadata
	msg.SetContext(WithRecord(ctx, Record{
		Topic:     m.Topic,
		Partition: m.Partition,
		Offset:    m.Offset,
		Key:       string(m.Key),
		Time:      m.Time,
		End:       end,
		Tombstone: len(m.Value) == 0 && len(m.Key) > 0,
	}))
	return msg
}

// idOf returns the id of a record, "" when it has none.
func idOf(m *kafka.Message) string {
	for _, h := range slices.Backward(m.Headers) {
		if h.Key == IDHeader {
			return string(h.Value)
		}
	}
	return ""
}

// outgoing is a message as it will be written. It shares nothing but the payload
// with the message, so that a caller who gave up waiting may go on using its own.
type outgoing struct {
	key     []byte
	value   []byte
	headers []kafka.Header
}

// outgoingOf turns a message into a record. An empty payload becomes a null value.
func outgoingOf(msg *message.Message, key string) outgoing {
	o := outgoing{headers: make([]kafka.Header, 0, len(msg.Metadata)+1)}
	if len(msg.Payload) > 0 {
		o.value = msg.Payload
	}
	if key != "" {
		o.key = []byte(key)
	}
	o.headers = append(o.headers, kafka.Header{Key: IDHeader, Value: []byte(msg.UUID)})
	for k, v := range msg.Metadata {
		if k != IDHeader {
			o.headers = append(o.headers, kafka.Header{Key: k, Value: []byte(v)})
		}
	}
	return o
}

// batchReader reads the records of several requests as one batch. kafka-go drains
// it once; a repeated attempt needs a new one.
type batchReader struct {
	requests []*request
	at       time.Time
	next     int
	record   kafka.Record
}

// ReadRecord returns the next record, or io.EOF after the last.
func (b *batchReader) ReadRecord() (*kafka.Record, error) {
	for len(b.requests) > 0 && b.next == len(b.requests[0].records) {
		b.requests, b.next = b.requests[1:], 0
	}
	if len(b.requests) == 0 {
		return nil, io.EOF
	}
	o := b.requests[0].records[b.next]
	b.next++
	b.record = kafka.Record{Time: b.at, Key: kafka.NewBytes(o.key), Value: kafka.NewBytes(o.value), Headers: o.headers}
	return &b.record, nil
}

// sizeOf estimates the bytes a message takes in a produce request, framing
// included.
func sizeOf(msg *message.Message, key string) int {
	n := 64 + len(key) + len(msg.Payload) + len(msg.UUID)
	for k, v := range msg.Metadata {
		n += 8 + len(k) + len(v)
	}
	return n
}
