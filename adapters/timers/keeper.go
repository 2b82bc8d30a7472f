package timers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// due finds conversations by the time, as of now. They come oldest first, at most
// limit of them, and as the rows have them, which may lag behind the log.
type due interface {
	// Due gives open conversations whose closing timer has run out, by the seconds
	// they were told or by what their channel says now, whichever is shorter.
	Due(ctx context.Context, now time.Time, terms []domain.ClosingTerm, limit int) ([]domain.Conversation, error)
	// Overdue gives those whose wait in a queue has ended.
	Overdue(ctx context.Context, now time.Time, limit int) ([]domain.Conversation, error)
}

// open finds open conversations, as the rows have them.
type open interface {
	// Waiting gives those that wait in a queue of any account, longest wait first.
	Waiting(ctx context.Context, limit int) ([]domain.Conversation, error)
	// Busy counts the open conversations of each agent of an account, by the agent's id.
	Busy(ctx context.Context, account string) (map[string]int, error)
	OpenOf(ctx context.Context, channel string, limit int) ([]domain.Conversation, error)
}

// claims are rights to append events, by one clock for all nodes. Claim takes
// those of ids that are free, for lease, and returns them.
type claims interface {
	Claim(ctx context.Context, ids []uuid.UUID, lease time.Duration) ([]uuid.UUID, error)
}

// Store is what a Keeper needs of the conversations projection.
type Store interface {
	due
	open
	claims
}

// log keeps events. Append returns nil once they are durable; after an error some
// of them may be there, and they are appended again with the same ids. Events of
// one stream are in order.
type log interface {
	Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error)
}

// channels knows accounts and their channels as they are now, in memory. A channel
// of an account that is disabled is disabled.
type channels interface {
	Accounts() []domain.Account
	Channels(account string) []domain.Channel
	Channel(id string) (domain.Channel, bool)
}

// desks knows who answers, as it is now, in memory.
type desks interface {
	Queues(account string) []domain.Queue
	Agents(account string) []domain.Agent
}

// Directory is what a Keeper needs of the registry.
type Directory interface {
	channels
	desks
}

// freshness waits for rows. Fresh returns nil when the projection has applied all
// that the log held at the call, and an error when ctx ends before.
type freshness interface {
	Fresh(ctx context.Context, projection string) error
}

// Defaults of Config.
const (
	DefaultEvery = 250 * time.Millisecond
	DefaultLease = 1500 * time.Millisecond
)

// Config wires a Keeper. Store, Log and Directory must be set.
type Config struct {
	Store     Store
	Log       log
	Directory Directory // must be complete before Run

	// Freshness holds a decision until the rows are as new as the log. Without it
	// rows are believed as they are, and while they are built anew much is appended
	// that is void.
	Freshness freshness

	// Now is what conversations are measured by; default time.Now. Rounds, claims
	// and outages go by the real clock whatever Now says.
	Now   func() time.Time
	Every time.Duration // pause between rounds; default DefaultEvery

	// Lease is how long a claim stands; default DefaultLease. A node that dies right
	// after a claim delays a decision by that much.
	Lease time.Duration

	Logger     *slog.Logger          // default slog.Default()
	Registerer prometheus.Registerer // default: a registry that nobody reads
}

// Keeper appends what is due. All its state belongs to the goroutine of Run.
type Keeper struct {
	cfg     Config
	metrics *metrics

	told     *memory                 // what this node has appended
	held     map[uuid.UUID]time.Time // claimed and not appended yet, until when
	deep     map[string]time.Time    // when a sweep last went beyond what it could use, by step
	outages  map[string]struct{}     // sources that failed when they were last used
	worked   map[string]struct{}     // sources that did not fail in this round
	disabled map[string]time.Time    // channels switched off, and when to look at them next
}

// New makes a Keeper. It fails when its metrics are registered already.
func New(cfg Config) (*Keeper, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Every <= 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Lease <= 0 {
		cfg.Lease = DefaultLease
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("metrics of the timers: %w", err)
	}
	return &Keeper{
		cfg: cfg, metrics: m, told: newMemory(remembered), held: map[uuid.UUID]time.Time{},
		deep: map[string]time.Time{}, outages: map[string]struct{}{}, worked: map[string]struct{}{}, disabled: map[string]time.Time{},
	}, nil
}

// Run looks at once and then every Config.Every, until ctx ends. A round that
// takes longer delays the next one. Failures are logged and the next round tries
// again, so nothing that is due is lost; nor is it when the process dies.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(k.cfg.Every)
	defer tick.Stop()
	for {
		k.round(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// round does each step once. One that fails does not keep the others from trying.
func (k *Keeper) round(ctx context.Context) {
	began := time.Now()
	failed := map[string]error{}
	steps := []func(context.Context) error{k.close, k.unqueue, k.distribute, k.closeDisabled}
	if !k.wanted() {
		steps = nil
	}
	clear(k.worked)
	for _, step := range steps {
		if err := step(ctx); err != nil {
			failed[sourceOf(err)] = err
		} else {
			k.worked[sourceStore] = struct{}{}
		}
		if ctx.Err() != nil {
			return // whatever failed now, it is because of that
		}
	}
	k.report(ctx, failed)
	k.metrics.duration.Observe(time.Since(began).Seconds())
}

// wanted tells whether there is any channel whose conversations are looked after.
func (k *Keeper) wanted() bool {
	for range k.channels() {
		return true
	}
	return false
}

// report logs the beginning and the end of an outage, once each. It ends when what
// was away has been used again with success.
func (k *Keeper) report(ctx context.Context, failed map[string]error) {
	for _, source := range sources {
		err, now := failed[source]
		_, before := k.outages[source]
		_, worked := k.worked[source]
		switch {
		case now && !before:
			k.outages[source] = struct{}{}
			k.cfg.Logger.ErrorContext(ctx, "timers.stalled", "source", source, "error", err, "next", "each round tries again")
		case !now && before && worked:
			delete(k.outages, source)
			k.cfg.Logger.InfoContext(ctx, "timers.resumed", "source", source)
		}
		if now {
			k.metrics.errors.WithLabelValues(source).Inc()
		}
	}
}
