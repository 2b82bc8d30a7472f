package callback

import (
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// laneState is what a lane is doing.
type laneState int

const (
	laneIdle    laneState = iota // nothing in memory to do: rows are being fetched, or outcomes are on their way back
	laneReady                    // its head could be called now
	laneCalling                  // its head is being called, or the outcome being appended
	laneWaiting                  // its head is due later
	laneParked                   // its head is a dead letter that followers wait behind
)

// lane is a conversation's deliveries to one target, in order. All of it is under the worker's
// lock. A lane is in memory only while something of it is.
type lane struct {
	name     string
	tenure   *tenure
	share    *portion
	endpoint *endpoint

	state   laneState
	current *domain.Delivery          // being called
	theirs  *domain.DeliveryAttempted // another worker's outcome that was current's last, whatever ours is
	decided bool                      // current was redriven or dropped already: its outcome has come back before its append was answered
	rows    []*domain.Delivery        // open, in order, without current; a parked one can only be the last
	more    bool                      // the database may hold rows behind these
	reload  bool                      // the database may hold rows before these: start nothing until they are fetched
	missed  bool                      // a row was left to the database since the last fetch began
	starved bool                      // the last fetch gave nothing new: wait for outcomes to come back
	unseen  int                       // its deliveries in tenure.sent
	last    int64                     // highest offset that was settled, -1 = none
	readyAt time.Time
	queued  bool // in one of the endpoint's queues
	place   *queue
	wanted  bool // in tenure.wants
	timer   *time.Timer

	pressing bool // something that is not minor was left to the database
}

const (
	// laneRows bounds the rows of a lane in memory, and those of a fetch.
	laneRows = 64
	// laneLow is how few rows a lane has when more are fetched.
	laneLow = 8
)

// insert puts a row where it belongs.
func (l *lane) insert(d *domain.Delivery) {
	at, _ := slices.BinarySearchFunc(l.rows, d.Position.Offset, func(r *domain.Delivery, offset int64) int {
		return int(r.Position.Offset - offset)
	})
	l.rows = slices.Insert(l.rows, at, d)
	l.share.rows++
}

// drop takes a row out.
func (l *lane) drop(i int) {
	l.rows = slices.Delete(l.rows, i, i+1)
	l.share.rows--
}

func (l *lane) clear() {
	l.share.rows -= len(l.rows)
	l.rows = nil
}

func (l *lane) find(id uuid.UUID) int {
	return slices.IndexFunc(l.rows, func(d *domain.Delivery) bool { return d.ID == id })
}

func (l *lane) stopTimer() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// advance lets a lane do what comes next for it. It is called after every change
// and does nothing while the head is being called or stands in the queue.
func (w *Worker) advance(l *lane) {
	if l.state == laneCalling || l.state == laneReady {
		return
	}
	l.stopTimer()
	l.state = laneIdle
	t := l.tenure
	switch {
	case l.reload:
		t.want(l)
	case len(l.rows) == 0:
		if l.more {
			t.want(l)
		} else if l.unseen == 0 {
			l.share.remove(l)
		}
	case l.rows[0].Parked:
		w.park(l)
	default:
		w.schedule(l)
		if last := l.rows[len(l.rows)-1]; l.more && len(l.rows) < laneLow && !last.Parked {
			t.want(l)
		}
	}
}

// schedule makes the head ready now, or when it is due.
func (w *Worker) schedule(l *lane) {
	if next := l.rows[0].NextAttemptAt; next != nil {
		if wait := next.Sub(w.cfg.Now()); wait > 0 {
			l.state = laneWaiting
			l.timer = time.AfterFunc(wait, func() { w.due(l) })
			return
		}
	}
	w.ready(l)
}

// due is the end of a wait. The lane may have moved on since the timer fired.
func (w *Worker) due(l *lane) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.state == laneWaiting {
		w.advance(l)
		w.pump()
	}
}

// park lets the followers of a dead letter wait in the database. The lane's name
// is remembered, so that a new message is not taken for its head. The dead letter
// itself stays for as long as the database may not know yet what it is.
func (w *Worker) park(l *lane) {
	l.cut()
	l.more = false
	l.state = laneParked
	l.share.park(l.name)
	if l.unseen == 0 {
		l.clear()
		l.share.remove(l)
	}
}

// arrived takes in a new delivery.
func (t *tenure) arrived(d domain.Delivery) {
	s := t.portion(d.Target())
	s.minor = s.minor || d.Minor()
	name := d.Lane()
	if _, parked := s.parked[name]; parked {
		return
	}
	l := s.lanes[name]
	switch {
	case l == nil && (s.more || !s.room(t.w.cfg.Now())):
		if !s.squeeze(d) {
			s.skip(d)
		}
		return
	case l == nil:
		l = s.add(name)
		l.insert(&d)
	case l.state == laneParked || l.knows(d.ID):
		return
	case l.more || l.reload || len(l.rows) >= laneRows || s.rows >= s.maxRows():
		l.more, l.missed = true, true
		l.pressing = l.pressing || !d.Minor()
	default:
		l.insert(&d)
	}
	if l.state == laneReady {
		t.w.enqueue(l) // it may have become one that somebody waits for
	}
	t.w.advance(l)
}

// knows tells whether a delivery is in memory.
func (l *lane) knows(id uuid.UUID) bool {
	return l.find(id) >= 0 || (l.current != nil && l.current.ID == id)
}

// sentEntry is a delivery that was called and whose outcome the projection has
// not shown yet.
type sentEntry struct {
	lane    *lane
	attempt int
	event   *domain.Event  // the outcome, once it is known
	replies []domain.Event // what lands with it, while it is not known to have
}

// await remembers that an attempt is made, until its outcome comes back.
func (t *tenure) await(l *lane, id uuid.UUID, attempt int) {
	if t.sent[id] == nil {
		l.unseen++
	}
	t.sent[id] = &sentEntry{lane: l, attempt: attempt}
}

// unawait forgets that. A fetch that runs may have read the row as it was before.
func (t *tenure) unawait(id uuid.UUID) {
	if entry := t.sent[id]; entry != nil {
		delete(t.sent, id)
		entry.lane.unseen--
		entry.lane.starved = false
		if t.fetching {
			t.late[id] = struct{}{}
		}
	}
}

// returned takes in an outcome that is projected now.
func (t *tenure) returned(r domain.Recorded, e domain.DeliveryAttempted) {
	if entry := t.sent[e.DeliveryID]; entry != nil {
		switch {
		case e.Attempt < entry.attempt: // of the try before
		case entry.event == nil:
			// Of a call that another worker had in flight when its lease ended. Ours is
			// still being made: its outcome counts on from this one.
			entry.lane.current.Attempts, entry.attempt = e.Attempt, e.Attempt+1
			t.overrule(entry.lane, e)
		case entry.event.ID == r.ID:
			t.unawait(e.DeliveryID)
			t.w.advance(entry.lane)
		default:
			if e.Verdict != domain.Retry {
				entry.replies = nil // theirs count, too
			}
			t.overrule(entry.lane, e)
			t.retell(entry, e)
		}
		return
	}
	l := t.laneOf(r)
	if l == nil {
		return
	}
	// The outcome of another worker's call: the row is as the projection has it.
	if i := l.find(e.DeliveryID); i >= 0 {
		if l.state == laneReady {
			l.state = laneIdle
		}
		d := l.rows[i]
		d.Apply(r)
		if !d.Open() {
			l.drop(i)
			l.reload = l.reload || d.Parked
		}
		t.w.advance(l)
	}
}

// overrule lets another worker's outcome, which came first in the log, hold if it
// was the last: instead of ours when that is acknowledged, or of what ours has made
// of the delivery already.
func (t *tenure) overrule(l *lane, e domain.DeliveryAttempted) {
	if e.Verdict == domain.Retry {
		return
	}
	if l.current != nil && l.current.ID == e.DeliveryID {
		l.theirs = &e
		return
	}
	i := l.find(e.DeliveryID)
	if i < 0 {
		return // ours was the last, too
	}
	if l.state == laneReady {
		l.state = laneIdle
	}
	if d := l.rows[i]; e.Parks {
		d.State, d.Parked = domain.StateDead, true
		l.more = l.cut() || l.more
	} else {
		l.drop(i)
		delete(l.share.parked, l.name)
		l.reload, l.more, l.missed = true, true, true
	}
	t.w.advance(l)
}

// retell appends our outcome once more, counted on from another worker's that
// came first: the fold takes one outcome an attempt. Both calls were made. What was
// replied goes along for as long as the first append may come to nothing; its ids
// are the same, so it takes effect once.
func (t *tenure) retell(entry *sentEntry, e domain.DeliveryAttempted) {
	data, ok := entry.event.Data.(domain.DeliveryAttempted)
	if !ok {
		return
	}
	event := *entry.event
	event.ID = domain.DeriveID("attempt", event.ID.String(), strconv.Itoa(e.Attempt))
	data.Attempt = e.Attempt + 1
	event.Data = data
	entry.event, entry.attempt = &event, data.Attempt
	replies := entry.replies
	t.calls++
	go func() {
		t.w.append(t, event, replies)
		t.w.mu.Lock()
		defer t.w.mu.Unlock()
		t.finished()
	}()
}

// decided takes in that a dead letter is redriven or dropped: its lane goes on
// from what the database has.
func (t *tenure) decided(r domain.Recorded, id uuid.UUID) {
	name := r.LaneOf()
	s := t.portion(r.TargetOf())
	delete(s.parked, name)
	if t.fetching {
		t.lateLanes[name] = struct{}{}
	}
	l := s.lanes[name]
	if l == nil {
		if !s.room(t.w.cfg.Now()) {
			s.more = true
			return
		}
		l = s.add(name)
	}
	if entry := t.sent[id]; entry != nil && entry.event != nil {
		t.unawait(id) // a decision follows the outcome in the log
	}
	if l.current != nil && l.current.ID == id {
		l.decided = true
	} else if i := l.find(id); i >= 0 {
		l.drop(i)
	}
	l.reload, l.more, l.missed, l.starved = true, true, true, false
	t.w.advance(l)
}

// sentAfter tells that a delivery was redriven by this decision before and has been
// sent since: the record landed twice, as it may when the node that decides is killed
// between an append and its note of it. What is in flight then is not of the past.
func (t *tenure) sentAfter(r domain.Recorded, e domain.DeliveryRedriven) bool {
	if e.Attempt == 0 {
		return false // it does not say which attempt it follows
	}
	if entry := t.sent[e.DeliveryID]; entry != nil && entry.attempt > e.Attempt {
		return true
	}
	l := t.laneOf(r)
	return l != nil && l.current != nil && l.current.ID == e.DeliveryID && l.current.Attempts >= e.Attempt
}

// laneOf finds the lane of an event, nil when it is not in memory.
func (t *tenure) laneOf(r domain.Recorded) *lane {
	s := t.portions[r.TargetOf()]
	if s == nil {
		return nil
	}
	return s.lanes[r.LaneOf()]
}

// settle is what an acknowledged outcome means for its lane.
func (t *tenure) settle(l *lane, a domain.DeliveryAttempted) {
	d := l.current
	l.current, l.state = nil, laneIdle
	if l.theirs != nil {
		a = *l.theirs
	}
	switch {
	case a.Verdict == domain.Retry:
		d.Attempts, d.Tries, d.State, d.NextAttemptAt = a.Attempt, d.Tries+1, domain.StateRetrying, a.NextAttemptAt
		d.LastReason, d.LastDetail = a.Reason, a.Detail
		if d.FirstTriedAt == nil {
			d.FirstTriedAt = &a.StartedAt
		}
		l.insert(d)
	case a.Parks && !l.decided:
		// Rows may be on their way from the database that come before it (reload), so
		// it stays as what it has become: none behind it goes before those are known.
		d.State, d.Parked = domain.StateDead, true
		l.insert(d)
		l.more = l.cut() || l.more
	default:
		l.last = max(l.last, d.Position.Offset)
	}
	l.theirs, l.decided = nil, false
	t.w.advance(l)
}

// giveBack puts a delivery back whose call was cut off: it counts as not made.
func (t *tenure) giveBack(l *lane) {
	d := l.current
	l.current, l.theirs, l.state = nil, nil, laneIdle
	t.unawait(d.ID)
	l.insert(d)
	t.w.advance(l)
}
