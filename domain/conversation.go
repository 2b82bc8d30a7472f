package domain

import (
	"time"

	"github.com/google/uuid"
)

// ConversationStatus is whether a conversation is open.
type ConversationStatus string

// The statuses of a conversation.
const (
	StatusOpen   ConversationStatus = "open"
	StatusClosed ConversationStatus = "closed"
)

// MaxAgentID is how long an agent's id may be, in characters.
const MaxAgentID = 255

// Conversation is the thread between a contact and the business on one channel.
type Conversation struct {
	ID            uuid.UUID
	Account       string
	Channel       string
	ContactID     uuid.UUID
	ContactRef    string
	Status        ConversationStatus
	Episode       int // counts openings, from 1
	Handler       Handler
	AgentID       string
	Messages      int       // how many there are
	LastMessage   uuid.UUID // the newest by the order of the log
	LastText      string    // a preview of it, at most 200 characters
	LastMessageAt time.Time
	OpenedAt      time.Time // when the current episode began
	ClosedAt      *time.Time
	CloseReason   CloseReason
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Close asks for a conversation to be closed by somebody who has seen it as it
// is in c; CodeConflict when it is closed.
func (c Conversation) Close(ch Channel, by string, now time.Time) (Event, error) {
	if c.Status != StatusOpen {
		return Event{}, Errorf(CodeConflict, "conversation is closed already")
	}
	e := ch.on(c.ContactRef, now)
	e.ID = DeriveID("close", c.ID.String(), c.LastMessage.String())
	e.Data = ConversationClosed{ConversationID: c.ID, Seen: c.LastMessage, Reason: ClosedByAgent, By: by}
	return e, nil
}

// Assign names who looks after a conversation from now on. id names the request.
func (c Conversation) Assign(ch Channel, id uuid.UUID, to Handler, agent, by string, now time.Time) (Event, error) {
	switch to {
	case HandlerAgent:
		if agent == "" {
			return Event{}, Invalid("agent_id", "is required when the conversation goes to an agent")
		}
	case HandlerBot, HandlerUnassigned:
		if agent != "" {
			return Event{}, Invalid("agent_id", "is only for an agent")
		}
	default:
		return Event{}, Invalid("to", "must be one of agent, bot, unassigned")
	}
	if err := length("agent_id", agent, 0, MaxAgentID); err != nil {
		return Event{}, err
	}
	e := ch.on(c.ContactRef, now)
	e.ID = id
	e.Data = ConversationAssigned{ConversationID: c.ID, To: to, AgentID: agent, By: by}
	return e, nil
}

// preview is what a list shows of a message, at most 200 characters.
func (c Content) preview() string {
	switch c.Type {
	case ContentText:
		return Cut(c.Text, 200)
	case ContentAttachment:
		if c.Attachment.FileName != "" {
			return Cut("["+c.Attachment.Type+"] "+c.Attachment.FileName, 200)
		}
		return "[" + c.Attachment.Type + "]"
	case ContentLocation:
		return Cut("[location] "+c.Address, 200)
	case ContentQuickReply:
		return Cut(c.Title, 200)
	default:
		return ""
	}
}
