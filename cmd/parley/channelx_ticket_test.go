package main

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
)

// Conversations.
//
//nolint:thelper // tests, not helpers of tests
var cxTicketCases = []cxCase{
	{"026", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		made := o.posts(t, "/conversations", object{"source_id": c.source})
		for name, want := range map[string]any{
			"id": 1, "status": "open", "inbox_id": o.inbox, "account_id": o.number, "messages": []string{}, "labels": []string{}, "priority": nil,
			"custom_attributes": object{}, "additional_attributes": object{}, "can_reply": true, "muted": false, "unread_count": 0,
			"snoozed_until": nil, "last_non_activity_message": nil, "first_reply_created_at": 0, "agent_last_seen_at": 0,
			"contact_last_seen_at": 0, "assignee_last_seen_at": 0,
		} {
			made.at(name).is(want)
		}
		if _, err := uuid.Parse(made.at("uuid").text()); err != nil {
			t.Errorf("%v", err)
		}
		made.at("meta", "sender", "id").is(c.id)
		made.at("meta", "sender", "contact_inboxes").isAbsent()
		made.at("meta", "channel").is("Channel::Api")
		made.at("meta", "hmac_verified").is(false)
		made.at("meta", "assignee").isAbsent()
		made.at("created_at").isSeconds()
		made.at("waiting_since").isSeconds()
		if second := c.talk(t); second.id != 2 {
			t.Errorf("the second conversation is %d", second.id)
		}
		if shown := o.reads(t, "/conversations/1"); shown.String() != made.String() {
			t.Errorf("made as %s, read as %s", made, shown)
		}
	}},
	{"027", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		made := o.posts(t, "/conversations", object{"contact_id": digits(c.id), "inbox_id": digits(o.inbox)})
		made.at("meta", "sender", "id").is(c.id)
		made.at("inbox_id").is(o.inbox)
		// Without a source_id each makes a contact inbox of its own (10.2.3).
		if n := len(o.reads(t, c.path("")).at("payload", "contact_inboxes").list()); n != 2 {
			t.Errorf("%d contact inboxes", n)
		}
	}},
	{"028", func(t *testing.T, s *cx) {
		o := s.office(t)
		o.contact(t, object{"name": "Ana Prado", "source_id": "ext-ana"})
		other := o.contact(t, object{"name": "Bo"})
		got := o.app(t, http.MethodPost, "/conversations", object{"inbox_id": o.inbox, "contact_id": other.id, "source_id": "ext-ana"})
		cxRefused(t, got, http.StatusUnprocessableEntity).is(object{"error": "source_id should be unique"})
	}},
	{"029", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		for _, body := range []object{{"source_id": "nope"}, {"contact_id": c.id}, {"inbox_id": o.inbox}, {}} {
			got := o.app(t, http.MethodPost, "/conversations", body)
			cxRefused(t, got, http.StatusNotFound).is(object{"error": "Resource could not be found"})
		}
		if n := len(o.reads(t, c.path("/conversations")).at("payload").list()); n != 0 {
			t.Errorf("%d conversations", n)
		}
	}},
	{"030", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		made := o.posts(t, "/conversations", object{"source_id": c.source, "message": object{"content": "hello"}})
		made.at("messages", 0, "content").is("hello")
		made.at("messages", 0, "message_type").is(1)
		made.at("last_non_activity_message", "content").is("hello")
	}},
	{"031", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.talk(t)
		v.contact.talk(t).turns(t, "resolved")
		list := o.reads(t, "/conversations?status=all&inbox_id="+digits(o.inbox)).at("data")
		if n := list.at("meta", "all_count").integer(); n != 2 || len(list.at("payload").list()) != 2 {
			t.Errorf("%s", list)
		}
		open := o.reads(t, "/conversations").at("data")
		if ids := open.at("payload").integers("id"); !slices.Equal(ids, []int64{v.id}) {
			t.Errorf("open are %v", ids)
		}
		open.at("meta").is(object{"mine_count": 0, "assigned_count": 0, "unassigned_count": 1, "all_count": 1})
	}},
	{"032", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		first, second, third := c.talk(t), c.talk(t), c.talk(t)
		second.hears(t, "two")
		third.hears(t, "three")
		third.turns(t, "resolved")
		first.hears(t, "one")
		list := o.reads(t, c.path("/conversations")).at("payload")
		if ids := list.integers("id"); !slices.Equal(ids, []int64{first.id, third.id, second.id}) {
			t.Errorf("they are %v", ids)
		}
		list.at(1, "status").is("resolved")
	}},
	{"033", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		turned := v.office.posts(t, v.path("/toggle_status"), object{"status": "resolved"})
		turned.is(object{"meta": object{}, "payload": object{"success": true, "conversation_id": v.id, "current_status": "resolved", "snoozed_until": nil}})
		v.office.reads(t, v.path("")).at("status").is("resolved")
		if got := v.office.app(t, http.MethodPost, v.path("/toggle_status"), object{"status": "asleep"}); got.status != http.StatusUnprocessableEntity {
			t.Errorf("an unknown status: %d %s", got.status, got.raw)
		}
	}},
	{"034", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		for _, want := range []string{"resolved", "open", "resolved"} {
			v.office.posts(t, v.path("/toggle_status"), nil).at("payload", "current_status").is(want)
			v.office.reads(t, v.path("")).at("status").is(want)
		}
		// An operator who opens it takes it.
		bia, id := v.office.staff(t, true)
		bia.posts(t, v.path("/toggle_status"), nil).at("payload", "current_status").is("open")
		bia.reads(t, v.path("")).at("meta", "assignee", "id").is(id)
	}},
	{"035", func(t *testing.T, s *cx) {
		o := s.office(t)
		locked := o.posts(t, "/inboxes", object{"name": "One at a time", "lock_to_single_conversation": true, "channel": object{"type": "api"}})
		locked.at("lock_to_single_conversation").is(true)
		made := o.posts(t, "/contacts", object{"inbox_id": locked.at("id").integer(), "name": "Ana Prado"})
		source := made.at("payload", "contact_inbox", "source_id").text()
		first := o.posts(t, "/conversations", object{"source_id": source}).at("id").integer()
		o.posts(t, "/conversations", object{"source_id": source, "status": "pending"}).at("id").is(first)
		o.posts(t, "/conversations/"+digits(first)+"/toggle_status", object{"status": "resolved"})
		again := o.posts(t, "/conversations", object{"source_id": source, "status": "open"})
		again.at("id").is(first)
		again.at("status").is("resolved")

		client := *o
		client.identifier = locked.at("inbox_identifier").text()
		client.clientPosts(t, "/contacts/"+source+"/conversations", nil).at("id").is(first)
	}},
}
