package callback

import (
	"net/http"
	"time"

	"github.com/parley-im/parley/domain"
)

// A breaker opens after openAfter calls in a row that failed, if that has gone on for
// openOver: neither an endpoint that fails now and then opens it, nor many messages
// at once that fail together and succeed with their first or second retry.
const (
	openAfter = 10
	openOver  = 3 * time.Second
	// shortestPause and longestPause bound how long it is open before the next probe.
	shortestPause = time.Second
	longestPause  = 30 * time.Second
	// remembersFor is how long a breaker of an endpoint that nothing waits for is kept.
	remembersFor = 10 * time.Minute
)

// breaker keeps calls away from an endpoint that is not well. Closed, it lets all
// of them pass. Open, it lets none. After a pause it is half open: one call goes out,
// the probe. If that is answered the breaker closes, if not it is open for twice
// as long. Waiting for it is no attempt: schedules and lanes stay as they are.
type breaker struct {
	failed int           // calls in a row
	since  time.Time     // when the first of them was started
	pause  time.Duration // 0 = closed
	until  time.Time     // end of the pause
	probe  *call
}

// sign is what a call tells of its endpoint.
type sign int

const (
	signNone sign = iota // nothing: the fault was ours, or there was no call
	signWell             // it answers, if only to refuse
	signIll              // no answer in time, no way to it, or an answer that says so
)

func signOf(o domain.Outcome) sign {
	switch o.Reason {
	case domain.ReasonTimeout, domain.ReasonUnreachable, domain.ReasonServerError:
		return signIll
	case domain.ReasonOK, domain.ReasonRejected, domain.ReasonBadAnswer, domain.ReasonRateLimited:
		return signWell
	default:
		return signNone
	}
}

// holds tells whether nothing may be sent now, and until when: zero is until the
// probe has ended.
func (b *breaker) holds(now time.Time) (until time.Time, held bool) {
	switch {
	case b.pause == 0:
		return time.Time{}, false
	case b.probe != nil:
		return time.Time{}, true
	default:
		return b.until, now.Before(b.until)
	}
}

// started makes a call the probe if one is due.
func (b *breaker) started(c *call) {
	if b.pause > 0 {
		b.probe = c
	}
}

// learn takes in what a call came to; turned tells that the breaker has opened or
// closed by it. What was in flight when it opened may close it, and does not keep
// it open.
func (b *breaker) learn(c *call, s sign, started, now time.Time, jitter float64) (turned bool) {
	probe := b.probe == c
	if probe {
		b.probe = nil
	}
	switch {
	case s == signWell:
		open := b.pause > 0
		*b = breaker{}
		return open
	case s != signIll || (b.pause > 0 && !probe):
		return false
	case probe:
		b.open(2*b.pause, now, jitter)
		return false
	}
	if b.failed == 0 {
		b.since = started
	}
	b.failed++
	if b.failed < openAfter || now.Sub(b.since) < openOver {
		return false
	}
	b.open(shortestPause, now, jitter)
	return true
}

// forgettable tells whether what a breaker knows is of no use any more.
func (b *breaker) forgettable(now time.Time) bool {
	return b.failed == 0 || now.Sub(b.since) > remembersFor && now.Sub(b.until) > remembersFor
}

// open lets nothing pass for a pause, to which up to a tenth is added.
func (b *breaker) open(pause time.Duration, now time.Time, jitter float64) {
	b.pause = min(pause, longestPause)
	b.until = now.Add(b.pause + time.Duration(jitter*jitterShare*float64(b.pause)))
}

// learn lets an endpoint's breaker and its pace know what a call came to. It runs under the
// lock, before the call's slots are free.
func (w *Worker) learn(c *call, r *result, started, now time.Time) {
	e := c.lane.endpoint
	s := signOf(r.Outcome)
	if r.cut {
		s = signNone
	}
	if !domain.MayWait(e.target) {
		return
	}
	w.adapt(c, r.Outcome, s, started, now)
	if !r.cut && r.HTTPStatus == http.StatusGone {
		w.depart(e, *c.lane.current, now)
	}
	failed, since := e.breaker.failed, e.breaker.since
	if !e.breaker.learn(c, s, started, now, w.cfg.Jitter()) {
		return
	}
	if e.breaker.pause > 0 {
		w.metrics.openings.Inc()
		w.cfg.Logger.Warn("delivery.breaker_opened", "target", e.target, "failed_in_a_row", e.breaker.failed,
			"since", e.breaker.since, "reason", r.Reason, "probe_in_ms", e.breaker.until.Sub(now).Milliseconds())
		return
	}
	w.cfg.Logger.Info("delivery.breaker_closed", "target", e.target, "failed_in_a_row", failed, "since", since)
}
