package domain

import (
	"time"

	"github.com/google/uuid"
)

// Event is one fact of the log. Its ID is derived from what it tells, wherever
// the outside world names that, so that telling it twice is telling it once.
type Event struct {
	ID         uuid.UUID
	Account    string
	Channel    string
	Dialect    Dialect
	ContactRef string
	Time       time.Time // when Parley took it in, UTC, milliseconds
	Data       Data
}

// Stream names the stream the event belongs to.
func (e Event) Stream() string { return StreamOf(e.Channel, e.ContactRef) }

// Recorded is an event with its place in the log.
type Recorded struct {
	Event
	Position Position
}

// Data is what an event tells. The set is closed; eventstore keeps the stored
// name and version of each.
//
// Which may follow which: a message.* event opens the conversation, or its next
// episode when it is closed; conversation.* events apply to a conversation that
// is there; receipt.recorded applies to an outgoing message whenever it comes,
// even before the delivery.attempted that names the message's external id;
// delivery.* events follow the outbound event they belong to.
type Data interface{ data() }

// MessageReceived tells that the contact wrote.
type MessageReceived struct {
	MessageID      uuid.UUID `json:"message_id"`
	ConversationID uuid.UUID `json:"conversation_id"`
	ContactID      uuid.UUID `json:"contact_id"`
	ExternalID     string    `json:"external_id"`
	SentAt         time.Time `json:"sent_at"`
	Content        Content   `json:"content"`
	Profile        *Profile  `json:"profile,omitempty"` // completes what is known of the contact; replaces it where the dialect says so
	Terms          *Terms    `json:"terms,omitempty"`   // in dialects that have episodes
	Posted         *Posted   `json:"posted,omitempty"`  // in dialects that have tickets
}

// MessageEchoed tells that the business wrote outside Parley.
type MessageEchoed struct {
	MessageID      uuid.UUID `json:"message_id"`
	ConversationID uuid.UUID `json:"conversation_id"`
	ContactID      uuid.UUID `json:"contact_id"`
	ExternalID     string    `json:"external_id"`
	SentAt         time.Time `json:"sent_at"`
	Content        Content   `json:"content"`
	Profile        *Profile  `json:"profile,omitempty"`
}

// MessageSent tells that the contact centre wants this said. It becomes a
// callback; that it was said is told by DeliveryAttempted.
type MessageSent struct {
	MessageID      uuid.UUID `json:"message_id"`
	ConversationID uuid.UUID `json:"conversation_id"`
	ContactID      uuid.UUID `json:"contact_id"`
	Content        Content   `json:"content"`
	Author         string    `json:"author,omitempty"` // name of the platform token that asked
	Profile        *Profile  `json:"profile,omitempty"`
	Sender         *Sender   `json:"sender,omitempty"` // who speaks, in dialects that tell
	Terms          *Terms    `json:"terms,omitempty"`  // in dialects that have episodes
	Posted         *Posted   `json:"posted,omitempty"` // in dialects that have tickets
}

// ReceiptRecorded tells what the integration says became of an outgoing message.
type ReceiptRecorded struct {
	ConversationID uuid.UUID `json:"conversation_id"`
	ExternalID     string    `json:"external_id"`
	Value          Status    `json:"value"` // sent, delivered, read or failed
	Reason         string    `json:"reason,omitempty"`
	OccurredAt     time.Time `json:"occurred_at"`
}

// CloseReason says who closed a conversation. The set is closed.
type CloseReason string

// The reasons.
const (
	ClosedByAgent   CloseReason = "agent"
	ClosedByBot     CloseReason = "bot"     // a function asked to finish
	ClosedByTimeout CloseReason = "timeout" // a closing timer ran out
	ClosedByUnknown CloseReason = "unknown" // anything else: bulk close, channel disabled, agent deleted
)

// CloseReasons is the closed set.
var CloseReasons = []CloseReason{ClosedByAgent, ClosedByBot, ClosedByTimeout, ClosedByUnknown}

// ConversationClosed tells that a conversation was closed by somebody who had
// seen it as it was then; it does nothing if the conversation has moved on. What
// has been seen is told by Seen, the newest message, where the dialect has no
// episodes, and otherwise by those of SeenInbound, SeenActivity and Episode that
// are set.
type ConversationClosed struct {
	ConversationID uuid.UUID   `json:"conversation_id"`
	Seen           uuid.UUID   `json:"seen"`
	SeenInbound    uuid.UUID   `json:"seen_inbound,omitzero"`  // newest message of the contact
	SeenActivity   uuid.UUID   `json:"seen_activity,omitzero"` // newest event that counts as activity
	Episode        int         `json:"episode,omitempty"`
	Reason         CloseReason `json:"reason"`
	By             string      `json:"by,omitempty"`
	Sender         *Sender     `json:"sender,omitempty"` // the agent, where the dialect tells
}

// Handler is who looks after a conversation.
type Handler string

// The handlers.
const (
	HandlerUnassigned Handler = "unassigned"
	HandlerQueue      Handler = "queue" // waits there for an agent
	HandlerBot        Handler = "bot"
	HandlerAgent      Handler = "agent"
)

// ConversationAssigned tells who looks after a conversation from now on.
type ConversationAssigned struct {
	ConversationID uuid.UUID `json:"conversation_id"`
	To             Handler   `json:"to"`
	AgentID        string    `json:"agent_id,omitempty"`
	By             string    `json:"by,omitempty"`

	// In dialects that have episodes.
	Queue    int64        `json:"queue,omitempty"` // for HandlerQueue
	Wait     int64        `json:"wait_s,omitempty"`
	Function int64        `json:"function,omitempty"` // for HandlerBot
	Skills   []SkillLevel `json:"skills,omitempty"`
	Priority int          `json:"priority,omitempty"`
	Handling uuid.UUID    `json:"handling,omitzero"` // void if the handler has changed since this event
	Idle     bool         `json:"idle,omitempty"`    // is no activity: timers run on
	Terms    *Terms       `json:"terms,omitempty"`
}

// ConversationMarked tells what was noted about an episode.
type ConversationMarked struct {
	ConversationID uuid.UUID `json:"conversation_id"`
	Tags           []int64   `json:"tags,omitempty"` // added, or with ReplaceTags all of them
	ReplaceTags    bool      `json:"replace_tags,omitempty"`
	Topic          *int64    `json:"topic,omitempty"` // 0 takes it away
	Variables      Texts     `json:"variables,omitempty"`
	Custom         Texts     `json:"custom_data,omitempty"`
	By             string    `json:"by,omitempty"`
	Terms          *Terms    `json:"terms,omitempty"`
}

// DeliveryAttempted tells the outcome of one call to a callback.
type DeliveryAttempted struct {
	DeliveryID    uuid.UUID  `json:"delivery_id"`
	MessageID     uuid.UUID  `json:"message_id"`
	Conversation  uuid.UUID  `json:"conversation_id"`
	Target        string     `json:"target,omitempty"` // "" is the channel itself; see Delivery.Target
	Attempt       int        `json:"attempt"`          // from 1, counting on through redrives
	StartedAt     time.Time  `json:"started_at"`
	DurationMS    int64      `json:"duration_ms"`
	Verdict       Verdict    `json:"verdict"`
	Reason        Reason     `json:"reason"`
	HTTPStatus    int        `json:"http_status,omitempty"`
	Detail        string     `json:"detail,omitempty"`      // for people, at most 1,000 characters
	Cause         string     `json:"cause,omitempty"`       // why there was no answer, for operators, where Detail does not say it
	ExternalID    string     `json:"external_id,omitempty"` // the id that the integration gave the message
	Response      string     `json:"response,omitempty"`    // capped at MaxResponseKept bytes; kept when the attempt did not deliver
	NextAttemptAt *time.Time `json:"next_attempt_at,omitempty"`
	Parks         bool       `json:"parks,omitempty"` // followers in the conversation wait until it is redriven or dropped
}

// DeliveryRedriven tells that somebody wants a dead letter sent after all.
type DeliveryRedriven struct {
	DeliveryID   uuid.UUID `json:"delivery_id"`
	MessageID    uuid.UUID `json:"message_id"`
	Conversation uuid.UUID `json:"conversation_id"`
	Target       string    `json:"target,omitempty"` // "" is the channel itself; see Delivery.Target
	By           string    `json:"by,omitempty"`
	// Attempt is the one that made it a dead letter: told again after another try
	// it changes nothing. 0 in older records, which count whatever was tried since.
	Attempt int `json:"attempt,omitempty"`
}

// DeliveryDropped tells that somebody gave a dead letter up; its followers go on.
type DeliveryDropped struct {
	DeliveryID   uuid.UUID `json:"delivery_id"`
	MessageID    uuid.UUID `json:"message_id"`
	Conversation uuid.UUID `json:"conversation_id"`
	Target       string    `json:"target,omitempty"` // "" is the channel itself; see Delivery.Target
	By           string    `json:"by,omitempty"`
}

func (MessageReceived) data()      {}
func (MessageEchoed) data()        {}
func (MessageSent) data()          {}
func (ReceiptRecorded) data()      {}
func (ConversationClosed) data()   {}
func (ConversationAssigned) data() {}
func (ConversationMarked) data()   {}
func (DeliveryAttempted) data()    {}
func (DeliveryRedriven) data()     {}
func (DeliveryDropped) data()      {}

// Stamp rounds a time to what the log keeps: UTC and milliseconds.
func Stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// on starts an event of a channel's stream.
func (c Channel) on(ref string, now time.Time) Event {
	return Event{Account: c.Account, Channel: c.ID, Dialect: c.Dialect, ContactRef: ref, Time: Stamp(now)}
}

// Receive tells that a contact wrote. The content must have been validated.
func (c Channel) Receive(ref, external string, sentAt time.Time, content Content, profile *Profile, now time.Time) Event {
	return c.ReceiveAs(MessageID(c.ID, ref, In, external), ref, external, sentAt, content, profile, now)
}

// ReceiveAs is Receive where more than the external id tells messages apart: id
// is derived from all that does.
func (c Channel) ReceiveAs(id uuid.UUID, ref, external string, sentAt time.Time, content Content, profile *Profile, now time.Time) Event {
	e := c.on(ref, now)
	e.ID = id
	e.Data = MessageReceived{
		MessageID: e.ID, ConversationID: ConversationID(c.ID, ref), ContactID: ContactID(c.ID, ref),
		ExternalID: external, SentAt: Stamp(sentAt), Content: content, Profile: profile, Terms: c.terms(),
	}
	return e
}

// Echo tells that the business wrote outside Parley. The content must have been validated.
func (c Channel) Echo(ref, external string, sentAt time.Time, content Content, profile *Profile, now time.Time) Event {
	e := c.on(ref, now)
	e.ID = MessageID(c.ID, ref, Out, external)
	e.Data = MessageEchoed{
		MessageID: e.ID, ConversationID: ConversationID(c.ID, ref), ContactID: ContactID(c.ID, ref),
		ExternalID: external, SentAt: Stamp(sentAt), Content: content, Profile: profile,
	}
	return e
}

// Send tells that the contact centre wants something said. id names the message:
// a repeated request must give the same id. The content must have been validated.
func (c Channel) Send(ref string, id uuid.UUID, content Content, author string, now time.Time) Event {
	return c.SendAs(nil, ref, id, content, author, now)
}

// SendAs is Send by somebody, where the dialect tells who speaks.
func (c Channel) SendAs(sender *Sender, ref string, id uuid.UUID, content Content, author string, now time.Time) Event {
	e := c.on(ref, now)
	e.ID = id
	sent := MessageSent{
		MessageID: id, ConversationID: ConversationID(c.ID, ref), ContactID: ContactID(c.ID, ref),
		Content: content, Author: author, Sender: sender, Terms: c.terms(),
	}
	if c.IDType == IDTypePhone {
		sent.Profile = &Profile{Phone: ref} // the contact may not have written before
	}
	e.Data = sent
	return e
}

// Receipt tells what the integration says became of an outgoing message.
func (c Channel) Receipt(ref, external string, value Status, reason string, at, now time.Time) Event {
	e := c.on(ref, now)
	at = Stamp(at)
	e.ID = DeriveID("receipt", c.ID, ref, external, string(value), at.Format(time.RFC3339Nano))
	e.Data = ReceiptRecorded{
		ConversationID: ConversationID(c.ID, ref), ExternalID: external, Value: value, Reason: reason, OccurredAt: at,
	}
	return e
}
