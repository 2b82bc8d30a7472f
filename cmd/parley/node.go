package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/parley-im/parley/adapters/callback"
	"github.com/parley-im/parley/adapters/channelx"
	"github.com/parley-im/parley/adapters/httpapi"
	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/respondio"
	"github.com/parley-im/parley/adapters/subscription"
	"github.com/parley-im/parley/adapters/timers"
	"github.com/parley-im/parley/adapters/voximplant"
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
	waiter    atomic.Pointer[projections.Waiter] // made anew with a new database
	outbound  *callback.Worker
	files     fileStore // nil = this node takes none

	projecting atomic.Pointer[error] // why the projections do not run; points to nil when they do
	stopped    atomic.Pointer[error] // why one of them stands still in a partition for good; nil = none does
	up         chan struct{}         // closed when they run for the first time
	database   *standing             // how far the database is
	failed     chan error            // what ends the process

	undo []func(context.Context) error
}

// onStop pushes the undoing of something just made.
func (n *node) onStop(undo func(context.Context) error) { n.undo = append(n.undo, undo) }

// stop undoes what was made, newest first, within ctx as far as it goes.
func (n *node) stop(ctx context.Context) error {
	var errs []error
	for _, undo := range slices.Backward(n.undo) {
		errs = append(errs, undo(ctx))
	}
	n.undo = nil
	return errors.Join(errs...)
}

// firstProjection is how long a start waits for the projections before it opens
// the doors without them: inbound events need only the log.
const firstProjection = 10 * time.Second

// shortToken is the length below which an admin token can be guessed, in bytes.
const shortToken = 16

// heapLive is what the last garbage collection has left: memory that grows without
// end shows in it, and what is only not collected yet does not.
var heapLive = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$`)}

// startNode wires a node and opens its doors. It is straight and long, so that
// the order of making, and of undoing, can be read in one place.
func startNode(ctx context.Context, cfg nodeConfig, listener net.Listener) (_ *node, err error) {
	cfg.logger.Info("node.starting", append([]any{"version", version}, cfg.shown()...)...)
	if n := len(cfg.AdminToken); n > 0 && n < shortToken {
		cfg.logger.Warn("node.admin_token_short", "next", "give PARLEY_ADMIN_TOKEN at least 16 characters that nobody can guess")
	}
	clock := postgres.NewClock(cfg.machine, cfg.logger)
	if cfg.clock == nil {
		cfg.now = clock.Now
	}
	n := &node{cfg: cfg, metrics: prometheus.NewRegistry(), up: make(chan struct{}), failed: make(chan error, 1), database: newStanding()}
	defer func() {
		if err != nil {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
			defer cancel()
			err = errors.Join(err, n.stop(stopping))
		}
	}()
	n.metrics.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(heapLive)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
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
	if err := n.registry.KeepSocketKey(ctx); err != nil {
		return nil, err
	}

	if n.pool, err = postgres.NewPool(ctx, cfg.DatabaseURL, postgres.Options{}); err != nil {
		return nil, err
	}
	n.onStop(func(context.Context) error { n.pool.Close(); return nil })
	if err := postgres.RegisterPool(n.metrics, "main", n.pool); err != nil {
		return nil, fmt.Errorf("register metrics of the pool: %w", err)
	}
	n.waiter.Store(projections.NewWaiter(n.pool))
	n.keepTime(ctx, clock)

	if err := n.startProjecting(ctx); err != nil {
		return nil, err
	}
	if err := n.startTimers(ctx); err != nil {
		return nil, err
	}
	if err := n.startRedrives(ctx); err != nil {
		return nil, err
	}
	if err := n.serve(ctx, listener); err != nil {
		return nil, err
	}
	return n, nil
}

// keepTime has the clock go by the database's. A node whose database is away goes by
// its machine's until it is there.
func (n *node) keepTime(ctx context.Context, clock *postgres.Clock) {
	n.metrics.MustRegister(clock.Collectors()...)
	if err := clock.Look(ctx, n.pool); err != nil {
		n.cfg.logger.Warn("clock.not_compared", "error", err, "next", "it is compared with the database's as soon as that answers")
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	n.onStop(func(context.Context) error { cancel(); <-done; return nil })
	go func() {
		defer close(done)
		clock.Follow(running, n.pool)
	}()
}

// startTimers lets conversations be closed and handed on by time, where this node
// does that.
func (n *node) startTimers(ctx context.Context) error {
	if !n.cfg.has(roleTimers) {
		return nil
	}
	keeper, err := timers.New(timers.Config{
		Store: projections.NewTimers(n.pool), Log: n.store, Directory: n.registry, Freshness: n, Now: n.cfg.now,
		Logger: n.cfg.logger, Registerer: n.metrics,
	})
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	n.onStop(func(context.Context) error { cancel(); <-done; return nil })
	go func() {
		defer close(done)
		keeper.Run(running)
	}()
	return nil
}

// ends gives the end of each partition of the topic of events.
func (n *node) ends(ctx context.Context) (map[int]int64, error) {
	return n.log.Ends(ctx, eventstore.EventsTopic(n.cfg.TopicPrefix))
}

// idAt gives the id of an event of the log; false when it is not kept any more.
func (n *node) idAt(ctx context.Context, partition int, offset int64) (string, bool, error) {
	return n.log.IDAt(ctx, eventstore.EventsTopic(n.cfg.TopicPrefix), partition, offset)
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
	return n.waiter.Load().Wait(ctx, projection, ends)
}

// FreshFor waits until the read models of conversations have what the partition of
// a key (domain.Event.PartitionKey) holds as of now.
func (n *node) FreshFor(ctx context.Context, key string) error {
	partition, end, err := n.log.EndOf(ctx, eventstore.EventsTopic(n.cfg.TopicPrefix), key)
	if err != nil {
		return err
	}
	return n.waiter.Load().Wait(ctx, "conversations", map[int]int64{partition: end})
}

// Reached waits until a projection has passed a position.
func (n *node) Reached(ctx context.Context, projection string, p domain.Position) error {
	next := min(p.Offset, math.MaxInt64-1) + 1 // what nothing reaches is waited for, too
	return n.waiter.Load().Wait(ctx, projection, map[int]int64{p.Partition: next})
}

// End tells the offset after the last event of a partition, as of now; false when
// there is no such partition.
func (n *node) End(ctx context.Context, partition int) (int64, bool, error) {
	return n.log.EndAt(ctx, eventstore.EventsTopic(n.cfg.TopicPrefix), partition)
}

// dialects are the wires that callbacks are told on.
func (n *node) dialects() map[domain.Dialect]callback.Dialect {
	return map[domain.Dialect]callback.Dialect{
		domain.DialectChannelX: channelx.NewOutbound(channelx.OutboundConfig{
			Webhooks: n.registry, Minter: n.registry, Now: n.cfg.now,
		}),
		domain.DialectRespondIO:    respondio.Outbound{},
		domain.DialectISMessenger:  respondio.Outbound{},
		domain.DialectSubscription: subscription.New(n.registry, n.cfg.now),
		domain.DialectVoximplant: voximplant.NewOutbound(voximplant.OutboundConfig{
			Directory: n.registry, Keys: n.registry, PublicURL: n.cfg.publicURL, Random: rand.Reader, Logger: n.cfg.logger,
		}),
	}
}

// prober makes test calls with the worker's client, or with one of its own where
// this node sends no callbacks.
func (n *node) prober() *callback.Prober {
	if n.outbound != nil {
		return n.outbound.Prober()
	}
	return &callback.Prober{Sender: callback.NewSender(n.cfg.allow, n.cfg.CallbackTimeout, 1).As(userAgent()), Dialects: n.dialects(), Now: n.cfg.now}
}

// projects tells why the projections do not run, or not everywhere.
func (n *node) projects(context.Context) error {
	if err := n.stopped.Load(); err != nil {
		return *err
	}
	return *n.projecting.Load()
}

// checks are what /readyz asks.
func (n *node) checks() []httpapi.Check {
	checks := []httpapi.Check{{Name: "log", Func: n.log.Ping}}
	if n.cfg.has(roleProjector) || n.cfg.has(roleDelivery) {
		checks = append(checks, httpapi.Check{Name: "projections", Func: n.projects})
	}
	return append(checks, httpapi.Check{Name: "database", Func: n.pool.Ping})
}

// doors are where integrations come in, one for each wire; that of
// ChannelX is told besides, because the platform API goes through it, too.
func (n *node) doors(ctx context.Context, numbers ids) ([]httpapi.Door, *channelx.Door, error) {
	respond, err := respondio.New(respondio.Config{
		Channels: n.registry, Log: n.store, Now: n.cfg.now, InboundRate: n.cfg.InboundRate,
		Logger: n.cfg.logger, Registerer: n.metrics,
	})
	if err != nil {
		return nil, nil, err
	}
	kit, err := voximplant.New(voximplant.Config{
		Channels: n.registry, Accounts: n.registry, APITokens: n.registry, Keys: n.registry, Directory: n.registry,
		Log: n.store, Conversations: projections.NewReads(n.pool), Freshness: n, Now: n.cfg.now, Random: rand.Reader,
		Logger: n.cfg.logger, Registerer: n.metrics,
	})
	if err != nil {
		return nil, nil, err
	}
	x, err := n.channelX(ctx, numbers)
	if err != nil {
		return nil, nil, err
	}
	return []httpapi.Door{respond, kit, x}, x, nil
}

// serve opens the doors.
func (n *node) serve(ctx context.Context, listener net.Listener) error {
	cfg := httpapi.Config{Checks: n.checks(), Gatherer: n.metrics, Registerer: n.metrics, Logger: n.cfg.logger, Drain: n.cfg.drain}
	if n.cfg.has(roleAPI) {
		var err error
		if n.files, err = n.filesOf(ctx); err != nil {
			return err
		}
		numbers := n.ids()
		doors, x, err := n.doors(ctx, numbers)
		if err != nil {
			return err
		}
		cfg.Doors = doors
		desk := x.Platform(projections.NewReads(n.pool))
		cfg.Platform = &httpapi.Platform{
			PublicURL: n.cfg.publicURL, Tokens: n.registry, TokenAdmin: n.registry, Channels: n.registry, Log: n.store,
			Directory: n.registry, Numbers: numbers, Tickets: desk, ManyTickets: desk,
			Reads: projections.NewReads(n.pool), Deliveries: projections.NewDeliveries(n.pool),
			Redrives: projections.NewRedrives(n.pool), Freshness: n,
			History:   eventstore.NewHistory(eventstore.EventsTopic(n.cfg.TopicPrefix), n.log, kafka.PositionOf),
			Previewer: n.previewer(), Prober: n.prober(), Idempotency: idempotency{postgres.NewIdempotency(n.pool)}, Sealer: n.cfg.sealer,
			Now: n.cfg.now, Random: rand.Reader,
		}
	}
	if n.files != nil {
		cfg.Doors = append(cfg.Doors, n.files)
		cfg.Platform.Files = uploads{n.files}
	}
	server, err := httpapi.New(cfg) //nolint:contextcheck // requests bring their own
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	n.onStop(func(context.Context) error { cancel(); return <-done })
	go func() { done <- server.Serve(running, listener) }()
	return nil
}
