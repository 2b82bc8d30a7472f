package domain

import (
	"time"

	"github.com/google/uuid"
)

// EarlyReceipt is how long a receipt whose message is not known yet waits for
// an answer of the integration that names it (respond-io.md 3.5, rule 5). It is
// measured between the events' own times, so a rebuild decides the same.
const EarlyReceipt = 5 * time.Minute

// ExternalKey names messages by the integration's id within a conversation.
type ExternalKey struct {
	Conversation uuid.UUID
	ExternalID   string
}

// Receipt is a receipt that has not met its message.
type Receipt struct {
	ID uuid.UUID // of the event
	ExternalKey
	StatusChange
	RecordedAt time.Time
}

// Thread is the state that events of streams fold into: contacts, conversations,
// messages, and receipts that came early. It holds the part of the state that a
// run of events touches; what has to be loaded before is told by Needs. The
// entries that changed are listed in the Dirty sets.
//
// The same events give the same state whatever the cuts between the runs, and
// an event that was applied before changes nothing: messages are told apart by
// id, receipts by the event's id in the position check of the caller.
type Thread struct {
	Contacts      map[uuid.UUID]*Contact
	Conversations map[uuid.UUID]*Conversation
	Messages      map[uuid.UUID]*Message
	Early         map[ExternalKey][]Receipt

	DirtyContacts      map[uuid.UUID]struct{}
	DirtyConversations map[uuid.UUID]struct{}
	DirtyMessages      map[uuid.UUID]struct{}
	DeletedMessages    map[uuid.UUID]struct{}
	NewReceipts        []Receipt
	SpentReceipts      []uuid.UUID

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
		DeletedMessages:    map[uuid.UUID]struct{}{},

		external: map[ExternalKey][]uuid.UUID{},
	}
}

// Needs is what has to be loaded before a run of events is applied.
type Needs struct {
	Contacts      map[uuid.UUID]struct{}
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
		switch e := r.Data.(type) {
		case MessageReceived:
			n.message(e.ContactID, e.ConversationID, e.MessageID)
		case MessageEchoed:
			n.message(e.ContactID, e.ConversationID, e.MessageID)
			n.External[ExternalKey{e.ConversationID, e.ExternalID}] = struct{}{}
		case MessageSent:
			n.message(e.ContactID, e.ConversationID, e.MessageID)
		case ReceiptRecorded:
			n.External[ExternalKey{e.ConversationID, e.ExternalID}] = struct{}{}
		case DeliveryAttempted:
			n.Messages[e.MessageID] = struct{}{}
			n.Conversations[e.Conversation] = struct{}{}
			if e.ExternalID != "" {
				n.External[ExternalKey{e.Conversation, e.ExternalID}] = struct{}{}
			}
		case DeliveryRedriven:
			n.Messages[e.MessageID] = struct{}{}
		case ConversationClosed:
			n.Conversations[e.ConversationID] = struct{}{}
		case ConversationAssigned:
			n.Conversations[e.ConversationID] = struct{}{}
		}
	}
	return n
}

func (n Needs) message(contact, conversation, message uuid.UUID) {
	n.Contacts[contact] = struct{}{}
	n.Conversations[conversation] = struct{}{}
	n.Messages[message] = struct{}{}
}

// LoadMessage puts a stored message into the state. Messages must be loaded in
// the order of their positions.
func (t *Thread) LoadMessage(m *Message) {
	t.Messages[m.ID] = m
	t.index(m)
}

func (t *Thread) index(m *Message) {
	if m.Direction != Out || m.ExternalID == "" {
		return
	}
	key := ExternalKey{m.Conversation, m.ExternalID}
	for _, id := range t.external[key] {
		if id == m.ID {
			return
		}
	}
	t.external[key] = append(t.external[key], m.ID)
}

// Apply folds one event.
func (t *Thread) Apply(r Recorded) {
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
			Status: StatusQueued, Author: e.Author, SentAt: r.Time,
			History: []StatusChange{{Value: StatusQueued, Timestamp: r.Time}},
		})
	case ReceiptRecorded:
		t.receipt(r, e)
	case DeliveryAttempted:
		t.attempted(r, e)
	case DeliveryRedriven:
		if m := t.Messages[e.MessageID]; m != nil && m.Status == StatusFailed {
			m.Status, m.Reason = StatusQueued, ""
			m.History = append(m.History, StatusChange{Value: StatusQueued, Timestamp: r.Time})
			t.DirtyMessages[m.ID] = struct{}{}
		}
	case ConversationClosed:
		t.closed(r, e)
	case ConversationAssigned:
		if c := t.Conversations[e.ConversationID]; c != nil {
			c.Handler, c.AgentID, c.UpdatedAt = e.To, e.AgentID, r.Time
			t.DirtyConversations[c.ID] = struct{}{}
		}
	}
}

// echoed takes in what the business said elsewhere. An echo of a platform send
// is that message and counts as its sent receipt (respond-io.md 3.8).
func (t *Thread) echoed(r Recorded, e MessageEchoed) {
	key := ExternalKey{e.ConversationID, e.ExternalID}
	for _, id := range t.external[key] {
		m := t.Messages[id]
		if m.Kind == KindEcho {
			return // told before
		}
		m.note(StatusChange{Value: StatusSent, Timestamp: e.SentAt})
		t.DirtyMessages[id] = struct{}{}
		return
	}
	t.said(r, e.ContactID, e.Profile, Message{
		ID: e.MessageID, Conversation: e.ConversationID, Direction: Out, Kind: KindEcho, Content: e.Content,
		ExternalID: e.ExternalID, Status: StatusSent, SentAt: e.SentAt,
		History: []StatusChange{{Value: StatusSent, Timestamp: e.SentAt}},
	})
	if m := t.Messages[e.MessageID]; m != nil {
		t.meetEarly(m, key, r.Time)
	}
}

// said adds a message, and makes or reopens what it stands in.
func (t *Thread) said(r Recorded, contact uuid.UUID, profile *Profile, m Message) {
	if t.Messages[m.ID] != nil {
		return // told before
	}
	m.Account, m.Channel, m.Position, m.RecordedAt = r.Account, r.Channel, r.Position, r.Time
	t.Messages[m.ID] = &m
	t.DirtyMessages[m.ID] = struct{}{}
	t.index(&m)
	t.meet(r, contact, profile)

	c := t.Conversations[m.Conversation]
	if c == nil {
		c = &Conversation{
			ID: m.Conversation, Account: r.Account, Channel: r.Channel, ContactID: contact, ContactRef: r.ContactRef,
			Handler: HandlerUnassigned, CreatedAt: r.Time,
		}
		t.Conversations[c.ID] = c
	}
	if c.Status != StatusOpen {
		c.Status, c.Episode, c.OpenedAt, c.ClosedAt, c.CloseReason = StatusOpen, c.Episode+1, r.Time, nil, ""
		c.Handler, c.AgentID = HandlerUnassigned, ""
	}
	c.Messages++
	c.LastMessage, c.LastText, c.LastMessageAt, c.UpdatedAt = m.ID, m.Content.preview(), r.Time, r.Time
	t.DirtyConversations[c.ID] = struct{}{}
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
	if profile != nil && c.Profile.Fill(*profile) {
		c.UpdatedAt = r.Time
		t.DirtyContacts[id] = struct{}{}
	}
}

// receipt applies to the newest outgoing message of that id (respond-io.md 4.4)
// or waits for one.
func (t *Thread) receipt(r Recorded, e ReceiptRecorded) {
	key := ExternalKey{e.ConversationID, e.ExternalID}
	change := StatusChange{Value: e.Value, Timestamp: e.OccurredAt, Message: e.Reason}
	if m := t.newest(key); m != nil {
		if m.heard(change) {
			return
		}
		m.note(change)
		t.DirtyMessages[m.ID] = struct{}{}
		return
	}
	for _, known := range t.Early[key] {
		if known.ID == r.ID {
			return
		}
	}
	early := Receipt{ID: r.ID, ExternalKey: key, StatusChange: change, RecordedAt: r.Time}
	t.Early[key] = append(t.Early[key], early)
	t.NewReceipts = append(t.NewReceipts, early)
}

func (t *Thread) newest(key ExternalKey) *Message {
	var newest *Message
	for _, id := range t.external[key] {
		if m := t.Messages[id]; newest == nil || m.Position.Offset > newest.Position.Offset {
			newest = m
		}
	}
	return newest
}

// heard tells whether the very same word was said before: a repeated receipt.
func (m *Message) heard(c StatusChange) bool {
	for _, h := range m.History {
		if h.Value == c.Value && h.Timestamp.Equal(c.Timestamp) && h.Message == c.Message {
			return true
		}
	}
	return false
}

// attempted lets an outgoing message follow its delivery.
func (t *Thread) attempted(r Recorded, e DeliveryAttempted) {
	m := t.Messages[e.MessageID]
	if m == nil {
		return
	}
	switch e.Verdict {
	case Delivered:
		if m.ExternalID == e.ExternalID && m.Status != StatusQueued && m.Status != StatusFailed {
			return // told before
		}
		m.ExternalID = e.ExternalID
		m.note(StatusChange{Value: StatusSent, Timestamp: r.Time})
		if m.Status == StatusFailed {
			m.Status, m.Reason = StatusSent, ""
		}
		key := ExternalKey{e.Conversation, e.ExternalID}
		t.absorbEcho(m, key)
		t.index(m)
		t.meetEarly(m, key, r.Time)
	case Refused, Exhausted:
		change := StatusChange{Value: StatusFailed, Timestamp: r.Time, Message: e.Detail}
		if m.heard(change) {
			return
		}
		m.note(change)
	case Retry:
		return
	}
	t.DirtyMessages[m.ID] = struct{}{}
}

// absorbEcho lets the message take over from an echo of itself that came before
// the answer that names it.
func (t *Thread) absorbEcho(m *Message, key ExternalKey) {
	if key.ExternalID == "" {
		return
	}
	kept := t.external[key][:0]
	for _, id := range t.external[key] {
		echo := t.Messages[id]
		if echo.Kind != KindEcho {
			kept = append(kept, id)
			continue
		}
		for _, h := range echo.History[1:] {
			m.note(h)
		}
		delete(t.Messages, id)
		delete(t.DirtyMessages, id)
		t.DeletedMessages[id] = struct{}{}
		if c := t.Conversations[echo.Conversation]; c != nil {
			c.Messages--
			if c.LastMessage == echo.ID {
				c.LastMessage = m.ID
			}
			t.DirtyConversations[c.ID] = struct{}{}
		}
	}
	t.external[key] = kept
}

// meetEarly applies the receipts that came before the message had its id.
func (t *Thread) meetEarly(m *Message, key ExternalKey, at time.Time) {
	for _, early := range t.Early[key] {
		if at.Sub(early.RecordedAt) <= EarlyReceipt {
			m.note(early.StatusChange)
			t.SpentReceipts = append(t.SpentReceipts, early.ID)
		}
	}
	delete(t.Early, key)
}

func (t *Thread) closed(r Recorded, e ConversationClosed) {
	c := t.Conversations[e.ConversationID]
	if c == nil || c.Status != StatusOpen || c.LastMessage != e.Seen {
		return // it has moved on
	}
	at := r.Time
	c.Status, c.ClosedAt, c.CloseReason, c.UpdatedAt = StatusClosed, &at, e.Reason, r.Time
	t.DirtyConversations[c.ID] = struct{}{}
}
