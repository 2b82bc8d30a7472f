package callback

import (
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/parley-im/parley/domain"
)

// Ensure the waits are those of the policy, with what an answer asks for.
func TestSchedule(t *testing.T) {
	t.Parallel()
	const s = time.Second
	minute := domain.DeliveryPolicy{Schedule: []time.Duration{time.Minute, time.Minute}}
	for _, c := range []struct {
		name   string
		policy domain.DeliveryPolicy
		tries  int
		since  time.Duration
		asked  time.Duration
		floor  bool
		jitter float64
		want   time.Duration
	}{
		{name: "first of the default", tries: 1, want: s},
		{name: "second of the default", tries: 2, want: 5 * s},
		{name: "eighth of the default", tries: 8, want: 2 * time.Hour},
		{name: "tail of the default", tries: 12, want: 4 * time.Hour},
		{name: "age of the default", tries: 12, since: 69 * time.Hour, want: backoff.Stop},
		{name: "most jitter on a second", tries: 1, jitter: 0.9999, want: 1099990 * time.Microsecond},
		{name: "most jitter on a long wait", tries: 12, jitter: 0.9999, want: 4*time.Hour + 15*s},
		{name: "single attempt", policy: domain.DeliveryPolicy{Schedule: []time.Duration{}}, tries: 1, want: backoff.Stop},
		{name: "list used up", policy: minute, tries: 3, want: backoff.Stop},
		{name: "asks for less than planned", policy: minute, tries: 1, asked: 10 * s, want: 60 * s},
		{name: "asks for more than planned", policy: minute, tries: 1, asked: 90 * s, want: 90 * s},
		{name: "asks for more than twice", policy: minute, tries: 1, asked: time.Hour, want: 120 * s},
		{name: "rate limited for an hour", policy: minute, tries: 1, asked: time.Hour, floor: true, want: time.Hour},
		{name: "rate limited for less", policy: minute, tries: 1, asked: s, floor: true, want: 60 * s},
		{name: "rate limited for a year", tries: 1, asked: 8760 * time.Hour, floor: true, want: 24 * time.Hour},
		{
			name: "told to wait beyond the age", policy: domain.DeliveryPolicy{MaxAge: time.Hour}, tries: 1, since: s,
			asked: time.Hour, floor: true, want: backoff.Stop,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &schedule{
				policy: c.policy, tries: c.tries, sinceFirst: c.since, retryAfter: c.asked, floor: c.floor,
				jitter: func() float64 { return c.jitter },
			}
			if got := b.NextBackOff(); got != c.want {
				t.Fatalf("got %s, want %s", got, c.want)
			}
			b.Reset()
			if again := b.NextBackOff(); len(c.policy.Schedule) > 0 && again < c.policy.Schedule[0] {
				t.Fatalf("after a reset it is %s", again)
			}
		})
	}
}

// Ensure what an endpoint asks for is a promise where its dialect says so, and
// otherwise bounded by what was planned.
func TestNext_HoldsWhatIsFirm(t *testing.T) {
	t.Parallel()
	w := &Worker{cfg: Config{Jitter: func() float64 { return 0 }}}
	now := time.Now()
	for firm, want := range map[bool]time.Duration{true: time.Minute, false: 2 * time.Second} {
		o := domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, RetryAfter: time.Minute, Firm: firm}
		if wait, more := w.next(domain.Delivery{}, o, domain.DeliveryPolicy{}, now, now); !more || wait.Truncate(time.Millisecond) != want {
			t.Errorf("firm %v: wait %s, %v", firm, wait, more)
		}
	}
}
