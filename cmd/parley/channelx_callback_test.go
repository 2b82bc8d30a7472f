package main

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Callbacks. Those that wait longest go first.
//
//nolint:thelper // tests, not helpers of tests
var cxCallbackCases = []cxCase{
	{"071", func(t *testing.T, s *cx) {
		broken, slow := s.office(t, object{"delivery": single}).talk(t), s.office(t, object{"delivery": single}).talk(t)
		broken.office.receiver.answersStatus(http.StatusInternalServerError)
		slow.office.receiver.answers(func(_ int, call cxHook, _ http.ResponseWriter, r *http.Request) {
			if call.event == "message_created" {
				<-r.Context().Done()
			}
		})
		ids := map[*cxTalk][]int64{broken: {broken.says(t, "It ships today."), broken.hears(t, "When?")}, slow: {slow.says(t, "It ships today.")}}
		for v, ids := range ids {
			for _, id := range ids {
				if failed := v.becomes(t, id, "failed"); failed.at("content_attributes", "external_error").text() == "" {
					t.Errorf("%s", failed)
				}
				// The failure is told, too; that this fails changes nothing more.
				v.office.receiver.event(t, "message_updated", "id", id, "status", "failed")
			}
		}
		broken.message(t, broken.messages(t)[0].at("id").integer()).at("content_attributes", "external_error").is("500 Internal Server Error")
		broken.office.settled(t)
		updates := slices.DeleteFunc(broken.office.receiver.calledFor(broken.id), func(h cxHook) bool { return h.event != "message_updated" })
		if len(updates) != 2 {
			t.Errorf("%d calls told of two failures", len(updates))
		}
	}},
	{"072", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		first, last := v.turnedAway(t, func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
		if wait := last.at.Sub(first.at); wait < 800*time.Millisecond {
			t.Errorf("repeated after %s", wait)
		}
		v.message(t, first.body.at("id").integer()).at("status").is("sent")
	}},
	{"061", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		id := v.post(t, `{"content":"Is my order out yet?","message_type":"incoming","source_id":"ext-881","echo_id":"tmp-9"}`).at("id").integer()
		calls := slices.DeleteFunc(v.fence(t), func(h cxHook) bool { return h.event != "message_created" })
		if len(calls) != 1 {
			t.Fatalf("%d calls", len(calls))
		}
		b := calls[0].body
		b.at("inbox").is(object{"id": v.office.inbox, "name": cxInboxName})
		for name, want := range map[string]any{
			"id": id, "message_type": "incoming", "content": "Is my order out yet?", "content_type": "text", "content_attributes": object{},
			"additional_attributes": object{}, "private": false, "source_id": "ext-881", "status": "sent",
		} {
			b.at(name).is(want)
		}
		b.at("account").is(object{"id": v.office.number, "name": "Acme Support"})
		for name, want := range map[string]any{"id": v.contact.id, "name": "Ana Prado", "type": "contact", "identifier": cxCRM, "phone_number": cxPhone, "avatar": ""} {
			b.at("sender", name).is(want)
		}
		b.at("created_at").isISO()
		b.at("attachments").isAbsent()
		for name, want := range map[string]any{"channel": "Channel::Api", "id": v.id, "status": "open", "inbox_id": v.office.inbox, "unread_count": 1} {
			b.at("conversation", name).is(want)
		}
		b.at("conversation", "messages", 0, "id").is(id)
		b.at("conversation", "messages", 0, "message_type").is(0)
	}},
	{"062", func(t *testing.T, s *cx) {
		for _, vector := range [][3]string{
			{"1765000123", `{"event":"message_created","id":501,"content":"Hello"}`, "b49d52f23eb35368c893fa1cbf80c5f9e329fdc127cccd79c4aadac0dc15a230"},
			{"1765000124", `{"event":"message_created","id":501,"content":"Hello"}`, "0001c60c8f97020ecdb9ca55a7dfe95fae245a2b737f654765599302fc47a39d"},
			{"1765000123", `{"event":"message_created","id":502,"content":"Olá 👋"}`, "d8ec7c3c1737396d1ebc5172bb0b9627850442ff0b56f2c49f004002557177d0"},
			{"1765000300", `{"event":"conversation_typing_on"}`, "74c34f010105ea11dd7df0a43faa49d6e7df1302870aa056112d733c969304a8"},
		} {
			if got := cxSign(cxSecret, vector[0], []byte(vector[1])); got != "sha256="+vector[2] {
				t.Errorf("%s is signed %s", vector[1], got)
			}
		}
		// By the receiver, who checks the headers of every call as well.
		v := s.office(t).talk(t)
		v.hears(t, "Olá 👋 <b> & \u2028")
		if told := v.told(t); !slices.Contains(told, "message_created Olá 👋 <b> & \u2028") {
			t.Errorf("told %q", told)
		}
	}},
	{"063", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		v.fence(t)
		v.office.settled(t)
		reset := v.office.posts(t, "/inboxes/"+digits(v.office.inbox)+"/reset_secret", nil)
		reset.at("secret").isToken()
		if reset.at("secret").equals(cxSecret) {
			t.Error("the secret is what it was")
		}
		v.office.receiver.signed(reset.at("secret").text())
		v.hears(t, "signed anew")
		v.fence(t)
	}},
	{"064", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		v.hears(t, "Is my order out yet?")
		id := v.says(t, "It ships today.")
		b := v.office.receiver.event(t, "message_created", "id", id).body
		b.at("message_type").is("outgoing")
		b.at("sender").is(object{"id": v.office.rui, "name": "Rui Costa", "email": "rui@example.test", "type": "user"})
		conversation := b.at("conversation")
		conversation.at("messages", 0, "id").is(id)
		conversation.at("messages", 0, "sender", "available_name").text()
		conversation.at("messages", 0, "sender_type").is("User")
		conversation.at("meta", "sender", "identifier").is(cxCRM)
		conversation.at("meta", "hmac_verified").is(false)
		for _, name := range []string{"assignee", "assignee_type", "team"} {
			conversation.at("meta", name).is(nil)
		}
		conversation.at("contact_inbox", "source_id").is(v.contact.source)
		conversation.at("contact_inbox", "contact_id").is(v.contact.id)
		conversation.at("contact_inbox", "pubsub_token").isToken()
		conversation.at("contact_inbox", "created_at").isISO()
		conversation.at("first_reply_created_at").isISO()
		conversation.at("waiting_since").is(0)
		conversation.at("account").is(object{"id": v.office.number, "name": "Acme Support"})

		updated := v.office.receiver.await(t, "the first reply", func(h cxHook) bool {
			return h.event == "conversation_updated" && slices.Contains(h.changes(), "first_reply_created_at")
		})
		if names := updated.changes(); !slices.Contains(names, "waiting_since") {
			t.Errorf("changed: %v", names)
		}
		updated.body.at("first_reply_created_at").isISO()
		updated.body.at("id").is(v.id)
	}},
	{"065", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.visitor(t, nil).chat(t)
		listening := o.cable(t, v.contact)
		public := v.writes(t, "Is it out?")
		v.notes(t, "ask the depot")
		b := o.receiver.event(t, "message_created", "content", "ask the depot", "private", true).body
		b.at("conversation", "messages", 0, "id").is(public)
		said := v.says(t, "It is.")
		listening.event(t, "message.created", "id", said)
		for _, frame := range listening.got() {
			if strings.Contains(string(frame.raw), "depot") {
				t.Errorf("the contact was told %s", frame.raw)
			}
		}
		if ids := o.clientReads(t, v.clientPath("/messages")).integers("id"); !slices.Equal(ids, []int64{public, said}) {
			t.Errorf("the contact sees %v", ids)
		}
	}},
	{"066", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		var fetched atomic.Int64
		v.office.receiver.answers(func(_ int, call cxHook, _ http.ResponseWriter, _ *http.Request) {
			if call.event != "message_created" || call.body.at("attachments").missing() {
				return
			}
			file := call.body.at("attachments", 0)
			resp, err := s.client.Get(file.at("data_url").text()) // the URL needs nothing else
			if err != nil {
				t.Errorf("fetch at the moment of receipt: %v", err)
				return
			}
			defer resp.Body.Close()
			var content bytes.Buffer
			if _, err := content.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(content.Bytes(), cxPNG) {
				t.Errorf("fetched %d, %d bytes, %v", resp.StatusCode, content.Len(), err)
			}
			fetched.Add(1)
		})
		v.post(t, cxForm{}.field("content", "the label").file("a.png", "image/png", cxPNG))
		calls := slices.DeleteFunc(v.fence(t), func(h cxHook) bool { return h.body.at("attachments").missing() })
		if len(calls) != 1 || fetched.Load() != 1 {
			t.Fatalf("%d calls with files, %d fetched", len(calls), fetched.Load())
		}
		calls[0].body.at("attachments", 0, "file_type").is("image")
		calls[0].body.at("conversation", "messages", 0, "attachments", 0, "data_url").text()
	}},
	{"067", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		v.turns(t, "resolved")
		turned := v.office.receiver.event(t, "conversation_status_changed", "id", v.id)
		turned.body.at("status").is("resolved")
		turned.body.at("changed_attributes").is([]object{{"status": object{"previous_value": "open", "current_value": "resolved"}}})
		updated := v.office.receiver.event(t, "conversation_updated", "id", v.id, "status", "resolved")
		if names := updated.changes(); !slices.Contains(names, "status") {
			t.Errorf("changed: %v", names)
		}
	}},
	{"068", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		v.turns(t, "resolved")
		before := len(v.fence(t)) + 1
		v.hears(t, "one more thing")
		v.office.reads(t, v.path("")).at("status").is("open")
		var told []string
		for _, call := range v.fence(t)[before:] {
			told = append(told, call.says())
		}
		turned, heard := slices.Index(told, "conversation_status_changed"), slices.Index(told, "message_created one more thing")
		if turned < 0 || heard < turned || slices.Index(told, "conversation_updated") < 0 {
			t.Errorf("told %q", told)
		}
	}},
	{"069", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		id := v.says(t, "oh no")
		v.office.gets(t, v.office.app(t, http.MethodDelete, v.path("/messages/"+digits(id)), nil))
		b := v.office.receiver.event(t, "message_updated", "id", id).body
		b.at("content_attributes").is(object{"deleted": true})
		b.at("content").is("This message was deleted")
		b.at("changed_attributes").list()
	}},
	{"070", func(t *testing.T, s *cx) {
		v := s.office(t).visitor(t, object{"name": "Bo"}).chat(t)
		cxEmpty(t, v.office.public(t, http.MethodPost, v.clientPath("/toggle_typing"), object{"typing_status": "on"}))
		on := v.office.receiver.event(t, "conversation_typing_on", "conversation.id", v.id).body
		on.at("user", "id").is(v.contact.id)
		on.at("user", "type").is("contact")
		on.at("is_private").is(false)
		cxEmpty(t, v.office.public(t, http.MethodPost, v.clientPath("/toggle_typing?typing_status=off"), nil))
		v.office.receiver.event(t, "conversation_typing_off", "conversation.id", v.id)
		// Of an operator.
		cxEmpty(t, v.office.app(t, http.MethodPost, v.path("/toggle_typing_status"), object{"typing_status": "on", "is_private": true}))
		v.office.receiver.event(t, "conversation_typing_on", "conversation.id", v.id, "user.id", v.office.rui, "user.type", "user", "is_private", true)
	}},
	{"073", func(t *testing.T, s *cx) {
		v := s.office(t, object{"callback_url": ""}).talk(t)
		id := v.says(t, "hello")
		v.turns(t, "resolved")
		if list := v.office.deliveries(t, ""); len(list) != 0 {
			t.Errorf("%d deliveries", len(list))
		}
		v.message(t, id).at("status").is("sent")
		if calls, _ := v.office.receiver.got(); len(calls) != 0 {
			t.Errorf("called %s", calls[0].raw)
		}
	}},
}

// settled waits until every delivery of the inbox has its outcome.
func (o *cxOffice) settled(t *testing.T) {
	t.Helper()
	eventually(t, cxWait, "nothing waits for the receiver", func() bool {
		return len(o.deliveries(t, "&state=pending")) == 0 && len(o.deliveries(t, "&state=retrying")) == 0
	})
}

// turnedAway has the receiver refuse a message once while two more are said; it
// expects the same call again, before the others, and gives both.
func (v *cxTalk) turnedAway(t *testing.T, refuse func(http.ResponseWriter)) (first, again cxHook) {
	t.Helper()
	v.fence(t)
	v.office.settled(t)
	var refused atomic.Bool
	v.office.receiver.answers(func(_ int, call cxHook, w http.ResponseWriter, _ *http.Request) {
		if call.body.at("content").equals("once more") && refused.CompareAndSwap(false, true) {
			refuse(w)
		}
	})
	before := len(v.office.receiver.calledFor(v.id))
	id := v.says(t, "once more")
	v.hears(t, "two")
	v.says(t, "three")
	var told []string
	var both []cxHook
	for _, call := range v.fence(t)[before:] {
		if call.event == "message_created" {
			told = append(told, call.body.at("content").text())
		}
		if call.event == "message_created" && call.body.at("id").equals(id) {
			both = append(both, call)
		}
	}
	if want := []string{"once more", "once more", "two", "three"}; !slices.Equal(told, want) {
		t.Fatalf("told %q, want %q", told, want)
	}
	first, again = both[0], both[1]
	if !bytes.Equal(first.raw, again.raw) || first.delivery != again.delivery {
		t.Errorf("first %s of %s, then %s of %s", first.raw, first.delivery, again.raw, again.delivery)
	}
	return first, again
}
