package redrive

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-im/parley/domain"
)

const (
	mostTargets = 64                    // of a page
	mostPage    = 200                   // deliveries of a page
	breath      = 50 * time.Millisecond // until an endpoint is looked at again that has no room
)

// mostAtOnce is how many deliveries one page holds at a rate: a fifth of a second's.
func mostAtOnce(perSecond int) int { return min(mostPage, max(1, perSecond/5)) }

// turn works on a job until it ends or its turn does. An error leaves the job as
// far as it is; the next turn goes on from there.
func (r *Runner) turn(ctx context.Context, c domain.RedriveClaim) error {
	if err := r.fresh(ctx); err != nil {
		return err
	}
	if c.Plan != nil {
		deliveries, err := r.planned(ctx, c)
		if err != nil {
			return err
		}
		if more, err := r.carryOut(ctx, c, *c.Plan, deliveries, nil); err != nil || !more {
			return err
		}
	}
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < turn; {
		more, err := r.page(ctx, c)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// fresh waits for rows that have what earlier owners of the job have appended.
func (r *Runner) fresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if err := r.cfg.Freshness.Fresh(ctx, projection); err != nil {
		return fmt.Errorf("wait for the deliveries: %w", err)
	}
	return nil
}

func (r *Runner) planned(ctx context.Context, c domain.RedriveClaim) ([]domain.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	now, err := r.cfg.Store.PlannedDeliveries(ctx, c)
	if err != nil {
		return nil, err
	}
	return c.Plan.Planned(now), nil
}

// page redrives what comes next and what endpoints have room for; more is false
// when the job has ended or is not ours any more.
func (r *Runner) page(ctx context.Context, c domain.RedriveClaim) (more bool, err error) {
	targets, left, err := r.targets(ctx, c)
	if err != nil {
		return false, err
	}
	if !left {
		return r.carryOut(ctx, c, domain.RedrivePlan{}, nil, nil) // counting ends the job
	}
	if len(targets) == 0 {
		pause(ctx, breath)
		return true, nil
	}
	asking, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	deliveries, err := r.cfg.Store.RedrivePage(asking, c, targets)
	if err != nil {
		return false, err
	}
	plan := domain.RedrivePlan{At: domain.Stamp(r.cfg.Now()), Items: make([]domain.RedriveItem, len(deliveries))}
	for i, d := range deliveries {
		plan.Items[i] = domain.RedriveItem{ID: d.ID, Attempt: d.Attempts}
	}
	// The wait is a fifth of a second at most, which the lease has room for.
	if err := r.pace.WaitN(ctx, len(deliveries)); err != nil {
		return false, err
	}
	if len(deliveries) > 0 {
		planning, cancel := context.WithTimeout(ctx, callWithin)
		defer cancel()
		if ok, err := r.cfg.Store.PlanRedrive(planning, c, plan, r.cfg.Lease); err != nil || !ok {
			return false, err
		}
	}
	return r.carryOut(ctx, c, plan, deliveries, targets)
}

// targets gives the endpoints of the job that have room, and how much of it this
// page may use; left tells whether there are any at all.
func (r *Runner) targets(ctx context.Context, c domain.RedriveClaim) (roomy []domain.RedriveTarget, left bool, err error) {
	asking, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	all, err := r.cfg.Store.RedriveTargets(asking, c, mostTargets)
	if err != nil {
		return nil, false, err
	}
	most := mostAtOnce(r.cfg.Rate)
	now := time.Now()
	if len(r.windows) > 4*mostTargets {
		clear(r.windows) // they are soon as they were
	}
	for _, t := range all {
		w := r.windows[t.Name]
		if w == nil {
			w = &window{}
			r.windows[t.Name] = w
		}
		if t.Room = min(most, w.room(now, t.Waiting, r.perSecond(t.Name))); t.Room > 0 {
			most -= t.Room
			roomy = append(roomy, t)
		}
	}
	return roomy, len(all) > 0, nil
}

// carryOut appends what is planned and counts it. If the process dies before it
// is counted, the plan is carried out again: the ids are the same, the fold
// takes each once.
func (r *Runner) carryOut(
	ctx context.Context, c domain.RedriveClaim, plan domain.RedrivePlan, deliveries []domain.Delivery, targets []domain.RedriveTarget,
) (more bool, err error) {
	events := make([]domain.Event, len(deliveries))
	for i, d := range deliveries {
		if events[i], err = d.Redrive(c.By, plan.At); err != nil {
			return false, fmt.Errorf("redrive delivery %s: %w", d.ID, err)
		}
	}
	appending, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	positions, err := r.cfg.Log.Append(appending, events...)
	if err != nil {
		return false, err
	}
	// Counted whatever becomes of ctx: it has happened.
	counting, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWithin)
	defer cancel()
	job, ok, err := r.cfg.Store.AdvanceRedrive(counting, c, steps(deliveries, targets), domain.Stamp(r.cfg.Now()), r.cfg.Lease)
	if err != nil {
		return false, err
	}
	r.metrics.redriven.Add(float64(len(events)))
	for _, d := range deliveries {
		if w := r.windows[d.Target()]; w != nil {
			w.add(1)
		}
	}
	if !ok || job.State != domain.RedriveRunning {
		r.ended(ctx, job, ok)
		return false, nil
	}
	return true, r.settled(ctx, positions)
}

// steps tells how far a page has brought each target: one that had room for more
// has nothing left.
func steps(deliveries []domain.Delivery, targets []domain.RedriveTarget) []domain.RedriveStep {
	list := make([]domain.RedriveStep, 0, len(targets))
	at := make(map[string]int, len(targets))
	step := func(target string) *domain.RedriveStep {
		i, ok := at[target]
		if !ok {
			i = len(list)
			at[target] = i
			list = append(list, domain.RedriveStep{Target: target})
		}
		return &list[i]
	}
	for _, d := range deliveries { // in order within a target
		s := step(d.Target())
		s.Redriven++
		s.Last = d.Position
	}
	for _, t := range targets {
		if s := step(t.Name); s.Redriven < t.Room {
			s.Done = true
		}
	}
	return list
}

// settled waits until the rows show what was redriven, so that what waits is
// counted right. Rows that are far behind the log hold the job up: whatever has to
// catch up comes first.
func (r *Runner) settled(ctx context.Context, positions []domain.Position) error {
	last := map[int]domain.Position{}
	for _, p := range positions {
		if l, ok := last[p.Partition]; !ok || l.Offset < p.Offset {
			last[p.Partition] = p
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	for _, p := range last {
		if err := r.cfg.Freshness.Reached(ctx, projection, p); err != nil {
			return fmt.Errorf("wait for the deliveries: %w", err)
		}
	}
	return nil
}

// ended writes down what a job came to.
func (r *Runner) ended(ctx context.Context, job domain.Redrive, ok bool) {
	if !ok {
		r.cfg.Logger.WarnContext(ctx, "redrive.lost", "next", "another node goes on with it")
		return
	}
	r.counted = time.Time{}
	r.cfg.Logger.InfoContext(ctx, "redrive.ended", "redrive", job.ID, "account", job.Filter.Account, "state", job.State,
		"total", job.Total, "redriven", job.Redriven, "skipped", job.Skipped)
}
