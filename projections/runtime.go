package projections

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/eventstore"
)

// RuntimeConfig wires a Runtime.
type RuntimeConfig struct {
	Projection Projection
	Pool       *pgxpool.Pool
	Position   eventstore.Position
	// Ends gives the end of each partition of the log, for the lag.
	Ends func(ctx context.Context) (map[int]int64, error)
	// IDAt gives the id of the record at an offset of a partition; false when it is
	// not kept any more. It fails when the log ends before it, and when the log cannot
	// be asked. nil = the log is taken for the one that the rows were built from.
	IDAt func(ctx context.Context, partition int, offset int64) (id string, ok bool, err error)
	// Follower is told what happens; nil = nobody.
	Follower Follower
	// Committed is told each new checkpoint; nil = nobody.
	Committed func(partition int, next int64)
	// Failed is told of trouble that only a new start of the process mends; nil =
	// nobody. The partition stands still meanwhile. It may be called repeatedly, and
	// must return at once.
	Failed func(error)
	// MaxBatch is how many events one transaction takes at most. Default 1000.
	MaxBatch int
	// Beat is how far apart the transactions of a partition begin at least, unless a
	// batch is full. Default 25 ms.
	Beat time.Duration
	// Awaited tells whether somebody waits for what a message changes: then its
	// transaction waits for no beat; nil = nobody ever does.
	Awaited func(*message.Message) bool
	// MaxQueued is how many messages of one partition may wait. It must not be less
	// than what the subscriber keeps in flight, so that a partition that stands still
	// does not hold up the others. Default 4096.
	MaxQueued  int
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

const (
	defaultMaxBatch  = 1000
	defaultMaxQueued = 4096
	defaultBeat      = 25 * time.Millisecond
)

// Runtime drives one projection over the partitions that this process is given.
// Its Assigned and Revoked are the subscriber's hooks; Run takes the messages.
type Runtime struct {
	cfg     RuntimeConfig
	metrics *metrics

	mu         sync.Mutex
	partitions map[int]*partition
	starting   map[int]time.Time // since when partitions that were given wait for their checkpoint
}

// NewRuntime makes a Runtime.
func NewRuntime(cfg RuntimeConfig) (*Runtime, error) {
	if cfg.MaxBatch == 0 {
		cfg.MaxBatch = defaultMaxBatch
	}
	if cfg.Beat == 0 {
		cfg.Beat = defaultBeat
	}
	if cfg.Awaited == nil {
		cfg.Awaited = func(*message.Message) bool { return false }
	}
	if cfg.MaxQueued == 0 {
		cfg.MaxQueued = defaultMaxQueued
	}
	m, err := newMetrics(cfg.Registerer, cfg.Projection.Name())
	if err != nil {
		return nil, fmt.Errorf("register metrics of projection %s: %w", cfg.Projection.Name(), err)
	}
	return &Runtime{cfg: cfg, metrics: m, partitions: map[int]*partition{}, starting: map[int]time.Time{}}, nil
}

// Assigned is called when a partition is given to this process. It answers the
// first offset to read: the checkpoint in Postgres. After an error it is called
// again; the partition's lag counts from the first call. ErrRegrown stays, however
// often it is called. Nothing is projected from the partition, and its Follower
// hears nothing of it, before Assigned has succeeded.
func (r *Runtime) Assigned(ctx context.Context, _ string, number int) (int64, error) {
	r.start(ctx, number)
	stand, held, err := r.stand(ctx, number)
	if err == nil {
		err = r.compare(ctx, number, stand)
	}
	if err != nil {
		return 0, err
	}
	next := stand.next
	p := &partition{
		runtime: r, number: number, ctx: ctx, next: next, held: held,
		queue: make(chan *message.Message, r.cfg.MaxQueued), done: make(chan struct{}),
		log: r.cfg.Logger.With("projection", r.cfg.Projection.Name(), "partition", number),
	}
	p.progress.next.Store(next)
	r.mu.Lock()
	delete(r.starting, number)
	r.partitions[number] = p
	r.mu.Unlock()
	r.metrics.held(number, len(held))
	if r.cfg.Follower != nil {
		r.cfg.Follower.Gained(ctx, number, next)
	}
	if r.cfg.Committed != nil {
		r.cfg.Committed(number, next)
	}
	go p.work() //nolint:contextcheck // it works in ctx, which the partition holds
	p.log.Info("projection.partition_gained", "next", next, "held_streams", len(held))
	return next, nil
}

// start notes that a partition waits for its checkpoint, until Assigned succeeds
// or the partition is taken away.
func (r *Runtime) start(ctx context.Context, number int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.starting[number]; again {
		return
	}
	r.starting[number] = r.cfg.Now()
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, waits := r.starting[number]; waits {
			delete(r.starting, number)
			r.metrics.forget(number)
		}
	})
}

// Revoked is called when a partition is taken away, after the context that
// Assigned got has ended. A transaction in hand is finished first, or given up
// after revokeGrace.
func (r *Runtime) Revoked(_ string, number int) {
	r.mu.Lock()
	p := r.partitions[number]
	r.mu.Unlock()
	if p == nil {
		return
	}
	<-p.done
	r.mu.Lock()
	delete(r.partitions, number)
	r.mu.Unlock()
	if r.cfg.Follower != nil {
		r.cfg.Follower.Lost(number)
	}
	r.metrics.forget(number)
	p.log.Info("projection.partition_lost")
}

// Run hands messages to their partitions until msgs is closed, and keeps the lag.
func (r *Runtime) Run(ctx context.Context, msgs <-chan *message.Message) {
	lagDone := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	go func() {
		defer close(lagDone)
		r.watchLag(ctx)
	}()
	for msg := range msgs {
		number, _, _ := r.cfg.Position(msg)
		r.mu.Lock()
		p := r.partitions[number]
		r.mu.Unlock()
		// A message whose context has ended belongs to an assignment that is over.
		if p == nil || msg.Context().Err() != nil {
			msg.Nack()
			continue
		}
		p.offer(msg)
	}
	stop()
	<-lagDone
}

// stand reads where a partition stands, and which of its streams are held. The
// checkpoint is read first: if another process moves both in between, the next
// commit finds out.
func (r *Runtime) stand(ctx context.Context, number int) (c checkpoint, held map[string]struct{}, err error) {
	if c, err = r.checkpoint(ctx, number); err != nil {
		return c, nil, err
	}
	held, err = r.heldStreams(ctx, number)
	return c, held, err
}
