package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Repeats, echoes and receipts.
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
func respondTwice(t *testing.T, s *respondSuite) {
	c := s.channel(t, "custom")
	in := c.valid("twice")
	accepted(t, c.post(t, in.body))
	accepted(t, c.post(t, in.body))
	if n := c.census(t); n.contacts != 1 || n.messages != 1 || len(c.messages(t, "twice")) != 1 {
		t.Errorf("stored %v", n)
	}
}

// respondReceipts is case 89.
func respondReceipts(t *testing.T, s *respondSuite) {
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

// Outbound: what is called.
var respondCallCases = []respondCase{
	{"102", respondSendText},
	{"103", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		c.stub.always(http.StatusOK, "application/json", `{"mId":"s1"}`)
		id := c.sends(t, contact, written("hello"))
		if m := c.becomes(t, contact, id, "sent"); m.ExternalID != "s1" {
			t.Errorf("%+v", m)
		}
		c.receipt(t, contact, "s1", object{"value": "delivered"}, 1767261720000)
		c.becomes(t, contact, id, "delivered")
	}},
	{"104", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		contact := s.number()
		const u = "https://files.example.org/q/inv-88.pdf?a=1&b=2"
		var want []string
		for _, kind := range []string{"image", "video", "audio", "file"} {
			full := object{"type": kind, "url": u, "mimeType": "application/pdf", "fileName": "inv-88.pdf", "description": "Invoice"}
			c.sends(t, contact, object{"type": "attachment", "attachment": full})
			expected := object{"type": kind, "url": u, "mimeType": "application/pdf", "fileName": "inv-88.pdf"}
			if kind == "image" {
				expected["description"] = "Invoice"
			}
			bare := object{"type": kind, "url": u}
			c.sends(t, contact, object{"type": "attachment", "attachment": bare})
			want = append(want, encode(t, object{"type": "attachment", "attachment": expected}), encode(t, object{"type": "attachment", "attachment": bare}))
		}
		for i, call := range c.stub.gets(t, len(want)) {
			if got := encode(t, call.body.Message); got != want[i] {
				t.Errorf("called with %s, want %s", got, want[i])
			}
		}
	}},
	{"105", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		c.sends(t, s.number(), object{"type": "location", "latitude": 41.1579, "longitude": -8.6291, "address": "Praça da Liberdade, Porto"})
		want := encode(t, object{"type": "location", "latitude": 41.1579, "longitude": -8.6291, "longtitude": -8.6291, "address": "Praça da Liberdade, Porto"})
		if got := encode(t, c.stub.gets(t, 1)[0].body.Message); got != want {
			t.Errorf("called with %s, want %s", got, want)
		}
	}},
	{"106", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		content := object{"type": "quick_reply", "title": "Keep the appointment?", "replies": []string{"Keep", "Move", "Cancel"}}
		c.sends(t, s.number(), content)
		if got := encode(t, c.stub.gets(t, 1)[0].body.Message); got != encode(t, content) {
			t.Errorf("called with %s, want %s", got, encode(t, content))
		}
	}},
	{"107", func(t *testing.T, s *respondSuite) {
		stub := newRespondStub(t)
		for base, want := range map[string]string{
			"": "/message", "/": "/message", "/respond": "/respond/message", "/620418": "/620418/message",
			"/message": "/message", "/hook?x=1": "/hook/message?x=1",
		} {
			c := s.channel(t, "phone", object{"callback_url": stub.URL + base})
			before := len(stub.got())
			c.sends(t, s.number(), written("hello"))
			if call := stub.gets(t, before+1)[before]; call.uri != want || call.method != http.MethodPost {
				t.Errorf("base %q: %s %s, want %s", base, call.method, call.uri, want)
			}
		}
	}},
	{"108", func(t *testing.T, s *respondSuite) {
		limits(t, s, []object{written(long(7000))}, []object{written(long(7001)), written("")})
	}},
	{"109", func(t *testing.T, s *respondSuite) {
		limits(t, s,
			[]object{quick("replies", texts(10)), quick("title", long(256)), quick("replies", []string{long(256)})},
			[]object{quick("replies", texts(11)), quick("title", long(257)), quick("replies", []string{long(257)}), quick("replies", texts(0))})
	}},
	{"110", func(t *testing.T, s *respondSuite) {
		limits(t, s,
			[]object{file("image", "url", address(2000)), file("image", "fileName", long(256)), file("image", "description", long(256))},
			[]object{file("image", "url", address(2001)), file("image", "fileName", long(257)), file("image", "description", long(257))})
	}},
	{"111", func(t *testing.T, s *respondSuite) {
		limits(t, s,
			[]object{place("latitude", 90), place("longitude", 180), place("address", long(256))},
			[]object{place("latitude", 91), place("longitude", 181), place("address", long(257))})
	}},
	{"112", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		contact := s.number()
		c.becomes(t, contact, c.sends(t, contact, written("hello")), "sent")
		if calls := c.stub.gets(t, 1); calls[0].body.ContactID != contact || c.contacts(t)[contact]["phone"] != contact {
			t.Errorf("called with %s; contacts %v", calls[0].raw, c.contacts(t))
		}
	}},
	{"113", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		if got := c.send(t, "unknown", written("hello")); got.status < 400 || got.status > 499 {
			t.Errorf("%d %s", got.status, got.raw)
		}
		if n := c.census(t); n.contacts+n.messages != 0 || len(c.stub.got()) != 0 {
			t.Errorf("stored %v, called %d times", n, len(c.stub.got()))
		}
		c.accepts(t, contactID("unknown")) // who has written can be written to
		c.sends(t, "unknown", written("hello"))
		if calls := c.stub.gets(t, 1); calls[0].body.ContactID != "unknown" {
			t.Errorf("called with %s", calls[0].raw)
		}
	}},
	{"130", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		contact := s.number()
		c.stub.answers(func(n int, _ respondCall, w http.ResponseWriter, r *http.Request) {
			slowly(r, 150*time.Millisecond)
			fmt.Fprintf(w, `{"mId":"slow-%d"}`, n)
		})
		var ids []string
		for i := range 3 {
			ids = append(ids, c.sends(t, contact, written(fmt.Sprint(i))))
		}
		for _, id := range ids {
			c.becomes(t, contact, id, "sent")
		}
		calls := c.stub.gets(t, 3)
		for i, call := range calls {
			if call.text() != fmt.Sprint(i) {
				t.Errorf("call %d is %q", i, call.text())
			}
			if i > 0 && call.at.Before(calls[i-1].done) {
				t.Errorf("call %d came %s before call %d was answered", i, calls[i-1].done.Sub(call.at), i-1)
			}
		}
	}},
	{"131", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		contact := s.number()
		c.stub.always(http.StatusOK, "application/json", `{"mId":"same"}`)
		first := c.sends(t, contact, written("first"))
		second := c.sends(t, contact, written("second"))
		c.becomes(t, contact, first, "sent")
		c.becomes(t, contact, second, "sent")
		c.receipt(t, contact, "same", object{"value": "read"}, time.Now().Add(time.Hour).UnixMilli())
		c.becomes(t, contact, second, "read")
		if m := c.message(t, contact, first); m.Status != "sent" || m.ExternalID != "same" {
			t.Errorf("%+v", m)
		}
	}},
}

// respondSendText is case 102.
func respondSendText(t *testing.T, s *respondSuite) {
	c := s.channel(t, "phone")
	contact := s.number()
	id := c.sends(t, contact, written("We open again on Monday at 9:00."))
	call := c.stub.gets(t, 1)[0]
	if call.method != http.MethodPost || call.uri != "/message" {
		t.Errorf("%s %s", call.method, call.uri)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + c.token, "Content-Type": "application/json", "Cache-Control": "no-cache", "Idempotency-Key": id,
	} {
		if got := call.header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	var got object
	if err := json.Unmarshal(call.raw, &got); err != nil {
		t.Fatal(err)
	}
	want := object{"channelId": c.id, "contactId": contact, "message": written("We open again on Monday at 9:00.")}
	if encode(t, got) != encode(t, want) {
		t.Errorf("called with %s, want %s", call.raw, encode(t, want))
	}
	c.becomes(t, contact, id, "sent")
}

// limits sends contents that are just inside the limits, which are called for,
// and contents that are just outside, which are refused and make no call.
func limits(t *testing.T, s *respondSuite, inside, outside []object) {
	t.Helper()
	c := s.channel(t, "phone")
	contact := s.number()
	for _, content := range outside {
		if got := c.send(t, contact, content); got.status < 400 || got.status > 499 {
			t.Errorf("%d for %.100s", got.status, encode(t, content))
		}
	}
	var want []string
	for _, content := range inside {
		c.sends(t, contact, content)
		want = append(want, encode(t, content))
	}
	for i, call := range c.stub.gets(t, len(want)) {
		got := call.body.Message
		delete(got, "longtitude")
		if encode(t, got) != want[i] {
			t.Errorf("called with %.200s, want %.200s", encode(t, got), want[i])
		}
	}
}

// slowly takes its time, but not beyond the caller's patience.
func slowly(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// Outbound: what the answer means. These channels make a single attempt.
var respondAnswerCases = []respondCase{
	{"114", respondBlocked},
	{"115", fails(401, "application/json", `{"error":"Unauthorized."}`, "Unauthorized.")},
	{"116", fails(404, "application/json", `{"status":"error","message":"no such channel"}`, "no such channel")},
	{"117", fails(400, "application/json", `{"error":{"code":470,"message":"outside the window"}}`, "outside the window")},
	{"118", fails(502, "text/plain", "bad gateway", "bad gateway")},
	{"119", fails(500, "text/html", "<!DOCTYPE html>\n<html><head><title>500</title></head><body>Oops</body></html>", "HTTP 500")},
	{"120", fails(200, "text/plain", "Ignored", "no mId in the answer")},
	{"121", func(t *testing.T, s *respondSuite) {
		fails(200, "application/json", `{}`, "no mId in the answer")(t, s)
		fails(200, "application/json", `{"mId":""}`, "no mId in the answer")(t, s)
		fails(204, "application/json", "", "no mId in the answer")(t, s)
	}},
	{"122", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		c.stub.always(http.StatusOK, "application/json", `{"mId":12345}`)
		id := c.sends(t, contact, written("hello"))
		if m := c.becomes(t, contact, id, "sent"); m.ExternalID != "12345" {
			t.Errorf("%+v", m)
		}
		c.receipt(t, contact, "12345", object{"value": "read"}, 1767261720000)
		c.becomes(t, contact, id, "read")
	}},
	{"123", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		c.stub.always(http.StatusCreated, "application/json", `{"mId":"z","status":"accepted_with_error"}`)
		if m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "sent"); m.ExternalID != "z" {
			t.Errorf("%+v", m)
		}
	}},
	{"124", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": single})
		stuck, other := s.number(), s.number()
		c.stub.answers(func(n int, call respondCall, w http.ResponseWriter, r *http.Request) {
			if call.body.ContactID == stuck {
				<-r.Context().Done()
				return
			}
			fmt.Fprintf(w, `{"mId":"free-%d"}`, n)
		})
		held := c.sends(t, stuck, written("hello"))
		c.stub.gets(t, 1)
		c.becomes(t, other, c.sends(t, other, written("hello")), "sent")
		if m := c.message(t, stuck, held); m.Status != "queued" {
			t.Errorf("the other contact was held up until the first was %s", m.Status)
		}
		if m := c.becomes(t, stuck, held, "failed"); m.Reason != "timeout" {
			t.Errorf("%+v", m)
		}
		c.stub.gets(t, 2)
	}},
	{"125", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		// A connection that was kept: a client may take its end for a reason to
		// send the request again by itself.
		c.becomes(t, contact, c.sends(t, contact, written("hello")), "sent")
		c.stub.answers(func(_ int, _ respondCall, w http.ResponseWriter, _ *http.Request) { hangUp(t, w) })
		m := c.becomes(t, contact, c.sends(t, contact, written("hello again")), "failed")
		if m.Reason != "integration server unreachable" {
			t.Errorf("%+v", m)
		}
		c.stub.answers(nil)
		c.becomes(t, contact, c.sends(t, contact, written("and again")), "sent")
		c.stub.gets(t, 3)
	}},
	{"126", func(t *testing.T, s *respondSuite) {
		elsewhere := newRespondStub(t)
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		c.stub.answers(func(_ int, _ respondCall, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL+"/message")
			w.WriteHeader(http.StatusFound)
		})
		if m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "failed"); m.Reason != "HTTP 302" {
			t.Errorf("%+v", m)
		}
		c.stub.gets(t, 1)
		if n := len(elsewhere.got()); n != 0 {
			t.Errorf("followed %d times", n)
		}
	}},
	{"127", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": waits(1)})
		contact := s.number()
		c.stub.answers(func(n int, _ respondCall, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			fmt.Fprint(w, `{"mId":"second"}`)
		})
		c.becomes(t, contact, c.sends(t, contact, written("hello")), "sent")
		if calls := c.stub.gets(t, 2); calls[1].at.Sub(calls[0].at) < time.Second {
			t.Errorf("repeated after %s", calls[1].at.Sub(calls[0].at))
		}
	}},
	{"128", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": waits(3)})
		contact := s.number()
		c.stub.always(http.StatusTooManyRequests, "text/plain", "slow down")
		if m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "failed"); m.Reason != "slow down" {
			t.Errorf("%+v", m)
		}
		c.stub.gets(t, 4)
	}},
	{"128c", respondDeadLetter},
	{"128d", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": waits(3)})
		contact := s.number()
		c.stub.always(http.StatusBadRequest, "application/json", `{"error":{"message":"blocked"}}`)
		if m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "failed"); m.Reason != "blocked" {
			t.Errorf("%+v", m)
		}
		c.stub.answers(nil)
		c.becomes(t, contact, c.sends(t, contact, written("next")), "sent") // the first one holds nothing up
		c.stub.gets(t, 2)
	}},
}

// waits is a delivery policy of n waits of a second.
func waits(n int) object {
	return object{"schedule": slices.Repeat([]string{"1s"}, n)}
}

// fails makes a case: a stub that always answers so, one call, and the message
// failed for that reason.
func fails(status int, contentType, body, reason string) func(*testing.T, *respondSuite) {
	return func(t *testing.T, s *respondSuite) {
		t.Helper()
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		c.stub.always(status, contentType, body)
		m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "failed")
		if m.Reason != reason || m.ExternalID != "" {
			t.Errorf("%d %q: %q, want %q", status, body, m.Reason, reason)
		}
		c.stub.gets(t, 1)
	}
}

// respondBlocked is case 114.
func respondBlocked(t *testing.T, s *respondSuite) {
	fails(400, "application/json", `{"error":{"message":"blocked"}}`, "blocked")(t, s)
}

// respondDeadLetter is case 128c.
func respondDeadLetter(t *testing.T, s *respondSuite) {
	c := s.channel(t, "phone", object{"delivery": waits(2)})
	contact := s.number()
	c.stub.always(http.StatusServiceUnavailable, "text/plain", "down")
	first := c.sends(t, contact, written("1"))
	followers := []string{c.sends(t, contact, written("2")), c.sends(t, contact, written("3"))}
	c.becomes(t, contact, first, "failed")
	key := c.stub.gets(t, 3)[0].key()

	var dead struct {
		Data []struct {
			ID        string `json:"id"`
			MessageID string `json:"message_id"`
			Attempts  int    `json:"attempt_count"`
		} `json:"data"`
	}
	s.read(t, "/v1/deliveries?state=dead&channel="+c.id, &dead)
	if len(dead.Data) != 1 || dead.Data[0].MessageID != first || dead.Data[0].Attempts != 3 {
		t.Fatalf("dead letters %+v", dead.Data)
	}
	for _, id := range followers {
		if m := c.message(t, contact, id); m.Status != "queued" {
			t.Errorf("a follower is %s", m.Status)
		}
	}
	c.stub.answers(nil)
	if got := s.api(t, http.MethodPost, "/v1/deliveries/"+dead.Data[0].ID+"/redrive", object{}); got.status != http.StatusAccepted {
		t.Fatalf("redrive: %d %s", got.status, got.raw)
	}
	for _, id := range append([]string{first}, followers...) {
		c.becomes(t, contact, id, "sent")
	}
	var order []string
	for _, call := range c.stub.gets(t, 6) {
		order = append(order, call.text())
		if (call.text() == "1") != (call.key() == key) {
			t.Errorf("key %s for %q", call.key(), call.text())
		}
	}
	if strings.Join(order, " ") != "1 1 1 1 2 3" {
		t.Errorf("called for %v", order)
	}
}

// Dialect, and files.
var respondDialectCases = []respondCase{
	{"132", respondNoFiles},
	{"133", func(t *testing.T, s *respondSuite) {
		brand := &respondSuite{parley: s.parley, client: s.client, dialect: "ismessenger"}
		brand.serial.Store(5_000_000)
		for _, c := range []respondCase{
			{"001", respondFirstText},
			{"043", respondLongText},
			{"083", respondTwice},
			{"089", respondReceipts},
			{"102", respondSendText},
			{"114", respondBlocked},
		} {
			t.Run("case_"+c.number, func(t *testing.T) { c.run(t, brand) })
		}
	}},
}

// respondNoFiles stands where case 132 is. The case is about files that the
// platform itself hosts, and this platform hosts none: an attachment is sent by
// reference, so the server is given the very URL that was sent, at a host that is
// not the platform, and fetches it there.
func respondNoFiles(t *testing.T, s *respondSuite) {
	bytes := strings.Repeat("0123456789", 100)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "receipt.png", time.Time{}, strings.NewReader(bytes))
	}))
	t.Cleanup(host.Close)
	c := s.channel(t, "phone")
	u := host.URL + "/a/7f3/receipt.png?x=1&y=%2F"
	c.sends(t, s.number(), object{"type": "attachment", "attachment": object{"type": "image", "url": u}})
	if got := c.stub.gets(t, 1)[0].body.Message["attachment"].(object)["url"]; got != u {
		t.Errorf("the server is given %v, want %s", got, u)
	}
}
