package callback

import "time"

// rate keeps calls to an endpoint at n within any period as the receiver counts
// them. A call may reach the receiver at any moment from when it is written
// until its answer begins, so its place is free again one period after the later
// of the two, or after written plus grace where the answer is slow.
type rate struct {
	unwritten int
	places    []*place // written calls, oldest first
}

// place is one call's place in the window.
type place struct{ free time.Time }

const (
	ratePeriod = time.Second
	// rateGrace is how late after it was written a call may still be noticed by a
	// receiver that has not answered yet.
	rateGrace = 250 * time.Millisecond
	// rateMargin is for clocks and schedulers.
	rateMargin = 10 * time.Millisecond
)

// take takes a place for a call that starts now. Without one, at is when to ask
// again; it is zero when a call has to be written first.
func (r *rate) take(now time.Time, n int) (ok bool, at time.Time) {
	gone := 0
	for gone < len(r.places) && !r.places[gone].free.After(now) {
		r.places[gone] = nil
		gone++
	}
	r.places = r.places[gone:]
	if r.unwritten+len(r.places) < n {
		r.unwritten++
		return true, time.Time{}
	}
	if len(r.places) == 0 {
		return false, time.Time{}
	}
	return false, r.places[0].free
}

// written tells that a call that has taken a place is on its way.
func (r *rate) written(now time.Time, period time.Duration) *place {
	p := &place{free: now.Add(period + rateGrace + rateMargin)}
	r.unwritten--
	r.places = append(r.places, p)
	return p
}

// answered tells that the receiver has the call.
func (p *place) answered(now time.Time, period time.Duration) {
	if free := now.Add(period + rateMargin); free.Before(p.free) {
		p.free = free
	}
}

// share is this node's part of a channel's limit when the partitions, and with
// them the calls, are spread over nodes: n calls a period.
func share(limit, owned, total int) (n int, period time.Duration) {
	if owned >= total {
		return limit, ratePeriod
	}
	part := float64(limit) * float64(owned) / float64(total)
	if part < 1 {
		return 1, time.Duration(float64(ratePeriod) / part)
	}
	return int(part), ratePeriod
}
