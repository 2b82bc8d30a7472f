package respondio

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// Limits of the envelope (3.1, 3.2).
const (
	maxBody   = 1 << 20 // bytes
	maxEvents = 100
	maxMID    = 50 // characters
)

// parse reads a body and the rules that need no channel. An error is a
// *domain.Error with CodeInvalid.
func parse(raw []byte) (*body, error) {
	if !utf8.Valid(raw) {
		return nil, domain.Errorf(domain.CodeInvalid, "the body must be UTF-8")
	}
	if hasZero(raw) {
		return nil, domain.Errorf(domain.CodeInvalid, "no text may contain the character U+0000")
	}
	var b *body
	if err := json.Unmarshal(raw, &b); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) && kind.Field != "" {
			return nil, domain.Invalid(kind.Field, "must be %s", wanted(kind))
		}
		return nil, domain.Errorf(domain.CodeInvalid, "the body must be a JSON object")
	}
	if b == nil {
		return nil, domain.Errorf(domain.CodeInvalid, "the body must be a JSON object")
	}
	return b, nil
}

// wanted names the kind of value that would have been right.
func wanted(e *json.UnmarshalTypeError) string {
	if strings.HasPrefix(e.Type.String(), "[]") {
		return "an array"
	}
	return "an object"
}

// events turns a body into events of the channel, all of them or none (3.2).
func (b *body) events(ch domain.Channel, now time.Time) ([]domain.Event, error) {
	ref, err := b.ContactID.required("contactId")
	if err != nil {
		return nil, err
	}
	if ref, err = ch.IDType.Normalize("contactId", ref); err != nil {
		return nil, err
	}
	if len(b.Events) < 1 || len(b.Events) > maxEvents {
		return nil, domain.Invalid("events", "must hold 1 to %d entries", maxEvents)
	}
	profile, err := b.Contact.profile("contact.")
	if err != nil {
		return nil, err
	}
	if ch.IDType == domain.IDTypePhone && profile.Phone == "" {
		profile.Phone = ref // 3.6, end
	}
	known := &profile
	if profile == (domain.Profile{}) {
		known = nil
	}
	list := make([]domain.Event, len(b.Events))
	for i := range b.Events {
		if list[i], err = b.Events[i].event(fmt.Sprintf("events[%d].", i), ch, ref, known, now); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (e *event) event(path string, ch domain.Channel, ref string, profile *domain.Profile, now time.Time) (domain.Event, error) {
	kind, err := e.Type.required(path + "type")
	if err != nil {
		return domain.Event{}, err
	}
	external := e.MID
	if external.state == absent {
		external = e.MLD
	}
	id, err := external.required(path + "mId")
	if err != nil {
		return domain.Event{}, err
	}
	if utf8.RuneCountInString(id) > maxMID {
		return domain.Event{}, domain.Invalid(path+"mId", "must be at most %d characters", maxMID)
	}
	if e.Timestamp.state != present {
		return domain.Event{}, domain.Invalid(path+"timestamp", "must be a time in milliseconds since 1970")
	}
	at := e.Timestamp.value
	switch kind {
	case "message", "message_echo":
		content, err := e.Message.content(path+"message", domain.LimitsOf(ch.Dialect))
		if err != nil {
			return domain.Event{}, err
		}
		if kind == "message" {
			return ch.Receive(ref, id, at, content, profile, now), nil
		}
		return ch.Echo(ref, id, at, content, profile, now), nil
	case "message_status":
		value, reason, err := e.Status.status(path + "status")
		if err != nil {
			return domain.Event{}, err
		}
		return ch.Receipt(ref, id, value, reason, at, now), nil
	default:
		return domain.Event{}, domain.Invalid(path+"type", "must be one of message, message_echo, message_status")
	}
}

// content reads a message object (3.3).
func (m *message) content(path string, limits domain.Limits) (domain.Content, error) {
	if m == nil {
		return domain.Content{}, domain.Invalid(path, "is required")
	}
	if !m.isObject {
		return domain.Content{}, domain.Invalid(path, "must be a message object")
	}
	path += "."
	kind, err := m.Type.required(path + "type")
	if err != nil {
		return domain.Content{}, err
	}
	c := domain.Content{Type: domain.ContentType(kind)}
	switch c.Type {
	case domain.ContentText:
		c.Text, err = m.Text.required(path + "text")
	case domain.ContentAttachment:
		c.Attachment, err = m.Attachment.attachment(path + "attachment")
	case domain.ContentLocation:
		err = m.location(path, &c)
	case domain.ContentQuickReply:
		err = m.quickReply(path, &c)
	}
	if err != nil {
		return domain.Content{}, err
	}
	return c, c.Validate(path, limits)
}

func (a *attachment) attachment(path string) (*domain.Attachment, error) {
	if a == nil {
		return nil, domain.Invalid(path, "is required")
	}
	var out domain.Attachment
	var err error
	for _, f := range []struct {
		field    string
		from     text
		to       *string
		required bool
	}{
		{"type", a.Type, &out.Type, true},
		{"url", a.URL, &out.URL, true},
		{"mimeType", a.MimeType, &out.MimeType, false},
		{"fileName", a.FileName, &out.FileName, false},
		{"description", a.Description, &out.Description, false},
	} {
		if f.required {
			*f.to, err = f.from.required(path + "." + f.field)
		} else {
			*f.to, err = f.from.optional(path + "." + f.field)
		}
		if err != nil {
			return nil, err
		}
	}
	if out.Type != "image" {
		out.Description = "" // accepted and not used (3.3)
	}
	return &out, nil
}

func (m *message) location(path string, c *domain.Content) (err error) {
	longitude := m.Longitude
	if longitude.state == absent {
		longitude = m.Longtitude
	}
	if c.Latitude, err = m.Latitude.optional(path + "latitude"); err != nil {
		return err
	}
	if c.Longitude, err = longitude.optional(path + "longitude"); err != nil {
		return err
	}
	c.Address, err = m.Address.optional(path + "address")
	return err
}

func (m *message) quickReply(path string, c *domain.Content) (err error) {
	if c.Title, err = m.Title.required(path + "title"); err != nil {
		return err
	}
	for i, r := range m.Replies {
		reply, err := r.required(fmt.Sprintf("%sreplies[%d]", path, i))
		if err != nil {
			return err
		}
		c.Replies = append(c.Replies, reply)
	}
	return nil
}

// status reads a status object (3.5).
func (r *receipt) status(path string) (domain.Status, string, error) {
	if r == nil {
		return "", "", domain.Invalid(path, "is required")
	}
	if !r.isObject {
		return "", "", domain.Invalid(path, "must be a status object")
	}
	value, err := r.Value.required(path + ".value")
	if err != nil {
		return "", "", err
	}
	switch status := domain.Status(value); status {
	case domain.StatusSent, domain.StatusDelivered, domain.StatusRead:
		return status, "", nil // a message is allowed and ignored
	case domain.StatusFailed:
		reason, err := r.Message.required(path + ".message")
		return status, domain.Cut(reason, domain.MaxDetail), err
	default:
		return "", "", domain.Invalid(path+".value", "must be one of sent, delivered, read, failed")
	}
}

// required gives the text, or an error when it is not there, empty or no text.
func (t text) required(field string) (string, error) {
	switch {
	case t.state == wrong:
		return "", domain.Invalid(field, "must be a text")
	case t.state == absent || t.value == "":
		return "", domain.Invalid(field, "is required")
	default:
		return t.value, nil
	}
}

// optional gives the text, "" when it is not there.
func (t text) optional(field string) (string, error) {
	if t.state == wrong {
		return "", domain.Invalid(field, "must be a text")
	}
	return t.value, nil
}

// optional gives the number, nil when it is not there.
func (n number) optional(field string) (*float64, error) {
	switch n.state {
	case wrong:
		return nil, domain.Invalid(field, "must be a number")
	case present:
		return &n.value, nil
	default:
		return nil, nil //nolint:nilnil // absent is neither a number nor an error
	}
}
