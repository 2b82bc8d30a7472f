package eventstore

import (
	"container/heap"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

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
	Partition   int             `json:"partition"`
	Offset      int64           `json:"offset"`
	Data        json.RawMessage `json:"data"`
}

// Export gives every event that passes the filter to emit, one line of CloudEvents
// JSON without a newline each, until the log's end as of the call. Events of one
// stream come in the order of the log; across streams they come in the order of
// their times as far as the log's own order allows. The first and last offsets
// are found by the records' timestamps; memory does not grow with the stretch.
func (h *History) Export(ctx context.Context, f domain.EventFilter, emit func(line []byte) error) error {
	from, to, err := h.stretch(ctx, f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var merge cursors
	for partition, start := range from {
		if start >= to[partition] {
			continue
		}
		next, stop := iter.Pull2(h.log.Scan(ctx, h.topic, partition, start, to[partition]))
		defer stop()
		c := &cursor{next: next}
		if more, err := c.advance(); err != nil {
			return fmt.Errorf("read partition %d: %w", partition, err)
		} else if more {
			merge = append(merge, c)
		}
	}
	heap.Init(&merge)
	for len(merge) > 0 {
		c := merge[0]
		if passes(f, c.msg) {
			text, err := h.lineOf(c.msg)
			if err != nil {
				return err
			}
			if err := emit(text); err != nil {
				return err
			}
		}
		more, err := c.advance()
		switch {
		case err != nil:
			return fmt.Errorf("read the log: %w", err)
		case more:
			heap.Fix(&merge, 0)
		default:
			heap.Pop(&merge)
		}
	}
	return nil
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
	return from, to, nil
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
	if !json.Valid(data) { // not ours: shown as text, so that the line is JSON
		quoted, err := json.Marshal(string(msg.Payload))
		if err != nil {
			return nil, fmt.Errorf("show record %d:%d: %w", partition, offset, err)
		}
		data = quoted
	}
	text, err := json.Marshal(line{
		SpecVersion: specVersion, ID: msg.UUID, Type: msg.Metadata.Get(headerType), Source: msg.Metadata.Get(headerSource),
		Subject: msg.Metadata.Get(headerSubject), Time: msg.Metadata.Get(headerTime), ContentType: contentType,
		Dialect: msg.Metadata.Get(headerDialect), Partition: partition, Offset: offset, Data: data,
	})
	if err != nil {
		return nil, fmt.Errorf("show record %d:%d: %w", partition, offset, err)
	}
	return text, nil
}

// cursor is the place in one partition.
type cursor struct {
	next func() (*message.Message, error, bool)
	msg  *message.Message
	at   string
}

func (c *cursor) advance() (bool, error) {
	msg, err, ok := c.next()
	if !ok || err != nil {
		return false, err
	}
	c.msg, c.at = msg, msg.Metadata.Get(headerTime)
	return true, nil
}

// cursors is a heap by time. The texts have one width and one zone.
type cursors []*cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Less(i, j int) bool { return c[i].at < c[j].at }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)        { *c = append(*c, x.(*cursor)) }
func (c *cursors) Pop() any {
	old := *c
	last := old[len(old)-1]
	*c = old[:len(old)-1]
	return last
}
