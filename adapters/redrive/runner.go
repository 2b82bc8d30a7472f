package redrive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/parley-im/parley/domain"
)

// claims are rights to work on a job, by one clock for all nodes. What a claim is
// needed for does nothing once somebody else has it.
type claims interface {
	ClaimRedrive(ctx context.Context, owner string, lease time.Duration, steal bool) (domain.RedriveClaim, bool, error)
	ReleaseRedrive(ctx context.Context, c domain.RedriveClaim, trouble string) error
	FailRedrive(ctx context.Context, c domain.RedriveClaim, now time.Time, why string) error
}

// pages are the dead letters that a job is about, and how far it is with them.
type pages interface {
	RedriveTargets(ctx context.Context, c domain.RedriveClaim, limit int) ([]domain.RedriveTarget, error)
	RedrivePage(ctx context.Context, c domain.RedriveClaim, targets []domain.RedriveTarget) ([]domain.Delivery, error)
	PlannedDeliveries(ctx context.Context, c domain.RedriveClaim) ([]domain.Delivery, error)
	PlanRedrive(ctx context.Context, c domain.RedriveClaim, plan domain.RedrivePlan, lease time.Duration) (bool, error)
	AdvanceRedrive(ctx context.Context, c domain.RedriveClaim, steps []domain.RedriveStep, now time.Time, lease time.Duration) (domain.Redrive, bool, error)
}

// Store is what a Runner needs of the table of jobs.
type Store interface {
	claims
	pages
	CountRedrives(ctx context.Context) (map[domain.RedriveState]int64, error)
}

// log keeps events. Append returns nil once they are durable; after an error some
// of them may be there. Events of one stream are in order.
type log interface {
	Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error)
}

// channels knows the channels as they are now, in memory.
type channels interface {
	Channel(id string) (domain.Channel, bool)
}

// freshness waits for the rows of deliveries: Fresh until they have all that the
// log held at the call, Reached until they have passed a position. An error when
// ctx ends before.
type freshness interface {
	Fresh(ctx context.Context, projection string) error
	Reached(ctx context.Context, projection string, p domain.Position) error
}

// projection is the one whose rows are redriven.
const projection = "deliveries"

// Defaults of Config.
const (
	DefaultRate  = 200
	DefaultLease = 10 * time.Second
	DefaultEvery = 250 * time.Millisecond
)

const (
	turn       = 2 * time.Second // how long a job is worked on before another has its turn
	callWithin = 5 * time.Second // how long the log, the database and the rows may take, each; less than a lease
	giveUp     = time.Hour       // a job on which nothing goes on for so long has failed
	countEvery = 5 * time.Second // how often jobs are counted, for the metric
	longest    = 15 * time.Second
)

// Config wires a Runner. Store, Log, Channels and Freshness must be set.
type Config struct {
	Store     Store
	Log       log
	Channels  channels
	Freshness freshness

	Rate       int           // dead letters a second that this process redrives at most; default DefaultRate
	Lease      time.Duration // how long a claim stands; default DefaultLease. Another node goes on with a dead one's job after it
	StealLease bool          // whoever else has a claim is known to be gone: there is only one process
	Every      time.Duration // how often it looks for a job; default DefaultEvery

	Now        func() time.Time      // default time.Now
	Logger     *slog.Logger          // default slog.Default()
	Registerer prometheus.Registerer // default: a registry that nobody reads
}

// Runner works on jobs. All its state belongs to the goroutine of Run.
type Runner struct {
	cfg     Config
	owner   string
	metrics *metrics
	pace    *rate.Limiter
	windows map[string]*window      // by target
	stuck   map[uuid.UUID]time.Time // since when nothing goes on with a job
	counted time.Time
}

// New makes a Runner. It fails when its metrics are registered already.
func New(cfg Config) (*Runner, error) {
	if cfg.Rate <= 0 {
		cfg.Rate = DefaultRate
	}
	if cfg.Lease <= 0 {
		cfg.Lease = DefaultLease
	}
	if cfg.Every <= 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("metrics of redrives: %w", err)
	}
	return &Runner{
		cfg: cfg, owner: uuid.NewString(), metrics: m, pace: rate.NewLimiter(rate.Limit(cfg.Rate), mostAtOnce(cfg.Rate)),
		windows: map[string]*window{}, stuck: map[uuid.UUID]time.Time{},
	}, nil
}

// Run works on jobs until ctx ends. Failures are logged, shown with the job, and
// tried again; nothing is lost when the process dies.
func (r *Runner) Run(ctx context.Context) {
	waits := backoff.NewExponentialBackOff(backoff.WithInitialInterval(r.cfg.Every),
		backoff.WithMaxInterval(longest), backoff.WithMaxElapsedTime(0))
	for ctx.Err() == nil {
		wait := r.cfg.Every
		switch worked, err := r.round(ctx); {
		case ctx.Err() != nil:
			return // whatever failed now, it is because of that
		case err != nil:
			r.metrics.errors.Inc()
			wait = waits.NextBackOff()
			r.cfg.Logger.WarnContext(ctx, "redrive.held_up", "error", err, "again_in", wait)
		case worked:
			waits.Reset()
			wait = 0
		}
		pause(ctx, wait)
	}
}

// round gives a turn to the job that has waited longest; worked is false when
// there is none.
func (r *Runner) round(ctx context.Context) (worked bool, err error) {
	r.count(ctx)
	asking, cancel := context.WithTimeout(ctx, callWithin)
	c, ok, err := r.cfg.Store.ClaimRedrive(asking, r.owner, r.cfg.Lease, r.cfg.StealLease)
	cancel()
	if err != nil || !ok {
		return false, err
	}
	r.metrics.running.Set(1)
	defer r.metrics.running.Set(0)
	err = r.turn(ctx, c)
	r.leave(ctx, c, err)
	return true, err
}

// leave gives a job back, or ends it when it cannot go on.
func (r *Runner) leave(ctx context.Context, c domain.RedriveClaim, err error) {
	if err == nil {
		delete(r.stuck, c.ID)
	}
	// Also when Run is to end: the next one begins at once then.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	trouble := ""
	if err != nil && ctx.Err() == nil {
		since, known := r.stuck[c.ID]
		if !known {
			since = time.Now()
			r.stuck[c.ID] = since
		}
		if hopeless(err) || time.Since(since) > giveUp {
			delete(r.stuck, c.ID)
			r.cfg.Logger.ErrorContext(ctx, "redrive.failed", "redrive", c.ID, "account", c.Filter.Account, "error", err)
			err = r.cfg.Store.FailRedrive(ending, c, domain.Stamp(r.cfg.Now()), shown(err))
			if err == nil {
				return
			}
		}
		trouble = shown(err)
	}
	if err := r.cfg.Store.ReleaseRedrive(ending, c, trouble); err != nil {
		r.cfg.Logger.WarnContext(ctx, "redrive.unreleased", "redrive", c.ID, "error", err, "next", "the lease runs out")
	}
}

// hopeless tells whether trying again leads to the same.
func hopeless(err error) bool {
	switch domain.CodeOf(err) {
	case domain.CodeTooLarge, domain.CodeInvalid, domain.CodeConflict:
		return true
	default:
		return false
	}
}

// shown is what callers of the API may read of an error.
func shown(err error) string {
	if e, ok := errors.AsType[*domain.Error](err); ok {
		return e.Error()
	}
	return "the database or the log is away or behind"
}

// count keeps the metric of jobs.
func (r *Runner) count(ctx context.Context) {
	if time.Since(r.counted) < countEvery {
		return
	}
	r.counted = time.Now()
	asking, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	jobs, err := r.cfg.Store.CountRedrives(asking)
	if err != nil {
		return // the claim tells of the trouble
	}
	for _, state := range domain.RedriveStates {
		r.metrics.jobs.WithLabelValues(string(state)).Set(float64(jobs[state]))
	}
}

// pause waits, for less when ctx ends before.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
