package callback

import (
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// Ensure that what was told with a 429, or after a timeout, is a floor however short
// the planned wait is, and that the log, which cuts times, makes no wait shorter.
func TestNext_FloorAndFraction(t *testing.T) {
	t.Parallel()
	w := &Worker{cfg: Config{Jitter: func() float64 { return 0 }}}
	now := time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)
	for reason, want := range map[domain.Reason]time.Duration{
		domain.ReasonRateLimited: time.Hour, domain.ReasonTimeout: time.Hour,
		domain.ReasonServerError: 2 * time.Second, domain.ReasonUnreachable: 2 * time.Second,
	} {
		o := domain.Outcome{Verdict: domain.Retry, Reason: reason, RetryAfter: time.Hour}
		wait, more := w.next(domain.Delivery{}, o, domain.DeliveryPolicy{}, now, now)
		if at := domain.Stamp(now.Add(wait)); !more || at.Before(now.Add(want)) || at.After(now.Add(want+time.Millisecond)) {
			t.Errorf("%s: the next try is due after %s, want %s", reason, at.Sub(now), want)
		}
	}
}
