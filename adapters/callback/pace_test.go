package callback

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-im/parley/domain"
)

// narrow takes n calls in any second, answers 429 to the others, and counts both.
type narrow struct {
	r              *ring
	n              int
	after          http.Header
	taken          []time.Time
	refused, stray int
	told           time.Time // no call before, by the last Retry-After
	wait           time.Duration
}

func (b *narrow) answer(received) (int, http.Header) {
	b.r.receiver.mu.Lock()
	defer b.r.receiver.mu.Unlock()
	now := time.Now()
	if now.Before(b.told) {
		b.stray++
	}
	if i := len(b.taken) - b.n; i >= 0 && now.Sub(b.taken[i]) < time.Second {
		b.refused++
		b.told = now.Add(b.wait)
		return http.StatusTooManyRequests, b.after
	}
	b.taken = append(b.taken, now)
	return http.StatusOK, nil
}

// Ensure that an endpoint which takes 10 calls a second gets nearly that many, and
// few that it refuses, and everything in the end; with and without Retry-After.
func TestPace_FindsWhatAReceiverTakes(t *testing.T) {
	t.Parallel()
	for what, after := range map[string]http.Header{"no header": nil, "Retry-After: 2": {"Retry-After": {"2"}}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing(t, 2, newMemory())
			b := &narrow{r: r, n: 10, after: after}
			r.receiver.answer = b.answer
			ch := r.channel("c1")
			w := r.start()
			const messages = 1200
			for i := range messages {
				r.send(ch, name("contact", i), "hello")
			}
			sleep(60 * time.Second)
			b.r.receiver.mu.Lock()
			taken, refused := len(b.taken), b.refused
			b.r.receiver.mu.Unlock()
			t.Logf("%s: %d taken, %d refused in a minute", what, taken, refused)
			if taken < 300 || taken > 601 {
				t.Errorf("%s: %d calls were taken in a minute, want more than half of 600", what, taken)
			}
			if refused > taken/10 {
				t.Errorf("%s: %d calls were refused and %d taken", what, refused, taken)
			}
			sleep(10 * time.Minute)
			if len(b.taken) != messages {
				t.Errorf("%s: %d of %d messages were delivered", what, len(b.taken), messages)
			}
			w.end()
		})
	}
}

// Ensure that the Retry-After of one call's 429 holds the whole endpoint back and
// no other, and that what comes after it comes slowly.
func TestPace_RetryAfterHoldsTheEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		b := &narrow{r: r, n: 1, after: http.Header{"Retry-After": {"7"}}, wait: 7 * time.Second}
		r.receiver.answer = func(c received) (int, http.Header) {
			if c.channel == "c1" {
				return b.answer(c)
			}
			return http.StatusOK, nil
		}
		ch, other := r.channel("c1"), r.channel("c2")
		w := r.start(func(c *Config) { c.Slots = 1 })
		r.send(ch, "anna", "one")
		r.send(ch, "bob", "one")
		synctest.Wait()
		for i := range 10 {
			r.send(ch, name("contact", i), "hello")
			r.send(other, name("contact", i), "hello")
		}
		sleep(6900 * time.Millisecond)
		if b.stray != 0 || len(r.receiver.seen()) != 12 {
			t.Errorf("%d calls, %d of them before the time that was told", len(r.receiver.seen()), b.stray)
		}
		sleep(2 * time.Minute)
		if b.stray != 0 || len(b.taken) != 12 {
			t.Errorf("%d of 12 were taken, %d calls came before the time that was told", len(b.taken), b.stray)
		}
		w.end()
	})
}

// Ensure that the rate comes back little by little, that calls which were under way
// together slow it down once, and that it is free again in the end.
func TestPace_RisesGradually(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var p pace
	for range 100 {
		p.started(now)
		now = now.Add(10 * time.Millisecond)
	}
	began := now.Add(-50 * time.Millisecond)
	for i := range 16 {
		if slowed := p.refused(0, began, now); slowed != (i == 0) {
			t.Fatalf("429 number %d of those under way: slowed is %v", i+1, slowed)
		}
	}
	if p.limit < 49 || p.limit > 51 {
		t.Fatalf("100 a second became %v", p.limit)
	}
	for second := 1; ; second++ {
		before := p.limit
		now = now.Add(time.Second)
		for range 50 {
			p.accepted(now)
		}
		if p.limit == 0 {
			if second < 25 || second > 35 {
				t.Errorf("free after %d s", second)
			}
			break
		}
		if p.limit-before > 6 {
			t.Fatalf("from %v to %v in a second", before, p.limit)
		}
	}
	// A long Retry-After holds one call; the others try sooner.
	p.refused(24*time.Hour, now, now)
	if until, held := p.holds(now.Add(longestHold - time.Second)); !held || until.Sub(now) > longestHold+time.Second {
		t.Errorf("held %v until %s", held, until.Sub(now))
	}
}

// Ensure that a slow endpoint gets what is configured at most, whatever it answers.
func TestPace_StaysWithinTheConfiguredRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		refuse := true
		r.receiver.answer = func(received) (int, http.Header) {
			r.receiver.mu.Lock()
			defer r.receiver.mu.Unlock()
			if refuse {
				refuse = false
				return http.StatusTooManyRequests, nil
			}
			return http.StatusOK, nil
		}
		ch := r.channel("c1", func(ch *domain.Channel) { ch.RatePerSecond = 20 })
		w := r.start()
		for i := range 1000 {
			r.send(ch, name("contact", i), "hello")
		}
		sleep(2 * time.Minute)
		w.end()
		seen := r.receiver.seen()
		if len(seen) != 1001 {
			t.Errorf("%d calls for 1000 messages and one 429", len(seen))
		}
		for i := 20; i < len(seen); i++ {
			if gap := seen[i].at.Sub(seen[i-20].at); gap < time.Second {
				t.Fatalf("calls %d to %d came within %s", i-20, i, gap)
			}
		}
	})
}
