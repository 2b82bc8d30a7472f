package voximplant

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// Limits of an event, in bytes and in items (section 8.3).
const (
	maxID    = 255
	maxText  = 65_536
	maxItems = 100
)

// typeMessage is the one type of event that comes in (section 4.7); it goes out,
// too.
const typeMessage = "send_message"

const notText = "must be a string"

// decode reads an event that came in for ch (section 4). The error is CodeInvalid
// and names the field by its whole path.
func decode(body []byte, ch domain.Channel, now time.Time) (domain.Event, error) {
	v, err := parse(body)
	if err != nil {
		return domain.Event{}, err
	}
	var client, eventID, kind, data value
	for name, m := range v.members() {
		switch string(name) {
		case "client_data":
			client = m
		case "event_id":
			eventID = m
		case "event_type":
			kind = m
		case "event_data":
			data = m
		}
	}
	ref, profile, err := readClient(client)
	if err != nil {
		return domain.Event{}, err
	}
	event, err := identifier("event_id", eventID)
	if err != nil {
		return domain.Event{}, err
	}
	what, err := identifier("event_type", kind)
	if err != nil {
		return domain.Event{}, err
	}
	if what != typeMessage {
		return domain.Event{}, domain.Invalid("event_type", "must be %s", typeMessage)
	}
	if err := object("event_data", data); err != nil {
		return domain.Event{}, err
	}
	message := data.member("message")
	if err := object("event_data.message", message); err != nil {
		return domain.Event{}, err
	}
	external, content, err := readMessage(message)
	if err != nil {
		return domain.Event{}, err
	}
	id := domain.EventMessageID(ch.ID, ref, event, external)
	return ch.ReceiveAs(id, ref, external, now, content, profile, now), nil
}

// object makes sure that a required value is an object.
func object(field string, v value) error {
	switch {
	case v.absent():
		return domain.Invalid(field, "is required")
	case !v.is('{'):
		return domain.Invalid(field, "must be an object")
	}
	return nil
}

// identifier gives a required text that must not be empty.
func identifier(field string, v value) (string, error) {
	if v.absent() {
		return "", domain.Invalid(field, "is required")
	}
	s, ok := v.text()
	switch {
	case !ok:
		return "", domain.Invalid(field, notText)
	case s == "":
		return "", domain.Invalid(field, "must not be empty")
	case len(s) > maxID:
		return "", domain.Invalid(field, "must be at most %d bytes", maxID)
	}
	return s, nil
}

// readClient reads client_data: who writes, and what is told of them.
func readClient(v value) (ref string, profile *domain.Profile, err error) {
	if err := object("client_data", v); err != nil {
		return "", nil, err
	}
	id, profile := readProfile(v)
	ref, err = identifier("client_data.client_id", id)
	return ref, profile, err
}

// readMessage reads a message object. One that says nothing is taken as well:
// integrations post it for a picture that they cannot pass on (section 4.3).
func readMessage(v value) (external string, c domain.Content, err error) {
	var id, text, payload value
	for name, m := range v.members() {
		switch string(name) {
		case "message_id":
			id = m
		case "text":
			text = m
		case "payload":
			payload = m
		}
	}
	if external, err = identifier("event_data.message.message_id", id); err != nil {
		return "", domain.Content{}, err
	}
	c.Type = domain.ContentText
	said, ok := text.text()
	if !ok && !text.absent() {
		return "", domain.Content{}, domain.Invalid("event_data.message.text", notText)
	}
	c.Text = said
	if len(c.Text) > maxText {
		return "", domain.Content{}, domain.Invalid("event_data.message.text", "must be at most %d bytes", maxText)
	}
	c.Attachments, err = readPayload("event_data.message.payload", payload)
	return external, c, err
}
