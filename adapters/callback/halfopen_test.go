package callback

import (
	"testing"
	"time"
)

// Ensure that a half-open breaker lets one call out, that neither calls which were
// under way when it opened nor time make it two, and that a probe which comes to
// nothing makes room for another.
func TestBreaker_HalfOpen(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var b breaker
	for range openAfter {
		b.learn(&call{}, signIll, now, now.Add(openOver), 0)
	}
	opened := now.Add(openOver)
	until, held := b.holds(opened)
	if !held || until.Sub(opened) != shortestPause {
		t.Fatalf("it holds %v for %s", held, until.Sub(opened))
	}
	b.learn(&call{}, signIll, now, opened.Add(shortestPause/2), 0) // was under way
	if again, _ := b.holds(opened); !again.Equal(until) {
		t.Errorf("a call that was under way moved the probe from %s to %s", until, again)
	}
	if _, held := b.holds(until); held {
		t.Error("no probe when the pause is over")
	}
	cut, probe := &call{}, &call{}
	b.started(cut)
	if at, held := b.holds(until.Add(time.Hour)); !held || !at.IsZero() {
		t.Errorf("beside the probe: held %v until %s", held, at)
	}
	b.learn(cut, signNone, until, until, 0) // it was cut off
	if _, held := b.holds(until); held {
		t.Error("no other probe when one was cut off")
	}
	b.started(probe)
	b.learn(probe, signIll, until, until, 0)
	if next, held := b.holds(until); !held || next.Sub(until) != 2*shortestPause {
		t.Errorf("after a probe that failed: held %v for %s", held, next.Sub(until))
	}
	b.started(probe)
	if turned := b.learn(probe, signWell, until, until, 0); !turned {
		t.Error("a probe that was answered did not close it")
	}
	if _, held := b.holds(until); held {
		t.Error("it holds when it is closed")
	}
}
