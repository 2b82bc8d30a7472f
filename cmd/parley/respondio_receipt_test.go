package main

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Repeats, echoes and receipts.
//
//nolint:thelper // tests, not helpers of tests
var respondReceiptCases = []respondCase{
	{"083", respondTwice},
	{"084", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		in := c.valid("new")
		answers := make([]int, 10)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = c.post(t, in.body).status })
		}
		all.Wait()
		for i, status := range answers {
			if status != http.StatusOK {
				t.Errorf("request %d: %d", i, status)
			}
		}
		if n := c.census(t); n.contacts != 1 || n.messages != 1 {
			t.Errorf("stored %v", n)
		}
	}},
	{"085", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").accepts(t, func(in *inbound) { in.body["events"] = []any{in.event, in.event} })
	}},
	{"086", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.accepts(t, inEvent("mId", "1"))
		c.accepts(t, inEvent("mId", "1"))
		if n := c.census(t); n.contacts != 2 || n.messages != 2 {
			t.Errorf("stored %v", n)
		}
	}},
	{"087", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		m := c.accepts(t, contactID("new"), inEvent("type", "message_echo"))
		if m.Direction != "out" || m.Kind != "echo" || m.Status != "sent" || m.Author != "" || c.contacts(t)["new"] == nil {
			t.Errorf("stored as %+v", m)
		}
		// Callbacks of a conversation keep its order: one for the echo would come first.
		c.sends(t, "new", written("after the echo"))
		if calls := c.stub.gets(t, 1); calls[0].text() != "after the echo" {
			t.Errorf("called for %s", calls[0].raw)
		}
	}},
	{"088", func(t *testing.T, s *respondSuite) {
		c, contact, id, mID := sent(t, s)
		in := c.valid(contact)
		in.event["type"], in.event["mId"] = "message_echo", mID
		accepted(t, c.post(t, in.body))
		all := c.messages(t, contact)
		if len(all) != 1 || all[0].ID != id || all[0].Status != "sent" {
			t.Errorf("messages %+v", all)
		}
	}},
	{"089", respondReceipts},
	{"090", func(t *testing.T, s *respondSuite) {
		c, contact, id, mID := sent(t, s)
		c.receipt(t, contact, mID, object{"value": "read"}, 1767261720000)
		c.receipt(t, contact, mID, object{"value": "delivered"}, 1767261721000)
		m := c.message(t, contact, id)
		if m.Status != "read" || !m.heard("delivered", 1767261721000) {
			t.Errorf("%+v", m)
		}
	}},
	{"091", func(t *testing.T, s *respondSuite) {
		c, contact, id, mID := sent(t, s)
		c.receipt(t, contact, mID, object{"value": "failed", "message": "Number is not in service"}, 1767261720000)
		if m := c.message(t, contact, id); m.Status != "failed" || m.Reason != "Number is not in service" {
			t.Errorf("%+v", m)
		}
	}},
	{"092", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "no message", receiptOf(object{"value": "failed"}))
		c.refuses(t, "empty message", receiptOf(object{"value": "failed", "message": ""}))
	}},
	{"093", func(t *testing.T, s *respondSuite) {
		c, contact, id, mID := sent(t, s)
		c.receipt(t, contact, mID, object{"value": "delivered"}, 1767261720000)
		c.receipt(t, contact, mID, object{"value": "failed", "message": "late"}, 1767261721000)
		if m := c.message(t, contact, id); m.Status != "delivered" || m.Reason != "" || !m.heard("failed", 1767261721000) {
			t.Errorf("%+v", m)
		}
	}},
	{"094", func(t *testing.T, s *respondSuite) {
		c, contact, id, mID := sent(t, s)
		c.receipt(t, contact, mID, object{"value": "failed", "message": "early"}, 1767261720000)
		c.receipt(t, contact, mID, object{"value": "delivered"}, 1767261721000)
		if m := c.message(t, contact, id); m.Status != "delivered" {
			t.Errorf("%+v", m)
		}
	}},
	{"095", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "status missing", receiptOf(nil), without("status"))
		c.refuses(t, "value missing", receiptOf(object{}))
		for _, value := range []string{"seen", "pending", "Delivered", "delivered|read|failed"} {
			c.refuses(t, value, receiptOf(object{"value": value}))
		}
	}},
	{"096", func(t *testing.T, s *respondSuite) {
		c, contact, id, mID := sent(t, s)
		c.receipt(t, contact, mID, object{"value": "delivered", "message": "fine"}, 1767261720000)
		if m := c.message(t, contact, id); m.Status != "delivered" || m.Reason != "" {
			t.Errorf("%+v", m)
		}
	}},
	{"097", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.receipt(t, "nobody", "unknown", object{"value": "delivered"}, 1767261720000)
		if n := c.census(t); n.contacts+n.messages != 0 {
			t.Errorf("stored %v", n)
		}
	}},
	{"098", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		contact := s.number()
		c.stub.answers(func(_ int, _ respondCall, w http.ResponseWriter, _ *http.Request) {
			c.receipt(t, contact, "early-1", object{"value": "delivered"}, time.Now().UnixMilli())
			fmt.Fprint(w, `{"mId":"early-1"}`)
		})
		c.becomes(t, contact, c.sends(t, contact, written("quick")), "delivered")
	}},
	{"099", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		before := c.accepts(t, contactID("writer"), inEvent("mId", "in-1"))
		for _, value := range []string{"delivered", "read"} {
			c.receipt(t, "writer", "in-1", object{"value": value}, 1767261720000)
		}
		c.receipt(t, "writer", "in-1", object{"value": "failed", "message": "no"}, 1767261720000)
		if all := c.messages(t, "writer"); len(all) != 1 || encode(t, all[0]) != encode(t, before) {
			t.Errorf("was %+v and is %+v", before, all)
		}
	}},
	{"100", func(t *testing.T, s *respondSuite) {
		c, contact, id, mID := sent(t, s)
		before := c.message(t, contact, id)
		c.receipt(t, s.number(), mID, object{"value": "read"}, 1767261720000)
		if after := c.message(t, contact, id); encode(t, after) != encode(t, before) {
			t.Errorf("was %+v and is %+v", before, after)
		}
		if n := c.census(t); n.contacts != 1 || n.messages != 1 {
			t.Errorf("stored %v", n)
		}
	}},
	{"101", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		accepted(t, c.post(t, object{"channelId": c.id, "contactId": "all", "events": []any{
			object{"type": "message", "mId": "in-1", "timestamp": 1767261600000, "message": written("open?")},
			object{"type": "message_echo", "mId": "out-1", "timestamp": 1767261660000, "message": written("yes")},
			object{"type": "message_status", "mId": "out-1", "timestamp": 1767261720000, "status": object{"value": "delivered"}},
		}}))
		all := c.messages(t, "all")
		if len(all) != 2 || all[0].Text != "open?" || all[1].Text != "yes" || all[1].Status != "delivered" {
			t.Errorf("%+v", all)
		}
	}},
}

// respondTwice is case 83.
func respondTwice(t *testing.T, s *respondSuite) { //nolint:thelper // a test
	c := s.channel(t, "custom")
	in := c.valid("twice")
	accepted(t, c.post(t, in.body))
	accepted(t, c.post(t, in.body))
	if n := c.census(t); n.contacts != 1 || n.messages != 1 || len(c.messages(t, "twice")) != 1 {
		t.Errorf("stored %v", n)
	}
}

// respondReceipts is case 89.
func respondReceipts(t *testing.T, s *respondSuite) { //nolint:thelper // a test
	c := s.channel(t, "phone")
	contact := s.number()
	c.stub.always(http.StatusOK, "application/json", `{"mId":"m1"}`)
	id := c.sends(t, contact, written("hello"))
	c.becomes(t, contact, id, "sent")
	for i, value := range []string{"sent", "delivered", "read"} {
		at := int64(1767261720000 + i*1000)
		c.receipt(t, contact, "m1", object{"value": value}, at)
		if m := c.message(t, contact, id); m.Status != value || !m.heard(value, at) {
			t.Errorf("after %s: %+v", value, m)
		}
	}
}

// sent makes a channel on which a message was sent, and gives its id and the mId
// that the server answered.
func sent(t *testing.T, s *respondSuite) (c *respondChannel, contact, id, mID string) {
	t.Helper()
	c, contact = s.channel(t, "phone"), s.number()
	id = c.sends(t, contact, written("hello"))
	m := c.becomes(t, contact, id, "sent")
	if m.ExternalID == "" {
		t.Fatalf("sent without an id: %+v", m)
	}
	return c, contact, id, m.ExternalID
}

// receiptOf makes the event a receipt.
func receiptOf(status object) edit {
	return func(in *inbound) {
		in.event["type"], in.event["status"] = "message_status", status
		delete(in.event, "message")
	}
}

// heard tells whether the history holds a word.
func (m respondMessage) heard(value string, at int64) bool {
	for _, h := range m.History {
		if h.Value == value && h.Timestamp.UnixMilli() == at {
			return true
		}
	}
	return false
}
