package callback

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-im/parley/domain"
)

// Ensure that a worker which has a quarter of the partitions makes a quarter of a
// channel's calls, so that all nodes together keep to its rate.
func TestRate_IsSharedByNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1", func(ch *domain.Channel) { ch.RatePerSecond = 20 })
		w := r.start(func(c *Config) { c.Partitions = 4 })
		for i := range 30 {
			r.send(ch, name("contact", i), "hello")
		}
		r.receiver.await(t, calls(30))
		w.end()
		seen := r.receiver.seen()
		for i := 5; i < len(seen); i++ {
			if gap := seen[i].at.Sub(seen[i-5].at); gap < time.Second {
				t.Fatalf("calls %d to %d of a quarter of 20 a second came within %s", i-5, i, gap)
			}
		}
	})
}
