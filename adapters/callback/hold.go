package callback

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// lookEvery is how often what waits at an endpoint that gets nothing is looked
// through for deliveries whose age is used up, and how often it is asked whether an
// endpoint is still paused.
const lookEvery = time.Second

// holds tells whether an endpoint gets nothing now, and until when; zero is until
// something else offers it again.
func (w *Worker) holds(e *endpoint, now time.Time) (until time.Time, held bool) {
	if w.paused(e) {
		return now.Add(lookEvery), true
	}
	if until, held = e.breaker.holds(now); held {
		return until, true
	}
	return e.pace.holds(now)
}

// wait lets an endpoint that gets nothing wait. Deliveries whose age is used up
// do not: they end without a call. It tells whether there are such. At an endpoint
// that is paused everything waits: somebody was told of it, and decides.
func (w *Worker) wait(e *endpoint, now, until time.Time) (some bool) {
	var next time.Time
	if !w.paused(e) {
		next = w.expire(e, now)
	}
	if e.over.peek() != nil {
		return true
	}
	if e.first.peek() == nil && e.again.peek() == nil && e.minor.peek() == nil {
		return false // the next lane that is ready offers it
	}
	if until.IsZero() || (!next.IsZero() && next.Before(until)) {
		until = next
	}
	w.wakeAt(e, now, until)
	return false
}

// expire finds the lanes whose head has used up its age while the endpoint gets
// nothing, and tells when to look again, zero if not for their sake. The age counts
// from the first try; what was never tried has none.
func (w *Worker) expire(e *endpoint, now time.Time) (next time.Time) {
	if e.again.peek() == nil && e.minor.peek() == nil {
		return time.Time{}
	}
	if at := e.looked.Add(lookEvery); now.Before(at) {
		return at
	}
	ch, known := w.cfg.Channels.Channel(domain.ChannelOf(e.target))
	if !known {
		return time.Time{}
	}
	e.looked = now
	age := maxAge(ch.Delivery)
	for _, from := range []*queue{&e.again, &e.minor} {
		var staying []*lane
		for _, l := range from.lanes {
			if l.state != laneReady || l.place != from || l.rows[0].FirstTriedAt == nil {
				staying = append(staying, l)
				continue
			}
			if end := l.rows[0].FirstTriedAt.Add(age); now.Before(end) {
				staying = append(staying, l)
				if next.IsZero() || end.Before(next) {
					next = end
				}
				continue
			}
			l.place = &e.over
			e.over.push(l)
		}
		from.lanes = staying
	}
	if !next.IsZero() && next.Sub(now) < lookEvery {
		next = now.Add(lookEvery)
	}
	return next
}

// isOver tells whether a delivery may not be tried any more.
func (c *call) isOver(now time.Time) bool {
	d := c.lane.rows[0]
	return c.known && d.FirstTriedAt != nil && !now.Before(d.FirstTriedAt.Add(maxAge(c.channel.Delivery)))
}

func maxAge(p domain.DeliveryPolicy) time.Duration {
	if p.MaxAge == 0 {
		return domain.DefaultMaxAge
	}
	return p.MaxAge
}

// startOver ends the next delivery whose age was used up; false when there is none
// or no slot.
func (w *Worker) startOver(e *endpoint, now time.Time) bool {
	l := e.over.peek()
	if l == nil || e.calls >= w.limit(e) {
		return false
	}
	e.over.pop()
	c := &call{lane: l, retry: true, over: true}
	c.channel, c.known = w.cfg.Channels.Channel(domain.ChannelOf(e.target))
	switch {
	case !l.tenure.mayStart():
		l.tenure.stalled = append(l.tenure.stalled, l)
	case l.reload:
		l.state = laneIdle
		w.advance(l)
	case !c.isOver(now): // it has become another one, or the policy has changed
		w.enqueue(l)
	default:
		w.start(c)
	}
	return true
}
