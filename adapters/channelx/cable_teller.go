package channelx

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Bounds of what the teller remembers, so that a record that landed twice, or was
// decided by somebody who did not know the newest, is not shown.
const (
	maxRevised = 8192 // of people, tickets and posts each
	maxTold    = 4096 // events without a revision
)

// How long a row is waited for that an event does not carry, and how long no row
// is asked for after one could not be read.
const (
	rowWithin = 2 * time.Second
	rowPause  = 10 * time.Second
)

// teller makes what sockets are shown out of what the tail of the log tells
// (channelx.md 7.3). It is used by the goroutine of the tail alone, which it never
// keeps waiting for a client.
type teller struct {
	cable *cable

	people  *recent[int64, domain.Revised]
	tickets *recent[uuid.UUID, domain.Revised]
	posts   *recent[int64, domain.Revised]
	told    *recent[uuid.UUID, struct{}]
	looked  *recent[uuid.UUID, time.Time] // by contacts, at tickets
	noRows  time.Time                     // until when no row is asked for
}

func newTeller(c *cable) *teller {
	return &teller{
		cable: c, people: newRecent[int64, domain.Revised](maxRevised), tickets: newRecent[uuid.UUID, domain.Revised](maxRevised),
		posts: newRecent[int64, domain.Revised](maxRevised), told: newRecent[uuid.UUID, struct{}](maxTold),
		looked: newRecent[uuid.UUID, time.Time](maxRevised),
	}
}

// show shows an event to who is to see it.
func (t *teller) show(r domain.Recorded) {
	fresh, revised := t.takes(r)
	if !fresh {
		return
	}
	t.learn(r)
	for _, s := range append(t.shownOf(r, revised), t.lookedAt(r)...) {
		t.tell(r, s)
	}
}

// takes tells whether an event takes effect, as far as can be known from those
// before it, and at which revision its post was known before.
func (t *teller) takes(r domain.Recorded) (takes bool, revision int) {
	if _, again := t.told.get(r.ID); again {
		return false, 0
	}
	t.told.put(r.ID, struct{}{})
	touched, ok := domain.Touches([]domain.Recorded{r})
	if !ok {
		return true, 0
	}
	v := domain.NewRevisions()
	v.Identities, v.FirstPosts = nil, true // a link has no voice at the sockets
	load(t.people, touched.People, v.People)
	load(t.tickets, touched.Tickets, v.Tickets)
	load(t.posts, touched.Posts, v.Posts)
	for id := range touched.Posts {
		if known := v.Posts[id]; known != nil {
			revision = known.Revision
		}
	}
	takes = v.Take(r)
	keep(t.people, v.People)
	keep(t.tickets, v.Tickets)
	keep(t.posts, v.Posts)
	return takes, revision
}

// load takes what is remembered of things.
func load[K comparable](from *recent[K, domain.Revised], keys map[K]struct{}, to map[K]*domain.Revised) {
	for key := range keys {
		if known, ok := from.get(key); ok {
			to[key] = &known
		}
	}
}

// keep remembers what has changed.
func keep[K comparable](to *recent[K, domain.Revised], from map[K]*domain.Revised) {
	for key, known := range from {
		if known.Changed {
			to.put(key, domain.Revised{Revision: known.Revision, Removed: known.Removed, Error: known.Error})
		}
	}
}

// learn takes what an event tells of who is who.
func (t *teller) learn(r domain.Recorded) {
	x := t.cable.index
	switch e := r.Data.(type) {
	case domain.ContactLinked:
		x.know(e.Identity)
	case domain.ContactRegistered:
		if e.Identity != nil {
			x.know(*e.Identity)
		}
	case domain.ContactMerged:
		x.merge(e.Merged, e.Person.ID)
	case domain.ContactRemoved:
		t.cable.dismissSubscriptions(x.forget(e.Person))
	}
}

// failed gives a post that its callback did not take, as it is now: the event
// shows it as it was when the callback was told, which is the revision before that
// of the event. nil when the post has become another since, and which cannot be
// found out.
func (t *teller) failed(r domain.Recorded, e domain.MessageFailed, revision int) *domain.Posted {
	if e.Posted == nil {
		return nil
	}
	told := e.Posted.Post.Revision - 1
	if revision == told || !t.cable.index.hears(r.Account, &e.Posted.Scene.Identity) {
		return e.Posted
	}
	row, err := t.row(r.Account, e.Posted.Post)
	switch {
	case err != nil && revision > told:
		return nil
	case err != nil || row.Revision <= told:
		return e.Posted
	}
	p := *e.Posted
	p.Post = row.Turn(domain.StatusFailed, &e.Error)
	if row.Status != domain.StatusFailed { // otherwise the row has it already
		p.Post.UpdatedAt = r.Time
		p.Changes = p.Post.Since(row)
	}
	return &p
}

// row reads a post as it is in the rows.
func (t *teller) row(account string, p domain.Post) (domain.Post, error) {
	if now := t.cable.now(); now.Before(t.noRows) {
		return domain.Post{}, errRowsAway
	}
	ctx, cancel := context.WithTimeout(t.cable.ctx, rowWithin)
	defer cancel()
	row, err := t.cable.cfg.Posts.Post(ctx, account, p.Number, p.ID)
	if err != nil && !notFound(err) {
		t.noRows = t.cable.now().Add(rowPause)
	}
	return row, err
}

// errRowsAway says that the rows could not be read a moment ago.
var errRowsAway = domain.Errorf(domain.CodeUnavailable, "the rows cannot be read")

// tell shows one thing to who is to see it. It is made once, whoever sees it.
func (t *teller) tell(r domain.Recorded, s shown) {
	c := t.cable
	if !c.index.hears(r.Account, s.identity) {
		return
	}
	payload, err := json.Marshal(cableEvent{Event: s.event, Data: t.data(r.Account, s)})
	if err != nil {
		c.logger.Error("cable.not_encoded", "event", s.event, "id", r.ID, "error", err)
		return
	}
	var channel domain.Channel
	if s.channel != "" {
		channel, _ = c.cfg.Inboxes.Channel(s.channel)
	}
	muster := c.crew.of(r.Account)
	sees := func(operator int64) bool {
		if s.typist.Operator != nil && s.typist.Operator.ID == operator {
			return false
		}
		if s.channel == "" {
			return muster.has(operator)
		}
		return muster.sees(operator, channel)
	}
	some := false
	c.index.reach(r.Account, s.identity, sees, func(sub *subscription) {
		some = true
		sub.socket.send(frameEvent, sub.identifier, payload)
	})
	if some {
		c.metrics.shown.Observe(max(0, c.now().Sub(r.Time)).Seconds())
	}
}
