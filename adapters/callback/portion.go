package callback

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// portion is what one partition holds of one target in memory.
type portion struct {
	tenure *tenure
	target string
	lanes  map[string]*lane
	rows   int                 // over all lanes, without those being called
	parked map[string]struct{} // lanes that are parked, as far as known
	listed bool                // parked has been read from the database
	minor  bool                // there has been something minor

	// more tells that the database may hold lanes that are neither in lanes nor in
	// parked. Until a fetch says otherwise, new lanes are taken from there only.
	more     bool
	overflow bool              // parked is full: more stays true
	waiting  []domain.Delivery // of lanes that are not in memory, come while these are being fetched
	lost     bool              // more have come than waiting holds
	bounded  time.Time         // until then only lanes that are due soon are fetched
	evicted  time.Time         // when lanes were last put out
}

const (
	// mostWaiting bounds the deliveries that come while a fetch runs.
	mostWaiting = 4096
	// soon is how far ahead of their time lanes are fetched into a full window, and
	// farther ones are put out of it. The database is asked every pollEvery.
	soon      = 5 * time.Second
	pollEvery = time.Second
	// boundedFor is how long after a window was full lanes that are not due soon are
	// left in the database.
	boundedFor = time.Minute
)

// portion finds or makes a target's portion. Before the tenure has listed what
// there is, the database may hold more.
func (t *tenure) portion(target string) *portion {
	s := t.portions[target]
	if s == nil {
		s = &portion{
			tenure: t, target: target, lanes: map[string]*lane{}, parked: map[string]struct{}{},
			more: !t.loaded, listed: t.loaded,
		}
		t.portions[target] = s
	}
	return s
}

// maxLanes is a partition's part of the endpoint's window.
func (s *portion) maxLanes() int {
	return max(16, s.tenure.w.cfg.Window/max(1, len(s.tenure.w.tenures)))
}

func (s *portion) maxRows() int {
	return max(64, s.tenure.w.cfg.WindowRows/max(1, len(s.tenure.w.tenures)))
}

// room tells whether another lane may be taken in, after putting lanes out that
// can wait in the database.
func (s *portion) room(now time.Time) bool {
	if len(s.lanes) < s.maxLanes() && s.rows < s.maxRows() {
		return true
	}
	if now.Sub(s.evicted) < pollEvery {
		return false
	}
	s.evicted = now
	s.evict(now)
	return len(s.lanes) < s.maxLanes() && s.rows < s.maxRows()
}

// evict puts lanes out of memory that are not due soon, and retries beyond three
// quarters of the window: first tries find room in it at any time. The database
// has all that is known of a lane whose outcomes have come back.
func (s *portion) evict(now time.Time) {
	retries := s.retries()
	for _, l := range s.lanes {
		if l.unseen > 0 || l.current != nil || len(l.rows) == 0 || l.reload {
			continue
		}
		head := l.rows[0]
		later := l.state == laneWaiting && head.NextAttemptAt != nil && head.NextAttemptAt.Sub(now) > soon
		tooMany := head.Tries > 0 && retries > withoutReserve(s.maxLanes())
		if !later && !tooMany {
			continue
		}
		if head.Tries > 0 {
			retries--
		}
		l.clear()
		l.state = laneIdle
		s.remove(l)
		s.more = true
		s.bounded = now.Add(boundedFor)
	}
}

// retries counts the lanes whose head was tried.
func (s *portion) retries() int {
	n := 0
	for _, l := range s.lanes {
		if d := l.head(); d != nil && d.Tries > 0 {
			n++
		}
	}
	return n
}

// head gives the delivery that the lane is at, nil = none in memory.
func (l *lane) head() *domain.Delivery {
	if l.current != nil {
		return l.current
	}
	if len(l.rows) > 0 {
		return l.rows[0]
	}
	return nil
}

// add makes an empty lane.
func (s *portion) add(name string) *lane {
	l := &lane{name: name, tenure: s.tenure, share: s, endpoint: s.tenure.w.endpointOf(s.target), last: -1}
	s.lanes[name] = l
	l.endpoint.lanes++
	return l
}

// remove lets go of a lane. Whatever still refers to it sees that it is idle.
func (s *portion) remove(l *lane) {
	l.stopTimer()
	if s.lanes[l.name] != l {
		return
	}
	delete(s.lanes, l.name)
	l.endpoint.lanes--
	if s.more && len(s.lanes) < s.maxLanes()/2 {
		s.tenure.kick()
	}
	s.tenure.w.forget(l.endpoint)
}

// skip leaves a delivery to the database, or to the end of the fetch that runs:
// that may have begun too early to see it.
func (s *portion) skip(d domain.Delivery) {
	if s.tenure.target == s {
		if len(s.waiting) < mostWaiting {
			s.waiting = append(s.waiting, d)
		} else {
			s.lost = true
		}
		return
	}
	s.more = true
	if len(s.lanes) < s.maxLanes() {
		s.tenure.kick()
	}
}

// park remembers a parked lane.
func (s *portion) park(name string) {
	if len(s.parked) >= s.tenure.w.cfg.mostParked {
		s.overflow, s.more = true, true
		return
	}
	s.parked[name] = struct{}{}
}
