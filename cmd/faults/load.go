package main

import (
	"context"
	"fmt"
	"time"
)

// loadFaults are the cases in which nothing breaks and much is asked.
func loadFaults() []fault {
	return []fault{{
		name: "burst", promise: "bounded, and nobody is refused", breaks: "20 times the steady rate for a minute: what else comes within 20 minutes",
		logs: []string{onEmbedded, onKafka}, rounds: 3, play: burst, beside: true,
		without: "PARLEY_MAX_WAITING=2: posts are refused below the stated limit",
	}, {
		name: "soak", promise: "nothing piles up", breaks: "nothing; steady load for 20 minutes (-soak)",
		logs: []string{onEmbedded, onKafka}, rounds: soakRounds, play: soak, beside: true, slow: true,
		without: "the end of a goroutine of each webhook: they grew from 530 to 1319 in 91 s",
	}}
}

// Rates in posts a second, each message of a contact or reply to one.
const (
	steadyRate = 40
	burstTimes = 20
	// mostMemory is what a node may hold at the height of a burst, in bytes.
	mostMemory = 512 << 20
)

// loaded starts load of so many posts a second from contacts that each write once a
// second, however long the answers take.
func (s *stand) loaded(ctx context.Context, ch channel, hooks *receiver, prefix string, rate int) *traffic {
	t := &traffic{
		stand: s, channel: ch, receiver: hooks, prefix: prefix, contacts: rate, pause: time.Second, began: time.Now(), stop: make(chan struct{}), strict: true, steady: true,
	}
	t.run(ctx)
	return t
}

// burst has a node take steady load and then 20 times as much. No post may be
// refused, and memory stays within bounds.
func burst(ctx context.Context, r *run) error {
	s, err := r.alike(ctx, 1)
	if err != nil {
		return err
	}
	hooks, err := s.newReceiver(ctx, 0)
	if err != nil {
		return err
	}
	ch, err := s.makeChannel(ctx, hooks.url())
	if err != nil {
		return err
	}
	rate, before, during := steadyRate, 10*time.Second, time.Minute
	if !r.full() {
		rate, before, during = steadyRate/4, time.Second, 4*time.Second
	}
	return s.each(ctx, func(ctx context.Context, n int) error {
		phase := func(name string, rate int, d time.Duration) (*traffic, []sample, error) {
			t := s.loaded(ctx, ch, hooks, fmt.Sprintf("%s%02d", name, n), rate)
			watching := watch(ctx, s.nodes[0], d/20)
			err := pause(ctx, d)
			t.end()
			watching.close()
			s.sayf("%s: %d accepted in %s", name, t.accepted.Load(), time.Since(t.began).Round(time.Millisecond))
			return t, watching.seen(), err
		}
		steady, calm, err := phase("steady", rate, before)
		if err != nil {
			return err
		}
		heavy, high, err := phase("burst", rate*burstTimes, during)
		if err != nil {
			return err
		}
		took := time.Since(heavy.began)
		for _, t := range []*traffic{steady, heavy} {
			if err := t.check(ctx); err != nil {
				return err
			}
		}
		settled := time.Since(heavy.began) - took
		offered, wanted := heavy.offered()/during.Seconds(), float64(rate*burstTimes)
		top := most(high, ofMemory)
		r.result.notef("%.1f posts/s, then %.1f/s offered and %.1f/s accepted for %s; rows, callbacks and the oracle were through %s later; resident memory of the node %s before, %s at most",
			steady.offered()/before.Seconds(), offered, float64(heavy.accepted.Load())/took.Seconds(), during, settled.Round(100*time.Millisecond), mib(most(calm, ofMemory)), mib(top))
		if top > mostMemory {
			r.result.problemf("the node held %s, more than %s", mib(top), mib(mostMemory))
		}
		if r.full() && offered < 0.95*wanted {
			r.result.problemf("%.1f posts/s were offered, not %.1f: this machine cannot tell what a burst does", offered, wanted)
		}
		return nil
	})
}

// offered counts the posts that were begun.
func (t *traffic) offered() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return float64(len(t.posts))
}

// soakRounds is how many times the oracle looks in a soak.
const soakRounds = 20

// soakRate is the load of a soak, in posts a second.
const soakRate = 60

// soak puts steady load on a node for long, and looks what it holds in the end that
// it did not in the beginning.
func soak(ctx context.Context, r *run) error {
	s, err := r.alike(ctx, 1)
	if err != nil {
		return err
	}
	hooks, err := s.newReceiver(ctx, 0)
	if err != nil {
		return err
	}
	ch, err := s.makeChannels(ctx, hooks)
	if err != nil {
		return err
	}
	length, every := r.cfg.soak/soakRounds, 2*time.Second
	if !r.full() {
		length, every = 5*time.Second, 100*time.Millisecond
	}
	watching := watch(ctx, s.nodes[0], every)
	defer watching.close()
	err = s.each(ctx, func(ctx context.Context, n int) error {
		t := s.loaded(ctx, ch, hooks, fmt.Sprintf("s%02d", n), soakRate)
		err := pause(ctx, length)
		t.end()
		if err != nil {
			return err
		}
		err = t.check(ctx)
		last := watching.seen()
		last = last[max(0, len(last)-1):]
		s.sayf("%d/%d: %d accepted, %s, %.0f goroutines, %.0f files", n+1, s.rounds, t.accepted.Load(), mib(most(last, ofMemory)), most(last, ofGoroutines), most(last, ofFiles))
		return err
	})
	if err != nil {
		return err
	}
	r.result.flat(watching.seen(), r.full())
	return nil
}

// flat compares the second fifth of a time with the last one; the first is the time
// in which caches and pools fill.
func (r *Result) flat(samples []sample, strict bool) {
	fifth := len(samples) / 5
	if fifth == 0 {
		r.problemf("%d samples are too few", len(samples))
		return
	}
	warm := samples[fifth:]
	early, late := samples[fifth:2*fifth], samples[len(samples)-fifth:]
	for _, x := range []struct {
		name, what string
		unit       float64
		slack      float64
	}{
		{ofMemory, "MiB of resident memory", 1 << 20, 16},
		{ofLive, "MiB of the heap in use after a collection", 1 << 20, 8},
		{ofGoroutines, "goroutines", 1, 20},
		{ofFiles, "file descriptors", 1, 20},
	} {
		from, to := mean(early, x.name)/x.unit, mean(late, x.name)/x.unit
		r.notef("%s: %.0f at first, %.0f in the end, %+.1f an hour by least squares over the last four fifths of %s", x.what, from, to, slope(warm, x.name)/x.unit,
			samples[len(samples)-1].at.Sub(samples[0].at).Round(time.Second))
		if strict && to > from*1.1+x.slack {
			r.problemf("%s grew from %.0f to %.0f", x.what, from, to)
		}
	}
}
