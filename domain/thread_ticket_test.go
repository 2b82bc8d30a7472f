package domain

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// ticketThread is one ticket of one person, with what the platform shows of it.
type ticketThread struct {
	t        *testing.T
	thread   *Thread
	identity Identity
	scene    Scene
	now      time.Time
	offset   int64
}

func newTicketThread(t *testing.T) *ticketThread {
	t.Helper()
	k := &ticketThread{t: t, thread: NewThread(), now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	k.identity = Identity{ID: 3, PersonID: 2, Channel: "c1", SourceID: "device-1"}
	k.scene = Scene{Identity: k.identity, Person: Person{ID: 2, Name: "Ana", Phone: "+15550100"}, Ticket: Ticket{
		ID: TicketID("acme", 1), Number: 1, IdentityID: 3, Status: TicketOpen,
	}}
	return k
}

func (k *ticketThread) apply(data Data) {
	k.now = k.now.Add(time.Second)
	k.offset++
	e := k.identity.About("acme", k.now)
	e.Data = data
	k.thread.Apply(Recorded{Event: e, Position: Position{Offset: k.offset}})
}

func (k *ticketThread) conversation() *Conversation { return k.thread.Conversations[k.scene.Ticket.ID] }

func (k *ticketThread) contact() uuid.UUID { return ContactID("c1", "device-1") }

func (k *ticketThread) open() {
	k.apply(ConversationOpened{ConversationID: k.scene.Ticket.ID, ContactID: k.contact(), Turned: Turned{Scene: k.scene}})
}

func (k *ticketThread) turn(status TicketStatus, by Author) {
	k.scene.Ticket.Status = status
	k.apply(ConversationTurned{ConversationID: k.scene.Ticket.ID, Turned: Turned{Scene: k.scene, By: by}})
}

func (k *ticketThread) say(id int64, targets ...string) Post {
	text := "hello"
	p := Post{ID: id, Message: DeriveID("post", text, string(rune(id))), Ticket: k.scene.Ticket.ID, Type: PostOutgoing, Content: &text, Status: StatusSent}
	k.apply(MessageSent{
		MessageID: p.Message, ConversationID: p.Ticket, ContactID: k.contact(), Content: Content{Type: ContentText, Text: text},
		Posted: &Posted{Telling: Telling{Targets: targets}, Post: p, Scene: k.scene},
	})
	return p
}

func (k *ticketThread) change(p Post) {
	k.apply(MessageChanged{MessageID: p.Message, ConversationID: p.Ticket, Posted: &Posted{Post: p, Scene: k.scene}})
}

func (k *ticketThread) is(p Post, status Status, reason string) {
	k.t.Helper()
	m := k.thread.Messages[p.Message]
	if m.Status != status || m.Reason != reason || m.History[len(m.History)-1].Value != status {
		k.t.Errorf("the message is %s, %q, %v; want %s, %q", m.Status, m.Reason, m.History, status, reason)
	}
}

// Ensure that the platform's conversation stands as its ticket does, and that no
// message opens it.
func TestThread_conversationFollowsTheTicket(t *testing.T) {
	t.Parallel()
	k := newTicketThread(t)
	k.open()
	is := func(status ConversationStatus, episode int, reason CloseReason) {
		t.Helper()
		c := k.conversation()
		if c.Status != status || c.Episode != episode || c.CloseReason != reason || (c.ClosedAt != nil) != (status == StatusClosed) {
			t.Errorf("%s, episode %d, %q, %v; want %s, %d, %q", c.Status, c.Episode, c.CloseReason, c.ClosedAt, status, episode, reason)
		}
	}
	is(StatusOpen, 1, "")
	if c := k.thread.Contacts[k.contact()]; c == nil || c.Profile.DisplayName != "Ana" || c.Profile.Phone != "+15550100" {
		t.Errorf("the contact is %+v", c)
	}
	k.turn(TicketSnoozed, Author{})
	is(StatusOpen, 1, "")
	k.turn(TicketResolved, Author{Operator: &Operator{ID: 4}})
	is(StatusClosed, 1, ClosedByAgent)
	k.say(7)
	is(StatusClosed, 1, ClosedByAgent)
	if c := k.conversation(); c.Messages != 1 || c.LastText != "hello" {
		t.Errorf("%d messages, the last says %q", c.Messages, c.LastText)
	}
	k.turn(TicketPending, Author{})
	is(StatusOpen, 2, "")
	k.turn(TicketResolved, Author{Contact: true})
	is(StatusClosed, 2, ClosedByUnknown)
	k.scene.Ticket.Assignee, k.scene.Ticket.Team = 4, 9
	k.apply(ConversationChanged{ConversationID: k.scene.Ticket.ID, Turned: Turned{Scene: k.scene}})
	if c := k.conversation(); c.Handler != HandlerAgent || c.AgentID != "4" {
		t.Errorf("handled by %s %s", c.Handler, c.AgentID)
	}
	k.scene.Ticket.Assignee = 0
	k.apply(ConversationChanged{ConversationID: k.scene.Ticket.ID, Turned: Turned{Scene: k.scene}})
	if c := k.conversation(); c.Handler != HandlerQueue || c.AgentID != "" {
		t.Errorf("handled by %s %s", c.Handler, c.AgentID)
	}
}

// Ensure that a message follows its post and the callback that tells of it.
func TestThread_messageFollowsThePost(t *testing.T) {
	t.Parallel()
	k := newTicketThread(t)
	k.open()
	silent := k.say(7)
	k.is(silent, StatusSent, "") // there is no callback
	if m := k.thread.Messages[silent.Message]; m.ExternalID != "7" {
		t.Errorf("the integration knows it as %q", m.ExternalID)
	}
	p := k.say(8, "")
	k.is(p, StatusQueued, "")
	k.change(p) // its attributes, say
	k.is(p, StatusQueued, "")
	k.apply(DeliveryAttempted{MessageID: p.Message, Conversation: p.Ticket, Verdict: Retry})
	k.is(p, StatusQueued, "")
	k.apply(MessageFailed{MessageID: p.Message, ConversationID: p.Ticket, Error: "503 Service Unavailable", Posted: &Posted{Post: p}})
	k.is(p, StatusFailed, "503 Service Unavailable")
	k.apply(DeliveryRedriven{MessageID: p.Message, Conversation: p.Ticket})
	k.is(p, StatusQueued, "")
	k.apply(DeliveryAttempted{MessageID: p.Message, Conversation: p.Ticket, Verdict: Delivered})
	k.is(p, StatusSent, "")
	p.Status = StatusRead
	k.change(p)
	k.is(p, StatusRead, "")
	k.apply(DeliveryAttempted{MessageID: p.Message, Conversation: p.Ticket, Verdict: Delivered})
	k.is(p, StatusRead, "")
	p.Status, p.Attributes = StatusFailed, Object{ExternalError: "no route"}
	k.change(p)
	k.is(p, StatusFailed, "no route")
	text := "This message was deleted"
	p.Status, p.Content, p.Attributes = StatusSent, &text, Object{"deleted": true}
	k.change(p)
	k.is(p, StatusSent, "")
	if m, c := k.thread.Messages[p.Message], k.conversation(); m.Content.Text != text || c.LastText != text {
		t.Errorf("the message says %q, the conversation %q", m.Content.Text, c.LastText)
	}
	in := Post{ID: 9, Message: DeriveID("in"), Ticket: p.Ticket, Content: &text}
	k.apply(MessageReceived{
		MessageID: in.Message, ConversationID: in.Ticket, ContactID: k.contact(), ExternalID: "9", Posted: &Posted{Post: in, Scene: k.scene},
	})
	k.apply(MessageFailed{MessageID: in.Message, ConversationID: in.Ticket, Error: "503", Posted: &Posted{Post: in}})
	k.apply(DeliveryAttempted{MessageID: in.Message, Conversation: in.Ticket, Verdict: Delivered})
	if m := k.thread.Messages[in.Message]; m.Status != StatusDelivered || len(m.History) != 0 {
		t.Errorf("what the contact wrote is %s, %v", m.Status, m.History)
	}
}
