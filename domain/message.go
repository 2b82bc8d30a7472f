package domain

import (
	"time"

	"github.com/google/uuid"
)

// Direction tells who spoke.
type Direction string

// The directions.
const (
	In  Direction = "in"  // the contact
	Out Direction = "out" // the business
)

// Kind tells a message from an echo.
type Kind string

// The kinds.
const (
	KindMessage Kind = "message"
	KindEcho    Kind = "echo" // said by the business outside Parley
)

// Status is what became of a message. The order of the first four is that of
// respond-io.md 3.5; incoming messages stay StatusDelivered.
type Status string

// The statuses.
const (
	StatusQueued    Status = "queued" // not yet taken by the integration
	StatusSent      Status = "sent"
	StatusDelivered Status = "delivered"
	StatusRead      Status = "read"
	StatusFailed    Status = "failed"
)

func (s Status) rank() int {
	switch s {
	case StatusQueued:
		return 0
	case StatusSent:
		return 1
	case StatusDelivered:
		return 2
	case StatusRead:
		return 3
	case StatusFailed:
		return -1
	default:
		return -2
	}
}

// StatusChange is one entry of a message's history: what was said and when,
// whether or not it moved the status.
type StatusChange struct {
	Value     Status    `json:"value"`
	Timestamp time.Time `json:"timestamp"`
	Message   string    `json:"message,omitempty"` // why it failed
}

// Message is one thing said in a conversation.
type Message struct {
	ID           uuid.UUID
	Conversation uuid.UUID
	Account      string
	Channel      string
	Position     Position // of the event that brought it; orders the conversation
	Direction    Direction
	Kind         Kind
	Content      Content
	ExternalID   string // the integration's id; "" until it has given one
	Status       Status
	Reason       string // why it failed, "" otherwise
	History      []StatusChange
	Author       string    // name of the platform token that asked for it, "" otherwise
	Sender       *Sender   // who speaks, in dialects that tell
	SentAt       time.Time // the sender's own time
	RecordedAt   time.Time // when Parley took it in
}

// note applies one word about an outgoing message, by the rules of
// respond-io.md 3.5: a word that is not higher changes nothing but is kept in
// the history; failed counts only before delivery; delivered and read count
// also after failed. It tells whether the message changed.
func (m *Message) note(c StatusChange) bool {
	var moved bool
	switch {
	case c.Value == StatusFailed:
		moved = m.Status == StatusQueued || m.Status == StatusSent
	case m.Status == StatusFailed:
		moved = c.Value.rank() >= StatusDelivered.rank() // sent after failed says nothing new
	default:
		moved = c.Value.rank() > m.Status.rank()
	}
	if moved {
		m.Status, m.Reason = c.Value, ""
		if c.Value == StatusFailed {
			m.Reason = c.Message
		}
	}
	if !moved && len(m.History) >= MaxHistory {
		return false
	}
	m.History = append(m.History, c)
	return true
}

// heard tells whether the very same word was said before: a repeated receipt.
func (m *Message) heard(c StatusChange) bool {
	for _, h := range m.History {
		if h.Value == c.Value && h.Timestamp.Equal(c.Timestamp) {
			return true
		}
	}
	return false
}
