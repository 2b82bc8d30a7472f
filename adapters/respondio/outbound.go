package respondio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/parley-im/parley/domain"
)

// Outbound is the callback side of the wire (section 4). Its functions are pure.
type Outbound struct{}

// outBody is what is posted: these three keys and no others (section 4.1).
type outBody struct {
	ChannelID string     `json:"channelId"`
	ContactID string     `json:"contactId"`
	Message   outMessage `json:"message"`
}

// outMessage is a message object (section 3.3); fields that are not set are left
// out.
type outMessage struct {
	Type       domain.ContentType `json:"type"`
	Text       string             `json:"text,omitempty"`
	Attachment *domain.Attachment `json:"attachment,omitempty"`
	Latitude   *float64           `json:"latitude,omitempty"`
	Longitude  *float64           `json:"longitude,omitempty"`
	Longtitude *float64           `json:"longtitude,omitempty"` // the same number: servers read either spelling
	Address    string             `json:"address,omitempty"`
	Title      string             `json:"title,omitempty"`
	Replies    []string           `json:"replies,omitempty"`
}

// Request makes the call for a delivery (section 4.1). Every call of one message
// is the same, down to its Idempotency-Key (section 4.3). It fails on content
// that this wire has no form for; such content is refused before it is sent.
func (Outbound) Request(ch domain.Channel, d domain.Delivery) (domain.Call, error) {
	target, err := messageURL(ch.CallbackURL)
	if err != nil {
		return domain.Call{}, fmt.Errorf("read the callback URL of channel %s: %w", ch.ID, err)
	}
	c := d.Content
	if err := c.Validate("", domain.LimitsOf(ch.Dialect)); err != nil {
		return domain.Call{}, fmt.Errorf("tell message %s: %w", d.MessageID, err)
	}
	m := outMessage{Type: c.Type}
	switch c.Type {
	case domain.ContentText:
		m.Text = c.Text
	case domain.ContentAttachment:
		file := *c.Attachment
		if file.Type != "image" {
			file.Description = "" // it has meaning only there
		}
		m.Attachment = &file
	case domain.ContentLocation:
		m.Latitude, m.Longitude, m.Longtitude, m.Address = c.Latitude, c.Longitude, c.Longitude, c.Address
	case domain.ContentQuickReply:
		m.Title, m.Replies = c.Title, c.Replies
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // texts travel as they were written
	if err := encoder.Encode(outBody{ChannelID: ch.ID, ContactID: d.ContactRef, Message: m}); err != nil {
		return domain.Call{}, fmt.Errorf("encode message %s: %w", d.MessageID, err)
	}
	return domain.Call{
		Method: http.MethodPost,
		URL:    target,
		Headers: []domain.Header{
			{Name: "Authorization", Value: "Bearer " + ch.Credentials.APIToken},
			{Name: "Content-Type", Value: "application/json"},
			{Name: "Cache-Control", Value: "no-cache"},
			{Name: "Idempotency-Key", Value: d.MessageID.String()},
		},
		Body: bytes.TrimRight(body.Bytes(), "\n"),
	}, nil
}

// messageURL joins an API base URL and /message, which is not doubled, in front
// of the query (section 4.1).
func messageURL(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if !strings.HasSuffix(path, "/message") {
		path += "/message"
	}
	if u.Path, err = url.PathUnescape(path); err != nil {
		return "", err
	}
	u.RawPath, u.Fragment, u.RawFragment = path, "", ""
	return u.String(), nil
}
