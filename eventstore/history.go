package eventstore

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/domain"
)

// scanner reads stretches of the log. Offsets are half open: from is in, to is not.
type scanner interface {
	Starts(ctx context.Context, topic string) (map[int]int64, error)
	Ends(ctx context.Context, topic string) (map[int]int64, error)
	OffsetsAt(ctx context.Context, topic string, t time.Time) (map[int]int64, error)
	Scan(ctx context.Context, topic string, partition int, from, to int64) iter.Seq2[*message.Message, error]
}

// History walks through the log for people and programs that want the past.
type History struct {
	topic    string
	log      scanner
	position Position
}

// NewHistory makes a History over the topic of events.
func NewHistory(topic string, log scanner, position Position) *History {
	return &History{topic: topic, log: log, position: position}
}

// line is one event as CloudEvents JSON, with its place in the log.
type line struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Source      string          `json:"source"`
	Subject     string          `json:"subject"`
	Time        string          `json:"time"`
	ContentType string          `json:"datacontenttype"`
	Dialect     string          `json:"parleydialect,omitempty"`
	Key         string          `json:"partitionkey,omitempty"` // where it is not the subject
	Trace       string          `json:"traceparent,omitempty"`
	Partition   int             `json:"partition"`
	Offset      int64           `json:"offset"`
	Data        json.RawMessage `json:"data"`
}

// Export gives every event that passes the filter to emit, one line of CloudEvents
// JSON without a newline each, until the log's end as of the call. Events of one
// stream come in the order of the log; across streams they come in the order of
// their times as far as the log's own order allows. Times of the filter become
// offsets by the records' timestamps, so that stretches that adjoin neither
// overlap nor leave a gap. Memory does not grow with the stretch. An error of emit
// ends the walk and is returned as it is.
func (h *History) Export(ctx context.Context, f domain.EventFilter, emit func(line []byte) error) error {
	from, to, err := h.stretch(ctx, f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	open, err := h.open(ctx, from, to)
	defer func() { open.close() }()
	for err == nil && len(open) > 0 {
		c := open.oldest()
		if passes(f, c.msg) {
			text, err := h.lineOf(c.msg)
			if err != nil {
				return err
			}
			if err := emit(text); err != nil {
				return err
			}
		}
		open, err = open.advance(c)
	}
	return err
}

// open begins to read the partitions that have records in the stretch. What it
// returns must be closed, also beside an error.
func (h *History) open(ctx context.Context, from, to map[int]int64) (cursors, error) {
	var open cursors
	for partition, start := range from {
		if start >= to[partition] {
			continue
		}
		next, stop := iter.Pull2(h.log.Scan(ctx, h.topic, partition, start, to[partition]))
		c := &cursor{partition: partition, next: next, stop: stop}
		open = append(open, c)
		var err error
		if open, err = open.advance(c); err != nil {
			return open, err
		}
	}
	return open, nil
}

// stretch finds the offsets to read in each partition.
func (h *History) stretch(ctx context.Context, f domain.EventFilter) (from, to map[int]int64, err error) {
	if f.From.IsZero() {
		from, err = h.log.Starts(ctx, h.topic)
	} else {
		from, err = h.log.OffsetsAt(ctx, h.topic, f.From)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("find where to begin: %w", err)
	}
	if f.To.IsZero() {
		to, err = h.log.Ends(ctx, h.topic)
	} else {
		to, err = h.log.OffsetsAt(ctx, h.topic, f.To)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("find where to end: %w", err)
	}
	if p := f.FromPosition; p != nil {
		from = only(from, p.Partition)
		if start, ok := from[p.Partition]; ok {
			from[p.Partition] = max(start, p.Offset)
		}
	}
	if p := f.ToPosition; p != nil {
		from = only(from, p.Partition)
		to[p.Partition] = min(to[p.Partition], p.Offset)
	}
	return from, to, nil
}

// only leaves one partition of a map; none when it is not in there.
func only(offsets map[int]int64, partition int) map[int]int64 {
	offset, ok := offsets[partition]
	if !ok {
		return nil
	}
	return map[int]int64{partition: offset}
}

func passes(f domain.EventFilter, msg *message.Message) bool {
	subject := msg.Metadata.Get(headerSubject)
	if f.Stream != "" && subject != f.Stream {
		return false
	}
	if f.Channel != "" && !strings.HasPrefix(subject, f.Channel+"/") {
		return false
	}
	if stored := msg.Metadata.Get(headerType); f.Type != "" && stored != f.Type && !strings.HasPrefix(stored, strings.TrimSuffix(f.Type, ".")+".") {
		return false
	}
	if f.Account != "" {
		account, _ := accountOf(msg.Metadata.Get(headerSource))
		return account == f.Account
	}
	return true
}

func (h *History) lineOf(msg *message.Message) ([]byte, error) {
	partition, offset, _ := h.position(msg)
	data := json.RawMessage(msg.Payload)
	if !json.Valid(data) || !utf8.Valid(data) { // not ours: shown as text, so that the line is JSON
		quoted, err := json.Marshal(string(msg.Payload))
		if err != nil {
			return nil, fmt.Errorf("show record %d:%d: %w", partition, offset, err)
		}
		data = quoted
	}
	text, err := json.Marshal(line{
		SpecVersion: specVersion, ID: msg.UUID, Type: msg.Metadata.Get(headerType), Source: msg.Metadata.Get(headerSource),
		Subject: msg.Metadata.Get(headerSubject), Time: msg.Metadata.Get(headerTime), ContentType: contentType,
		Dialect: msg.Metadata.Get(headerDialect), Key: msg.Metadata.Get(headerPartition), Trace: msg.Metadata.Get(headerTrace), Partition: partition, Offset: offset, Data: data,
	})
	if err != nil {
		return nil, fmt.Errorf("show record %d:%d: %w", partition, offset, err)
	}
	return text, nil
}

// cursor is the place in one partition: msg is its next record.
type cursor struct {
	partition int
	next      func() (*message.Message, error, bool)
	stop      func()
	msg       *message.Message
	at        string
}

// cursors are the partitions that are not at their end.
type cursors []*cursor

// oldest finds the cursor with the oldest record. The times are texts of one
// width in one zone; there are too few partitions for a heap to pay.
func (open cursors) oldest() *cursor {
	oldest := open[0]
	for _, c := range open[1:] {
		if c.at < oldest.at {
			oldest = c
		}
	}
	return oldest
}

// advance goes to the next record of a cursor, which leaves the list at its end.
func (open cursors) advance(c *cursor) (cursors, error) {
	msg, err, more := c.next()
	if err != nil {
		return open, fmt.Errorf("read partition %d: %w", c.partition, err)
	}
	if !more {
		c.stop()
		return slices.DeleteFunc(open, func(other *cursor) bool { return other == c }), nil
	}
	c.msg, c.at = msg, msg.Metadata.Get(headerTime)
	return open, nil
}

func (open cursors) close() {
	for _, c := range open {
		c.stop()
	}
}
