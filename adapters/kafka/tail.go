package kafka

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/segmentio/kafka-go"
)

// tails finds the ends of partitions for many who ask at the same time. An answer is
// good only for who asked before the question was sent: whoever comes while one is on
// its way shares the next one. So a partition, and a topic as a whole, has at most one
// question on its way and one to come, and one connection, however many wait.
type tails struct {
	ctx    context.Context // done when the log is closed
	stop   context.CancelFunc
	asking sync.WaitGroup // questions on their way

	mu         sync.Mutex // guards what follows
	closed     bool
	partitions map[string][]int // of each topic; their count never changes
	of         map[tailKey]*tail
}

// everyPartition is asked about by who wants to know of a topic as a whole.
const everyPartition = -1

type tailKey struct {
	topic     string
	partition int // or everyPartition
}

// tail is what one kind of questions is about.
type tail struct {
	running bool
	next    *question // nil when nobody waits for another answer
}

// question is one request to the log. done is closed when the others are written.
type question struct {
	done chan struct{}
	ends map[int]int64 // by partition; many read it
	err  error
}

func newTails() tails {
	ctx, stop := context.WithCancel(context.Background())
	return tails{ctx: ctx, stop: stop, partitions: map[string][]int{}, of: map[tailKey]*tail{}}
}

// close ends the questions on their way and waits for them.
func (t *tails) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop()
	t.asking.Wait()
}

// Ends returns for each partition the offset after its last record, as of a moment
// after the call was made. Calls at the same time share requests.
func (l *Log) Ends(ctx context.Context, topic string) (map[int]int64, error) {
	ends, err := l.ends(ctx, tailKey{topic, everyPartition})
	return maps.Clone(ends), err
}

// EndOf returns the partition in which a publisher puts the records of a key, and
// the offset after its last record, as of a moment after the call was made. Calls
// at the same time share requests.
func (l *Log) EndOf(ctx context.Context, topic, key string) (partition int, end int64, err error) {
	partitions, err := l.partitionsOf(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	partition = partitionOf(key, partitions)
	end, err = l.end(ctx, tailKey{topic, partition})
	return partition, end, err
}

// EndAt returns the offset after the last record of a partition that the log has
// acknowledged to anybody, as its leader knows it a moment after the call was made;
// false when the topic has no such partition. Calls at the same time share requests.
func (l *Log) EndAt(ctx context.Context, topic string, partition int) (end int64, ok bool, err error) {
	partitions, err := l.partitionsOf(ctx, topic)
	if err != nil {
		return 0, false, err
	}
	if partition < 0 || partition >= len(partitions) {
		return 0, false, nil
	}
	end, err = l.end(ctx, tailKey{topic, partition})
	return end, err == nil, err
}

// end waits for the answer to a question about a partition.
func (l *Log) end(ctx context.Context, k tailKey) (int64, error) {
	ends, err := l.ends(ctx, k)
	return ends[k.partition], err
}

// ends waits for the answer to a question.
func (l *Log) ends(ctx context.Context, k tailKey) (map[int]int64, error) {
	q, err := l.ask(k)
	if err != nil {
		return nil, err
	}
	select {
	case <-q.done:
		return q.ends, q.err
	case <-ctx.Done():
		return nil, fmt.Errorf("find the end of %s: %w", k.topic, ctx.Err())
	}
}

// partitionsOf lists the partitions of a topic, asking the log the first time.
func (l *Log) partitionsOf(ctx context.Context, topic string) ([]int, error) {
	l.tails.mu.Lock()
	partitions := l.tails.partitions[topic]
	l.tails.mu.Unlock()
	if partitions != nil {
		return partitions, nil
	}
	n, err := l.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	for i := range n {
		partitions = append(partitions, i)
	}
	l.tails.mu.Lock()
	defer l.tails.mu.Unlock()
	l.tails.partitions[topic] = partitions
	return partitions, nil
}

// ask joins the next question about something, and sends it when none is on its way.
func (l *Log) ask(k tailKey) (*question, error) {
	l.tails.mu.Lock()
	defer l.tails.mu.Unlock()
	if l.tails.closed {
		return nil, ErrClosed
	}
	t := l.tails.of[k]
	if t == nil {
		t = &tail{}
		l.tails.of[k] = t
	}
	if t.next == nil {
		t.next = &question{done: make(chan struct{})}
	}
	q := t.next
	if !t.running {
		t.running = true
		l.tails.asking.Go(func() { l.answer(k, t) })
	}
	return q, nil
}

// answer sends the questions about something, one after the other, until nobody waits
// for one.
func (l *Log) answer(k tailKey, t *tail) {
	for {
		l.tails.mu.Lock()
		q := t.next
		t.next = nil
		t.running = q != nil
		l.tails.mu.Unlock()
		if q == nil {
			return
		}
		q.ends, q.err = l.question(k)
		close(q.done)
	}
}

// question asks the log.
func (l *Log) question(k tailKey) (map[int]int64, error) {
	last := func(p kafka.PartitionOffsets) int64 { return p.LastOffset }
	if k.partition == everyPartition {
		return l.offsets(l.tails.ctx, k.topic, kafka.LastOffsetOf, last)
	}
	return patiently(l.tails.ctx, func(ctx context.Context) (map[int]int64, error) {
		return l.list(ctx, k.topic, []kafka.OffsetRequest{kafka.LastOffsetOf(k.partition)}, last)
	})
}
