package callback

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-im/parley/domain"
)

// sleep lets faked time pass.
func sleep(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the time is faked
	synctest.Wait()
}

// sick makes the receiver answer 503 for as long as it is ill.
func (r *ring) sick(ill *bool) {
	r.receiver.answer = func(received) (int, http.Header) {
		r.receiver.mu.Lock()
		defer r.receiver.mu.Unlock()
		if *ill {
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusOK, nil
	}
}

func (r *ring) heal(ill *bool) {
	r.receiver.mu.Lock()
	defer r.receiver.mu.Unlock()
	*ill = false
}

// Ensure that an endpoint which fails one call after the other gets single probes
// at growing pauses, that all goes on at once and in order when one succeeds, and
// that waiting used up no attempt.
func TestBreaker_ProbesAndGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 2, newMemory())
		ch := r.channel("c1", waits(slices.Repeat([]time.Duration{time.Second}, 90)...))
		ill := true
		r.sick(&ill)
		var logged bytes.Buffer
		registry := prometheus.NewRegistry()
		w := r.start(func(c *Config) {
			c.Registerer, c.Logger = registry, slog.New(slog.NewTextHandler(&logged, nil))
		})
		for i := range 20 {
			r.send(ch, name("contact", i), "one", "two", "three")
		}
		sleep(5 * time.Second) // it has opened
		opened := len(r.receiver.seen())
		r.send(ch, "new", "waits")
		sleep(2 * time.Minute)
		probes := r.receiver.seen()[opened:]
		if len(probes) < 5 || len(probes) > 9 {
			t.Errorf("%d probes in two minutes, want pauses of 2, 4, 8, 16, 30, 30 s", len(probes))
		}
		for i := 1; i < len(probes); i++ {
			gap, least := probes[i].at.Sub(probes[i-1].at), min(time.Second<<i, longestPause)
			if gap < least/2 || gap > longestPause+longestPause/10 {
				t.Errorf("probe %d came %s after the one before", i, gap)
			}
		}
		if got, err := testutil.GatherAndCount(registry, "parley_delivery_breaker_state"); err != nil || got != 2 {
			t.Errorf("%d series, %v", got, err)
		}
		r.heal(&ill)
		before := len(r.receiver.seen())
		r.receiver.await(t, calls(before+1)) // the probe
		began := time.Now()
		synctest.Wait()
		sleep(time.Second)
		if got := len(r.receiver.seen()) - before; got != 61 {
			t.Errorf("%d of 61 messages were sent %s after the probe", got, time.Since(began))
		}
		for i := range 20 {
			got := slices.Compact(r.receiver.texts(name("contact", i)))
			if !slices.Equal(got, []string{"one", "two", "three"}) {
				t.Errorf("contact %d was told %v", i, got)
			}
		}
		for _, a := range r.log.attempts() {
			if a.Verdict == domain.Exhausted || a.Attempt > 20 {
				t.Errorf("waiting was an attempt: %+v", a)
			}
		}
		w.end()
		for _, line := range []string{"delivery.breaker_opened", "delivery.breaker_closed"} {
			if n := strings.Count(logged.String(), line); n != 1 {
				t.Errorf("%s was logged %d times", line, n)
			}
		}
	})
}

// Ensure that neither an endpoint that fails one call in twenty nor many messages
// at once that fail twice and then succeed open the breaker.
func TestBreaker_StaysClosedForFlakyEndpoints(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	tries := map[string]int{}
	for what, answer := range map[string]func(received) int{
		"5 % fail": func(received) int {
			if random.IntN(20) == 0 {
				return http.StatusInternalServerError
			}
			return http.StatusOK
		},
		"503, 503, 200": func(c received) int {
			if tries[c.key]++; tries[c.key] <= 2 {
				return http.StatusServiceUnavailable
			}
			return http.StatusOK
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing(t, 1, newMemory())
			r.receiver.answer = func(c received) (int, http.Header) {
				r.receiver.mu.Lock()
				defer r.receiver.mu.Unlock()
				return answer(c), nil
			}
			ch := r.channel("c1", waits(time.Second, time.Second, time.Second))
			w := r.start()
			for i := range 300 {
				r.send(ch, name("contact", i), "one", "two")
			}
			sleep(time.Minute)
			if n := testutil.ToFloat64(w.metrics.openings); n != 0 {
				t.Errorf("%s: the breaker opened %v times", what, n)
			}
			last := map[string]time.Time{}
			for _, c := range r.receiver.seen() {
				if at, again := last[c.key]; again && (c.at.Sub(at) < time.Second || c.at.Sub(at) > 1200*time.Millisecond) {
					t.Errorf("%s: a retry set to 1 s came after %s", what, c.at.Sub(at))
				}
				last[c.key] = c.at
			}
			w.end()
		})
	}
}

// Ensure that answers which only refuse, and calls that are ours to blame, never
// open the breaker.
func TestBreaker_KnowsWhoIsToBlame(t *testing.T) {
	t.Parallel()
	for reason, ill := range map[domain.Reason]bool{
		domain.ReasonTimeout: true, domain.ReasonUnreachable: true, domain.ReasonServerError: true,
		domain.ReasonRateLimited: false, domain.ReasonRejected: false, domain.ReasonBadAnswer: false, domain.ReasonInternal: false,
		domain.ReasonAddressRefused: false, domain.ReasonChannelDeleted: false, domain.ReasonExpired: false, domain.ReasonOK: false,
	} {
		b := breaker{}
		now := time.Now()
		for range 50 {
			b.learn(&call{}, signOf(domain.Outcome{Reason: reason}), now, now, 0)
			now = now.Add(time.Second)
		}
		if (b.pause > 0) != ill {
			t.Errorf("50 times %s: open is %v", reason, b.pause > 0)
		}
	}
}

// Ensure that a delivery whose age is used up while the breaker is open ends as a
// dead letter, without a call, and that one that was redriven waits.
func TestBreaker_AgeEndsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1", func(ch *domain.Channel) {
			ch.Delivery.Schedule, ch.Delivery.MaxAge = slices.Repeat([]time.Duration{time.Second}, 90), 20*time.Second
		})
		ill := true
		r.sick(&ill)
		w := r.start()
		for i := range 40 {
			r.send(ch, name("contact", i), "hello")
		}
		sleep(10 * time.Second)
		var late []domain.Recorded
		late = append(late, r.send(ch, "late", "hello")...) // was never tried: has no age
		sleep(15 * time.Second)
		over := 0
		for _, a := range r.log.attempts() {
			if a.Verdict != domain.Exhausted {
				continue
			}
			over++
			if a.Reason == domain.ReasonExpired && (a.DurationMS != 0 || a.HTTPStatus != 0 || !a.Parks || !strings.Contains(a.Detail, "age")) {
				t.Errorf("a delivery ended as %+v", a)
			}
		}
		if over != 40 {
			t.Errorf("%d of 40 deliveries have ended with their age", over)
		}
		if n := len(r.receiver.texts("late")); n > 1 {
			t.Errorf("what came late was called %d times", n)
		}
		r.heal(&ill)
		sleep(time.Minute)
		if d := r.store.(*memory).delivery(t, domain.DeliveryID(late[0].ID)); d.State != domain.StateDelivered {
			t.Errorf("what came late is %s", d.State)
		}
		w.end()
	})
}
