package main

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"
)

// cxContact is a contact with an identity in the office's inbox.
type cxContact struct {
	office *cxOffice
	id     int64
	source string // source_id of the identity
}

// ana makes the contact of case 14.
func (o *cxOffice) ana(t *testing.T) *cxContact {
	t.Helper()
	return o.contact(t, object{"name": "Ana Prado", "identifier": cxCRM, "phone_number": cxPhone})
}

// contact makes a contact with an identity in the inbox.
func (o *cxOffice) contact(t *testing.T, fields object) *cxContact {
	t.Helper()
	body := object{"inbox_id": o.inbox}
	maps.Copy(body, fields)
	made := o.posts(t, "/contacts", body)
	c := &cxContact{office: o, id: made.at("payload", "contact", "id").integer(), source: made.at("payload", "contact_inbox", "source_id").text()}
	if c.id <= 0 || c.source == "" {
		t.Fatalf("made %s", made)
	}
	return c
}

// path names the contact in the application API.
func (c *cxContact) path(rest string) string { return fmt.Sprintf("/contacts/%d%s", c.id, rest) }

// clientPath names the contact in the client API.
func (c *cxContact) clientPath(rest string) string { return "/contacts/" + escaped(c.source) + rest }

// cxTalk is a conversation of a contact.
type cxTalk struct {
	contact *cxContact
	office  *cxOffice
	id      int64
}

// talk opens a conversation.
func (c *cxContact) talk(t *testing.T) *cxTalk {
	t.Helper()
	made := c.office.posts(t, "/conversations", object{"source_id": c.source})
	return &cxTalk{contact: c, office: c.office, id: made.at("id").integer()}
}

// talk opens a conversation of Ana Prado.
func (o *cxOffice) talk(t *testing.T) *cxTalk {
	t.Helper()
	return o.ana(t).talk(t)
}

// path names the conversation in the application API.
func (v *cxTalk) path(rest string) string { return fmt.Sprintf("/conversations/%d%s", v.id, rest) }

// clientPath names the conversation in the client API.
func (v *cxTalk) clientPath(rest string) string { return v.contact.clientPath(v.path(rest)) }

// post creates a message through the application API.
func (v *cxTalk) post(t *testing.T, body any) cxValue {
	t.Helper()
	return v.office.posts(t, v.path("/messages"), body)
}

// hears is a message of the contact, and gives its id.
func (v *cxTalk) hears(t *testing.T, text string) int64 {
	t.Helper()
	return v.post(t, object{"content": text, "message_type": "incoming"}).at("id").integer()
}

// says is a message of the operator, and gives its id.
func (v *cxTalk) says(t *testing.T, text string) int64 {
	t.Helper()
	return v.post(t, object{"content": text}).at("id").integer()
}

// notes is a private note of the operator, and gives its id.
func (v *cxTalk) notes(t *testing.T, text string) int64 {
	t.Helper()
	return v.post(t, object{"content": text, "private": true}).at("id").integer()
}

// patches changes a message's delivery status, and gives it.
func (v *cxTalk) patches(t *testing.T, id int64, body any) cxValue {
	t.Helper()
	return v.office.gets(t, v.office.app(t, http.MethodPatch, v.path(fmt.Sprintf("/messages/%d", id)), body))
}

// turns sets the conversation's status.
func (v *cxTalk) turns(t *testing.T, status string) {
	t.Helper()
	v.office.posts(t, v.path("/toggle_status"), object{"status": status}).at("payload", "current_status").is(status)
}

// messages lists the newest messages.
func (v *cxTalk) messages(t *testing.T) []cxValue {
	t.Helper()
	return v.office.reads(t, v.path("/messages")).at("payload").list()
}

// message reads one of the newest messages.
func (v *cxTalk) message(t *testing.T, id int64) cxValue {
	t.Helper()
	for _, m := range v.messages(t) {
		if m.at("id").integer() == id {
			return m
		}
	}
	t.Fatalf("message %d is not listed", id)
	return cxValue{}
}

// becomes waits until a message has a status, and gives it.
func (v *cxTalk) becomes(t *testing.T, id int64, status string) cxValue {
	t.Helper()
	var m cxValue
	eventually(t, 20*time.Second, fmt.Sprintf("message %d %s", id, status), func() bool {
		m = v.message(t, id)
		return m.at("status").text() == status
	})
	return m
}
