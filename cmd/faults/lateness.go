package main

import (
	"slices"
	"time"
)

// retries tells how late calls were made again that were due after a second. None
// may come sooner, nor more than one in a hundred, and one, after 1.2 s.
func (r *Result) retries(calls []landed, strict bool) {
	answered := map[string]time.Time{}
	var waits []time.Duration
	for _, c := range calls {
		if at, ok := answered[c.text]; ok {
			waits = append(waits, c.began.Sub(at))
		}
		if !c.taken && !c.ended.IsZero() {
			answered[c.text] = c.ended
		}
	}
	if len(waits) == 0 {
		return
	}
	const noted = 20 * time.Millisecond // an answer may be read before it is noted here
	slices.Sort(waits)
	late := len(waits) - len(slices.DeleteFunc(slices.Clone(waits), func(d time.Duration) bool { return d > 1200*time.Millisecond }))
	r.notef("%d retries of 1 s came %s after the answer at the soonest, p50 %s, p99 %s, at the latest %s; %d after more than 1.2 s", len(waits),
		waits[0].Round(time.Millisecond), share(waits, 50), share(waits, 99), share(waits, 100), late)
	if waits[0] < time.Second-noted || strict && late > 1+len(waits)/100 {
		r.problemf("a retry of 1 s came after %s, %d of %d after more than 1.2 s", waits[0].Round(time.Millisecond), late, len(waits))
	}
}

// share is a percentile of sorted times.
func share(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*percent/100].Round(100 * time.Microsecond)
}

// delays tells how long after the post of a reply its callback began, sorted.
func delays(hooks *receiver, load []*traffic) []time.Duration {
	began := map[string]time.Time{}
	for _, c := range hooks.seen() {
		if _, again := began[c.text]; !again {
			began[c.text] = c.began
		}
	}
	var list []time.Duration
	for _, t := range load {
		for _, s := range t.posts {
			if at, ok := began[s.text]; ok && s.reply {
				list = append(list, at.Sub(s.at))
			}
		}
	}
	slices.Sort(list)
	return list
}

// disturbed tells how long it took from a reply to its callback when nothing was
// amiss, and then: a promise is that the p95 grows to twice as much at most.
func (r *Result) disturbed(whose, calmly, badly string, before, after []time.Duration) {
	slices.Sort(before)
	slices.Sort(after)
	r.notef("reply to callback %s: p50 %s, p95 %s, p99 %s %s; p50 %s, p95 %s, p99 %s %s: %.2f times the p95", whose,
		share(before, 50), share(before, 95), share(before, 99), calmly, share(after, 50), share(after, 95), share(after, 99), badly,
		float64(share(after, 95))/float64(max(1, share(before, 95))))
}
