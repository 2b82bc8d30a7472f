package callback

import "github.com/parley-im/parley/domain"

// What is minor (domain.Delivery.Minor) is called when nothing else of its endpoint
// could be, and has at most half of the slots, the endpoint's and the process's:
// however many receipts there are, and however slow they are taken, a message finds
// a slot. Within a conversation the order stays: a lane is minor while all that is
// known of it is, and what is minor goes with its conversation when a message waits
// behind it.

// forMinor is how many of the slots minor calls may have.
func forMinor(slots int) int { return max(1, slots/2) }

// minor tells whether nobody waits for anything in the lane.
func (l *lane) minor() bool {
	if l.pressing {
		return false
	}
	for _, d := range l.rows {
		if !d.Minor() {
			return false
		}
	}
	return true
}

// mayMinor tells whether another minor call may be made, as far as the process's
// slots go.
func (w *Worker) mayMinor() bool {
	return w.minors < forMinor(w.cfg.TotalSlots) && w.retries+w.minors < withoutReserve(w.cfg.TotalSlots)
}

// pickMinor gives the next lane of which nobody waits for anything, nil when there
// is none or no slot for it.
func (w *Worker) pickMinor(e *endpoint) *lane {
	l := e.minor.peek()
	if l == nil || e.minors >= forMinor(w.cfg.Slots) || e.retries+e.minors >= withoutReserve(w.cfg.Slots) {
		return nil // a call of its own that ends offers the endpoint again
	}
	if !w.mayMinor() {
		w.minorHeld.add(e, &e.minorHeld)
		return nil
	}
	return l
}

// squeeze takes in a message for which there is no room because of what is minor.
// The database may hold something of its conversation, which comes first: so the
// lane begins with a fetch.
func (s *portion) squeeze(d domain.Delivery) bool {
	if !s.minor || d.Minor() || len(s.lanes) >= s.maxLanes()+s.maxLanes()/4 {
		return false
	}
	l := s.add(d.Lane())
	l.reload, l.more, l.missed, l.pressing = true, true, true, true
	s.tenure.w.advance(l)
	return true
}
