package domain

import (
	"time"

	"github.com/google/uuid"
)

// EarlyReceipt is how long a receipt whose message is not known yet waits for
// an answer of the integration that names it (respond-io.md 3.5, rule 5). It is
// measured between the events' own times, so a rebuild decides the same.
const EarlyReceipt = 5 * time.Minute

// MaxEarlyReceipts bounds how many receipts wait for one message.
const MaxEarlyReceipts = 50

// MaxHistory bounds the words that are kept about one message. Beyond it a word
// is kept only if it changes the status.
const MaxHistory = 200

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
	Position   Position  // of the event, the last one if it was told again
	RecordedAt time.Time // when that was told
}

// expired tells whether the receipt waits no longer at a time.
func (r Receipt) expired(at time.Time) bool { return at.Sub(r.RecordedAt) > EarlyReceipt }

// receipt applies to the newest outgoing message of that id (respond-io.md 4.4)
// or waits for one.
func (t *Thread) receipt(r Recorded, e ReceiptRecorded) {
	key := ExternalKey{e.ConversationID, e.ExternalID}
	change := StatusChange{Value: e.Value, Timestamp: e.OccurredAt, Message: e.Reason}
	if m := t.newest(key); m != nil {
		if !t.toldBefore(key, change) {
			t.hear(m, change)
		}
		return
	}
	t.wait(Receipt{ID: r.ID, ExternalKey: key, StatusChange: change, Position: r.Position, RecordedAt: r.Time})
}

// wait keeps an early receipt. One that is told again waits anew.
func (t *Thread) wait(early Receipt) {
	waiting := t.Early[early.ExternalKey]
	kept := make([]Receipt, 0, len(waiting)+1)
	for _, w := range waiting {
		switch {
		case w.ID == early.ID && w.RecordedAt.After(early.RecordedAt):
			early.RecordedAt = w.RecordedAt
		case w.ID == early.ID:
		case w.expired(early.RecordedAt):
			t.spend(w.ID)
		default:
			kept = append(kept, w)
		}
	}
	if len(kept) < MaxEarlyReceipts {
		kept = append(kept, early)
		t.DirtyReceipts[early.ID] = early
		delete(t.SpentReceipts, early.ID)
	}
	t.Early[early.ExternalKey] = kept
}

func (t *Thread) spend(receipt uuid.UUID) {
	t.SpentReceipts[receipt] = struct{}{}
	delete(t.DirtyReceipts, receipt)
}

// meetEarly applies the receipts that came before the message had its id.
func (t *Thread) meetEarly(m *Message, key ExternalKey, at time.Time) {
	for _, early := range t.Early[key] {
		if !early.expired(at) {
			t.hear(m, early.StatusChange)
		}
		t.spend(early.ID)
	}
	delete(t.Early, key)
}

// newest gives the newest outgoing message of an external id, or nil.
func (t *Thread) newest(key ExternalKey) *Message {
	var newest *Message
	for _, id := range t.external[key] {
		if m := t.Messages[id]; newest == nil || m.Position.Offset > newest.Position.Offset {
			newest = m
		}
	}
	return newest
}

// toldBefore tells whether a message of an external id has heard the word. It
// may be an older one than the newest: then the word was about that one, and
// telling it again does not make it one about the newest.
func (t *Thread) toldBefore(key ExternalKey, c StatusChange) bool {
	for _, id := range t.external[key] {
		if t.Messages[id].heard(c) {
			return true
		}
	}
	return false
}

// hear applies a word about an outgoing message unless it was said before.
func (t *Thread) hear(m *Message, c StatusChange) {
	if !m.heard(c) && m.note(c) {
		t.DirtyMessages[m.ID] = struct{}{}
	}
}

// echoed takes in what the business said elsewhere. An echo of a platform send
// is that message and counts as its sent receipt (respond-io.md 3.8); so does an
// echo that is told again, which changes nothing unless it names another time.
func (t *Thread) echoed(r Recorded, e MessageEchoed) {
	key := ExternalKey{e.ConversationID, e.ExternalID}
	sent := StatusChange{Value: StatusSent, Timestamp: e.SentAt}
	if m := t.newest(key); m != nil {
		if !t.toldBefore(key, sent) {
			t.hear(m, sent)
		}
		return
	}
	t.said(r, e.ContactID, e.Profile, Message{
		ID: e.MessageID, Conversation: e.ConversationID, Direction: Out, Kind: KindEcho, Content: e.Content,
		ExternalID: e.ExternalID, Status: StatusSent, SentAt: e.SentAt, History: []StatusChange{sent},
	})
	if m := t.Messages[e.MessageID]; m != nil {
		t.meetEarly(m, key, r.Time)
	}
}

// attempted lets an outgoing message follow its delivery.
func (t *Thread) attempted(r Recorded, e DeliveryAttempted) {
	m := t.Messages[e.MessageID]
	if m == nil {
		return
	}
	switch e.Verdict {
	case Delivered:
		t.delivered(r, e, m)
	case Refused, Exhausted:
		// A message that left queued has its outcome: this one is a repeat, or a
		// second call that was in flight at a crash.
		if m.Status == StatusQueued {
			t.hear(m, StatusChange{Value: StatusFailed, Timestamp: r.Time, Message: e.Detail})
		}
	case Retry:
	}
}

// delivered takes in that the integration took the message, under what id. Of
// two calls that were in flight at a crash the first to be told counts.
func (t *Thread) delivered(r Recorded, e DeliveryAttempted, m *Message) {
	sent := StatusChange{Value: StatusSent, Timestamp: r.Time}
	if m.ExternalID != "" || m.heard(sent) {
		return
	}
	m.ExternalID = e.ExternalID
	m.note(sent)
	if m.Status == StatusFailed { // an earlier call's outcome: it went out after all
		m.Status, m.Reason = StatusSent, ""
	}
	t.DirtyMessages[m.ID] = struct{}{}
	if e.ExternalID == "" {
		return
	}
	key := ExternalKey{m.Conversation, e.ExternalID}
	t.absorbEcho(m, key)
	t.index(m)
	t.meetEarly(m, key, r.Time)
}

// absorbEcho lets the message take over from an echo of itself that came before
// the answer that names it.
func (t *Thread) absorbEcho(m *Message, key ExternalKey) {
	kept := make([]uuid.UUID, 0, len(t.external[key]))
	for _, id := range t.external[key] {
		echo := t.Messages[id]
		if echo.Kind != KindEcho {
			kept = append(kept, id)
			continue
		}
		for _, h := range echo.History {
			t.hear(m, h)
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

// redriven puts a failed message back into the queue, unless the integration
// has taken it: then what came of it is told by receipts.
func (t *Thread) redriven(r Recorded, e DeliveryRedriven) {
	m := t.Messages[e.MessageID]
	queued := StatusChange{Value: StatusQueued, Timestamp: r.Time}
	if m == nil || m.Status != StatusFailed || m.ExternalID != "" || m.heard(queued) {
		return
	}
	m.Status, m.Reason = StatusQueued, ""
	m.History = append(m.History, queued)
	t.DirtyMessages[m.ID] = struct{}{}
}
