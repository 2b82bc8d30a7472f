// Package eventstore is the log as the rest of Parley knows it: events go in
// through Store.Append and are durable when it returns; they come out as
// domain.Recorded through Decode. The seam to Kafka is watermill's Publisher and
// Subscriber.
//
// The topic of events keeps every fact for ever, keyed by stream, so that one
// contact's conversation is one partition, in order. The topic of channels is
// compacted and holds the full state of all that has been set up: channels,
// accounts, tokens, queues, functions, agents and so on, secrets sealed. Registry
// follows it into memory; a shelf holds the things of one kind.
package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/domain"
)

// DefaultPrefix is what the names of an installation's topics begin with.
const DefaultPrefix = "parley"

// EventsTopic is the topic of events of an installation.
func EventsTopic(prefix string) string { return prefix + ".events" }

// ChannelsTopic is the topic of channels, and of all else that has been set up in
// an installation.
func ChannelsTopic(prefix string) string { return prefix + ".channels" }

// RetryAfter is what a caller is told to wait when the log is away or full.
const RetryAfter = time.Second

// Position tells where a message stands in the log, once it is there.
type Position func(*message.Message) (partition int, offset int64, ok bool)

// Store is the door to the topic of events.
type Store struct {
	topic     string
	publisher message.Publisher
	position  Position
	tooLarge  error
	metrics   *metrics
}

// Config wires a Store.
type Config struct {
	Topic string // of events
	// Publisher returns nil once every replica that has to has the records; after
	// an error they may or may not be there.
	Publisher message.Publisher
	Position  Position
	// TooLarge is the publisher's error for a record or batch above the log's limit.
	TooLarge error
	Metrics  Registerer
}

// New makes a Store.
func New(cfg Config) (*Store, error) {
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register metrics of the event store: %w", err)
	}
	return &Store{topic: cfg.Topic, publisher: cfg.Publisher, position: cfg.Position, tooLarge: cfg.TooLarge, metrics: m}, nil
}

// Append puts events into the log, in order. It returns their positions once
// they are durable. Events of one stream are one batch: all of them or none.
// After an error with CodeUnavailable they may or may not be there: repeat with
// the same ids. If the process dies inside, that is as if the caller had got
// that error.
func (s *Store) Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error) {
	if len(events) == 0 {
		return nil, nil
	}
	msgs := make([]*message.Message, len(events))
	for i, e := range events {
		msg, err := Encode(e)
		if err != nil {
			return nil, err
		}
		if trace := domain.TraceOf(ctx); trace != "" {
			msg.Metadata[headerTrace] = trace
		}
		msg.SetContext(ctx)
		msgs[i] = msg
	}
	err := s.publisher.Publish(s.topic, msgs...)
	positions := make([]domain.Position, len(msgs))
	for i, msg := range msgs {
		// Streams that landed have their positions even when others did not.
		partition, offset, landed := s.position(msg)
		s.metrics.answered(events[i].Type(), landed)
		positions[i] = domain.Position{Partition: partition, Offset: offset}
	}
	if err != nil {
		return nil, s.refuse(err)
	}
	return positions, nil
}

func (s *Store) refuse(err error) error {
	if s.tooLarge != nil && errors.Is(err, s.tooLarge) {
		return &domain.Error{Code: domain.CodeTooLarge, Message: "the events are too large for the log", Err: err}
	}
	return &domain.Error{
		Code: domain.CodeUnavailable, Message: "the event log does not take events at the moment; repeat the request",
		RetryAfter: RetryAfter, Err: err,
	}
}
