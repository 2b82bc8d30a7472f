package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// respondMessage is a message as the platform API shows it.
type respondMessage struct {
	ID         string `json:"id"`
	Direction  string `json:"direction"`
	Kind       string `json:"kind"`
	Type       string `json:"type"`
	Text       string `json:"text"`
	Attachment struct {
		Type        string `json:"type"`
		URL         string `json:"url"`
		MimeType    string `json:"mimeType"`
		FileName    string `json:"fileName"`
		Description string `json:"description"`
	} `json:"attachment"`
	Latitude   float64  `json:"latitude"`
	Longitude  float64  `json:"longitude"`
	Address    string   `json:"address"`
	Title      string   `json:"title"`
	Replies    []string `json:"replies"`
	ExternalID string   `json:"external_id"`
	Status     string   `json:"status"`
	Reason     string   `json:"status_reason"`
	History    []struct {
		Value     string    `json:"value"`
		Timestamp time.Time `json:"timestamp"`
		Message   string    `json:"message"`
	} `json:"status_history"`
	Author    string    `json:"author"`
	CreatedAt time.Time `json:"created_at"`
}

// messages gives the messages of a contact, oldest first.
func (c *respondChannel) messages(t *testing.T, contact string) []respondMessage {
	t.Helper()
	id := c.conversation(t, contact)
	if id == "" {
		return nil
	}
	var list struct {
		Data []respondMessage `json:"data"`
	}
	c.suite.read(t, "/v1/conversations/"+id+"/messages?limit=200", &list)
	return list.Data
}

// conversation gives the id of a contact's conversation, "" without one.
func (c *respondChannel) conversation(t *testing.T, contact string) string {
	t.Helper()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	c.suite.read(t, "/v1/conversations?channel="+c.id+"&contact="+url.QueryEscape(contact), &list)
	if len(list.Data) == 0 {
		return ""
	}
	if len(list.Data) > 1 {
		t.Fatalf("%s has %d conversations", contact, len(list.Data))
	}
	return list.Data[0].ID
}

// sends has the platform send content to a contact and gives the message's id.
func (c *respondChannel) sends(t *testing.T, contact string, content object) string {
	t.Helper()
	got := c.send(t, contact, content)
	var m respondMessage
	if err := json.Unmarshal(got.raw, &m); err != nil || got.status != http.StatusAccepted {
		t.Fatalf("send %.200s: %d %s", encode(t, content), got.status, got.raw)
	}
	return m.ID
}

func (c *respondChannel) send(t *testing.T, contact string, content object) answered {
	t.Helper()
	content = maps.Clone(content)
	content["contact_ref"] = contact
	return c.suite.api(t, http.MethodPost, "/v1/channels/"+c.id+"/messages", content)
}

// written is a text to send.
func written(text string) object { return object{"type": "text", "text": text} }

// message gives a message of a contact as it is now.
func (c *respondChannel) message(t *testing.T, contact, id string) respondMessage {
	t.Helper()
	for _, m := range c.messages(t, contact) {
		if m.ID == id {
			return m
		}
	}
	t.Fatalf("%s has no message %s", contact, id)
	return respondMessage{}
}

// becomes waits until a message has a status, and gives it.
func (c *respondChannel) becomes(t *testing.T, contact, id, status string) (m respondMessage) {
	t.Helper()
	eventually(t, 20*time.Second, "message "+id+" "+status, func() bool {
		m = c.message(t, contact, id)
		return m.Status == status
	})
	return m
}

// receipt posts a receipt and expects 200.
func (c *respondChannel) receipt(t *testing.T, contact, mID string, status object, at int64) {
	t.Helper()
	accepted(t, c.post(t, object{"channelId": c.id, "contactId": contact, "events": []any{
		object{"type": "message_status", "mId": mID, "timestamp": at, "status": status},
	}}))
}
