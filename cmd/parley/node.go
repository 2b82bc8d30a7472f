package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/parley-im/parley/adapters/callback"
	"github.com/parley-im/parley/adapters/files"
	"github.com/parley-im/parley/adapters/httpapi"
	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/respondio"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
	"github.com/parley-im/parley/projections"
)

// node is one process of an installation: its doors, its part of the
// projections, its part of the deliveries.
type node struct {
	cfg     nodeConfig
	metrics *prometheus.Registry

	log       *kafka.Log
	publisher *kafka.Publisher
	store     *eventstore.Store
	registry  *eventstore.Registry
	pool      *pgxpool.Pool
	waiter    *projections.Waiter
	outbound  *callback.Worker

	projecting atomic.Pointer[error] // why the projections do not run; points to nil when they do
	up         chan struct{}         // closed when they run for the first time
	failed     chan error            // what ends the process

	undo []func(context.Context) error
}

// onStop pushes the undoing of something just made.
func (n *node) onStop(undo func(context.Context) error) { n.undo = append(n.undo, undo) }

// stop undoes what was made, newest first, within ctx as far as it goes.
func (n *node) stop(ctx context.Context) error {
	var errs []error
	for i := len(n.undo) - 1; i >= 0; i-- {
		errs = append(errs, n.undo[i](ctx))
	}
	n.undo = nil
	return errors.Join(errs...)
}

// firstProjection is how long a start waits for the projections before it opens
// the doors without them: inbound events need only the log.
const firstProjection = 10 * time.Second

// startNode wires a node and opens its doors. It is straight and long, so that
// the order of making, and of undoing, can be read in one place.
func startNode(ctx context.Context, cfg nodeConfig, listener net.Listener) (_ *node, err error) {
	cfg.logger.Info("node.starting", append([]any{"version", version}, cfg.shown()...)...)
	n := &node{cfg: cfg, metrics: prometheus.NewRegistry(), up: make(chan struct{}), failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
			defer cancel()
			err = errors.Join(err, n.stop(stopping))
		}
	}()
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	notYet := errors.New("not started yet")
	n.projecting.Store(&notYet)

	if n.log, n.publisher, err = openLog(ctx, cfg, n.metrics); err != nil {
		return nil, err
	}
	n.onStop(func(context.Context) error { return errors.Join(n.publisher.Close(), n.log.Close()) })

	n.store, err = eventstore.New(eventstore.Config{
		Topic: eventstore.EventsTopic(cfg.TopicPrefix), Publisher: n.publisher, Position: kafka.PositionOf,
		TooLarge: kafka.ErrTooLarge, Metrics: n.metrics,
	})
	if err != nil {
		return nil, err
	}
	n.registry = eventstore.NewRegistry(eventstore.RegistryConfig{
		Topic: eventstore.ChannelsTopic(cfg.TopicPrefix), Publisher: n.publisher, Position: kafka.PositionOf,
		Sealer: cfg.sealer, Now: cfg.now, Logger: cfg.logger, Fixed: cfg.fixed,
	})
	stopFollowing, err := follow(ctx, cfg, n.log, n.registry)
	if err != nil {
		return nil, err
	}
	n.onStop(func(context.Context) error { stopFollowing(); return nil })

	if n.pool, err = postgres.NewPool(ctx, cfg.DatabaseURL, postgres.Options{}); err != nil {
		return nil, err
	}
	n.onStop(func(context.Context) error { n.pool.Close(); return nil })
	if err := postgres.RegisterPool(n.metrics, "main", n.pool); err != nil {
		return nil, fmt.Errorf("register metrics of the pool: %w", err)
	}
	n.waiter = projections.NewWaiter(n.pool)

	if err := n.startProjecting(ctx); err != nil {
		return nil, err
	}
	if err := n.serve(ctx, listener); err != nil {
		return nil, err
	}
	return n, nil
}

// startProjecting migrates the database and starts this node's projections, in
// the background while the database is away. It returns when they run, or after
// firstProjection without them.
func (n *node) startProjecting(ctx context.Context) error {
	runtimes, err := n.runtimes()
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	n.onStop(func(context.Context) error { cancel(); <-done; return nil })
	go func() {
		defer close(done)
		if err := n.migrate(running); err != nil {
			if running.Err() == nil {
				n.failed <- err
			}
			return
		}
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
	pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	return backoff.RetryNotify(func() error {
		err := postgres.Migrate(ctx, n.pool, projections.Migrations(), "public.parley_schema")
		if errors.Is(err, postgres.ErrDatabaseNewer) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(pause, ctx), func(err error, wait time.Duration) {
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
func (n *node) runtimes() ([]runner, error) {
	var list []runner
	add := func(p projections.Projection, follower projections.Follower) error {
		runtime, err := projections.NewRuntime(projections.RuntimeConfig{
			Projection: p, Pool: n.pool, Position: kafka.PositionOf, Follower: follower, Ends: n.ends,
			Committed: func(partition int, next int64) { n.waiter.Moved(p.Name(), partition, next) },
			Now:       n.cfg.now, Logger: n.cfg.logger, Registerer: n.metrics,
		})
		if err != nil {
			return err
		}
		list = append(list, runner{name: p.Name(), runtime: runtime})
		return nil
	}
	if n.cfg.has(roleProjector) {
		if err := add(projections.Conversations{}, nil); err != nil {
			return nil, err
		}
	}
	if n.cfg.has(roleDelivery) {
		deliveries := projections.NewDeliveries(n.pool)
		worker, err := n.worker(deliveries)
		if err != nil {
			return nil, err
		}
		if err := add(deliveries, worker); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// worker makes the delivery worker.
func (n *node) worker(deliveries *projections.Deliveries) (*callback.Worker, error) {
	ctx, cancel := context.WithTimeout(context.Background(), firstProjection)
	defer cancel()
	partitions, err := n.log.Partitions(ctx, eventstore.EventsTopic(n.cfg.TopicPrefix))
	if err != nil {
		return nil, fmt.Errorf("count the partitions of the log: %w", err)
	}
	n.outbound, err = callback.NewWorker(callback.Config{
		Log: n.store, Channels: n.registry, Store: deliveries, Dialects: dialects(), Ends: n.end, Partitions: partitions,
		StealLease: n.cfg.embedded, Allow: n.cfg.allow, Timeout: n.cfg.CallbackTimeout,
		Now: n.cfg.now, Logger: n.cfg.logger, Registerer: n.metrics,
	})
	return n.outbound, err
}

// project runs the projections until ctx ends.
func (n *node) project(ctx context.Context, runtimes []runner) {
	var all sync.WaitGroup
	var subscribers []*kafka.Subscriber
	topic := eventstore.EventsTopic(n.cfg.TopicPrefix)
	var none error
	n.projecting.Store(&none)
	for _, r := range runtimes {
		subscriber, msgs, err := n.subscribe(ctx, topic, r)
		if err != nil {
			n.failed <- fmt.Errorf("project %s: %w", r.name, err)
			break
		}
		subscribers = append(subscribers, subscriber)
		all.Go(func() { r.runtime.Run(ctx, msgs) })
	}
	close(n.up)
	<-ctx.Done()
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

// subscribe reads the topic of events for one projection. On the embedded log
// this process is alone, so it takes all partitions without a group.
func (n *node) subscribe(ctx context.Context, topic string, r runner) (*kafka.Subscriber, <-chan *message.Message, error) {
	group := n.cfg.TopicPrefix + "." + r.name
	if n.cfg.embedded {
		group = ""
	}
	subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: n.cfg.KafkaBrokers, Group: group, Pipelined: true, MaxInFlight: 4096,
		Assigned: r.runtime.Assigned, Revoked: r.runtime.Revoked,
		// Records that are gone are for a human to look after; /readyz says so until
		// the next start. Ingest goes on.
		Stopped: func(topic string, partition int, err error) {
			err = fmt.Errorf("projection %s stands still in partition %d of %s: %w", r.name, partition, topic, err)
			n.projecting.Store(&err)
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

// ends gives the end of each partition of the topic of events.
func (n *node) ends(ctx context.Context) (map[int]int64, error) {
	return n.log.Ends(ctx, eventstore.EventsTopic(n.cfg.TopicPrefix))
}

// end gives the end of one partition.
func (n *node) end(ctx context.Context, partition int) (int64, error) {
	ends, err := n.ends(ctx)
	if err != nil {
		return 0, err
	}
	return ends[partition], nil
}

// Fresh waits until a projection has what the log holds as of now.
func (n *node) Fresh(ctx context.Context, projection string) error {
	ends, err := n.ends(ctx)
	if err != nil {
		return err
	}
	return n.waiter.Wait(ctx, projection, ends)
}

// Reached waits until a projection has passed a position.
func (n *node) Reached(ctx context.Context, projection string, p domain.Position) error {
	return n.waiter.Wait(ctx, projection, map[int]int64{p.Partition: p.Offset + 1})
}

// dialects are the wires that callbacks are told on.
func dialects() map[domain.Dialect]callback.Dialect {
	return map[domain.Dialect]callback.Dialect{
		domain.DialectRespondIO:   respondio.Outbound{},
		domain.DialectISMessenger: respondio.Outbound{},
	}
}

// prober makes test calls with the worker's client, or with one of its own where
// this node sends no callbacks.
func (n *node) prober() *callback.Prober {
	if n.outbound != nil {
		return n.outbound.Prober()
	}
	return &callback.Prober{Sender: callback.NewSender(n.cfg.allow, n.cfg.CallbackTimeout, 1), Dialects: dialects(), Now: n.cfg.now}
}

// checks are what /readyz asks.
func (n *node) checks() []httpapi.Check {
	checks := []httpapi.Check{{Name: "log", Func: n.log.Ping}}
	if n.cfg.has(roleProjector) || n.cfg.has(roleDelivery) {
		checks = append(checks, httpapi.Check{Name: "projections", Func: func(context.Context) error { return *n.projecting.Load() }})
	}
	return append(checks, httpapi.Check{Name: "database", Func: n.pool.Ping})
}

// serve opens the doors.
func (n *node) serve(ctx context.Context, listener net.Listener) error {
	cfg := httpapi.Config{Checks: n.checks(), Gatherer: n.metrics, Registerer: n.metrics, Logger: n.cfg.logger}
	if n.cfg.has(roleAPI) {
		door, err := respondio.New(respondio.Config{
			Channels: n.registry, Log: n.store, Now: n.cfg.now, InboundRate: n.cfg.InboundRate,
			Logger: n.cfg.logger, Registerer: n.metrics,
		})
		if err != nil {
			return err
		}
		cfg.Doors = append(cfg.Doors, door)
		cfg.Platform = &httpapi.Platform{
			PublicURL: n.cfg.publicURL, Tokens: n.registry, TokenAdmin: n.registry, Channels: n.registry, Log: n.store,
			Reads: projections.NewReads(n.pool), Deliveries: projections.NewDeliveries(n.pool), Freshness: n,
			History: eventstore.NewHistory(eventstore.EventsTopic(n.cfg.TopicPrefix), n.log, kafka.PositionOf),
			Prober:  n.prober(), Idempotency: idempotency{postgres.NewIdempotency(n.pool)}, Sealer: n.cfg.sealer,
			Now: n.cfg.now, Random: rand.Reader,
		}
	}
	if n.cfg.has(roleAPI) && n.cfg.FilesDir != "" {
		store, err := files.Open(n.cfg.FilesDir, n.cfg.publicURL)
		if err != nil {
			return err
		}
		n.onStop(func(context.Context) error { return store.Close() })
		cfg.Doors = append(cfg.Doors, store)
	}
	server, err := httpapi.New(cfg)
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	n.onStop(func(context.Context) error { cancel(); return <-done })
	go func() { done <- server.Serve(running, listener) }()
	return nil
}
