package respondio

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/parley-im/parley/domain"
)

// Outbound is the callback side of the wire (4). Its functions are pure.
type Outbound struct{}

// outBody is what is posted: these three keys and no others (4.1).
type outBody struct {
	ChannelID string     `json:"channelId"`
	ContactID string     `json:"contactId"`
	Message   outMessage `json:"message"`
}

// outMessage is a message object (3.3); fields that are not set are left out.
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

// Request makes the call for a delivery (4.1). Every call of one message is the
// same, down to its Idempotency-Key (4.3).
func (Outbound) Request(ch domain.Channel, d domain.Delivery) (domain.Call, error) {
	target, err := messageURL(ch.CallbackURL)
	if err != nil {
		return domain.Call{}, err
	}
	c := d.Content
	m := outMessage{Type: c.Type}
	switch c.Type {
	case domain.ContentText:
		m.Text = c.Text
	case domain.ContentAttachment:
		file := *c.Attachment
		if file.Type != "image" {
			file.Description = "" // sent only with image (4.1)
		}
		m.Attachment = &file
	case domain.ContentLocation:
		m.Latitude, m.Longitude, m.Longtitude, m.Address = c.Latitude, c.Longitude, c.Longitude, c.Address
	case domain.ContentQuickReply:
		m.Title, m.Replies = c.Title, c.Replies
	}
	body, err := json.Marshal(outBody{ChannelID: ch.ID, ContactID: d.ContactRef, Message: m})
	if err != nil {
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
		Body: body,
	}, nil
}

// messageURL joins the API base URL and /message, which is not doubled (4.1).
func messageURL(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("read the callback URL: %w", err)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if path != "message" && !strings.HasSuffix(path, "/message") {
		path += "/message"
	}
	if u.Path, err = url.PathUnescape(path); err != nil {
		return "", fmt.Errorf("read the callback URL: %w", err)
	}
	u.RawPath = path
	return u.String(), nil
}
