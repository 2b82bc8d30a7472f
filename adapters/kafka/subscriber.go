package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
)

// SubscriberConfig configures a Subscriber. Brokers is required.
type SubscriberConfig struct {
	// Brokers are the addresses to start from, host:port.
	Brokers []string
	// Group is the consumer group that shares a topic's partitions among its
	// members. Each topic has a Kafka group of its own (see GroupID). Empty: this
	// subscriber reads all partitions, and no offset is committed.
	Group string
	// MaxInFlight is how many records of one partition may be read and not yet
	// acknowledged. A consumer that batches must not wait for more. Default 1024.
	MaxInFlight int
	// Pipelined hands the messages of a partition over in offset order without
	// waiting for acknowledgements; the consumer is expected to batch. Otherwise
	// the next message of a key is handed over when the one before it has been
	// acknowledged, and messages of different keys do not wait for each other.
	// Records without a key share one lane.
	Pipelined bool
	// Assigned is called when a partition is given to this subscriber, before its
	// first message. It returns the offset to start at: a number, Earliest or
	// Latest. Its context ends when the partition is taken away. An error is
	// logged, and Assigned is called again after a pause. One that Final knows, and
	// ErrTruncated that stays for a few seconds, stops the partition. Default: the
	// group's committed offset, or the earliest.
	Assigned func(ctx context.Context, topic string, partition int) (start int64, err error)
	// Final tells of an error of Assigned that no repetition changes. Default: none is.
	Final func(err error) bool
	// Revoked is called once for every success of Assigned, after the partition's
	// messages have been settled or abandoned (their contexts have ended). The
	// partition goes to nobody else until it returns, as long as that takes less
	// than the group's rebalance time-out of 10 s. Default: none.
	Revoked func(topic string, partition int)
	// Stopped is called when a partition can not be read any further because the
	// log has lost (ErrTruncated), removed (ErrExpired) or replaced (ErrRegrown) the
	// wanted records, or Assigned failed for good. The partition stays assigned and
	// silent: a human must decide. Default: none; it
	// is logged as an error and shown by parley_log_partitions_stopped in any case.
	Stopped func(topic string, partition int, err error)
	// Sync is the durability barrier of a log whose broker hands out records that a
	// power cut may still take back: records that start at baseOffset are handed over
	// once Sync has returned nil. Default: the broker's word is enough.
	Sync func(ctx context.Context, topic string, partition int, baseOffset int64) error
	// StartAtLogStart accepts that records before the start of the log are gone
	// and starts there, instead of stopping the partition.
	StartAtLogStart bool
	// NackDelay is the pause before a refused message is offered again. Default
	// 100 ms.
	NackDelay time.Duration
	// Grace is how long messages in hand may still be acknowledged when their
	// partition is taken away or the subscriber is closed. Default 2 s.
	Grace time.Duration
	// CommitInterval is the pause between two commits. Default 1 s.
	CommitInterval time.Duration
	// Partitions and Replication are used by SubscribeInitialize. Default 1 and 1.
	Partitions, Replication int
	// Registerer takes the metrics. Default: none.
	Registerer prometheus.Registerer
	// Logger takes what no caller is told. Default: discard.
	Logger *slog.Logger
}

func (c SubscriberConfig) withDefaults() SubscriberConfig {
	c.MaxInFlight = or(c.MaxInFlight, 1024)
	c.NackDelay = or(c.NackDelay, 100*time.Millisecond)
	c.Grace = or(c.Grace, 2*time.Second)
	c.CommitInterval = or(c.CommitInterval, time.Second)
	c.Partitions = or(c.Partitions, 1)
	c.Replication = or(c.Replication, 1)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// GroupID returns the id of the Kafka consumer group in which a topic is read by
// the subscribers of a group. Topics do not share one: kafka-go's members with
// different topics take long to agree on who reads what.
func GroupID(group, topic string) string { return group + "." + topic }

// Subscriber hands records over as messages. It implements watermill's Subscriber
// and SubscribeInitializer and is safe for concurrent use.
//
// A message's context carries its place in the log (PositionOf, RecordOf). It
// derives from the context given to Subscribe and ends when the message is
// acknowledged or refused, or when its partition is taken away.
type Subscriber struct {
	cfg     SubscriberConfig
	metrics *subscriberMetrics
	log     *Log
	done    context.Context // ends when the subscriber is closed
	stop    context.CancelFunc

	mu            sync.Mutex // guards what follows
	closed        bool
	subscriptions sync.WaitGroup
}

// NewSubscriber returns a Subscriber. It does not connect.
func NewSubscriber(cfg SubscriberConfig) (*Subscriber, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("subscriber: no brokers given")
	}
	cfg = cfg.withDefaults()
	m, err := newSubscriberMetrics(cfg.Registerer, cfg.Group)
	if err != nil {
		return nil, fmt.Errorf("subscriber: register metrics: %w", err)
	}
	done, stop := context.WithCancel(context.Background())
	return &Subscriber{cfg: cfg, metrics: m, log: NewLog(cfg.Brokers), done: done, stop: stop}, nil
}

// SubscribeInitialize creates the topic, with Partitions and Replication, unless it
// exists.
func (s *Subscriber) SubscribeInitialize(topic string) error {
	return s.log.EnsureTopic(s.done, topic, s.cfg.Partitions, s.cfg.Replication, map[string]string{"retention.ms": "-1"})
}

// Subscribe starts to read the topic, which must exist (ErrNoTopic); it fails when
// the log does not answer within 10 s. Later failures of the log are retried until
// it is back. The channel is closed after ctx has ended or the subscriber was
// closed, when all partitions have been given up. The channel is not buffered.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	n, err := s.log.Partitions(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, ErrClosed)
	}
	s.metrics.show(topic)
	out := make(chan *message.Message)
	sub := &subscription{subscriber: s, topic: topic, out: out}
	s.subscriptions.Go(func() {
		defer close(out)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.done, cancel)() //nolint:contextcheck // either context ends the subscription
		if s.cfg.Group == "" {
			sub.runAll(ctx, n)
		} else {
			sub.runGroup(ctx)
		}
	})
	return out, nil
}

// Close ends all subscriptions: messages in hand may still be acknowledged for
// Grace, the acknowledged prefixes are committed and the group is left. It returns
// when all of that is over, and may be called more than once.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.subscriptions.Wait()
	return s.log.Close()
}
