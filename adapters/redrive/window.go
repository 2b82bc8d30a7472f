package redrive

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// Bounds of a window, in deliveries.
const (
	smallestWindow = 8
	firstWindow    = 32
	largestWindow  = 256
)

// ahead is how long a new message of the contact centre may have to wait behind
// what was redriven.
const ahead = 500 * time.Millisecond

// window is how many redriven deliveries may wait for their first try at one
// endpoint: as many as it takes within ahead. It grows while the endpoint leaves
// nothing waiting.
type window struct {
	size    int
	waiting int // when it was last looked at, with what was added since
	at      time.Time
}

// room looks at an endpoint at which so many wait now, and gives how many more may
// be put there. perSecond bounds what the endpoint takes, 0 = nothing does.
func (w *window) room(now time.Time, waiting, perSecond int) int {
	passed := now.Sub(w.at)
	switch {
	case w.size == 0:
		w.size, w.at, w.waiting = firstWindow, now, waiting
	case waiting == 0 && w.waiting > 0:
		w.size, w.at, w.waiting = min(2*w.size, largestWindow), now, 0
	case passed >= ahead:
		taken := float64(w.waiting-waiting) * ahead.Seconds() / passed.Seconds()
		w.size, w.at, w.waiting = min(max(int(taken), smallestWindow), largestWindow), now, waiting
	}
	size := w.size
	if perSecond > 0 {
		size = min(size, max(1, int(float64(perSecond)*ahead.Seconds())))
	}
	return max(0, size-waiting)
}

// add notes what has been put there.
func (w *window) add(n int) { w.waiting += n }

// perSecond is how many calls a second an endpoint gets at most, 0 = as many as it
// takes: a channel's rate is that of its callback, not of functions.
func (r *Runner) perSecond(target string) int {
	ch, ok := r.cfg.Channels.Channel(domain.ChannelOf(target))
	if !ok || target != ch.ID {
		return 0
	}
	return ch.RatePerSecond
}
