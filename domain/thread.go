package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Thread is the state that events of streams fold into: contacts, conversations,
// messages, and receipts that came early. It holds the part of the state that a
// run of events touches; what has to be loaded before is told by Needs. The
// entries that changed are listed in the Dirty sets. A contact that was not
// asked for by Needs and is new here may have a row all the same, which stands.
//
// The same events give the same state whatever the cuts between the runs. A
// message, a receipt or an outcome that is told again changes nothing: messages
// are told apart by id, all words about an outgoing message by value and time.
type Thread struct {
	Contacts      map[uuid.UUID]*Contact
	Conversations map[uuid.UUID]*Conversation
	Messages      map[uuid.UUID]*Message
	Early         map[ExternalKey][]Receipt

	DirtyContacts      map[uuid.UUID]struct{}
	DirtyConversations map[uuid.UUID]struct{}
	DirtyMessages      map[uuid.UUID]struct{}
	DirtyContents      map[uuid.UUID]struct{} // messages that no longer say what they said
	DeletedMessages    map[uuid.UUID]struct{}
	DirtyReceipts      map[uuid.UUID]Receipt  // early ones to keep
	SpentReceipts      map[uuid.UUID]struct{} // early ones that wait no longer

	external map[ExternalKey][]uuid.UUID // outgoing messages, oldest first
}

// NewThread makes an empty state.
func NewThread() *Thread {
	return &Thread{
		Contacts:      map[uuid.UUID]*Contact{},
		Conversations: map[uuid.UUID]*Conversation{},
		Messages:      map[uuid.UUID]*Message{},
		Early:         map[ExternalKey][]Receipt{},

		DirtyContacts:      map[uuid.UUID]struct{}{},
		DirtyConversations: map[uuid.UUID]struct{}{},
		DirtyMessages:      map[uuid.UUID]struct{}{},
		DirtyContents:      map[uuid.UUID]struct{}{},
		DeletedMessages:    map[uuid.UUID]struct{}{},
		DirtyReceipts:      map[uuid.UUID]Receipt{},
		SpentReceipts:      map[uuid.UUID]struct{}{},

		external: map[ExternalKey][]uuid.UUID{},
	}
}

// Needs is what has to be loaded before a run of events is applied.
type Needs struct {
	Contacts      map[uuid.UUID]struct{} // those that something is told about
	Conversations map[uuid.UUID]struct{}
	Messages      map[uuid.UUID]struct{}
	External      map[ExternalKey]struct{} // outgoing messages, and early receipts
}

// NeedsOf lists what a run of events touches.
func NeedsOf(events []Recorded) Needs {
	n := Needs{
		Contacts: map[uuid.UUID]struct{}{}, Conversations: map[uuid.UUID]struct{}{},
		Messages: map[uuid.UUID]struct{}{}, External: map[ExternalKey]struct{}{},
	}
	for _, r := range events {
		if r.Dialect.HasTickets() {
			n.needTickets(r)
			continue
		}
		switch e := r.Data.(type) {
		case MessageReceived:
			n.message(e.ContactID, e.Profile, e.ConversationID, e.MessageID)
			if r.Dialect.HasEpisodes() {
				n.Messages[againID(r, e.MessageID)] = struct{}{}
			}
		case MessageEchoed:
			n.message(e.ContactID, e.Profile, e.ConversationID, e.MessageID)
			n.External[ExternalKey{e.ConversationID, e.ExternalID}] = struct{}{}
		case MessageSent:
			n.message(e.ContactID, e.Profile, e.ConversationID, e.MessageID)
		case ReceiptRecorded:
			n.External[ExternalKey{e.ConversationID, e.ExternalID}] = struct{}{}
		case DeliveryAttempted:
			n.attempt(e)
		case DeliveryRedriven:
			n.Messages[e.MessageID] = struct{}{}
		case ConversationClosed:
			n.Conversations[e.ConversationID] = struct{}{}
		case ConversationAssigned:
			n.Conversations[e.ConversationID] = struct{}{}
		case ConversationMarked:
			n.Conversations[e.ConversationID] = struct{}{}
		}
	}
	return n
}

func (n Needs) message(contact uuid.UUID, profile *Profile, conversation, message uuid.UUID) {
	if profile != nil {
		n.Contacts[contact] = struct{}{}
	}
	n.Conversations[conversation] = struct{}{}
	n.Messages[message] = struct{}{}
}

func (n Needs) attempt(e DeliveryAttempted) {
	if e.Verdict == Retry {
		return
	}
	n.Messages[e.MessageID] = struct{}{}
	if e.ExternalID != "" { // an echo may have come first
		n.Conversations[e.Conversation] = struct{}{}
		n.External[ExternalKey{e.Conversation, e.ExternalID}] = struct{}{}
	}
}

// LoadMessage puts a stored message into the state. Its content is needed where it may change.
func (t *Thread) LoadMessage(m *Message) {
	t.Messages[m.ID] = m
	t.index(m)
}

func (t *Thread) index(m *Message) {
	if m.Direction != Out || m.ExternalID == "" {
		return
	}
	key := ExternalKey{m.Conversation, m.ExternalID}
	if !slices.Contains(t.external[key], m.ID) {
		t.external[key] = append(t.external[key], m.ID)
	}
}

// Apply folds one event. Of dialects with tickets it is given only what Revisions
// has taken.
func (t *Thread) Apply(r Recorded) {
	if r.Dialect.HasTickets() {
		t.applyTicket(r)
		return
	}
	if r.Dialect.HasEpisodes() && !t.moveOn(r) {
		return
	}
	switch e := r.Data.(type) {
	case MessageReceived:
		t.said(r, e.ContactID, e.Profile, Message{
			ID: e.MessageID, Conversation: e.ConversationID, Direction: In, Kind: KindMessage, Content: e.Content,
			ExternalID: e.ExternalID, Status: StatusDelivered, SentAt: e.SentAt,
		})
	case MessageEchoed:
		t.echoed(r, e)
	case MessageSent:
		t.said(r, e.ContactID, e.Profile, Message{
			ID: e.MessageID, Conversation: e.ConversationID, Direction: Out, Kind: KindMessage, Content: e.Content,
			Status: StatusQueued, Author: e.Author, Sender: e.Sender, SentAt: r.Time,
			History: []StatusChange{{Value: StatusQueued, Timestamp: r.Time}},
		})
	case ReceiptRecorded:
		t.receipt(r, e)
	case DeliveryAttempted:
		t.attempted(r, e)
	case DeliveryRedriven:
		t.redriven(r, e)
	case ConversationClosed:
		t.closed(r, e)
	case ConversationAssigned:
		if c := t.Conversations[e.ConversationID]; c != nil && c.State == nil {
			c.Handler, c.AgentID, c.UpdatedAt = e.To, e.AgentID, r.Time
			t.DirtyConversations[c.ID] = struct{}{}
		}
	}
}

// moveOn lets the episode of a conversation follow an event, and tells whether
// there may be more to do about it.
func (t *Thread) moveOn(r Recorded) bool {
	var id uuid.UUID
	switch e := r.Data.(type) {
	case MessageReceived:
		id = e.ConversationID
	case MessageSent:
		if t.Messages[e.MessageID] != nil {
			return false // told before, however long ago
		}
		id = e.ConversationID
	case ConversationAssigned:
		id = e.ConversationID
	case ConversationMarked:
		id = e.ConversationID
	case ConversationClosed:
		id = e.ConversationID
	default:
		return true // of no concern to the episode
	}
	c := t.Conversations[id]
	if c == nil {
		var contact uuid.UUID
		switch e := r.Data.(type) {
		case MessageReceived:
			contact = e.ContactID
		case MessageSent:
			contact = e.ContactID
		default:
			return false // about a conversation that is not there
		}
		c = t.begin(r, id, contact)
		t.meet(r, contact, nil)
	}
	if c.State == nil {
		c.State = &Episode{}
	}
	if !c.State.Apply(r) {
		return false
	}
	c.follow()
	c.UpdatedAt = r.Time
	t.DirtyConversations[c.ID] = struct{}{}
	return true
}

// begin makes a conversation.
func (t *Thread) begin(r Recorded, id, contact uuid.UUID) *Conversation {
	c := &Conversation{
		ID: id, Account: r.Account, Channel: r.Channel, ContactID: contact, ContactRef: r.ContactRef,
		Handler: HandlerUnassigned, CreatedAt: r.Time,
	}
	t.Conversations[id] = c
	return c
}

// said adds a message, and makes or reopens what it stands in.
func (t *Thread) said(r Recorded, contact uuid.UUID, profile *Profile, m Message) {
	if told := t.Messages[m.ID]; told != nil {
		if !r.Dialect.HasEpisodes() || m.Direction != In || r.Time.Sub(told.RecordedAt) < RepeatWindow {
			return // told before
		}
		// The sender has used the same ids again, a day later: another message.
		m.ID = againID(r, m.ID)
		if t.Messages[m.ID] != nil {
			return
		}
	}
	m.Account, m.Channel, m.Position, m.RecordedAt = r.Account, r.Channel, r.Position, r.Time
	t.Messages[m.ID] = &m
	t.DirtyMessages[m.ID] = struct{}{}
	t.index(&m)

	c := t.Conversations[m.Conversation]
	if c == nil || profile != nil { // else the contact is there, and nothing new is told
		t.meet(r, contact, profile)
	}
	if c == nil {
		c = t.begin(r, m.Conversation, contact)
	}
	if c.State != nil {
		c.follow()
	} else if c.Status != StatusOpen {
		c.Status, c.Episode, c.OpenedAt, c.ClosedAt, c.CloseReason = StatusOpen, c.Episode+1, r.Time, nil, ""
		c.Handler, c.AgentID = HandlerUnassigned, ""
	}
	c.Messages++
	c.LastMessage, c.LastText, c.LastMessageAt, c.UpdatedAt = m.ID, m.Content.preview(), r.Time, r.Time
	t.DirtyConversations[c.ID] = struct{}{}
}

// againID is the id of a message whose sender has used its ids before.
func againID(r Recorded, message uuid.UUID) uuid.UUID {
	return DeriveID("again", message.String(), r.Time.Format(time.RFC3339Nano))
}

// meet makes the contact known, or completes what is known (respond-io.md 3.6).
func (t *Thread) meet(r Recorded, id uuid.UUID, profile *Profile) {
	c := t.Contacts[id]
	if c == nil {
		c = &Contact{
			ID: id, Account: r.Account, Channel: r.Channel, Ref: r.ContactRef, CreatedAt: r.Time, UpdatedAt: r.Time,
		}
		t.Contacts[id] = c
		t.DirtyContacts[id] = struct{}{}
	}
	take := c.Profile.Fill
	if r.Dialect.ReplacesProfiles() {
		take = c.Profile.Replace
	}
	if profile != nil && take(*profile) {
		c.UpdatedAt = r.Time
		t.DirtyContacts[id] = struct{}{}
	}
}

// closed ends the episode, unless somebody has said something since. A close
// that landed twice finds the conversation closed, or moved on.
func (t *Thread) closed(r Recorded, e ConversationClosed) {
	c := t.Conversations[e.ConversationID]
	if c == nil || c.State != nil || c.Status != StatusOpen || c.LastMessage != e.Seen {
		return // it has moved on
	}
	at := r.Time
	c.Status, c.ClosedAt, c.CloseReason, c.UpdatedAt = StatusClosed, &at, e.Reason, r.Time
	t.DirtyConversations[c.ID] = struct{}{}
}
