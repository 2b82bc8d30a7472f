package domain

import (
	"time"

	"github.com/google/uuid"
)

// Names of notices: what a callback of ChannelX, or a webhook, tells (channelx.md
// 6.2).
const (
	NoticeMessageCreated            = "message_created"
	NoticeMessageUpdated            = "message_updated"
	NoticeConversationCreated       = "conversation_created"
	NoticeConversationUpdated       = "conversation_updated"
	NoticeConversationStatusChanged = "conversation_status_changed"
	NoticeTypingOn                  = "conversation_typing_on"
	NoticeTypingOff                 = "conversation_typing_off"
	NoticeContactCreated            = "contact_created"
	NoticeContactUpdated            = "contact_updated"
)

// Named is a thing as others show it.
type Named struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// Change is one attribute that an event changed, by its name on the wire. Values
// are JSON, in the form in which the wire tells of changes.
type Change struct {
	Name     string `json:"name"`
	Previous any    `json:"previous_value"`
	Current  any    `json:"current_value"`
}

// Scene is what callbacks and sockets show of a ticket around an event: the state
// as of that event, kept in it, so that what is told later, again, or after a
// rebuild is the same.
type Scene struct {
	Account  Named     `json:"account"`
	Inbox    Named     `json:"inbox"`
	Ticket   Ticket    `json:"ticket"` // as it is after the event
	Person   Person    `json:"person"`
	Identity Identity  `json:"identity"`
	CanReply bool      `json:"can_reply"`
	Assignee *Operator `json:"assignee,omitempty"`
	Team     *Named    `json:"team,omitempty"`
	Public   *Post     `json:"public,omitempty"` // the newest post that the contact sees, as of the event
}

// Notice is one thing to be told to one target: the callback of a channel, or a
// webhook.
type Notice struct {
	Name    string    `json:"name"`
	Target  string    `json:"target,omitempty"` // "" is the channel's callback
	Account Named     `json:"account"`
	Scene   *Scene    `json:"scene,omitempty"`  // none about contacts
	Post    *Post     `json:"post,omitempty"`   // of message_created and message_updated
	Person  *Person   `json:"person,omitempty"` // of contact_created and contact_updated
	Changes []Change  `json:"changes,omitempty"`
	By      Author    `json:"by,omitzero"`       // who types
	Private bool      `json:"private,omitempty"` // typing that the contact is not shown
	At      time.Time `json:"at"`
}

// Telling is what events of ChannelX have in common: who is told of them. It is
// decided with the event, so that a rebuild tells the same ones.
type Telling struct {
	Targets []string `json:"targets,omitempty"` // "" is the channel's callback, the others are webhooks
}

// noticeOf gives what an event tells, without the target; ok is false for events
// that tell nobody anything.
func noticeOf(e Event) (n Notice, targets []string, ok bool) {
	switch d := e.Data.(type) {
	case MessageReceived:
		return d.Posted.notice(NoticeMessageCreated)
	case MessageSent:
		return d.Posted.notice(NoticeMessageCreated)
	case MessageNoted:
		return d.Posted.notice(NoticeMessageCreated)
	case MessageChanged:
		if d.Posted != nil && d.Posted.Again {
			return d.Posted.notice(NoticeMessageCreated)
		}
		return d.Posted.notice(NoticeMessageUpdated)
	case MessageFailed:
		return d.Posted.notice(NoticeMessageUpdated)
	case ConversationOpened:
		return d.Turned.notice(NoticeConversationCreated)
	case ConversationTurned:
		return d.Turned.notice(NoticeConversationStatusChanged)
	case ConversationChanged:
		return d.Turned.notice(NoticeConversationUpdated)
	case TypingNoticed:
		name := NoticeTypingOff
		if d.On {
			name = NoticeTypingOn
		}
		return Notice{Name: name, Account: d.Scene.Account, Scene: &d.Scene, By: d.By, Private: d.Private}, d.Targets, true
	case ContactRegistered:
		return Notice{Name: NoticeContactCreated, Account: d.Account, Person: &d.Person}, d.Targets, true
	case ContactChanged:
		return Notice{Name: NoticeContactUpdated, Account: d.Account, Person: &d.Person, Changes: d.Changes}, d.Targets, true
	default:
		return Notice{}, nil, false
	}
}

func (p *Posted) notice(name string) (Notice, []string, bool) {
	if p == nil {
		return Notice{}, nil, false
	}
	return Notice{Name: name, Account: p.Scene.Account, Scene: &p.Scene, Post: &p.Post, Changes: p.Changes}, p.Targets, true
}

func (t Turned) notice(name string) (Notice, []string, bool) {
	return Notice{Name: name, Account: t.Scene.Account, Scene: &t.Scene, Changes: t.Changes}, t.Targets, true
}

// NoticeOf gives what a socket is told of an event: the same as callbacks are, and
// whether or not any callback is told. A message that goes to the callback once more
// is not new to a socket.
func NoticeOf(r Recorded) (Notice, bool) {
	n, _, ok := noticeOf(r.Event)
	if changed, is := r.Data.(MessageChanged); is && changed.Posted != nil && changed.Posted.Again {
		ok = false
	}
	n.At = r.Time
	return n, ok && r.Dialect == DialectChannelX
}

// NoticesOf makes the deliveries of what an event tells, one for each target, in
// the dialect that tells notices.
func NoticesOf(r Recorded) []Delivery {
	if r.Dialect != DialectChannelX {
		return nil
	}
	n, targets, ok := noticeOf(r.Event)
	if !ok || len(targets) == 0 {
		return nil
	}
	list := make([]Delivery, 0, len(targets))
	for _, target := range targets {
		told := n
		told.Target, told.At = target, r.Time
		d := Delivery{
			ID: NoticeDeliveryID(r.ID, target), Account: r.Account, Channel: r.Channel, Dialect: r.Dialect,
			ContactRef: r.ContactRef, Position: r.Position, Kind: DeliverNotice, Subject: Subject{Notice: &told},
			State: StatePending, CreatedAt: r.Time,
		}
		if told.Scene != nil {
			d.Conversation = told.Scene.Ticket.ID
		}
		// Only the callback is how a message gets to the contact.
		if told.Post != nil && told.Name == NoticeMessageCreated && target == "" {
			d.MessageID = told.Post.Message
		}
		list = append(list, d)
	}
	return list
}

// NoticeDeliveryID is the id of the delivery of an event to one of its targets.
func NoticeDeliveryID(event uuid.UUID, target string) uuid.UUID {
	return DeriveID("delivery", event.String(), "notice", target)
}
