package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/adapters/callback"
	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
	"github.com/parley-im/parley/projections"
)

// startProjecting migrates the database and starts this node's projections, in
// the background while the database is away. It returns when they run, or after
// firstProjection without them.
func (n *node) startProjecting(ctx context.Context) error {
	runtimes, err := n.runtimes(ctx)
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	n.onStop(func(context.Context) error { cancel(); <-done; return nil })
	go func() {
		defer close(done)
		n.project(running, runtimes)
	}()
	select {
	case <-n.up:
		return nil
	case err := <-n.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(firstProjection):
		n.cfg.logger.Warn("node.without_projections", "reason", *n.projecting.Load(), "next", "inbound events are accepted meanwhile")
		return nil
	}
}

// migrate brings the database up to date, however long it is away. A database of
// a newer Parley ends the process.
func (n *node) migrate(ctx context.Context) error {
	return backoff.RetryNotify(func() error {
		err := postgres.Migrate(ctx, n.pool, projections.Migrations(), "public.parley_schema")
		if errors.Is(err, postgres.ErrDatabaseNewer) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(patiently(), ctx), func(err error, wait time.Duration) {
		n.projecting.Store(&err)
		n.cfg.logger.Warn("node.database_away", "error", err, "again_in", wait)
	})
}

// runner is a projection with the hooks and the loop of its runtime.
type runner struct {
	name    string
	runtime *projections.Runtime
}

// runtimes makes the projections of this node's roles.
func (n *node) runtimes(ctx context.Context) ([]runner, error) {
	var list []runner
	add := func(p projections.Projection, follower projections.Follower, awaited func(*message.Message) bool) error {
		runtime, err := projections.NewRuntime(projections.RuntimeConfig{
			Projection: p, Pool: n.pool, Position: kafka.PositionOf, Follower: follower, Ends: n.ends, IDAt: n.idAt, Awaited: awaited,
			Committed: func(partition int, next int64) {
				n.database.stands(p.Name(), partition, next)
				n.waiter.Load().Moved(p.Name(), partition, next)
			},
			Failed: func(error) { n.database.doubt() },
			Now:    n.cfg.now, Logger: n.cfg.logger, Registerer: n.metrics,
		})
		if err != nil {
			return err
		}
		list = append(list, runner{name: p.Name(), runtime: runtime})
		return nil
	}
	if n.cfg.has(roleProjector) {
		if err := add(projections.Conversations{}, nil, eventstore.Awaited); err != nil {
			return nil, err
		}
	}
	if n.cfg.has(roleDelivery) {
		deliveries := projections.NewDeliveries(n.pool).For(n.registry)
		worker, err := n.worker(ctx, deliveries)
		if err != nil {
			return nil, err
		}
		if err := add(deliveries, worker, nil); err != nil {
			return nil, err
		}
		n.keepEndpoints(ctx, deliveries)
	}
	return list, nil
}

// worker makes the delivery worker.
func (n *node) worker(ctx context.Context, deliveries *projections.Deliveries) (*callback.Worker, error) {
	ctx, cancel := context.WithTimeout(ctx, firstProjection)
	defer cancel()
	partitions, err := n.log.Partitions(ctx, eventstore.EventsTopic(n.cfg.TopicPrefix))
	if err != nil {
		return nil, fmt.Errorf("count the partitions of the log: %w", err)
	}
	n.outbound, err = callback.NewWorker(callback.Config{
		Log: n.store, Channels: endpoints{n.registry}, Store: deliveries, Dialects: n.dialects(), Ends: n.end, Partitions: partitions,
		Endpoints:  n.registry,
		StealLease: n.cfg.embedded, Allow: n.cfg.allow, UserAgent: userAgent(), Timeout: n.cfg.CallbackTimeout,
		Now: n.cfg.now, Logger: n.cfg.logger, Registerer: n.metrics,
	})
	return n.outbound, err
}

// keepEndpoints warns of endpoints that take nothing, and pauses them in the end.
func (n *node) keepEndpoints(ctx context.Context, deliveries *projections.Deliveries) {
	keeper := callback.NewKeeper(callback.KeeperConfig{
		Worker: n.outbound, Log: n.store, Book: n.registry, Health: deliveries, Now: n.cfg.now, Logger: n.cfg.logger,
		Policy: domain.EndpointPolicy{Warnings: n.cfg.EndpointWarnAfter, PauseAfter: n.cfg.EndpointPauseAfter},
	})
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	n.onStop(func(context.Context) error { cancel(); <-done; return nil })
	go func() {
		defer close(done)
		keeper.Run(running)
	}()
}

// project runs the projections until ctx ends, in rounds: a round lasts for as long
// as the database is the same one.
func (n *node) project(ctx context.Context, runtimes []runner) {
	var up sync.Once
	for ctx.Err() == nil {
		if err := n.migrate(ctx); err != nil {
			if ctx.Err() == nil {
				n.failed <- err
			}
			return
		}
		// What readers know of the progress is of the database before.
		n.waiter.Store(projections.NewWaiter(n.pool))
		n.database.forget()
		n.stopped.Store(nil)
		round, end := context.WithCancel(ctx)
		var watching sync.WaitGroup
		watching.Go(func() {
			defer end()
			n.watchDatabase(round)
		})
		n.round(round, runtimes, func() { up.Do(func() { close(n.up) }) })
		end()
		watching.Wait()
	}
}

// round runs the projections until ctx ends, which it tells up when they run.
func (n *node) round(ctx context.Context, runtimes []runner, up func()) {
	var all sync.WaitGroup
	var subscribers []*kafka.Subscriber
	topic := eventstore.EventsTopic(n.cfg.TopicPrefix)
	for _, r := range runtimes {
		subscriber, msgs, err := n.subscribeAtLast(ctx, topic, r)
		if err != nil {
			break // ctx has ended
		}
		subscribers = append(subscribers, subscriber)
		all.Go(func() { r.runtime.Run(ctx, msgs) })
	}
	if len(subscribers) == len(runtimes) {
		var none error
		n.projecting.Store(&none)
		up()
		<-ctx.Done()
	}
	var closing sync.WaitGroup
	for _, s := range subscribers {
		closing.Go(func() {
			if err := s.Close(); err != nil {
				n.cfg.logger.Warn("node.subscriber_close_failed", "error", err)
			}
		})
	}
	closing.Wait()
	all.Wait()
}

// subscribeAtLast subscribes, however long the log is away; it fails when ctx ends.
func (n *node) subscribeAtLast(ctx context.Context, topic string, r runner) (subscriber *kafka.Subscriber, msgs <-chan *message.Message, err error) {
	err = backoff.RetryNotify(func() error {
		subscriber, msgs, err = n.subscribe(ctx, topic, r)
		return err
	}, backoff.WithContext(patiently(), ctx), func(err error, wait time.Duration) {
		n.projecting.Store(&err)
		n.cfg.logger.Warn("node.projection_unsubscribed", "projection", r.name, "error", err, "again_in", wait)
	})
	return subscriber, msgs, err
}

// patiently is the pause between tries of something that has to succeed.
func patiently() backoff.BackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
}

// subscribe reads the topic of events for one projection. On the embedded log
// this process is alone, so it takes all partitions without a group.
func (n *node) subscribe(ctx context.Context, topic string, r runner) (*kafka.Subscriber, <-chan *message.Message, error) {
	group := n.cfg.TopicPrefix + "." + r.name
	if n.cfg.embedded {
		group = ""
	}
	subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: n.cfg.KafkaBrokers, Group: group, Pipelined: true, MaxInFlight: 4096,
		Assigned: r.runtime.Assigned, Revoked: r.runtime.Revoked, Sync: n.cfg.sync,
		// Records that are gone are for a human to look after; /readyz says so until
		// the next start. Ingest goes on.
		Final: func(err error) bool { return errors.Is(err, projections.ErrRegrown) },
		Stopped: func(topic string, partition int, err error) {
			err = fmt.Errorf("projection %s stands still in partition %d of %s: %w", r.name, partition, topic, err)
			n.stopped.Store(&err)
		},
		Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"reader": r.name}, n.metrics), Logger: n.cfg.logger,
	})
	if err != nil {
		return nil, nil, err
	}
	msgs, err := subscriber.Subscribe(context.WithoutCancel(ctx), topic)
	if err != nil {
		return nil, nil, errors.Join(err, subscriber.Close())
	}
	return subscriber, msgs, nil
}
