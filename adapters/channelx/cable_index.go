package channelx

import (
	"slices"
	"sync"

	"github.com/parley-im/parley/domain"
)

// subscription is one identifier that a socket listens with. What is not said to
// be guarded never changes.
type subscription struct {
	socket     *socket
	identifier []byte // the JSON of its text, as the client sent it
	account    string
	operator   int64 // 0 = a contact's

	// Of a contact. Guarded by the index.
	identity int64
	person   int64
	verified bool

	listed bool // guarded by the index; false when it is told nothing any more
}

// cableIndex finds who listens, by what events tell of. What the tail of the log
// tells of identities counts for those who listen already, and for those whose row
// is behind it.
type cableIndex struct {
	mu         sync.RWMutex // guards all of it
	identities map[int64][]*subscription
	people     map[int64][]*subscription // those of contacts
	operators  map[string]map[int64][]*subscription

	// What the tail has told last, for rows that do not have it yet.
	moved    *recent[int64, int64] // people who were merged into others; 0 = removed
	verified *recent[int64, bool]  // identities
}

// maxKnown is how many things the tail's newest word is remembered of.
const maxKnown = 8192

func newCableIndex() *cableIndex {
	return &cableIndex{
		identities: map[int64][]*subscription{}, people: map[int64][]*subscription{}, operators: map[string]map[int64][]*subscription{},
		moved: newRecent[int64, int64](maxKnown), verified: newRecent[int64, bool](maxKnown),
	}
}

// personNow follows merges to who a person is now; 0 is somebody who was removed.
// x.mu is held.
func (x *cableIndex) personNow(id int64) int64 {
	for range 16 { // merges make no circles; a bound costs nothing
		to, moved := x.moved.get(id)
		if !moved {
			return id
		}
		id = to
	}
	return id
}

// add lists a subscription and calls told before anything is shown to it. It is
// false, and told is not called, when the contact has been removed.
func (x *cableIndex) add(s *subscription, told func()) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s.operator != 0 {
		of := x.operators[s.account]
		if of == nil {
			of = map[int64][]*subscription{}
			x.operators[s.account] = of
		}
		of[s.operator] = append(of[s.operator], s)
	} else {
		if s.person = x.personNow(s.person); s.person == 0 {
			return false
		}
		known, _ := x.verified.get(s.identity)
		s.verified = s.verified || known
		x.identities[s.identity] = append(x.identities[s.identity], s)
		x.people[s.person] = append(x.people[s.person], s)
	}
	s.listed = true
	told()
	return true
}

// has tells whether a subscription is listed.
func (x *cableIndex) has(s *subscription) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return s.listed
}

// remove takes a subscription off the lists; false when it was on none.
func (x *cableIndex) remove(s *subscription) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.drop(s)
}

// drop is remove. x.mu is held.
func (x *cableIndex) drop(s *subscription) bool {
	if !s.listed {
		return false
	}
	s.listed = false
	if s.operator == 0 {
		without(x.identities, s.identity, s)
		without(x.people, s.person, s)
		return true
	}
	of := x.operators[s.account]
	if without(of, s.operator, s); len(of) == 0 {
		delete(x.operators, s.account)
	}
	return true
}

// without takes a subscription out of a list.
func without(lists map[int64][]*subscription, key int64, s *subscription) {
	list := lists[key]
	i := slices.Index(list, s)
	if i < 0 {
		return
	}
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(lists, key)
		return
	}
	lists[key] = list
}

// know takes what the tail tells of an identity.
func (x *cableIndex) know(i domain.Identity) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !i.Verified {
		return // nobody loses that, and rows have the rest
	}
	x.verified.put(i.ID, true)
	for _, s := range x.identities[i.ID] {
		s.verified = true
	}
}

// merge tells that a person is another one from now on.
func (x *cableIndex) merge(from, to int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.moved.put(from, to)
	for _, s := range x.people[from] {
		s.person = to
		x.people[to] = append(x.people[to], s)
	}
	delete(x.people, from)
}

// forget tells that a person was removed, and gives who listened for them.
func (x *cableIndex) forget(person int64) []*subscription {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.moved.put(person, 0)
	gone := slices.Clone(x.people[person])
	for _, s := range gone {
		x.drop(s)
	}
	return gone
}

// reach calls tell for everybody who listens to what happens in an account: its
// operators who see it, and the contacts that it is about.
func (x *cableIndex) reach(account string, i *domain.Identity, sees func(operator int64) bool, tell func(*subscription)) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for operator, list := range x.operators[account] {
		if sees(operator) {
			for _, s := range list {
				tell(s)
			}
		}
	}
	if i != nil {
		x.contacts(*i, tell)
	}
}

// hears tells whether anybody may be reached, which saves making what nobody is
// shown.
func (x *cableIndex) hears(account string, i *domain.Identity) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	some := len(x.operators[account]) > 0
	if i != nil && !some {
		x.contacts(*i, func(*subscription) { some = true })
	}
	return some
}

// contacts calls tell for those who listen as an identity, and when that is
// verified, as any other verified one of the person. x.mu is held.
func (x *cableIndex) contacts(i domain.Identity, tell func(*subscription)) {
	for _, s := range x.identities[i.ID] {
		tell(s)
	}
	known, _ := x.verified.get(i.ID)
	if !i.Verified && !known {
		return
	}
	for _, s := range x.people[x.personNow(i.PersonID)] {
		if s.verified && s.identity != i.ID {
			tell(s)
		}
	}
}
