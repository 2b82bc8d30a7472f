package callback

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// endpoint is one target: a channel's callback, or a function. It has slots of its
// own, so one that hangs takes none of another's, a rate, and its lanes that could
// be called now. All of it is under the worker's lock.
type endpoint struct {
	target  string
	first   queue // lanes whose head was not tried yet
	again   queue // lanes whose head was
	minor   queue // lanes of which nobody waits for anything
	over    queue // lanes that end without a call
	calls   int   // slots in use
	retries int   // of them, those of retries
	minors  int   // and those of what is minor
	lanes   int   // lanes in memory, over all partitions
	rate    rate
	breaker breaker
	pace    pace
	gone    *domain.EndpointHealth // it has answered 410, and nothing is decided yet
	wake    *time.Timer            // set while it waits for a time
	wakes   time.Time              // when wake ends
	looked  time.Time              // when expire last looked
	prompt  bool                   // its last call was answered, and soon

	inTurn    bool
	held      bool // in Worker.held
	minorHeld bool // in Worker.minorHeld
	cramped   bool // in Worker.cramped
}

// queue holds lanes in the order in which they became ready. A lane that is not
// ready any more stays until it comes to the front.
type queue struct{ lanes []*lane }

func (q *queue) push(l *lane) { q.lanes = append(q.lanes, l) }

// peek gives the first lane that is ready, nil = none.
func (q *queue) peek() *lane {
	for len(q.lanes) > 0 {
		if l := q.lanes[0]; l.state == laneReady && l.place == q {
			return l
		}
		q.pop()
	}
	return nil
}

func (q *queue) pop() {
	if l := q.lanes[0]; l.place == q {
		l.queued, l.place = false, nil
	}
	q.lanes[0] = nil
	q.lanes = q.lanes[1:]
}

// Retries leave a quarter of the slots to first tries, of the endpoint's and of
// the process's: a backlog that is tried again never stands before new messages.
func withoutReserve(slots int) int { return slots - slots/4 }

// call is one call in the making.
type call struct {
	lane    *lane
	channel domain.Channel
	known   bool // the channel is still there
	retry   bool
	minor   bool // counted as such, and not as a retry
	over    bool // it is not made: the delivery's age was used up while the endpoint got nothing
	limited bool // it has taken a place of the rate
	period  time.Duration
	place   *place // once it is written
}

// ready puts a lane into its endpoint's queue.
func (w *Worker) ready(l *lane) {
	l.state, l.readyAt = laneReady, w.cfg.Now()
	w.enqueue(l)
}

// enqueue puts a lane into the queue that it belongs to. One that stands among
// the minor ones and is not any more leaves a place there that is skipped.
func (w *Worker) enqueue(l *lane) {
	to := &l.endpoint.first
	switch {
	case l.minor():
		to = &l.endpoint.minor
	case l.rows[0].Attempts > 0: // tried, or redriven: new messages come first
		to = &l.endpoint.again
	}
	if !l.queued || (l.place == &l.endpoint.minor && to != l.place) {
		l.queued, l.place = true, to
		to.push(l)
	}
	w.offer(l.endpoint)
}

// offer lets an endpoint have a turn at the next pump.
func (w *Worker) offer(e *endpoint) {
	if !e.inTurn {
		e.inTurn = true
		w.turn = append(w.turn, e)
	}
}

// pump starts what can be started, one call an endpoint and round.
func (w *Worker) pump() {
	for w.mayCall() {
		if len(w.turn) == 0 && !w.release() {
			return
		}
		e := w.turn[0]
		w.turn[0] = nil
		w.turn = w.turn[1:]
		e.inTurn = false
		if w.startOne(e) {
			w.offer(e)
		}
	}
}

// release offers an endpoint that was held back by the process's share of retries,
// or of what is minor.
func (w *Worker) release() bool {
	switch {
	case len(w.held) > 0 && w.mayRetry():
		e := w.held.next()
		e.held = false
		w.offer(e)
	case len(w.minorHeld) > 0 && w.mayMinor():
		e := w.minorHeld.next()
		e.minorHeld = false
		w.offer(e)
	default:
		return false
	}
	return true
}

// mayRetry tells whether another retry may be made, as far as the process's slots go.
func (w *Worker) mayRetry() bool { return w.retries+w.minors < withoutReserve(w.cfg.TotalSlots) }

// held are endpoints that wait for something of the process, each once.
type held []*endpoint

func (h *held) add(e *endpoint, there *bool) {
	if !*there {
		*there = true
		*h = append(*h, e)
	}
}

func (h *held) next() *endpoint {
	e := (*h)[0]
	(*h)[0] = nil
	*h = (*h)[1:]
	return e
}

// mayCall holds calls back while their outcomes could not be told: each of them
// would be repeated if the process died.
func (w *Worker) mayCall() bool {
	return w.calls < w.cfg.TotalSlots && w.away == 0 && w.outcomes < 4*w.cfg.TotalSlots
}

// startOne starts the endpoint's next call; false when there is nothing to start
// now. Whatever it waits for then (a slot of its own, its rate, a lane) offers
// it again.
func (w *Worker) startOne(e *endpoint) bool {
	now := w.cfg.Now()
	if e.over.peek() != nil {
		return w.startOver(e, now)
	}
	if until, held := w.holds(e, now); held {
		return w.wait(e, now, until)
	}
	if e.calls >= w.limit(e) {
		if e.calls < w.cfg.Slots && !e.cramped {
			e.cramped = true
			w.cramped = append(w.cramped, e)
		}
		return false
	}
	l, from := w.pick(e)
	if l == nil {
		return false
	}
	if !l.tenure.mayStart() {
		from.pop()
		l.tenure.stalled = append(l.tenure.stalled, l)
		return true
	}
	if l.reload {
		from.pop()
		l.state = laneIdle
		w.advance(l)
		return true
	}
	c := &call{lane: l, retry: from == &e.again, minor: from == &e.minor}
	c.channel, c.known = w.cfg.Channels.Channel(domain.ChannelOf(e.target))
	if c.known && c.channel.RatePerSecond > 0 && e.target == c.channel.ID { // a channel's rate is that of its callback
		var n int
		n, c.period = share(c.channel.RatePerSecond, len(w.tenures), w.cfg.Partitions)
		ok, at := e.rate.take(now, n)
		if !ok {
			w.wakeAt(e, now, at)
			return false
		}
		c.limited = true
	}
	from.pop()
	w.start(c)
	return true
}

// limit is how many calls an endpoint may have in the making. When the process
// runs out of slots, those that hold many get no more; the last quarter goes to
// endpoints that answer, and one call to any that has none. So endpoints that
// hang leave room for the others.
func (w *Worker) limit(e *endpoint) int {
	free := w.cfg.TotalSlots - w.calls
	if free <= w.cfg.TotalSlots/4 && !e.prompt {
		return 1
	}
	return min(w.cfg.Slots, max(1, free/4))
}

// pick chooses between first tries and retries: who is ready for longer. What is
// minor comes when there is neither.
func (w *Worker) pick(e *endpoint) (*lane, *queue) {
	first, again := e.first.peek(), e.again.peek()
	if again != nil && !w.mayRetry() {
		w.held.add(e, &e.held)
		again = nil
	}
	if e.retries+e.minors >= withoutReserve(w.cfg.Slots) {
		again = nil
	}
	switch {
	case first == nil && again == nil:
		return w.pickMinor(e), &e.minor
	case again == nil || (first != nil && !again.readyAt.Before(first.readyAt)):
		return first, &e.first
	default:
		return again, &e.again
	}
}

// wakeAt offers the endpoint again at a time, or sooner if it is to be woken sooner
// already. Without a time something else does: of its rate, that a call which has
// taken a place was written.
func (w *Worker) wakeAt(e *endpoint, now, at time.Time) {
	if at.IsZero() || (e.wake != nil && !at.Before(e.wakes)) {
		return
	}
	if e.wake != nil {
		e.wake.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(at.Sub(now), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if e.wake == timer {
			e.wake = nil
		}
		w.offer(e)
		w.pump()
	})
	e.wake, e.wakes = timer, at
}

// start takes the slots and makes the call.
func (w *Worker) start(c *call) {
	l := c.lane
	e := l.endpoint
	l.state, l.current = laneCalling, l.rows[0]
	l.drop(0)
	l.tenure.await(l, l.current.ID, l.current.Attempts+1)
	l.tenure.calls++
	w.calls++
	e.calls++
	if c.retry {
		w.retries++
		e.retries++
	}
	if c.minor {
		w.minors++
		e.minors++
	}
	if !c.over {
		e.breaker.started(c)
		e.pace.started(w.cfg.Now())
	}
	go w.deliver(c)
}

// ended gives the slots back. It runs under the lock.
func (w *Worker) ended(c *call, prompt bool) {
	e := c.lane.endpoint
	e.prompt = prompt
	w.calls--
	e.calls--
	if c.retry {
		w.retries--
		e.retries--
	}
	if c.minor {
		w.minors--
		e.minors--
	}
	if c.limited && c.place == nil {
		c.place = e.rate.written(w.cfg.Now(), c.period)
	}
	if c.limited {
		c.place.answered(w.cfg.Now(), c.period)
	}
	w.offer(e)
	w.relieve()
}

// relieve offers endpoints that got no slot because the process had few: one for
// each call that ends, and all of them when the process has plenty again. They
// must not wait for a call of their own to end, which may hang.
func (w *Worker) relieve() {
	n := min(1, len(w.cramped))
	if w.calls <= w.cfg.TotalSlots/2 {
		n = len(w.cramped)
	}
	for _, e := range w.cramped[:n] {
		e.cramped = false
		w.offer(e)
	}
	w.cramped = append(w.cramped[:0], w.cramped[n:]...)
}

// wrote and answered tell the rate how far a call has come.
func (w *Worker) wrote(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place == nil {
		c.place = c.lane.endpoint.rate.written(w.cfg.Now(), c.period)
		w.offer(c.lane.endpoint)
		w.pump()
	}
}

func (w *Worker) answered(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place != nil {
		c.place.answered(w.cfg.Now(), c.period)
	}
}

// endpointOf finds or makes the endpoint of a target.
func (w *Worker) endpointOf(target string) *endpoint {
	e := w.endpoints[target]
	if e == nil {
		e = &endpoint{target: target}
		w.endpoints[target] = e
	}
	return e
}

// forget lets go of an endpoint that has nothing to remember.
func (w *Worker) forget(e *endpoint) {
	if e.lanes == 0 && e.calls == 0 && e.rate.unwritten == 0 && len(e.rate.places) == 0 && e.wake == nil && e.gone == nil {
		if now := w.cfg.Now(); !e.breaker.forgettable(now) || !e.pace.forgettable(now) {
			return
		}
		delete(w.endpoints, e.target)
	}
}

// tidy lets go of endpoints that were kept for what was known of them.
func (w *Worker) tidy() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.endpoints {
		w.forget(e)
	}
}
