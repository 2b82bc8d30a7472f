package callback

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// Time in these tests is faked: it moves when everybody waits, so a wait takes
// exactly as long as it was planned.

// Ensure a retry set to 1 s starts within 1.0 and 1.2 s, whatever the jitter,
// and carries the same key.
func TestRetryOfOneSecond_FiresWithin200Milliseconds(t *testing.T) {
	t.Parallel()
	for _, jitter := range []float64{0, 0.5, 0.9999} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing(t, 1, newMemory())
			ch := r.channel("c1", waits(time.Second, time.Second, time.Second))
			r.receiver.answer = func(received) (int, http.Header) {
				if len(r.receiver.seen()) < 3 {
					return http.StatusServiceUnavailable, nil
				}
				return http.StatusOK, nil
			}
			w := r.start(func(c *Config) { c.Jitter = func() float64 { return jitter } })
			r.send(ch, "anna", "hello")
			r.receiver.await(t, calls(3))
			w.end()
			seen := r.receiver.seen()
			for i := 1; i < 3; i++ {
				if gap := seen[i].at.Sub(seen[i-1].at); gap < time.Second || gap > 1200*time.Millisecond {
					t.Errorf("try %d came %s after the one before", i+1, gap)
				}
				if seen[i].key != seen[0].key {
					t.Errorf("keys differ: %s and %s", seen[i].key, seen[0].key)
				}
			}
		})
	}
}

// Ensure a hundred endpoints that never answer cost one that does none of its slots.
func TestHangingEndpoints_DelayNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 4, newMemory())
		never := make(chan struct{})
		r.receiver.block = func(c received) <-chan struct{} {
			if c.channel != "good" {
				return never
			}
			soon := make(chan struct{})
			time.AfterFunc(10*time.Millisecond, func() { close(soon) })
			return soon
		}
		good := r.channel("good")
		w := r.start()
		for e := range 100 {
			bad := r.channel(name("bad", e))
			for i := range 20 {
				r.send(bad, name("contact", i), "hello")
			}
		}
		synctest.Wait()
		began := time.Now()
		for i := range 200 {
			r.send(good, name("contact", i), "hello")
		}
		r.receiver.await(t, func(list []received) bool {
			n := 0
			for _, c := range list {
				if c.channel == "good" {
					n++
				}
			}
			return n == 200
		})
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("200 calls of 10 ms to an endpoint that answers took %s, 16 at a time", took)
		}
		w.end()
	})
}

// Ensure retries never use all slots: a message that was not tried yet is called
// at once although a backlog of the same endpoint is due again and hangs.
func TestFirstTries_HaveSlotsOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1", waits(time.Second, time.Minute))
		never := make(chan struct{})
		failed := map[string]bool{}
		r.receiver.answer = func(received) (int, http.Header) { return http.StatusServiceUnavailable, nil }
		r.receiver.block = func(c received) <-chan struct{} {
			r.receiver.mu.Lock()
			defer r.receiver.mu.Unlock()
			if c.text == "old" && failed[c.key] {
				return never
			}
			failed[c.key] = true
			return nil
		}
		w := r.start()
		for i := range 100 {
			r.send(ch, name("old", i), "old")
		}
		time.Sleep(1500 * time.Millisecond) //nolint:forbidigo // the time is faked
		if n := len(r.receiver.seen()); n != 100+12 {
			t.Errorf("%d calls, want 100 and 12 of 16 slots for retries", n)
		}
		before := time.Now()
		r.send(ch, "new", "new")
		synctest.Wait()
		if got := r.receiver.texts("new"); len(got) != 1 || time.Since(before) > time.Millisecond {
			t.Errorf("a first try waited for retries: %v after %s", got, time.Since(before))
		}
		w.end()
	})
}

// Ensure retries never use all slots of the process either, and that each that
// ends lets the next go, of whichever endpoint.
func TestRetries_LeaveSlotsOfTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		release := make(chan struct{})
		failed := map[string]bool{}
		r.receiver.answer = func(c received) (int, http.Header) {
			r.receiver.mu.Lock()
			defer r.receiver.mu.Unlock()
			if !failed[c.key] {
				failed[c.key] = true
				return http.StatusServiceUnavailable, nil
			}
			return http.StatusOK, nil
		}
		r.receiver.block = func(c received) <-chan struct{} {
			r.receiver.mu.Lock()
			defer r.receiver.mu.Unlock()
			if failed[c.key] {
				return release
			}
			return nil
		}
		w := r.start(func(c *Config) { c.TotalSlots, c.Slots, c.Timeout = 16, 4, time.Hour })
		for e := range 13 {
			ch := r.channel(name("c", e), waits(time.Second))
			for i := range 4 {
				r.send(ch, name("contact", i), "hello")
			}
		}
		time.Sleep(3 * time.Second) //nolint:forbidigo // the time is faked
		if n := len(r.receiver.seen()); n != 52+12 {
			t.Errorf("%d calls, want 52 and 12 of 16 slots for retries", n)
		}
		// Endpoints that hold a call get no second one while slots are few, so at the
		// end there may be fewer than 12 under way, but never none.
		for ended := 1; ended <= 51; ended++ {
			release <- struct{}{}
			synctest.Wait()
			if got := len(r.receiver.seen()) - 52; got > 12+ended || got <= ended {
				t.Fatalf("%d retries after %d have ended", got, ended)
			}
		}
		close(release)
		synctest.Wait()
		if got := len(r.receiver.seen()) - 52; got != 52 {
			t.Errorf("%d of 52 retries were made", got)
		}
		w.end()
	})
}

// Ensure an endpoint that got no slot because the process had few is given one as
// soon as there are some, though a call of its own hangs.
func TestSlots_ComeBackToWhoHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		slow, quick := make(chan struct{}), make(chan struct{})
		r.receiver.block = func(c received) <-chan struct{} {
			switch c.text {
			case "hangs":
				return slow
			case "fills":
				return quick
			default:
				return nil
			}
		}
		w := r.start(func(c *Config) { c.TotalSlots, c.Slots, c.Timeout = 16, 4, time.Hour })
		one := r.channel("one", waits(time.Hour))
		r.send(one, "first", "hangs")
		synctest.Wait()
		for e := range 14 {
			r.send(r.channel(name("c", e), waits(time.Hour)), "contact", "fills")
		}
		synctest.Wait()
		r.send(one, "second", "waits")
		synctest.Wait()
		if got := r.receiver.texts("second"); len(got) != 0 {
			t.Fatalf("a second call was made while slots were few: %v", got)
		}
		close(quick)
		synctest.Wait()
		if got := r.receiver.texts("second"); len(got) != 1 {
			t.Errorf("%d calls for who waited, when the others had ended", len(got))
		}
		close(slow)
		w.end()
	})
}

// Ensure the rate holds on a real connection, where it is told by the client
// when a call was written and answered.
func TestRate_OverHTTP(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1, newMemory())
	r.overHTTP()
	ch := r.channel("c1", func(ch *domain.Channel) { ch.RatePerSecond = 5 })
	r.start()
	for i := range 11 {
		r.send(ch, name("contact", i), "hello")
	}
	r.receiver.await(t, calls(11))
	seen := r.receiver.seen()
	slices.SortFunc(seen, func(a, b received) int { return a.at.Compare(b.at) })
	for i := 5; i < len(seen); i++ {
		if gap := seen[i].at.Sub(seen[i-5].at); gap < time.Second {
			t.Errorf("calls %d to %d came within %s", i-5, i, gap)
		}
	}
}

// Ensure a channel's rate holds in every second, whatever is waiting.
func TestRate_NeverMoreThanConfiguredWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1", func(ch *domain.Channel) { ch.RatePerSecond = 20 })
		w := r.start()
		for i := range 60 {
			r.send(ch, name("contact", i), "hello")
		}
		began := time.Now()
		r.receiver.await(t, calls(60))
		if took := time.Since(began); took > 2500*time.Millisecond {
			t.Errorf("60 calls at 20 a second took %s", took)
		}
		w.end()
		seen := r.receiver.seen()
		for i := 20; i < len(seen); i++ {
			if gap := seen[i].at.Sub(seen[i-20].at); gap < time.Second {
				t.Fatalf("calls %d to %d came within %s", i-20, i, gap)
			}
		}
	})
}

// Ensure a worker whose lease cannot be renewed starts nothing after its end, and
// goes on when the database is back.
func TestLease_NothingStartsAfterItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newMemory()
		r := newRing(t, 1, db)
		ch := r.channel("c1")
		w := r.start()
		r.send(ch, "anna", "before")
		r.receiver.await(t, calls(1))
		synctest.Wait()
		db.setAway(true)
		time.Sleep(11 * time.Second) //nolint:forbidigo // the time is faked
		r.send(ch, "anna", "while away")
		synctest.Wait()
		if n := len(r.receiver.seen()); n != 1 {
			t.Fatalf("%d calls were made, the last without a lease", n)
		}
		db.setAway(false)
		r.receiver.await(t, calls(2))
		w.end()
	})
}

// Ensure a second worker waits for the lease of the first, and that what the
// first has in the log is known to it although the projection is behind.
func TestTakeover_WaitsForTheLeaseAndForTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newMemory()
		r := newRing(t, 1, db)
		ch := r.channel("c1")
		sent := r.send(ch, "anna", "one", "two")
		// Another worker has delivered the first and died: its outcome is in the log
		// and not projected, its lease runs for 7 s.
		if _, _, err := db.Lease(t.Context(), 0, "the dead", 7*time.Second, false); err != nil {
			t.Fatal(err)
		}
		if err := db.project(t.Context(), 0, sent); err != nil {
			t.Fatal(err)
		}
		r.next[0] = 2
		d, _ := domain.DeliveryOf(sent[0], nil, false)
		outcome := d.Attempted(domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK}, ch.Delivery, 0, false, time.Now(), time.Now())
		if _, err := r.log.Append(t.Context(), outcome); err != nil {
			t.Fatal(err)
		}
		r.gate = make(chan struct{})
		began := time.Now()
		w := r.start()
		time.Sleep(20 * time.Second) //nolint:forbidigo // the time is faked
		if n := len(r.receiver.seen()); n != 0 {
			t.Fatalf("%d calls before the projection had reached the log's end", n)
		}
		close(r.gate)
		r.receiver.await(t, calls(1))
		synctest.Wait()
		if got := r.receiver.texts("anna"); !slices.Equal(got, []string{"two"}) {
			t.Errorf("sent %v after %s", got, time.Since(began))
		}
		w.end()
	})
}

// Ensure that a lease that still runs is waited for, unless its owner is known
// to be gone.
func TestTakeover_StealsOnlyWhenTold(t *testing.T) {
	t.Parallel()
	for _, steal := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			db := newMemory()
			r := newRing(t, 1, db)
			ch := r.channel("c1")
			r.send(ch, "anna", "one")
			if _, _, err := db.Lease(t.Context(), 0, "another", 7*time.Second, false); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			w := r.start(func(c *Config) { c.StealLease = steal })
			r.receiver.await(t, calls(1))
			if took := time.Since(began); steal != (took < time.Second) || took > 10*time.Second {
				t.Errorf("steal %v: first call after %s", steal, took)
			}
			w.end()
		})
	}
}

// Ensure that an outcome that the log does not take holds the lane, is told as
// soon as the log is back, and that nothing is called twice for it.
func TestOutcome_IsToldWhenTheLogIsBack(t *testing.T) {
	t.Parallel()
	for _, lands := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing(t, 1, newMemory())
			ch := r.channel("c1")
			w := r.start()
			failures := 0
			r.log.fail = func(e domain.Event) (bool, error) {
				if _, ok := e.Data.(domain.DeliveryAttempted); ok && failures < 8 {
					failures++
					return lands, errors.New("no acknowledgement")
				}
				return true, nil
			}
			r.send(ch, "anna", "one", "two")
			r.send(ch, "bob", "hello")
			r.receiver.await(t, calls(3))
			w.end()
			if got := r.receiver.texts("anna"); !slices.Equal(got, []string{"one", "two"}) {
				t.Errorf("lands %v: sent %v", lands, got)
			}
			if failures != 8 {
				t.Errorf("the append was tried %d times", failures)
			}
		})
	}
}

// Ensure that the end is quick although a call hangs, that the call counts as not
// made, and that calls which end within the grace are told.
func TestEnd_GivesCallsAGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newMemory()
		r := newRing(t, 2, db)
		ch := r.channel("c1")
		never, soon := make(chan struct{}), make(chan struct{})
		r.receiver.block = func(c received) <-chan struct{} {
			if c.text == "hangs" {
				return never
			}
			return soon
		}
		w := r.start()
		r.send(ch, "anna", "hangs")
		r.send(ch, "bob", "slow")
		r.receiver.await(t, calls(2))
		time.AfterFunc(2*time.Second, func() { close(soon) })
		began := time.Now()
		w.end()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the end took %s", took)
		}
		told := r.log.attempts()
		if len(told) != 1 || told[0].Verdict != domain.Delivered {
			t.Errorf("outcomes are %+v", told)
		}
		for p, l := range db.leases {
			if l.until.After(time.Now()) {
				t.Errorf("the lease of partition %d is not released", p)
			}
		}
	})
}

// Ensure a record that landed twice is called once.
func TestRepeatedRecord_IsCalledOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1")
		w := r.start()
		sent := r.send(ch, "anna", "one")
		r.receiver.await(t, calls(1))
		synctest.Wait()
		if _, err := r.log.Append(t.Context(), sent[0].Event, sent[0].Event); err != nil {
			t.Fatal(err)
		}
		r.send(ch, "anna", "two")
		r.receiver.await(t, calls(2))
		synctest.Wait()
		if got := r.receiver.texts("anna"); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("sent %v", got)
		}
		w.end()
	})
}

// Ensure what is delivered to a deleted channel ends as a dead letter, without a call.
func TestDeletedChannel_EndsAsADeadLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1")
		delete(r.channels.list, "c1")
		registry := prometheus.NewRegistry()
		w := r.start(func(c *Config) { c.Registerer = registry })
		r.send(ch, "anna", "one", "two")
		synctest.Wait()
		told := r.log.attempts()
		if len(told) != 2 || told[0].Verdict != domain.Refused || told[0].Reason != domain.ReasonChannelDeleted {
			t.Errorf("outcomes are %+v", told)
		}
		if n := len(r.receiver.seen()); n != 0 {
			t.Errorf("%d calls", n)
		}
		if _, err := registry.Gather(); err != nil {
			t.Error(err)
		}
		w.end()
	})
}
