package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// storedTypes maps the stored name and version of an event to its reader. A
// name never changes its meaning; a new meaning is a new version. The list only
// grows: eventstore/testdata keeps one golden file for each.
var storedTypes = map[string]func([]byte) (Data, error){
	"message.received.v1":      read[MessageReceived],
	"message.echoed.v1":        read[MessageEchoed],
	"message.sent.v1":          read[MessageSent],
	"receipt.recorded.v1":      read[ReceiptRecorded],
	"conversation.closed.v1":   read[ConversationClosed],
	"conversation.assigned.v1": read[ConversationAssigned],
	"conversation.marked.v1":   read[ConversationMarked],
	"delivery.attempted.v1":    read[DeliveryAttempted],
	"message.noted.v1":         read[MessageNoted],
	"message.changed.v1":       read[MessageChanged],
	"message.failed.v1":        read[MessageFailed],
	"conversation.opened.v1":   read[ConversationOpened],
	"conversation.turned.v1":   read[ConversationTurned],
	"conversation.changed.v1":  read[ConversationChanged],
	"typing.noticed.v1":        read[TypingNoticed],
	"contact.registered.v1":    read[ContactRegistered],
	"contact.changed.v1":       read[ContactChanged],
	"contact.linked.v1":        read[ContactLinked],
	"contact.merged.v1":        read[ContactMerged],
	"contact.removed.v1":       read[ContactRemoved],
	"delivery.redriven.v1":     read[DeliveryRedriven],
	"delivery.dropped.v1":      read[DeliveryDropped],
	"endpoint.warned.v1":       read[EndpointWarning],
	"endpoint.paused.v1":       read[EndpointStopped],
	"endpoint.resumed.v1":      read[EndpointResumed],
}

var errNothing = errors.New("the value is null")

func read[T Data](raw []byte) (Data, error) {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, errNothing // JSON takes it for any type
	}
	return v, nil
}

// EventTypes lists the stored names, sorted.
func EventTypes() []string {
	names := make([]string, 0, len(storedTypes))
	for name := range storedTypes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Type is the stored name and version of the event.
func (e Event) Type() string {
	switch d := e.Data.(type) {
	case MessageReceived:
		return "message.received.v1"
	case MessageEchoed:
		return "message.echoed.v1"
	case MessageSent:
		return "message.sent.v1"
	case ReceiptRecorded:
		return "receipt.recorded.v1"
	case ConversationClosed:
		return "conversation.closed.v1"
	case ConversationAssigned:
		return "conversation.assigned.v1"
	case ConversationMarked:
		return "conversation.marked.v1"
	case DeliveryAttempted:
		return "delivery.attempted.v1"
	case DeliveryRedriven:
		return "delivery.redriven.v1"
	case DeliveryDropped:
		return "delivery.dropped.v1"
	case EndpointWarning:
		return "endpoint.warned.v1"
	case EndpointStopped:
		return "endpoint.paused.v1"
	case EndpointResumed:
		return "endpoint.resumed.v1"
	case MessageNoted:
		return "message.noted.v1"
	case MessageChanged:
		return "message.changed.v1"
	case MessageFailed:
		return "message.failed.v1"
	case ConversationOpened:
		return "conversation.opened.v1"
	case ConversationTurned:
		return "conversation.turned.v1"
	case ConversationChanged:
		return "conversation.changed.v1"
	case TypingNoticed:
		return "typing.noticed.v1"
	case ContactRegistered:
		return "contact.registered.v1"
	case ContactChanged:
		return "contact.changed.v1"
	case ContactLinked:
		return "contact.linked.v1"
	case ContactMerged:
		return "contact.merged.v1"
	case ContactRemoved:
		return "contact.removed.v1"
	case Unknown:
		return d.Type
	default:
		return ""
	}
}

// Unknown is what an event of a newer Parley, or of somebody else, tells: it is
// kept as it came and applies to nothing.
type Unknown struct {
	Type string
	Raw  json.RawMessage
}

func (Unknown) data() {}

// MarshalJSON gives the data as it came.
func (u Unknown) MarshalJSON() ([]byte, error) { return u.Raw.MarshalJSON() }

// DecodeData reads what an event of a stored name tells. A name that is not
// known gives Unknown.
func DecodeData(stored string, raw []byte) (Data, error) {
	decode, ok := storedTypes[stored]
	if !ok {
		return Unknown{Type: stored, Raw: raw}, nil
	}
	d, err := decode(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stored, err)
	}
	return d, nil
}
