package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
)

// Pauses between two attempts to append the same batch.
const (
	retryFirst = 20 * time.Millisecond
	retryMost  = 500 * time.Millisecond
)

// States of a request. It leaves waiting once: either the appender takes it, and
// from then on it may land, or its caller gives up, and then it never does.
const (
	waiting int32 = iota
	taken
	abandoned
)

// request is the part of one Publish call that goes to one partition.
type request struct {
	appender *appender
	msgs     []*message.Message // touched by the caller's goroutine only
	keys     []string
	records  []outgoing // the appender's once it has taken the request
	bytes    int
	deadline time.Time
	state    atomic.Int32

	// Written by the appender before it closes done.
	done chan struct{}
	base int64
	time time.Time
	err  error
}

// wait returns the request's result. The positions are written here, in the
// caller's goroutine, so a caller that gave up never shares its messages with the
// appender.
func (r *request) wait(ctx context.Context) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, abandoned) {
			return fmt.Errorf("%w: gave up before it was sent: %w", ErrUnavailable, context.Cause(ctx))
		}
		select {
		case <-r.done: // it was answered at the same moment
		default:
			return fmt.Errorf("%w: gave up after it was sent: %w", ErrUnavailable, context.Cause(ctx))
		}
	}
	if r.err != nil {
		return r.err
	}
	for i, msg := range r.msgs {
		msg.SetContext(WithRecord(msg.Context(), Record{ //nolint:contextcheck // the message keeps its own context
			Topic: r.appender.topic, Partition: r.appender.partition, Offset: r.base + int64(i),
			Key: r.keys[i], Time: r.time, Tombstone: len(msg.Payload) == 0 && r.keys[i] != "",
		}))
	}
	return nil
}

func (r *request) answer(base int64, at time.Time, err error) {
	r.base, r.time, r.err = base, at, err
	r.appender.publisher.answered(len(r.records))
	close(r.done)
}

// appender sends the records of one partition. Its goroutine alone sends, one
// batch at a time, so records land in the order in which they were queued; several
// batches in flight would only make them smaller.
type appender struct {
	publisher *Publisher
	topic     string
	partition int
	queue     chan *request
	next      *request // taken, but did not fit into the last batch
}

func (a *appender) run(ctx context.Context) {
	for {
		batch := a.collect(ctx)
		if len(batch) == 0 {
			return
		}
		a.append(ctx, batch)
	}
}

// collect waits for a request and adds whatever else is queued, up to the limits
// of a batch. It returns nothing when the publisher is closed.
func (a *appender) collect(ctx context.Context) []*request {
	first := a.next
	a.next = nil
	for first == nil {
		select {
		case r := <-a.queue:
			first = a.take(r)
		case <-ctx.Done():
			return nil
		}
	}
	batch, records, bytes := []*request{first}, len(first.records), first.bytes
	for {
		select {
		case r := <-a.queue:
			if r = a.take(r); r == nil {
				continue
			}
			if records+len(r.records) > a.publisher.cfg.MaxBatch || bytes+r.bytes > a.publisher.cfg.MaxBatchBytes {
				a.next = r
				return batch
			}
			batch, records, bytes = append(batch, r), records+len(r.records), bytes+r.bytes
		default:
			return batch
		}
	}
}

// take returns the request, or nil when its caller has given up.
func (a *appender) take(r *request) *request {
	if r.state.CompareAndSwap(waiting, taken) {
		return r
	}
	a.publisher.answered(len(r.records))
	return nil
}

// append sends the batch until it is acknowledged, refused, or nobody waits for it
// any more. If the process dies here, callers got no answer: the batch may have
// landed, once or twice, and they repeat with the same ids.
func (a *appender) append(ctx context.Context, batch []*request) {
	pause := retryFirst
	for {
		base, at, err := a.send(ctx, batch)
		if err == nil {
			if err := a.sync(ctx, base); err != nil {
				// The records are in the log: sending them again would double them.
				answerAll(batch, nil, err)
				return
			}
			for _, r := range batch {
				r.answer(base, at, nil)
				base += int64(len(r.records))
			}
			return
		}
		refused := refusal(err)
		if errors.Is(refused, ErrTooLarge) && len(batch) > 1 {
			// One too large message must not fail its neighbours.
			for _, r := range batch {
				a.append(ctx, []*request{r})
			}
			return
		}
		if refused != nil || ctx.Err() != nil {
			answerAll(batch, refused, err)
			return
		}
		if batch = a.expire(batch, pause, err); len(batch) == 0 {
			return
		}
		a.publisher.metrics.retries.Inc()
		a.publisher.cfg.Logger.Warn("log append repeated", "topic", a.topic, "partition", a.partition, "requests", len(batch), "error", err)
		sleep(ctx, pause)
		pause = min(2*pause, retryMost)
	}
}

// expire answers the requests that will have ended after another pause and returns
// the others.
func (a *appender) expire(batch []*request, pause time.Duration, cause error) []*request {
	var left []*request
	then := time.Now().Add(pause)
	for _, r := range batch {
		if r.deadline.After(then) {
			left = append(left, r)
			continue
		}
		r.answer(0, time.Time{}, fmt.Errorf("%w: %w", ErrUnavailable, cause))
	}
	return left
}

func answerAll(batch []*request, refused, cause error) {
	if refused == nil {
		refused = fmt.Errorf("%w: %w", ErrUnavailable, cause)
	}
	for _, r := range batch {
		r.answer(0, time.Time{}, refused)
	}
}

// sync waits behind the durability barrier, if there is one.
func (a *appender) sync(ctx context.Context, base int64) error {
	barrier := a.publisher.cfg.Sync
	if barrier == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.publisher.cfg.Timeout)
	defer cancel()
	if err := barrier(ctx, a.topic, a.partition, base); err != nil {
		return fmt.Errorf("sync after append: %w", err)
	}
	return nil
}

// send makes one produce request of the batch.
func (a *appender) send(ctx context.Context, batch []*request) (base int64, at time.Time, err error) {
	cfg := a.publisher.cfg
	deadline := batch[0].deadline
	n := 0
	for _, r := range batch {
		n += len(r.records)
		if r.deadline.After(deadline) {
			deadline = r.deadline
		}
	}
	// One attempt gets at most half the time, so a connection that died in silence
	// leaves room for another attempt on a new one.
	if half := time.Now().Add(cfg.Timeout / 2); half.Before(deadline) {
		deadline = half
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()

	at = time.Now().Truncate(time.Millisecond)
	res, err := a.publisher.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: a.topic, Partition: a.partition, RequiredAcks: kafka.RequireAll,
		Records: &batchReader{requests: batch, at: at},
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return 0, at, err
	}
	a.publisher.metrics.batch.Observe(float64(n))
	return res.BaseOffset, at, nil
}
