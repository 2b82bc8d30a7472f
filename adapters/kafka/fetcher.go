package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// Offsets to start at that stand for a place, not a number.
const (
	// Earliest is the first record that is still in the log.
	Earliest int64 = kafka.FirstOffset
	// Latest is the log's end: only records appended from now on.
	Latest int64 = kafka.LastOffset
)

const (
	// fetchWait is how long a broker holds a fetch that finds nothing new.
	fetchWait = 500 * time.Millisecond
	// fetchPatience is how long the answer to a fetch may take beyond that.
	fetchPatience = 10 * time.Second
	fetchBytes    = 1 << 20
	dialTimeout   = 5 * time.Second
)

// fetcher reads one partition in order, batch after batch, over a connection of
// its own. It is used by one goroutine.
//
// It keeps the next offset itself: after an error it goes on behind the last
// record it returned, so a fetch that times out half way skips nothing.
type fetcher struct {
	brokers   []string
	topic     string
	partition int
	offset    int64 // of the next record, or Earliest, or Latest
	end       int64 // of the log when it was last asked, 0 before
	fromStart bool  // records that were removed may be left out
	conn      *kafka.Conn
	// The record at offset-1, which a new connection has to find again: its id, when
	// this fetcher has read it.
	last  string
	knows bool
}

func newFetcher(brokers []string, topic string, partition int, offset int64) *fetcher {
	return &fetcher{brokers: brokers, topic: topic, partition: partition, offset: offset}
}

// fetch returns the next records, or none when there is nothing new for a while.
// Records may come together with an error. The next call connects anew after an
// error.
func (f *fetcher) fetch(ctx context.Context) ([]kafka.Message, error) {
	if f.conn == nil {
		if err := f.connect(ctx); err != nil {
			return nil, err
		}
	}
	conn := f.conn
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	records, err := f.read()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		f.close()
	}
	return records, err
}

// read makes one fetch request.
func (f *fetcher) read() ([]kafka.Message, error) {
	f.conn.SetReadDeadline(time.Now().Add(fetchWait + fetchPatience))
	batch := f.conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait})
	var records []kafka.Message
	for {
		m, err := batch.ReadMessage()
		if err != nil {
			break
		}
		if m.Offset == f.offset-1 && f.knows && len(records) == 0 && idOf(&m) != f.last {
			_ = batch.Close() // the connection is given up
			return nil, fmt.Errorf("%s/%d: %w: another record at %d", f.topic, f.partition, ErrRegrown, m.Offset)
		}
		if m.Offset < f.offset {
			continue // a batch is returned whole, also from its middle
		}
		records = append(records, m)
		f.offset = m.Offset + 1
	}
	if n := len(records); n > 0 {
		f.last, f.knows = idOf(&records[n-1]), true
	}
	if end := batch.HighWaterMark(); end >= f.offset {
		f.end = end
	}
	switch err := batch.Close(); {
	case errors.Is(err, kafka.RequestTimedOut):
		return records, nil // kafka-go's word for an answer without records
	case err != nil:
		return records, fmt.Errorf("fetch: %w", err)
	}
	if next := batch.Offset(); next > f.offset {
		f.offset, f.knows = next, false // the end of the batch was compacted away
	}
	return records, nil
}

// connect dials the partition's leader and checks that the wanted offset is there.
func (f *fetcher) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := &kafka.Dialer{ClientID: "parley", Timeout: dialTimeout}
	var conn *kafka.Conn
	var err error
	for _, broker := range f.brokers {
		if conn, err = dialer.DialLeader(ctx, "tcp", broker, f.topic, f.partition); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("connect to the leader of %s/%d: %w", f.topic, f.partition, err)
	}
	if err := f.position(conn); err != nil {
		conn.Close()
		return err
	}
	f.conn = conn
	return nil
}

// position moves the connection to the wanted offset, if the log has it.
func (f *fetcher) position(conn *kafka.Conn) error {
	conn.SetDeadline(time.Now().Add(dialTimeout))
	first, end, err := conn.ReadOffsets()
	if err != nil {
		return fmt.Errorf("ask for the offsets of %s/%d: %w", f.topic, f.partition, err)
	}
	offset := f.offset
	switch {
	case offset == Earliest, offset < first && f.fromStart:
		offset = first
	case offset == Latest:
		offset = end
	case offset < first:
		return fmt.Errorf("%s/%d: %w: wanted offset %d, the first is %d", f.topic, f.partition, ErrExpired, offset, first)
	case offset > end:
		return fmt.Errorf("%s/%d: %w: wanted offset %d, the end is %d", f.topic, f.partition, ErrTruncated, offset, end)
	}
	f.knows = f.knows && offset == f.offset && offset > first && !f.fromStart
	from := offset
	if f.knows {
		from-- // read again what was read last: it must still be the same
	}
	if _, err := conn.Seek(from, kafka.SeekAbsolute|kafka.SeekDontCheck); err != nil {
		return fmt.Errorf("seek: %w", err)
	}
	conn.SetDeadline(time.Time{})
	f.offset, f.end = offset, end
	return nil
}

// lost says whether the error means that the wanted records are not in the log.
func (f *fetcher) lost(err error) bool {
	return errors.Is(err, ErrTruncated) || errors.Is(err, ErrExpired) || errors.Is(err, ErrRegrown)
}

func (f *fetcher) close() {
	if f.conn != nil {
		f.conn.Close()
		f.conn = nil
	}
}
