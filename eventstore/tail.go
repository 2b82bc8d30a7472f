package eventstore

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

const (
	tailLook    = 2 * time.Second // between two looks at where the log ends
	tailPause   = time.Second     // before a subscription that broke is made anew
	tailTimeout = 5 * time.Second // of a look
	maxMarks    = 64              // looks that are remembered while the tail is behind
)

// TailConfig wires a Tail. All of it must be set.
type TailConfig struct {
	Topic   string         // of events
	Dialect domain.Dialect // events of others are passed over, not decoded
	// Ends gives for each partition the offset after its last record.
	Ends func(ctx context.Context, topic string) (map[int]int64, error)
	// Open makes a subscriber that reads all partitions, without a group, each from
	// where start says. It calls lost for a partition that it cannot go on with,
	// because the log does not have the records any more.
	Open func(start func(ctx context.Context, topic string, partition int) (int64, error),
		lost func(topic string, partition int, err error)) (message.Subscriber, error)
	Position Position
	Now      func() time.Time
	Logger   *slog.Logger
	Metrics  Registerer
}

// Tail shows the events of one dialect as they are appended, on every node that
// has one: no group shares them, and no place in the log is kept.
type Tail struct {
	cfg    TailConfig
	failed prometheus.Counter

	mu    sync.Mutex
	next  map[int]int64 // for each partition, the offset after the last record that was shown
	gone  map[int]bool  // partitions that the log has cut short
	marks []mark        // looks at the log's end that have not been reached, oldest first
}

// mark is where the log ended at a time.
type mark struct {
	at   time.Time
	ends map[int]int64
}

// NewTail makes a Tail. It does not read before Follow.
func NewTail(cfg TailConfig) (*Tail, error) {
	t := &Tail{
		cfg: cfg, next: map[int]int64{}, gone: map[int]bool{},
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: fmt.Sprintf("parley_%s_tail_failed_total", cfg.Dialect),
			Help: "Records at the tail of the log that could not be read, or are not there any more.",
		}),
	}
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: fmt.Sprintf("parley_%s_tail_lag_seconds", cfg.Dialect),
		Help: "Age of the oldest record at the tail of the log that this node has not shown, to two seconds.",
	}, func() float64 { return t.Lag().Seconds() })
	for _, c := range []prometheus.Collector{t.failed, lag} {
		if err := cfg.Metrics.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the tail: %w", err)
		}
	}
	return t, nil
}

// Follow shows every event of the dialect that is appended after it returns, those
// of one partition in order, one at a time, until ctx ends. Some may be shown that
// were appended while it was called, and after the log was away some may be shown
// again. done is closed after the last call of show. An error means that it is not
// known where the log ends; nothing is shown then. Follow is called once.
func (t *Tail) Follow(ctx context.Context, show func(domain.Recorded)) (done <-chan struct{}, err error) {
	ends, err := t.cfg.Ends(ctx, t.cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("find the end of %s: %w", t.cfg.Topic, err)
	}
	t.mu.Lock()
	maps.Copy(t.next, ends)
	t.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var looking sync.WaitGroup
		looking.Go(func() { t.look(ctx) })
		for ctx.Err() == nil {
			if err := t.read(ctx, show); err != nil && ctx.Err() == nil {
				t.cfg.Logger.Warn("tail.broken", "topic", t.cfg.Topic, "error", err, "next", "it is read again from where it was")
				pause(ctx, tailPause)
			}
		}
		looking.Wait()
	}()
	return ended, nil
}

// read shows records until ctx ends, the subscription breaks or a partition is
// lost.
func (t *Tail) read(ctx context.Context, show func(domain.Recorded)) error {
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	subscriber, err := t.cfg.Open(t.start, func(topic string, partition int, err error) {
		t.lose(partition)
		cancel(fmt.Errorf("partition %d of %s: %w", partition, topic, err))
	})
	if err != nil {
		return err
	}
	msgs, err := subscriber.Subscribe(reading, t.cfg.Topic)
	if err != nil {
		return fmt.Errorf("follow %s: %w", t.cfg.Topic, closing(subscriber, err))
	}
	for msg := range msgs {
		t.show(msg, show)
		msg.Ack()
	}
	return closing(subscriber, context.Cause(reading))
}

// closing ends a subscriber, and adds what went wrong there.
func closing(s message.Subscriber, err error) error {
	if failed := s.Close(); failed != nil && err == nil {
		return failed
	}
	return err
}

// start says where to begin a partition: where it was left, or at the end when
// what was to come is not in the log any more.
func (t *Tail) start(ctx context.Context, topic string, partition int) (int64, error) {
	t.mu.Lock()
	next, known := t.next[partition]
	gone := t.gone[partition]
	t.mu.Unlock()
	if known && !gone {
		return next, nil
	}
	ends, err := t.cfg.Ends(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("find the end of %s: %w", topic, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next[partition] = ends[partition]
	delete(t.gone, partition)
	return ends[partition], nil
}

// lose notes that the log does not have what a partition was to go on with.
func (t *Tail) lose(partition int) {
	t.failed.Inc()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone[partition] = true
	t.marks = nil // of another log
}

// show decodes one record and shows it. One that cannot be read is told of and
// passed over: the projections hold it for somebody to look at.
func (t *Tail) show(msg *message.Message, show func(domain.Recorded)) {
	if msg.Metadata.Get(headerDialect) == string(t.cfg.Dialect) {
		switch r, err := Decode(msg, t.cfg.Position); {
		case err != nil:
			t.failed.Inc()
			t.cfg.Logger.Warn("tail.unreadable", "error", err)
		default:
			show(r)
		}
	}
	if partition, offset, ok := t.cfg.Position(msg); ok {
		t.passed(partition, offset)
	}
}

// passed notes that a record has been shown.
func (t *Tail) passed(partition int, offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next[partition] = offset + 1
}

// look notes where the log ends, every now and then, until ctx ends.
func (t *Tail) look(ctx context.Context) {
	for pause(ctx, tailLook); ctx.Err() == nil; pause(ctx, tailLook) {
		at := t.cfg.Now()
		asking, cancel := context.WithTimeout(ctx, tailTimeout)
		ends, err := t.cfg.Ends(asking, t.cfg.Topic)
		cancel()
		if err != nil {
			continue // whoever reads and writes the log tells that it is away
		}
		t.mu.Lock()
		if t.forget(); len(t.marks) < maxMarks {
			t.marks = append(t.marks, mark{at: at, ends: ends})
		}
		t.mu.Unlock()
	}
}

// forget drops the looks that have been reached. t.mu is held.
func (t *Tail) forget() {
	for len(t.marks) > 0 && t.reached(t.marks[0]) {
		t.marks = t.marks[1:]
	}
}

func (t *Tail) reached(m mark) bool {
	for partition, end := range m.ends {
		if t.next[partition] < end {
			return false
		}
	}
	return true
}

// Lag is how long ago the log had a record that has not been shown yet, 0 when
// everything has been. It is right to within the time between two looks.
func (t *Tail) Lag() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.forget(); len(t.marks) == 0 {
		return 0
	}
	return t.cfg.Now().Sub(t.marks[0].at)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
