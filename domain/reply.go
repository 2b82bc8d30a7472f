package domain

import (
	"time"

	"github.com/google/uuid"
)

// FunctionReply is what a function answered (voximplant-kit.md 7), read.
type FunctionReply struct {
	Text     string // "" = says nothing
	Finish   bool   // close after the text
	Transfer *Assignment
	Marks    Marks
}

// Answering is what a function answers to.
type Answering struct {
	ContactRef   string
	Conversation uuid.UUID
	Handling     uuid.UUID // a transfer is void if the handler has changed since
	Inbound      uuid.UUID // a finish is void if the contact has written since
	ID           uuid.UUID // names the answer: the same one gives the same events
}

// Answer turns a function's reply into events, in the order in which they take
// effect: marks, the text, then a transfer or a close. They belong into one
// append: all of them land, or none and the function is asked again.
func (c Channel) Answer(to Answering, r FunctionReply, now time.Time) []Event {
	var events []Event
	add := func(what string, data Data) {
		e := c.on(to.ContactRef, now)
		e.ID, e.Data = DeriveID(what, to.ID.String()), data
		events = append(events, e)
	}
	if !r.Marks.empty() {
		add("function-marks", r.Marks.event(to.Conversation, "function", c.terms()))
	}
	if r.Text != "" {
		id := DeriveID("function-text", to.ID.String())
		events = append(events, c.SendAs(BotSender(), to.ContactRef, id, Content{Type: ContentText, Text: r.Text}, "function", now))
	}
	switch {
	case r.Finish:
		add("function-finish", ConversationClosed{
			ConversationID: to.Conversation, SeenInbound: to.Inbound, Reason: ClosedByBot, By: "function",
		})
	case r.Transfer != nil:
		moved := r.Transfer.event(to.Conversation, "function", c.terms())
		moved.Handling = to.Handling
		add("function-transfer", moved)
	}
	return events
}
