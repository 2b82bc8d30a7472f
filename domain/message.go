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
	SentAt       time.Time // the sender's own time
	RecordedAt   time.Time // when Parley took it in
}

// note applies one word about an outgoing message, by the rules of
// respond-io.md 3.5: a word that is not higher changes nothing but is kept in
// the history; failed counts only before delivery; delivered and read count
// also after failed.
func (m *Message) note(c StatusChange) {
	m.History = append(m.History, c)
	switch {
	case c.Value == StatusFailed:
		if m.Status == StatusQueued || m.Status == StatusSent {
			m.Status, m.Reason = StatusFailed, c.Message
		}
	case m.Status == StatusFailed && c.Value.rank() < StatusDelivered.rank():
		// sent after failed says nothing new
	case c.Value.rank() > m.Status.rank():
		m.Status, m.Reason = c.Value, ""
	}
}
