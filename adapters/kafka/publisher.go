package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
)

// PublisherConfig configures a Publisher. Brokers is required.
type PublisherConfig struct {
	// Brokers are the addresses to start from, host:port.
	Brokers []string
	// Key returns a message's record key. Messages of one key share a partition
	// and keep their order. Default: the message's UUID.
	Key func(*message.Message) string
	// MaxBatch is how many records one produce request carries at most, except
	// that the messages of one call are never split. Default 1000.
	MaxBatch int
	// MaxBatchBytes is the same limit in bytes. Default 900,000, below the 1 MiB
	// that brokers accept by default.
	MaxBatchBytes int
	// MaxWaiting is how many records may wait or be in flight in the whole
	// publisher; more are refused with ErrFull, and so is any call with more
	// messages than this. Default 8192.
	MaxWaiting int
	// Timeout is how long one call may take, retries included. Default 5 s.
	Timeout time.Duration
	// Sync is a durability barrier behind the acknowledgement: a batch that starts
	// at baseOffset is only reported as accepted once Sync has returned nil.
	// Default: none, the acknowledgement of all in-sync replicas is enough.
	Sync func(ctx context.Context, topic string, partition int, baseOffset int64) error
	// Registerer takes the metrics. Default: none.
	Registerer prometheus.Registerer
	// Logger takes what no caller is told. Default: discard.
	Logger *slog.Logger
}

func (c PublisherConfig) withDefaults() PublisherConfig {
	if c.Key == nil {
		c.Key = func(msg *message.Message) string { return msg.UUID }
	}
	c.MaxBatch = or(c.MaxBatch, 1000)
	c.MaxBatchBytes = or(c.MaxBatchBytes, 900_000)
	c.MaxWaiting = or(c.MaxWaiting, 8192)
	c.Timeout = or(c.Timeout, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// or returns v, or fallback when v is not positive.
func or[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

// Publisher appends messages to the log. It implements watermill's Publisher and
// is safe for concurrent use.
type Publisher struct {
	cfg     PublisherConfig
	metrics *publisherMetrics
	client  *kafka.Client
	stop    context.CancelFunc // ends the appenders
	ctx     context.Context    // done when the appenders must end
	waiting atomic.Int64       // records handed in and not yet answered

	calls     sync.WaitGroup // calls of Publish under way
	appenders sync.WaitGroup

	mu     sync.Mutex // guards what follows
	closed bool
	topics map[string]*topic
}

// topic is what a publisher knows of one topic. Its partition count never changes.
type topic struct {
	partitions []int
	appenders  []*appender
}

// NewPublisher returns a Publisher. It does not connect: a log that is away makes
// Publish fail, and Publish works again when the log is back.
func NewPublisher(cfg PublisherConfig) (*Publisher, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("publisher: no brokers given")
	}
	cfg = cfg.withDefaults()
	m, err := newPublisherMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("publisher: register metrics: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Publisher{
		cfg: cfg, metrics: m, ctx: ctx, stop: stop,
		client: newClient(cfg.Brokers, cfg.Timeout),
		topics: map[string]*topic{},
	}, nil
}

// Publish appends the messages and returns when the log has them, or has not. On
// nil every message's context carries its position (see PositionOf).
//
// The messages of one call that go to one partition land together, in order and
// without others between them. A call that spans partitions is not atomic: on
// an error, messages whose context carries a position were acknowledged.
//
// A message with an empty payload becomes a record with a null value: on a compacted
// topic that removes its key.
//
// Errors: ErrFull, ErrUnavailable, ErrTooLarge, ErrClosed, or another one when the
// log refuses the messages for good. Publish gives up early when the context of
// the first message ends.
func (p *Publisher) Publish(topic string, msgs ...*message.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	start := time.Now()
	err := p.publish(topic, msgs)
	p.metrics.appends.WithLabelValues(outcomeOf(err)).Inc()
	p.metrics.duration.Observe(time.Since(start).Seconds())
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

func (p *Publisher) publish(name string, msgs []*message.Message) error {
	if !p.enter() {
		return ErrClosed
	}
	defer p.calls.Done()
	if n := p.waiting.Add(int64(len(msgs))); n > int64(p.cfg.MaxWaiting) {
		p.waiting.Add(-int64(len(msgs)))
		return ErrFull
	}
	p.metrics.waiting.Add(float64(len(msgs)))

	ctx, cancel := context.WithTimeout(msgs[0].Context(), p.cfg.Timeout)
	defer cancel()
	t, err := p.topic(ctx, name)
	if err != nil {
		p.answered(len(msgs))
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	requests := p.split(ctx, t, msgs)
	var errs []error
	for _, r := range requests {
		if err := r.wait(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// enter counts a call in, unless the publisher is closed.
func (p *Publisher) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.calls.Add(1)
	return true
}

// answered gives back the room of n records.
func (p *Publisher) answered(n int) {
	p.waiting.Add(-int64(n))
	p.metrics.waiting.Sub(float64(n))
}

// split hands the messages to the appenders of their partitions, one request each.
func (p *Publisher) split(ctx context.Context, t *topic, msgs []*message.Message) []*request {
	var requests []*request
	deadline, _ := ctx.Deadline()
	for _, msg := range msgs {
		key := p.cfg.Key(msg)
		partition := partitionOf(key, t.partitions)
		i := slices.IndexFunc(requests, func(r *request) bool { return r.appender.partition == partition })
		if i < 0 {
			i = len(requests)
			requests = append(requests, &request{
				appender: t.appenders[partition], deadline: deadline, done: make(chan struct{}),
			})
		}
		r := requests[i]
		r.msgs = append(r.msgs, msg)
		r.keys = append(r.keys, key)
		r.records = append(r.records, outgoingOf(msg, key))
		r.bytes += sizeOf(msg, key)
	}
	for _, r := range requests {
		r.appender.queue <- r // never blocks: the queue holds MaxWaiting requests
	}
	return requests
}

// partitionOf gives the partition in which the records of a key are, as Java's
// clients reckon it, too.
func partitionOf(key string, partitions []int) int {
	return kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: []byte(key)}, partitions...)
}

// topic returns what is known of a topic, asking the log the first time.
func (p *Publisher) topic(ctx context.Context, name string) (*topic, error) {
	p.mu.Lock()
	t, ok := p.topics[name]
	p.mu.Unlock()
	if ok {
		return t, nil
	}
	n, err := partitionCount(ctx, p.client, name)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.topics[name]; ok {
		return t, nil
	}
	t = &topic{}
	for i := range n {
		a := &appender{publisher: p, topic: name, partition: i, queue: make(chan *request, p.cfg.MaxWaiting)}
		t.partitions = append(t.partitions, i)
		t.appenders = append(t.appenders, a)
		p.appenders.Go(func() { a.run(p.ctx) })
	}
	p.topics[name] = t
	return t, nil
}

// Close refuses further calls, waits for those under way (at most Timeout) and
// ends. It may be called more than once.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.calls.Wait()
	p.stop()
	p.appenders.Wait()
	closeClient(p.client)
	return nil
}
