package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// RuntimeConfig wires a Runtime.
type RuntimeConfig struct {
	Projection Projection
	Pool       *pgxpool.Pool
	Position   eventstore.Position
	// Ends gives the end of each partition of the log, for the lag.
	Ends func(ctx context.Context) (map[int]int64, error)
	// Follower is told what happens; nil = nobody.
	Follower Follower
	// Committed is told each new checkpoint; nil = nobody.
	Committed func(partition int, next int64)
	// MaxBatch is how many events one transaction takes at most. Default 1000.
	MaxBatch   int
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

const (
	defaultMaxBatch = 1000
	// commitTimeout bounds one transaction; after it the batch is tried again.
	commitTimeout = 30 * time.Second
	// settleEvery is how often held streams are looked at for an operator's verdict.
	settleEvery = time.Second
	// longestPause bounds the wait between tries while the database is away.
	longestPause = 2 * time.Second
)

// Runtime drives one projection over the partitions that this process is given.
// Its Assigned and Revoked are the subscriber's hooks; Run takes the messages.
type Runtime struct {
	cfg     RuntimeConfig
	metrics *metrics

	mu         sync.Mutex
	partitions map[int]*partition
}

// NewRuntime makes a Runtime.
func NewRuntime(cfg RuntimeConfig) (*Runtime, error) {
	if cfg.MaxBatch == 0 {
		cfg.MaxBatch = defaultMaxBatch
	}
	m, err := newMetrics(cfg.Registerer, cfg.Projection.Name())
	if err != nil {
		return nil, fmt.Errorf("register metrics of projection %s: %w", cfg.Projection.Name(), err)
	}
	return &Runtime{cfg: cfg, metrics: m, partitions: map[int]*partition{}}, nil
}

// Assigned is called when a partition is given to this process. It answers the
// first offset to read: the checkpoint in Postgres.
func (r *Runtime) Assigned(ctx context.Context, _ string, number int) (int64, error) {
	next, err := r.checkpoint(ctx, number)
	if err != nil {
		return 0, err
	}
	held, err := r.heldStreams(ctx, number)
	if err != nil {
		return 0, err
	}
	p := &partition{
		runtime: r, number: number, ctx: ctx, next: next, held: held,
		queue: make(chan *message.Message, r.cfg.MaxBatch), done: make(chan struct{}),
	}
	p.progress.next.Store(next)
	r.mu.Lock()
	r.partitions[number] = p
	r.mu.Unlock()
	if r.cfg.Follower != nil {
		r.cfg.Follower.Gained(ctx, number, next)
	}
	if r.cfg.Committed != nil {
		r.cfg.Committed(number, next)
	}
	go p.work()
	r.cfg.Logger.Info("projection.partition_gained", "projection", r.cfg.Projection.Name(), "partition", number, "next", next)
	return next, nil
}

// Revoked is called when a partition is taken away. A transaction in hand is
// finished first.
func (r *Runtime) Revoked(_ string, number int) {
	r.mu.Lock()
	p := r.partitions[number]
	delete(r.partitions, number)
	r.mu.Unlock()
	if p == nil {
		return
	}
	<-p.done
	if r.cfg.Follower != nil {
		r.cfg.Follower.Lost(number)
	}
	r.metrics.forget(number)
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
		if p == nil || msg.Context().Err() != nil {
			msg.Nack() // of a partition that was taken away
			continue
		}
		select {
		case p.queue <- msg:
		case <-p.ctx.Done():
			msg.Nack()
		}
	}
	stop()
	<-lagDone
}

// checkpoint reads where a partition stands, and makes its row the first time.
func (r *Runtime) checkpoint(ctx context.Context, number int) (int64, error) {
	var next int64
	err := r.cfg.Pool.QueryRow(ctx, `
		insert into checkpoints (projection, partition, next) values ($1, $2, 0)
		on conflict (projection, partition) do update set next = checkpoints.next
		returning next`, r.cfg.Projection.Name(), number).Scan(&next)
	if err != nil {
		return 0, fmt.Errorf("read checkpoint of %s in partition %d: %w", r.cfg.Projection.Name(), number, err)
	}
	return next, nil
}

// partition is the work on one partition while this process has it. Its fields
// are owned by the goroutine of work.
type partition struct {
	runtime *Runtime
	number  int
	ctx     context.Context //nolint:containedctx // ends when the partition is taken away: it is the partition's life
	queue   chan *message.Message
	done    chan struct{}

	progress progress

	next int64               // first offset that is not applied yet
	held map[string]struct{} // streams that wait behind a record that cannot be applied
}

// run is what one transaction takes in.
type run struct {
	events []domain.Recorded
	caught []caught
	next   int64     // first offset behind it
	last   time.Time // time of its newest event
}

// errFenced tells that somebody else has moved the checkpoint.
var errFenced = errors.New("the checkpoint was moved by another process")

func (p *partition) work() {
	defer close(p.done)
	settle := time.NewTicker(settleEvery)
	defer settle.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-settle.C:
			if len(p.held) > 0 {
				p.settleHeld()
			}
		case first := <-p.queue:
			if !p.take(p.collect(first)) {
				return
			}
		}
	}
}

// collect takes what waits, without waiting for more: while a transaction runs
// the next batch grows by itself.
func (p *partition) collect(first *message.Message) []*message.Message {
	batch := append(make([]*message.Message, 0, 64), first)
	for len(batch) < p.runtime.cfg.MaxBatch {
		select {
		case msg := <-p.queue:
			batch = append(batch, msg)
		default:
			return batch
		}
	}
	return batch
}

// take applies a batch, however often it must be tried; false when the partition
// was taken away before. If the process dies in here, the transaction is either
// whole or not there, and its records are read again from the checkpoint.
func (p *partition) take(batch []*message.Message) bool {
	pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(20*time.Millisecond),
		backoff.WithMaxInterval(longestPause), backoff.WithMaxElapsedTime(0))
	defer p.progress.inHand.Store(0)
	for {
		run := p.read(batch)
		err := p.commit(run)
		switch {
		case err == nil:
			p.committed(run, batch)
			return true
		case errors.Is(err, errFenced):
			if !p.refollow() {
				return false
			}
			continue // records that the other applied are left out now
		case isData(err) && len(run.events) > 1:
			return p.takeSingly(batch)
		case isData(err) && len(run.events) == 1:
			p.catch(&run, err)
			if err = p.commit(run); err == nil {
				p.committed(run, batch)
				return true
			}
		}
		p.runtime.metrics.failed.Inc()
		p.runtime.cfg.Logger.Warn("projection.batch_failed", "projection", p.runtime.cfg.Projection.Name(),
			"partition", p.number, "records", len(batch), "error", err)
		select {
		case <-time.After(pause.NextBackOff()):
		case <-p.ctx.Done():
			return false
		}
	}
}

// takeSingly finds the record that spoils a batch.
func (p *partition) takeSingly(batch []*message.Message) bool {
	for _, msg := range batch {
		if !p.take([]*message.Message{msg}) {
			return false
		}
	}
	return true
}

// read decodes a batch and sets aside what cannot be applied.
func (p *partition) read(batch []*message.Message) run {
	out := run{next: p.next, events: make([]domain.Recorded, 0, len(batch))}
	for _, msg := range batch {
		_, offset, _ := p.runtime.cfg.Position(msg)
		if offset < p.next {
			continue // applied before
		}
		out.next = offset + 1
		stream := eventstore.Key(msg)
		if _, waits := p.held[stream]; waits {
			out.caught = append(out.caught, caught{stream: stream, offset: offset, msg: msg})
			continue
		}
		event, err := eventstore.Decode(msg, p.runtime.cfg.Position)
		if err != nil {
			out.caught = append(out.caught, caught{stream: stream, offset: offset, msg: msg, err: err})
			p.held[stream] = struct{}{}
			continue
		}
		if len(out.events) == 0 {
			p.progress.inHand.Store(event.Time.UnixMilli())
		}
		out.last = event.Time
		out.events = append(out.events, event)
	}
	return out
}

// commit writes rows and checkpoint in one transaction. The conditional move of
// the checkpoint keeps a process out that only thinks it has the partition.
func (p *partition) commit(run run) error {
	if run.next == p.next {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), commitTimeout)
	defer cancel()
	started := p.runtime.cfg.Now()
	err := pgx.BeginFunc(ctx, p.runtime.cfg.Pool, func(tx pgx.Tx) error {
		return p.runtime.apply(ctx, tx, p.number, p.next, run)
	})
	if err != nil {
		return err
	}
	p.runtime.metrics.duration.Observe(p.runtime.cfg.Now().Sub(started).Seconds())
	return nil
}

// apply is the inside of one transaction: fence, quarantine, rows.
func (r *Runtime) apply(ctx context.Context, tx pgx.Tx, number int, from int64, run run) error {
	var last *time.Time
	if !run.last.IsZero() {
		last = &run.last
	}
	tag, err := tx.Exec(ctx, `
		update checkpoints set next = $4, event_time = coalesce($5, event_time), moved_at = now()
		where projection = $1 and partition = $2 and next = $3`,
		r.cfg.Projection.Name(), number, from, run.next, last)
	if err != nil {
		return fmt.Errorf("move checkpoint of %s: %w", r.cfg.Projection.Name(), err)
	}
	if tag.RowsAffected() == 0 {
		return errFenced
	}
	if err := r.quarantine(ctx, tx, number, run.caught); err != nil {
		return err
	}
	if len(run.events) == 0 {
		return nil
	}
	if err := r.cfg.Projection.Apply(ctx, tx, number, run.events); err != nil {
		return fmt.Errorf("apply to %s: %w", r.cfg.Projection.Name(), err)
	}
	return nil
}

func (p *partition) committed(run run, batch []*message.Message) {
	p.next = run.next
	p.progress.next.Store(run.next)
	m := p.runtime.metrics
	m.applied.Add(float64(len(run.events)))
	m.batch.Observe(float64(len(batch)))
	for _, c := range run.caught {
		m.quarantined.Inc()
		if c.err != nil {
			p.runtime.cfg.Logger.Error("projection.record_quarantined", "projection", p.runtime.cfg.Projection.Name(),
				"partition", p.number, "offset", c.offset, "stream", c.stream, "error", c.err,
				"next", "see parley projections quarantine; then skip or retry it")
		}
	}
	if p.runtime.cfg.Committed != nil {
		p.runtime.cfg.Committed(p.number, run.next)
	}
	if p.runtime.cfg.Follower != nil {
		p.runtime.cfg.Follower.Applied(p.number, run.events, run.next)
	}
	for _, msg := range batch {
		msg.Ack()
	}
}

// refollow goes on from where another process has moved the checkpoint. What was
// told to the follower may be stale, so it begins anew.
func (p *partition) refollow() bool {
	r := p.runtime
	r.metrics.fenced.Inc()
	ctx, cancel := context.WithTimeout(p.ctx, commitTimeout)
	defer cancel()
	next, err := r.checkpoint(ctx, p.number)
	if err != nil {
		r.cfg.Logger.Warn("projection.checkpoint_unread", "projection", r.cfg.Projection.Name(), "partition", p.number, "error", err)
		return false
	}
	r.cfg.Logger.Warn("projection.fenced", "projection", r.cfg.Projection.Name(), "partition", p.number, "ours", p.next, "theirs", next)
	p.next = next
	p.progress.next.Store(next)
	if r.cfg.Follower != nil {
		r.cfg.Follower.Lost(p.number)
		r.cfg.Follower.Gained(p.ctx, p.number, next)
	}
	return true
}
