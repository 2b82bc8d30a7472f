package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Outbound: what is called.
//
//nolint:thelper // tests, not helpers of tests
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
func respondSendText(t *testing.T, s *respondSuite) { //nolint:thelper // a test
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
