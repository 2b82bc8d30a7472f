package callback

import (
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/parley-im/parley/domain"
)

// The wait before the next try of a delivery, given what the last one came to:
//
//	planned wait of the policy         w
//	Retry-After r, any answer          between w and 2w: max(w, min(r, 2w))
//	Retry-After r with 429, a timeout  never sooner than told: max(w, r), at most 24 h
//	  or an outcome that is Firm       the same
//	then jitter                        0 to 10 % on top, at most 15 s
//
// There is none once the policy's list or age is used up; a wait that Retry-After
// makes longer than the age allows ends the tries as well.

// Jitter is only ever added: a wait is a promise to the endpoint.
const (
	jitterShare = 0.1
	jitterMost  = 15 * time.Second
)

// schedule is a delivery's policy at the point where one delivery stands.
type schedule struct {
	policy     domain.DeliveryPolicy
	tries      int // how many were made
	sinceFirst time.Duration
	retryAfter time.Duration // what the last answer asked for, 0 = nothing
	floor      bool          // what it asked for holds whatever was planned
	jitter     func() float64
}

var _ backoff.BackOff = (*schedule)(nil)

// NextBackOff gives the wait before the next try, or backoff.Stop.
func (s *schedule) NextBackOff() time.Duration {
	wait, more := s.policy.Wait(s.tries, s.sinceFirst)
	if !more {
		return backoff.Stop
	}
	asked := min(s.retryAfter, domain.LongestWait)
	if !s.floor {
		asked = min(asked, 2*wait)
	}
	if asked > wait {
		wait = asked
		if s.sinceFirst+wait > maxAge(s.policy) {
			return backoff.Stop
		}
	}
	return wait + min(time.Duration(s.jitter()*jitterShare*float64(wait)), jitterMost)
}

// Reset puts the delivery back to its first try, as a redrive does.
func (s *schedule) Reset() { s.tries, s.sinceFirst, s.retryAfter, s.floor = 1, 0, 0, false }

// next tells how the tries of d go on after outcome o of a call from started to now.
func (w *Worker) next(d domain.Delivery, o domain.Outcome, policy domain.DeliveryPolicy, started, now time.Time) (time.Duration, bool) {
	s := schedule{
		policy: policy, tries: d.Tries + 1, sinceFirst: now.Sub(started), retryAfter: o.RetryAfter,
		floor:  o.Firm || o.Reason == domain.ReasonRateLimited || o.Reason == domain.ReasonTimeout,
		jitter: w.cfg.Jitter,
	}
	if d.FirstTriedAt != nil {
		s.sinceFirst = now.Sub(*d.FirstTriedAt)
	}
	wait := s.NextBackOff()
	if wait == backoff.Stop {
		return 0, false
	}
	return wait + time.Millisecond - 1, true // the log cuts times to milliseconds: never sooner for it
}

// patience is the pause between tries of our own errands, such as an append
// while the log is away: for ever, from 50 ms to 2 s.
func patience() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second),
		backoff.WithMaxElapsedTime(0),
	)
}

// pause waits, or tells that the context ended first.
func pause(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return false
	case <-timer.C:
		return true
	}
}
