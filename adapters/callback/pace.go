package callback

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// How calls to an endpoint are slowed down that answers 429: to half of what it got,
// and from there up again by a share of that each second without another.
const (
	slowBy = 2
	// recoverIn is how many seconds without a 429 it takes to come back to the rate
	// that the first one came at.
	recoverIn = 20
	// forgottenAt is how many times that rate is reached before there is no limit any more.
	forgottenAt = 2
	// slowest is the lowest rate, in calls a second: an endpoint that wants less says so
	// by Retry-After. Lower ones were tried: a storm now and then kept a rate down that
	// the endpoint could have borne many times over.
	slowest = 1
	// longestHold is how long the Retry-After of one call's 429 holds the others back;
	// that call itself waits for as long as it was told. An endpoint that means one
	// contact may say a day.
	longestHold = 15 * time.Minute
)

// pace is what an endpoint's answers say about how fast it may be called. It is
// additive increase, multiplicative decrease, and holds besides a configured rate.
type pace struct {
	limit    float64   // calls a second, 0 = none
	base     float64   // the rate that the first 429 came at
	next     time.Time // when the next call may be started
	held     time.Time // nothing is started before
	slowed   time.Time // when limit was last lowered
	raised   time.Time // when it was last raised
	window   time.Time // when the second began in which calls are counted
	calls    int       // started in it
	previous int       // started in the second before
}

// holds tells until when no call may be started.
func (p *pace) holds(now time.Time) (until time.Time, held bool) {
	until = p.held
	if p.limit > 0 && p.next.After(until) {
		until = p.next
	}
	return until, now.Before(until)
}

// started counts a call.
func (p *pace) started(now time.Time) {
	p.turn(now)
	p.calls++
	if p.limit > 0 {
		p.next = now.Add(time.Duration(float64(time.Second) / p.limit))
	}
}

// turn begins a new second of counting when the last one is over.
func (p *pace) turn(now time.Time) {
	switch since := now.Sub(p.window); {
	case since < time.Second:
	case since < 2*time.Second:
		p.window, p.previous, p.calls = p.window.Add(time.Second), p.calls, 0
	default:
		p.window, p.previous, p.calls = now, 0, 0
	}
}

// refused takes in a 429 of a call from started on; slowed tells that the limit was
// lowered by it. Calls that were under way when it was do not lower it again.
func (p *pace) refused(retryAfter time.Duration, started, now time.Time) (slowed bool) {
	if until := now.Add(min(retryAfter, longestHold)); until.After(p.held) {
		p.held = until
	}
	if !started.After(p.slowed) {
		return false
	}
	p.turn(now)
	if p.limit == 0 {
		p.base = max(float64(p.calls), float64(p.previous), 1)
		p.limit = p.base
	}
	p.limit = max(slowest, p.limit/slowBy)
	p.slowed, p.raised = now, now
	if until := now.Add(time.Duration(float64(time.Second) / p.limit)); until.After(p.next) {
		p.next = until
	}
	return true
}

// accepted takes in an answer that is no 429: the limit rises with the time.
func (p *pace) accepted(now time.Time) (free bool) {
	if p.limit == 0 || now.Sub(p.raised) < time.Second || now.Before(p.held) {
		return false
	}
	p.raised = now
	p.limit += max(p.base/recoverIn, slowest)
	if p.limit < forgottenAt*p.base {
		return false
	}
	*p = pace{window: p.window, calls: p.calls, previous: p.previous}
	return true
}

// forgettable tells whether what it knows is of no use any more.
func (p *pace) forgettable(now time.Time) bool {
	return p.limit == 0 && !now.Before(p.held) || now.Sub(p.raised) > remembersFor && now.Sub(p.held) > remembersFor
}

// adapt lets an endpoint's pace know what a call came to. It runs under the lock.
func (w *Worker) adapt(c *call, o domain.Outcome, s sign, started, now time.Time) {
	e := c.lane.endpoint
	switch {
	case o.Reason == domain.ReasonRateLimited:
		if e.pace.refused(o.RetryAfter, started, now) {
			w.metrics.slowdowns.Inc()
			w.cfg.Logger.Warn("delivery.endpoint_slowed", "target", e.target, "calls_per_second", e.pace.limit,
				"held_ms", max(0, e.pace.held.Sub(now).Milliseconds()))
		}
	case s == signWell:
		if e.pace.accepted(now) {
			w.cfg.Logger.Info("delivery.endpoint_full_speed", "target", e.target)
		}
	}
}
