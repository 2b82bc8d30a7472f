package domain

import (
	"strconv"
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
	State         *Episode // the current or last one, in dialects that have episodes; nil otherwise
}

// follow takes over what the episode says.
func (c *Conversation) follow() {
	e := c.State
	c.Status, c.Episode, c.Handler, c.AgentID = StatusClosed, e.Number, e.Handler, e.AgentID
	c.OpenedAt, c.ClosedAt, c.CloseReason = e.OpenedAt, e.ClosedAt, e.Reason
	if e.Open {
		c.Status = StatusOpen
	}
	if e.Number == 0 { // a bot has written to somebody who never did
		c.Handler, c.OpenedAt = HandlerUnassigned, c.CreatedAt
	}
}

// Closing is a wish to close a conversation.
type Closing struct {
	Reason CloseReason // default ClosedByAgent
	By     string      // name of the platform token that asked, "" otherwise
	Sender *Sender     // the agent who closes, in dialects that tell
}

// Close asks for a conversation to be closed by somebody who has seen it as it
// is in c; CodeConflict when it is closed.
func (c Conversation) Close(ch Channel, closing Closing, now time.Time) (Event, error) {
	if c.Status != StatusOpen {
		return Event{}, Errorf(CodeConflict, "conversation is closed already")
	}
	if closing.Reason == "" {
		closing.Reason = ClosedByAgent
	}
	closed := ConversationClosed{ConversationID: c.ID, Seen: c.LastMessage, Reason: closing.Reason, By: closing.By}
	e := ch.on(c.ContactRef, now)
	e.ID = DeriveID("close", c.ID.String(), c.LastMessage.String())
	if s := c.State; s != nil {
		closed.SeenInbound, closed.Episode = s.Inbound, s.Number
		if closing.Reason == ClosedByAgent {
			closed.Sender = closing.Sender
		}
		e.ID = decisionID("close", c.ID, s.Activity, s.ActivityAt, string(closing.Reason))
	}
	e.Data = closed
	return e, nil
}

// decisionID names what was decided about a conversation after it had last been
// moved by an event. The event's time is a part of it: a sender may use an id again
// after RepeatWindow, and what is decided then is another decision.
func decisionID(kind string, conversation, moved uuid.UUID, at time.Time, words ...string) uuid.UUID {
	return DeriveID(kind, append([]string{conversation.String(), moved.String(), strconv.FormatInt(at.UnixMilli(), 10)}, words...)...)
}

// Expire closes a conversation whose timer has run out; ok is false when it has
// not (voximplant-kit.md 6.3). A channel whose closing time has become shorter
// counts with that one, from the last activity; a longer one counts from the
// next activity on (8.5).
func (c Conversation) Expire(ch Channel, now time.Time) (e Event, ok bool) {
	if c.State == nil || c.Status != StatusOpen {
		return Event{}, false
	}
	timer, since, after := c.State.Closing()
	switch timer {
	case TimerAgent:
		after = min(after, time.Duration(ch.Desk.CloseAfter)*time.Second)
	case TimerBot:
		after = min(after, time.Duration(ch.Desk.BotClose)*time.Second)
	case TimerNone:
		return Event{}, false
	}
	if now.Before(since.Add(after)) {
		return Event{}, false
	}
	e = ch.on(c.ContactRef, now)
	e.ID = decisionID("expire", c.ID, c.State.Activity, c.State.ActivityAt)
	e.Data = ConversationClosed{
		ConversationID: c.ID, Seen: c.LastMessage, SeenActivity: c.State.Activity, Episode: c.State.Number, Reason: ClosedByTimeout,
	}
	return e, true
}

// GiveUpWaiting takes a conversation out of a queue in which it has waited too
// long: it is unassigned then (voximplant-kit.md 6.1). ok is false when it has not.
func (c Conversation) GiveUpWaiting(ch Channel, now time.Time) (e Event, ok bool) {
	if c.State == nil {
		return Event{}, false
	}
	until := c.State.WaitsUntil()
	if until == nil || now.Before(*until) {
		return Event{}, false
	}
	e = ch.on(c.ContactRef, now)
	e.ID = decisionID("unqueue", c.ID, c.State.Handling, c.State.HandlingAt)
	// The activity stays what it was: nobody has done anything, so no timer starts anew.
	e.Data = ConversationAssigned{ConversationID: c.ID, To: HandlerUnassigned, Handling: c.State.Handling, By: "queue", Idle: true}
	return e, true
}

// Distribute gives a conversation that waits in a queue to an agent. Whatever
// agent was chosen where, the first to be told has it.
func (c Conversation) Distribute(ch Channel, agent Agent, now time.Time) Event {
	e := ch.on(c.ContactRef, now)
	e.ID = decisionID("distribute", c.ID, c.State.Handling, c.State.HandlingAt)
	e.Data = ConversationAssigned{
		ConversationID: c.ID, To: HandlerAgent, AgentID: agent.ID(), Handling: c.State.Handling, By: "queue", Terms: ch.terms(),
	}
	return e
}

// Assignment says who looks after a conversation from now on. What does not
// belong to To must be empty. Queue, Function and Skills are numbers of the
// account; whether they are there is for who has the account at hand.
type Assignment struct {
	To       Handler
	AgentID  string       // for an agent
	Queue    int64        // for a queue
	Wait     int64        // of that queue, seconds
	Function int64        // for a bot, in dialects that have functions
	Skills   []SkillLevel // wanted of who takes it out of the queue
	Priority int          // 0 to 10
}

// MaxPriority bounds the priority of a conversation in a queue (voximplant-kit.md 7).
const MaxPriority = 10

func (a Assignment) validate(d Dialect) error {
	switch a.To {
	case HandlerAgent:
		if a.AgentID == "" {
			return Invalid("agent_id", "is required when the conversation goes to an agent")
		}
	case HandlerQueue:
		if !d.HasEpisodes() {
			return Invalid("to", "must be one of agent, bot, unassigned on a channel of dialect %s", d)
		}
		if a.Queue <= 0 {
			return Invalid("queue_id", "is required when the conversation goes to a queue")
		}
	case HandlerBot:
		if d.HasEpisodes() && a.Function <= 0 {
			return Invalid("function_id", "is required when the conversation goes to a bot")
		}
	case HandlerUnassigned:
	default:
		return Invalid("to", "must be one of agent, queue, bot, unassigned")
	}
	switch {
	case a.AgentID != "" && a.To != HandlerAgent:
		return Invalid("agent_id", "is only for an agent")
	case a.Queue != 0 && a.To != HandlerQueue:
		return Invalid("queue_id", "is only for a queue")
	case a.Function != 0 && (a.To != HandlerBot || !d.HasEpisodes()):
		return Invalid("function_id", "is only for a bot, on a channel that has functions")
	case len(a.Skills) > 0 && a.To != HandlerQueue:
		return Invalid("skills", "are only for a queue")
	case a.Priority != 0 && a.To != HandlerQueue:
		return Invalid("priority", "is only for a queue")
	case a.Priority < 0 || a.Priority > MaxPriority:
		return Invalid("priority", "must be from 0 to %d", MaxPriority)
	}
	if err := ValidateSkills("skills", a.Skills); err != nil {
		return err
	}
	return length("agent_id", a.AgentID, 0, MaxAgentID)
}

// Assign names who looks after a conversation from now on. id names the request.
// CodeConflict when the conversation is closed, in dialects that have episodes.
func (c Conversation) Assign(ch Channel, id uuid.UUID, a Assignment, by string, now time.Time) (Event, error) {
	if err := a.validate(ch.Dialect); err != nil {
		return Event{}, err
	}
	if c.State != nil && c.Status != StatusOpen {
		return Event{}, Errorf(CodeConflict, "conversation is closed")
	}
	e := ch.on(c.ContactRef, now)
	e.ID = id
	e.Data = a.event(c.ID, by, ch.terms())
	return e, nil
}

func (a Assignment) event(conversation uuid.UUID, by string, terms *Terms) ConversationAssigned {
	return ConversationAssigned{
		ConversationID: conversation, To: a.To, AgentID: a.AgentID, By: by,
		Queue: a.Queue, Wait: a.Wait, Function: a.Function, Skills: a.Skills, Priority: a.Priority, Terms: terms,
	}
}

// Marks are what is noted about an episode.
type Marks struct {
	Tags        []int64 // added, or with ReplaceTags all of them
	ReplaceTags bool
	Topic       *int64 // 0 takes it away
	Variables   Texts
	Custom      Texts // JSON texts by name
}

// Bounds of marks. Bytes count all names and texts together.
const (
	MaxTags       = 100
	MaxMarkNames  = 100
	MaxMarksBytes = 64 << 10
)

// Validate checks the bounds; whether tags and topic are there is for who has the
// account at hand.
func (m Marks) Validate() error {
	if len(m.Tags) > MaxTags {
		return Invalid("tags", "must hold at most %d tags", MaxTags)
	}
	for field, texts := range map[string]Texts{"variables": m.Variables, "custom_data": m.Custom} {
		size := 0
		for name, text := range texts {
			size += len(name) + len(text)
			if err := length(field, name+text, 0, MaxMarksBytes); err != nil {
				return err
			}
		}
		if len(texts) > MaxMarkNames || size > MaxMarksBytes {
			return Invalid(field, "must hold at most %d names and %d bytes", MaxMarkNames, MaxMarksBytes)
		}
	}
	return nil
}

func (m Marks) empty() bool {
	return len(m.Tags) == 0 && !m.ReplaceTags && m.Topic == nil && len(m.Variables) == 0 && len(m.Custom) == 0
}

// Mark notes something about an open episode. id names the request. CodeConflict
// when the conversation is closed or its dialect has no episodes.
func (c Conversation) Mark(ch Channel, id uuid.UUID, m Marks, by string, now time.Time) (Event, error) {
	if c.State == nil {
		return Event{}, Errorf(CodeConflict, "conversations of dialect %s cannot be marked", ch.Dialect)
	}
	if c.Status != StatusOpen {
		return Event{}, Errorf(CodeConflict, "conversation is closed")
	}
	if err := m.Validate(); err != nil {
		return Event{}, err
	}
	e := ch.on(c.ContactRef, now)
	e.ID = id
	e.Data = m.event(c.ID, by, ch.terms())
	return e, nil
}

func (m Marks) event(conversation uuid.UUID, by string, terms *Terms) ConversationMarked {
	return ConversationMarked{
		ConversationID: conversation, Tags: m.Tags, ReplaceTags: m.ReplaceTags, Topic: m.Topic,
		Variables: m.Variables, Custom: m.Custom, By: by, Terms: terms,
	}
}

// preview is what a list shows of a message, at most 200 characters.
func (c Content) preview() string {
	switch c.Type {
	case ContentText:
		if c.Text == "" && len(c.Attachments) > 0 {
			return "[" + c.Attachments[0].Type + "]"
		}
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
