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

// lookedJustNow is how old a look may be that is news, of a ticket of which nothing
// was known.
const lookedJustNow = 10 * time.Second

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

// shown is one thing that sockets are shown.
type shown struct {
	event    string
	identity *domain.Identity // whose; nil = contacts are not shown it
	channel  string           // whose operators are; "" = all of the account
	typist   domain.Author    // who is not shown it
	by       *domain.Operator // who caused it
	// One of these is the data.
	message *domain.Post
	echo    string
	changes []domain.Change
	scene   *domain.Scene
	typing  *domain.TypingNoticed
	person  *domain.Person
	removed int64
}

// shownOf lists what an event shows. revision is that of its post as it was known.
func (t *teller) shownOf(r domain.Recorded, revision int) []shown {
	switch e := r.Data.(type) {
	case domain.MessageReceived:
		return messageShown("message.created", e.Posted, r.Channel)
	case domain.MessageSent:
		return messageShown("message.created", e.Posted, r.Channel)
	case domain.MessageNoted:
		return messageShown("message.created", e.Posted, r.Channel)
	case domain.MessageChanged:
		if e.Posted != nil && len(e.Posted.Changes) == 0 {
			return nil // it goes to its callback once more; here it is what it was
		}
		return messageShown("message.updated", e.Posted, r.Channel)
	case domain.MessageFailed:
		return messageShown("message.updated", t.failed(r, e, revision), r.Channel)
	case domain.ConversationOpened:
		return []shown{ticketShown("conversation.created", e.Turned, r.Channel)}
	case domain.ConversationTurned:
		return []shown{ticketShown("conversation.status_changed", e.Turned, r.Channel)}
	case domain.ConversationChanged:
		return changeShown(e.Turned, r)
	case domain.TypingNoticed:
		event := "conversation.typing_off"
		if e.On {
			event = "conversation.typing_on"
		}
		s := shown{event: event, channel: r.Channel, typist: e.By, by: e.By.Operator, scene: &e.Scene, typing: &e}
		if !e.Private && !e.By.Contact {
			s.identity = &e.Scene.Identity
		}
		return []shown{s}
	case domain.ContactRegistered:
		return []shown{{event: "contact.created", person: &e.Person}}
	case domain.ContactChanged:
		return []shown{{event: "contact.updated", person: &e.Person}}
	case domain.ContactMerged:
		return []shown{{event: "contact.merged", person: &e.Person}}
	case domain.ContactRemoved:
		return []shown{{event: "contact.deleted", removed: e.Person}}
	default:
		return nil
	}
}

// messageShown shows a post: to the contact unless it is a note or an activity.
func messageShown(event string, p *domain.Posted, channel string) []shown {
	if p == nil {
		return nil
	}
	s := shown{event: event, channel: channel, by: p.By.Operator, message: &p.Post, echo: p.EchoID, scene: &p.Scene}
	if event == "message.updated" {
		s.changes = p.Changes
	}
	if p.Post.Public() {
		s.identity = &p.Scene.Identity
	}
	return []shown{s}
}

// ticketShown shows a ticket to its contact and to operators.
func ticketShown(event string, e domain.Turned, channel string) shown {
	return shown{event: event, identity: &e.Scene.Identity, channel: channel, by: e.By.Operator, scene: &e.Scene}
}

// changeShown shows what changed of a ticket: to the contact once, to operators
// also as what it is.
func changeShown(e domain.Turned, r domain.Recorded) []shown {
	var list []shown
	operators := func(event string) shown {
		s := ticketShown(event, e, r.Channel)
		s.identity = nil
		return s
	}
	if len(e.Changes) > 0 {
		list = append(list, ticketShown("conversation.updated", e, r.Channel))
	}
	for _, c := range e.Changes {
		switch c.Name {
		case "assignee_id":
			list = append(list, operators("assignee.changed"))
		case "team_id":
			list = append(list, operators("team.changed"))
		case "first_reply_created_at":
			if e.Scene.Public != nil && c.Previous == nil {
				s := operators("first.reply.created")
				s.message = e.Scene.Public
				list = append(list, s)
			}
		}
	}
	return list
}

// lookedAt shows operators that the contact has looked at a ticket, whichever event
// tells of it.
func (t *teller) lookedAt(r domain.Recorded) []shown {
	scene, by := sceneOf(r.Data)
	if scene == nil || scene.Ticket.ContactSeenAt == nil {
		return nil
	}
	seen := *scene.Ticket.ContactSeenAt
	last, known := t.looked.get(scene.Ticket.ID)
	if known && !seen.After(last) {
		return nil
	}
	t.looked.put(scene.Ticket.ID, seen)
	// What was before anything is known of the ticket is no news.
	if !by.Contact || !known && r.Time.Sub(seen) > lookedJustNow {
		return nil
	}
	return []shown{{event: "conversation.read", channel: r.Channel, scene: scene}}
}

// sceneOf gives the scene of an event that tells of a post or a ticket, and who
// caused it; nil when there is none.
func sceneOf(data domain.Data) (*domain.Scene, domain.Author) {
	var p *domain.Posted
	switch e := data.(type) {
	case domain.MessageReceived:
		p = e.Posted
	case domain.MessageSent:
		p = e.Posted
	case domain.MessageNoted:
		p = e.Posted
	case domain.MessageChanged:
		p = e.Posted
	case domain.ConversationOpened:
		return &e.Scene, e.By
	case domain.ConversationTurned:
		return &e.Scene, e.By
	case domain.ConversationChanged:
		return &e.Scene, e.By
	}
	if p == nil {
		return nil, domain.Author{}
	}
	return &p.Scene, p.By
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
	if err != nil && domain.CodeOf(err) != domain.CodeNotFound {
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

// What events tell, with what only sockets are told.
type (
	toldMessage struct {
		pushMessageForm

		Performer *pushUserForm     `json:"performer,omitempty"`
		Previous  map[string][2]any `json:"previous_changes,omitempty"`
	}
	toldConversation struct {
		pushConversationForm

		Performer *pushUserForm `json:"performer,omitempty"`
	}
	toldTyping struct {
		Conversation pushConversationForm `json:"conversation"`
		User         any                  `json:"user"`
		Private      bool                 `json:"is_private"`
		AccountID    int64                `json:"account_id"`
		Performer    *pushUserForm        `json:"performer,omitempty"`
	}
	toldContact struct {
		pushContactForm

		AccountID int64         `json:"account_id"`
		Performer *pushUserForm `json:"performer,omitempty"`
	}
	toldRemoved struct {
		ID        int64 `json:"id"`
		AccountID int64 `json:"account_id"`
	}
)

// data is what one thing is shown as.
func (t *teller) data(account string, s shown) any {
	v := *t.cable.view
	v.there.operators = t.cable.roll.lately(account, domain.PresentOperator)
	var performer *pushUserForm
	if s.by != nil {
		performer = new(pushUserOf(*s.by, v.there.operator(s.by.ID)))
	}
	switch {
	case s.typing != nil:
		told := toldTyping{
			Conversation: v.pushConversationOf(*s.scene, false), Private: s.typing.Private, AccountID: s.scene.Account.ID, Performer: performer,
		}
		if told.User = any(pushContactOf(s.scene.Person)); performer != nil {
			told.User = performer
		}
		return told
	case s.message != nil:
		told := toldMessage{pushMessageForm: v.pushMessageOf(*s.message, *s.scene, s.echo), Performer: performer}
		if len(s.changes) > 0 {
			told.Previous = make(map[string][2]any, len(s.changes))
			for _, c := range s.changes {
				told.Previous[c.Name] = [2]any{c.Previous, c.Current}
			}
		}
		return told
	case s.scene != nil:
		return toldConversation{pushConversationForm: v.pushConversationOf(*s.scene, false), Performer: performer}
	case s.person != nil:
		return toldContact{pushContactForm: pushContactOf(*s.person), AccountID: v.account(account).ID, Performer: performer}
	default:
		return toldRemoved{ID: s.removed, AccountID: v.account(account).ID}
	}
}
