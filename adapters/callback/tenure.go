package callback

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// tenure is the time for which this worker is responsible for a partition. Within
// it leases are taken, lost and taken again; under one lease nothing is sent twice.
type tenure struct {
	w         *Worker
	partition int
	ctx       context.Context //nolint:containedctx // the tenure's life, as Gained was told
	cancel    context.CancelFunc
	done      chan struct{} // closed when run has ended
	kicked    chan struct{} // there is something to fetch

	// Calls end with callCtx and appends with tellCtx. Both outlive ctx by the grace.
	callCtx, tellCtx   context.Context //nolint:containedctx // as above
	cutCalls, cutTells context.CancelFunc

	// Under the worker's lock:
	next      int64               // the projection has applied all before
	goal      int64               // what next has to reach before anything is sent
	reached   chan struct{}       // closed when it has; nil = nobody waits
	listening bool                // events are followed
	loaded    bool                // what the database had is known: nothing is sent before
	stopping  bool                // nothing is sent any more
	held      bool                // the lease is ours
	until     time.Time           // by our monotonic clock, on the safe side
	portions  map[string]*portion // by target
	sent      map[uuid.UUID]*sentEntry
	stalled   []*lane // ready, but the lease has not been renewed in time
	wants     []*lane // rows are to be fetched
	calls     int     // goroutines that make calls and append outcomes
	idle      chan struct{}
	depth     map[domain.DeliveryState]int64

	// While a fetch runs: what has changed behind its back.
	fetching  bool
	target    *portion               // whose lanes are being fetched
	late      map[uuid.UUID]struct{} // outcomes that have come back
	lateLanes map[string]struct{}    // lanes with a decision
}

func newTenure(ctx context.Context, w *Worker, partition int, next int64) *tenure {
	t := &tenure{
		w: w, partition: partition, next: next, done: make(chan struct{}), kicked: make(chan struct{}, 1),
		portions: map[string]*portion{}, sent: map[uuid.UUID]*sentEntry{},
		late: map[uuid.UUID]struct{}{}, lateLanes: map[string]struct{}{},
	}
	t.ctx, t.cancel = context.WithCancel(ctx)
	outlive := context.WithoutCancel(ctx)
	t.callCtx, t.cutCalls = context.WithCancel(outlive)
	t.tellCtx, t.cutTells = context.WithCancel(outlive)
	return t
}

// end lets run come to its end.
func (t *tenure) end() { t.cancel() }

// run is the life of the tenure: lease, catch up, send; again when the lease is lost.
func (t *tenure) run() {
	defer close(t.done)
	defer t.cutCalls()
	defer t.cutTells()
	for t.ctx.Err() == nil {
		epoch, until, ok := t.acquire()
		if !ok {
			return
		}
		t.hold(epoch, until)
	}
}

// acquire waits for the lease. It may belong to an owner that is gone or that
// does not know yet that it has to let go: then it runs out first.
func (t *tenure) acquire() (epoch int64, until time.Time, ok bool) {
	cfg := t.w.cfg
	waits := patience()
	told := false
	for t.ctx.Err() == nil {
		asked := time.Now()
		epoch, rest, err := cfg.Store.Lease(t.ctx, t.partition, cfg.Owner, cfg.LeaseTTL, cfg.StealLease)
		switch {
		case err != nil:
			rest = waits.NextBackOff()
			if t.ctx.Err() == nil {
				cfg.Logger.Warn("delivery.lease_unasked", "partition", t.partition, "error", err)
			}
		case epoch > 0:
			return epoch, asked.Add(cfg.LeaseTTL), true
		case !told:
			told = true
			cfg.Logger.Info("delivery.lease_awaited", "partition", t.partition, "runs_ms", rest.Milliseconds())
		}
		// The other may renew or release it meanwhile: ask now and then.
		if !pause(t.ctx.Done(), min(rest+10*time.Millisecond, cfg.LeaseTTL/4)) {
			break
		}
	}
	return 0, time.Time{}, false
}

// hold sends the partition's callbacks for as long as the lease is ours.
func (t *tenure) hold(epoch int64, until time.Time) {
	w := t.w
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	w.mu.Lock()
	t.held, t.until, t.stopping = true, until, false
	w.mu.Unlock()

	// The lease is kept until the last outcome is told, also after ctx has ended.
	keep, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	var keeping sync.WaitGroup
	keeping.Go(func() {
		defer cancel()
		t.keep(keep, epoch)
	})
	if err := t.prepare(ctx); err == nil {
		w.cfg.Logger.Info("delivery.started", "partition", t.partition, "epoch", epoch)
		t.fetchLoop(ctx)
	} else if ctx.Err() == nil {
		w.cfg.Logger.Warn("delivery.unprepared", "partition", t.partition, "error", err)
	}
	t.drain()
	stopKeeping()
	keeping.Wait()
	t.release(epoch)
	w.cfg.Logger.Info("delivery.stopped", "partition", t.partition, "epoch", epoch)
}

// keep renews the lease three times within its length until ctx ends or the lease
// is somebody else's.
func (t *tenure) keep(ctx context.Context, epoch int64) {
	cfg := t.w.cfg
	for pause(ctx.Done(), cfg.LeaseTTL/3) {
		asked := time.Now()
		try, cancel := context.WithTimeout(ctx, cfg.LeaseTTL/3)
		ours, err := cfg.Store.Renew(try, t.partition, cfg.Owner, epoch, cfg.LeaseTTL)
		cancel()
		switch {
		case err != nil:
			// Until it runs out the lease is ours; after that mayStart says no, and
			// nobody need have taken it when the database is back.
			if ctx.Err() == nil {
				t.w.metrics.renewals.Inc()
				cfg.Logger.Warn("delivery.lease_unrenewed", "partition", t.partition, "error", err)
			}
		case !ours:
			cfg.Logger.Warn("delivery.lease_lost", "partition", t.partition, "epoch", epoch)
			t.w.mu.Lock()
			t.held = false
			t.w.mu.Unlock()
			return
		default:
			t.renewed(asked.Add(cfg.LeaseTTL))
		}
	}
}

func (t *tenure) renewed(until time.Time) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.until = until
	for _, l := range t.stalled {
		if l.state == laneReady {
			t.w.enqueue(l)
		}
	}
	t.stalled = nil
	t.w.pump()
}

// release lets the next owner begin at once.
func (t *tenure) release(epoch int64) {
	t.w.mu.Lock()
	held := t.held
	t.held = false
	t.w.mu.Unlock()
	if !held {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), time.Second)
	defer cancel()
	if err := t.w.cfg.Store.Release(ctx, t.partition, t.w.cfg.Owner, epoch); err != nil {
		t.w.cfg.Logger.Warn("delivery.lease_unreleased", "partition", t.partition, "error", err)
	}
}

// mayStart tells whether a call may be started now: a tenth of the lease is kept
// back, for a clock that runs slower than the database's and for the way from here
// to the wire. Calls that are in flight when a lease ends are those that can
// be repeated.
func (t *tenure) mayStart() bool {
	return t.held && t.loaded && !t.stopping && time.Now().Add(t.w.cfg.LeaseTTL/10).Before(t.until)
}

// prepare waits until the projection has all that the log held when the lease
// began, so that no outcome of a former owner is missed, and then lists what
// there is to do. From its end on the partition is sent.
func (t *tenure) prepare(ctx context.Context) error {
	waits := patience()
	for {
		end, err := t.w.cfg.Ends(ctx, t.partition)
		if err == nil {
			if err := t.catchUp(ctx, end); err != nil {
				return err
			}
			break
		}
		t.w.cfg.Logger.Warn("delivery.end_unknown", "partition", t.partition, "error", err)
		if !pause(ctx.Done(), waits.NextBackOff()) {
			return ctx.Err()
		}
	}
	t.w.mu.Lock()
	t.listening = true
	t.w.mu.Unlock()
	for {
		list, err := t.w.cfg.Store.OpenTargets(ctx, t.partition)
		if err == nil {
			t.begin(list)
			return nil
		}
		t.w.cfg.Logger.Warn("delivery.unlisted", "partition", t.partition, "error", err)
		if !pause(ctx.Done(), waits.NextBackOff()) {
			return ctx.Err()
		}
	}
}

func (t *tenure) begin(targets []string) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	for _, target := range targets {
		t.portion(target)
	}
	t.loaded = true
	t.kick()
}

// catchUp waits until the projection has applied all before end.
func (t *tenure) catchUp(ctx context.Context, end int64) error {
	t.w.mu.Lock()
	if t.next >= end {
		t.w.mu.Unlock()
		return nil
	}
	t.goal, t.reached = end, make(chan struct{})
	reached := t.reached
	t.w.mu.Unlock()
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the projection to reach offset %d: %w", end, ctx.Err())
	}
}

// reach notes how far the projection is. It runs under the lock.
func (t *tenure) reach(next int64) {
	t.next = next
	if t.reached != nil && next >= t.goal {
		close(t.reached)
		t.reached = nil
	}
}

// drain stops starting calls, lets those in hand end, and forgets everything.
func (t *tenure) drain() {
	w := t.w
	w.mu.Lock()
	t.stopping, t.loaded, t.listening, t.reached = true, false, false, nil
	idle := make(chan struct{})
	if t.calls == 0 {
		close(idle)
	} else {
		t.idle = idle
	}
	w.mu.Unlock()
	t.awaitIdle(idle)

	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range t.portions {
		for _, l := range s.lanes {
			l.state = laneIdle
			l.more = false
			s.more = false
			s.remove(l)
		}
	}
	clear(t.portions)
	clear(t.sent)
	t.stalled, t.wants, t.idle, t.depth = nil, nil, nil, nil
}

// awaitIdle waits for calls in hand: as long as they take while the partition is
// ours, for the grace once it is taken away.
func (t *tenure) awaitIdle(idle <-chan struct{}) {
	select {
	case <-idle:
		return
	case <-t.ctx.Done():
	}
	grace := t.w.cfg.Grace
	for _, step := range []struct {
		wait time.Duration
		cut  context.CancelFunc
	}{{grace * 3 / 4, t.cutCalls}, {grace / 4, t.cutTells}} {
		timer := time.NewTimer(step.wait)
		select {
		case <-idle:
			timer.Stop()
			return
		case <-timer.C:
			step.cut()
		}
	}
	<-idle
}

// finished tells that a goroutine of the tenure has ended. It runs under the lock.
func (t *tenure) finished() {
	t.calls--
	if t.calls == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}
