package callback

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

const (
	// laneDepth is how many rows of a lane come with its head.
	laneDepth = 4
	// mostWants bounds the lanes of one fetch.
	mostWants = 256
	// depthEvery is how often deliveries are counted, in polls.
	depthEvery = 3
)

// kick asks for a fetch.
func (t *tenure) kick() {
	select {
	case t.kicked <- struct{}{}:
	default:
	}
}

// want asks for rows of a lane.
func (t *tenure) want(l *lane) {
	if l.wanted || (l.starved && l.unseen > 0) {
		return
	}
	l.wanted = true
	t.wants = append(t.wants, l)
	t.kick()
}

// fetchLoop brings in from the database what memory has no room for. Of a
// tenure one fetch runs at a time.
func (t *tenure) fetchLoop(ctx context.Context) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	waits := patience()
	for polls := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.kicked:
		case <-poll.C:
			if polls++; polls%depthEvery == 1 {
				t.count(ctx)
				t.w.tidy()
			}
		}
		if err := t.fetch(ctx); err != nil && ctx.Err() == nil {
			t.w.metrics.fetchErrors.Inc()
			t.w.cfg.Logger.Warn("delivery.fetch_failed", "partition", t.partition, "error", err)
			if !pause(ctx.Done(), waits.NextBackOff()) {
				return
			}
			t.kick()
			continue
		}
		waits.Reset()
	}
}

func (t *tenure) count(ctx context.Context) {
	depth, err := t.w.cfg.Store.Depth(ctx, []int{t.partition})
	if err != nil {
		return // the gauge keeps its last value, the fetch tells of the trouble
	}
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.depth = depth
}

// fetch brings rows of the lanes that want some, and lanes of the portions that
// have room.
func (t *tenure) fetch(ctx context.Context) error {
	for {
		more, err := t.fetchLanes(ctx)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	for _, s := range t.hungry() {
		if err := t.fetchPortion(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// open and shut bracket a fetch: in between it is noted what changes.
func (t *tenure) open(target *portion) {
	t.fetching, t.target = true, target
	clear(t.late)
	clear(t.lateLanes)
}

func (t *tenure) shut() { t.fetching, t.target = false, nil }

// fetchLanes fetches rows of lanes; more tells that others still want some.
func (t *tenure) fetchLanes(ctx context.Context) (more bool, err error) {
	w := t.w
	w.mu.Lock()
	n := min(len(t.wants), mostWants)
	lanes := append([]*lane(nil), t.wants[:n]...)
	t.wants = append([]*lane(nil), t.wants[n:]...)
	more = len(t.wants) > 0
	names, after := make([]string, n), make([]int64, n)
	for i, l := range lanes {
		names[i], after[i], l.missed = l.name, l.last, false
		if len(l.rows) > 0 {
			after[i] = l.rows[len(l.rows)-1].Position.Offset
		}
		if l.reload {
			after[i] = -1
		}
	}
	if n == 0 {
		w.mu.Unlock()
		return false, nil
	}
	t.open(nil)
	w.mu.Unlock()

	list, err := w.cfg.Store.LaneRows(ctx, names, after, laneRows)
	w.mu.Lock()
	defer w.mu.Unlock()
	defer t.shut()
	if err != nil {
		t.wants = append(t.wants, lanes...)
		return false, err
	}
	found := byLane(list)
	for _, l := range lanes {
		l.wanted = false
		t.merge(l, found[l.name])
	}
	w.pump()
	return more, nil
}

func byLane(list []domain.Delivery) map[string][]domain.Delivery {
	lanes := map[string][]domain.Delivery{}
	for _, d := range list {
		lanes[d.Lane()] = append(lanes[d.Lane()], d)
	}
	return lanes
}

// merge takes fetched rows into a lane. What memory knows is newer.
func (t *tenure) merge(l *lane, fetched []domain.Delivery) {
	if l.share.lanes[l.name] != l {
		return // let go of meanwhile
	}
	if _, decided := t.lateLanes[l.name]; decided {
		t.w.advance(l) // what was read is older than the decision: it is to be reloaded
		return
	}
	before := len(l.rows)
	for i := range fetched {
		d := &fetched[i]
		if _, late := t.late[d.ID]; late || t.sent[d.ID] != nil || l.find(d.ID) >= 0 {
			continue
		}
		l.insert(d)
	}
	l.more = l.cut() || l.missed || len(fetched) == laneRows
	l.reload = false
	l.starved = len(l.rows) == before
	t.w.advance(l)
}

// cut drops rows that have to wait anyway: behind a parked one, and beyond the bound.
func (l *lane) cut() bool {
	for i, d := range l.rows {
		if d.Parked || i == laneRows {
			keep := i
			if d.Parked {
				keep++
			}
			cut := len(l.rows) - keep
			clear(l.rows[keep:])
			l.rows = l.rows[:keep]
			l.share.rows -= cut
			return cut > 0 || d.Parked
		}
	}
	return false
}

// hungry lists the portions that the database may have more lanes of, and room for them.
func (t *tenure) hungry() []*portion {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	var list []*portion
	for _, s := range t.portions {
		if s.more && len(s.lanes) < s.maxLanes() && s.rows < s.maxRows() {
			list = append(list, s)
		}
	}
	return list
}

// fetchPortion fetches lanes of one target.
func (t *tenure) fetchPortion(ctx context.Context, s *portion) error {
	w := t.w
	w.mu.Lock()
	room := s.maxLanes() - len(s.lanes)
	if room <= 0 {
		w.mu.Unlock()
		return nil
	}
	retries := max(0, min(room, withoutReserve(s.maxLanes())-s.retries()))
	known := make([]string, 0, len(s.lanes))
	for name := range s.lanes {
		known = append(known, name)
	}
	var due time.Time
	if now := w.cfg.Now(); now.Before(s.bounded) {
		due = now.Add(soon)
	}
	listed := s.listed
	t.open(s)
	w.mu.Unlock()

	var parked []string
	var err error
	if !listed {
		parked, err = w.cfg.Store.ParkedLanes(ctx, t.partition, s.target, w.cfg.mostParked+1)
	}
	var list []domain.Delivery
	if err == nil {
		list, err = w.cfg.Store.OpenHeads(ctx, t.partition, s.target, due, room, retries, laneDepth, known)
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	t.shut()
	waiting, lost := s.waiting, s.lost
	s.waiting, s.lost = nil, false
	if err != nil {
		return err
	}
	for _, name := range parked {
		if _, decided := t.lateLanes[name]; !decided {
			s.park(name)
		}
	}
	s.listed = true
	complete := s.take(list, room, retries)
	s.more = !complete || lost || s.overflow || !due.IsZero()
	// What has come meanwhile is in the database. If that had nothing else, these
	// are the first of their lanes.
	for _, d := range waiting {
		t.arrived(d)
	}
	w.pump()
	return nil
}

// take makes lanes of what was fetched and tells whether that was all there is.
func (s *portion) take(list []domain.Delivery, room, retries int) (complete bool) {
	complete = true
	fresh, again := 0, 0
	for len(list) > 0 {
		name := list[0].Lane()
		n := 1
		for n < len(list) && list[n].Lane() == name {
			n++
		}
		rows := list[:n]
		list = list[n:]
		if rows[0].State == domain.StatePending {
			fresh++
		} else {
			again++
		}
		if !s.takeLane(name, rows) {
			complete = false
		}
	}
	return complete && fresh < room && again < retries
}

// takeLane makes a lane; false when its rows are older than what is known.
func (s *portion) takeLane(name string, fetched []domain.Delivery) bool {
	t := s.tenure
	if s.lanes[name] != nil {
		return true
	}
	if _, parked := s.parked[name]; parked {
		return false
	}
	if _, decided := t.lateLanes[name]; decided {
		return false
	}
	for _, d := range fetched {
		if _, late := t.late[d.ID]; late || t.sent[d.ID] != nil {
			return false
		}
	}
	l := s.add(name)
	for i := range fetched {
		s.minor = s.minor || fetched[i].Minor()
		l.insert(&fetched[i])
	}
	l.more = l.cut() || len(fetched) == laneDepth
	t.w.advance(l)
	return true
}
