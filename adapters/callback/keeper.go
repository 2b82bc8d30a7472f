package callback

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"log/slog"
	"time"

	"github.com/parley-im/parley/domain"
)

// Endpoints knows what was decided about endpoints, in memory, as it is now.
type Endpoints interface {
	Endpoint(target string) (domain.Endpoint, bool)
}

// endpointBook is where that is decided. ChangeEndpoint lets nobody else on this
// node decide about the target while change runs, whose error it passes through;
// when it returns this node's memory has the change.
type endpointBook interface {
	Endpoints
	Endpoints(account string) []domain.Endpoint
	ChangeEndpoint(ctx context.Context, account, target string, change func(*domain.Endpoint) error) (domain.Endpoint, error)
}

// health tells how the attempts at endpoints have gone: of those whose attempts
// have all failed over least or longer or that are gone, and of those named.
type health interface {
	Ailing(ctx context.Context, least time.Duration, named []string) ([]domain.EndpointHealth, error)
}

// DefaultLookEvery is how often a Keeper looks at the health of endpoints.
const DefaultLookEvery = 5 * time.Second

// KeeperConfig wires a Keeper. Worker, Log, Book and Health must be set.
type KeeperConfig struct {
	Worker *Worker // whose partitions tell which endpoints this node looks after
	Log    log
	Book   endpointBook
	Health health
	Policy domain.EndpointPolicy
	Every  time.Duration    // default DefaultLookEvery
	Now    func() time.Time // default time.Now
	Logger *slog.Logger
}

// Keeper warns of endpoints at which nothing succeeds, pauses them in the end, and
// pauses at once those that say that they are gone. Each is looked after by the
// node that sends a certain partition; while partitions change hands two may be at
// it, and append the same event under the same id.
type Keeper struct{ cfg KeeperConfig }

// NewKeeper makes a Keeper.
func NewKeeper(cfg KeeperConfig) *Keeper {
	setDefault(&cfg.Every, DefaultLookEvery)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keeper{cfg: cfg}
}

// Run looks every so often, and at once when an endpoint says that it is gone,
// until ctx ends. What fails is tried again with the next look.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(k.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.cfg.Worker.departed:
			k.stopGone(ctx)
		case <-tick.C:
			k.stopGone(ctx)
			k.look(ctx)
		}
	}
}

// stopGone pauses the endpoints that have told this node that they are gone.
func (k *Keeper) stopGone(ctx context.Context) {
	for _, h := range k.cfg.Worker.gone() {
		k.judge(ctx, h)
	}
}

// look goes through the endpoints that may have to be decided about.
func (k *Keeper) look(ctx context.Context) {
	var named []string
	for _, e := range k.cfg.Book.Endpoints("") {
		named = append(named, e.Target)
	}
	least := k.cfg.Policy.Least()
	if least == 0 {
		least = domain.LongestMaxAge * 100 // never: what is gone and what is named comes all the same
	}
	list, err := k.cfg.Health.Ailing(ctx, least, named)
	if err != nil {
		if ctx.Err() == nil {
			k.cfg.Logger.Warn("delivery.health_unread", "error", err)
		}
		return
	}
	for _, h := range list {
		if k.cfg.Worker.looksAfter(h.Target) {
			k.judge(ctx, h)
		}
	}
}

var errNothingToDecide = errors.New("there is nothing to decide")

// judge decides about one endpoint. The event is appended first: if the process
// dies before the record is there, the next look appends it again under its id.
func (k *Keeper) judge(ctx context.Context, h domain.EndpointHealth) {
	if !k.cfg.Worker.lives(h.Target) {
		return // its attempts stay, it does not
	}
	now := k.cfg.Now()
	known, ok := k.cfg.Book.Endpoint(h.Target)
	if !ok {
		known = domain.Endpoint{Target: h.Target, Account: h.Account, State: domain.EndpointHealthy}
	}
	if _, _, ok := known.Judge(h, k.cfg.Policy, now); !ok {
		return
	}
	e, err := k.cfg.Book.ChangeEndpoint(ctx, h.Account, h.Target, func(e *domain.Endpoint) error {
		next, event, ok := e.Judge(h, k.cfg.Policy, now)
		if !ok {
			return errNothingToDecide
		}
		if event.Data != nil {
			if _, err := k.cfg.Log.Append(ctx, event); err != nil {
				return err
			}
		}
		*e = next
		return nil
	})
	switch {
	case errors.Is(err, errNothingToDecide):
	case err != nil:
		if ctx.Err() == nil {
			k.cfg.Logger.Warn("delivery.endpoint_undecided", "target", h.Target, "error", err)
		}
	default:
		k.tell(e, h)
	}
}

// tell logs a decision.
func (k *Keeper) tell(e domain.Endpoint, h domain.EndpointHealth) {
	switch e.State {
	case domain.EndpointWarned:
		k.cfg.Logger.Warn("delivery.endpoint_warned", "target", e.Target, "account", e.Account, "stage", e.Stage,
			"failing_since", e.FailingSince, "failures", h.Failures, "last_reason", h.LastReason)
	case domain.EndpointPaused:
		k.cfg.Logger.Error("delivery.endpoint_paused", "target", e.Target, "account", e.Account, "reason", e.Reason,
			"failing_since", h.FailingSince, "last_reason", h.LastReason, "next", "resume it when it is well; what is for it waits")
	case domain.EndpointHealthy:
		k.cfg.Logger.Info("delivery.endpoint_well", "target", e.Target, "account", e.Account)
	}
}

// looksAfter tells whether an endpoint is this node's to decide about.
func (w *Worker) looksAfter(target string) bool {
	h := fnv.New32a()
	_, _ = io.WriteString(h, target)
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tenures[int(h.Sum32()%uint32(w.cfg.Partitions))]
	return t != nil && t.held
}

// lives tells whether there is such an endpoint still.
func (w *Worker) lives(target string) bool {
	_, there := w.cfg.Channels.Channel(domain.ChannelOf(target))
	return there
}

// depart notes that an endpoint has answered 410: nothing is sent to it until it
// was decided what becomes of it. It runs under the lock.
func (w *Worker) depart(e *endpoint, d domain.Delivery, now time.Time) {
	if w.cfg.Endpoints == nil || e.gone != nil {
		return
	}
	e.gone = &domain.EndpointHealth{
		Target: e.target, Account: d.Account, GoneAt: domain.Stamp(now), LastReason: domain.ReasonRejected,
	}
	select {
	case w.departed <- struct{}{}:
	default:
	}
}

// gone lists the endpoints that have departed and about which nothing is decided.
func (w *Worker) gone() []domain.EndpointHealth {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []domain.EndpointHealth
	for _, e := range w.endpoints {
		if e.gone != nil {
			list = append(list, *e.gone)
		}
	}
	return list
}

// paused tells whether an endpoint gets nothing because it was decided so, or is
// about to be. What is for one that is no more, or for a subscription that is
// disabled, does not wait: it ends.
func (w *Worker) paused(e *endpoint) bool {
	if w.cfg.Endpoints == nil {
		return false
	}
	ch, there := w.cfg.Channels.Channel(domain.ChannelOf(e.target))
	if !there || ch.Disabled && ch.Dialect == domain.DialectSubscription {
		return false
	}
	if known, ok := w.cfg.Endpoints.Endpoint(e.target); ok {
		if known.State == domain.EndpointPaused {
			e.gone = nil
			return true
		}
		if e.gone != nil && !e.gone.GoneAt.After(known.SettledAt) {
			e.gone = nil // it was resumed since
		}
	}
	return e.gone != nil
}
