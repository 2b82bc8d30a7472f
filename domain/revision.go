package domain

import "github.com/google/uuid"

// Revisions tells which events of a dialect with tickets take effect. Each of
// them carries the whole state after it of what it is about, with a revision: one
// that is not above what is known was decided by somebody who did not know the
// newest, or is told again, and is void as a whole.
//
// The maps hold what a run of events touches, see Touches. A map that is nil is
// not looked at.
type Revisions struct {
	People     map[int64]*Revised
	Identities map[int64]*Revised
	Tickets    map[uuid.UUID]*Revised
	Posts      map[int64]*Revised

	// FirstPosts says that a post that is not in Posts is known, at its first revision.
	FirstPosts bool
}

// decisionSpan is how far apart the revisions of decisions are, and how many
// revisions of one thing a decision can make.
const decisionSpan = 16

// Settled is the revision at which a decision leaves a thing that it knew at a
// revision: whatever others decide who knew the same, or a part of it, ends there,
// too. So of two such decisions the second to be told is void as a whole, however
// many revisions each of them makes on the way.
func Settled(known int) int { return (known/decisionSpan + 1) * decisionSpan }

// Revised is how far one thing has come.
type Revised struct {
	Revision int
	Removed  bool    // for ever
	Error    *string // of a post: why it failed, nil = it has not
	Changed  bool    // by Take
}

// NewRevisions knows nothing yet.
func NewRevisions() *Revisions {
	return &Revisions{
		People: map[int64]*Revised{}, Identities: map[int64]*Revised{}, Tickets: map[uuid.UUID]*Revised{}, Posts: map[int64]*Revised{},
	}
}

// Take decides about an event, the next in the order of the log: false means that
// it is void. Events of other dialects, and those that change nothing, are taken.
func (v *Revisions) Take(r Recorded) bool {
	if !r.Dialect.HasTickets() {
		return true
	}
	switch e := r.Data.(type) {
	case MessageReceived:
		return v.posted(e.Posted)
	case MessageSent:
		return v.posted(e.Posted)
	case MessageNoted:
		return v.posted(e.Posted)
	case MessageChanged:
		return v.changed(e.Posted)
	case MessageFailed:
		return v.failed(e)
	case ConversationOpened:
		return v.turned(e.Scene.Ticket)
	case ConversationTurned:
		return v.turned(e.Scene.Ticket)
	case ConversationChanged:
		return v.turned(e.Scene.Ticket)
	case ContactRegistered:
		if !advance(v.People, e.Person.ID, e.Person.Revision) {
			return false
		}
		if e.Identity != nil {
			advance(v.Identities, e.Identity.ID, max(e.Identity.Revision, 1))
		}
		return true
	case ContactChanged:
		return advance(v.People, e.Person.ID, e.Person.Revision)
	case ContactMerged:
		if !advance(v.People, e.Person.ID, e.Person.Revision) {
			return false
		}
		return remove(v.People, e.Merged)
	case ContactRemoved:
		return remove(v.People, e.Person)
	case ContactLinked:
		return !removed(v.People, e.Identity.PersonID) && advance(v.Identities, e.Identity.ID, max(e.Identity.Revision, 1))
	default:
		return true
	}
}

// posted takes a new post; its ticket has changed with it.
func (v *Revisions) posted(p *Posted) bool {
	if p == nil || v.Posts[p.Post.ID] != nil || !v.turned(p.Scene.Ticket) {
		return false
	}
	return advance(v.Posts, p.Post.ID, p.Post.Revision)
}

// changed takes a change of a post; its ticket may have changed with it.
func (v *Revisions) changed(p *Posted) bool {
	if p == nil || v.post(p.Post.ID) == nil {
		return false
	}
	if t := v.Tickets[p.Scene.Ticket.ID]; t != nil && (t.Removed || t.Revision > p.Scene.Ticket.Revision) {
		return false
	}
	if !advance(v.Posts, p.Post.ID, p.Post.Revision) {
		return false
	}
	v.turned(p.Scene.Ticket)
	v.Posts[p.Post.ID].Error = p.Post.Failure()
	return true
}

// failed takes a failure, unless the post has failed for the same reason.
func (v *Revisions) failed(e MessageFailed) bool {
	if e.Posted == nil {
		return false
	}
	post := v.post(e.Posted.Post.ID)
	if post == nil || post.Removed || post.Error != nil && *post.Error == e.Error {
		return false
	}
	post.Revision, post.Error, post.Changed = post.Revision+1, &e.Error, true
	return true
}

func (v *Revisions) post(id int64) *Revised {
	if v.Posts[id] == nil && v.FirstPosts {
		v.Posts[id] = &Revised{Revision: 1}
	}
	return v.Posts[id]
}

func (v *Revisions) turned(t Ticket) bool {
	return !removed(v.Identities, t.IdentityID) && advance(v.Tickets, t.ID, t.Revision)
}

// advance moves a thing to a revision, unless it is there.
func advance[K comparable](things map[K]*Revised, id K, revision int) bool {
	known := things[id]
	if known == nil {
		known = &Revised{}
		if things != nil {
			things[id] = known
		}
	}
	if known.Removed || revision <= known.Revision {
		return false
	}
	known.Revision, known.Changed = revision, true
	return true
}

// remove lets a thing be gone; false when it is.
func remove[K comparable](things map[K]*Revised, id K) bool {
	known := things[id]
	if known == nil {
		known = &Revised{}
		things[id] = known
	}
	if known.Removed {
		return false
	}
	known.Removed, known.Changed = true, true
	return true
}

func removed[K comparable](things map[K]*Revised, id K) bool {
	known := things[id]
	return known != nil && known.Removed
}
