package domain

import "time"

// Page asks for a part of a list.
type Page struct {
	Limit int    // how many entries at most
	After string // the cursor that the part before ended with, "" = from the start
}

// ContactFilter narrows a list of contacts; empty fields do not.
type ContactFilter struct {
	Account string // always set
	Channel string
	Search  string // part of a name, reference, phone or e-mail, without regard to case
}

// ConversationFilter narrows a list of conversations; empty fields do not.
type ConversationFilter struct {
	Account string // always set
	Channel string
	Contact string // a contact's id, or the reference that the integration uses
	Status  ConversationStatus
	Search  string // part of the contact's name or reference, or of the last message
	Handler Handler
	Agent   string // an agent's id
	Queue   int64  // the queue that the conversation waits in
	Tag     int64  // a tag of the current or last episode
}

// DeliveryFilter narrows a list of deliveries; empty fields do not.
type DeliveryFilter struct {
	Account string // always set
	Channel string
	State   DeliveryState
	Kind    DeliveryKind
}

// Attempt is one call to a callback, as it is kept for inspection.
type Attempt struct {
	Number     int
	StartedAt  time.Time
	Duration   time.Duration
	Verdict    Verdict
	Reason     Reason
	HTTPStatus int
	Detail     string
	Response   string // at most MaxResponseKept bytes; "" when it delivered
}

// EventFilter narrows a walk through the log; empty fields do not.
type EventFilter struct {
	Account string
	Channel string
	Stream  string
	Type    string    // stored name, such as message.received.v1, or its beginning up to a dot
	From    time.Time // inclusive, by the log's own time of arrival
	To      time.Time // exclusive
	// FromPosition (inclusive) and ToPosition (exclusive) narrow the walk to one
	// partition; when both are set they name the same one.
	FromPosition *Position
	ToPosition   *Position
}
