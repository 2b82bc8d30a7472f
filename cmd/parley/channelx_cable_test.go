package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The socket. Those that wait longest go first.
//
//nolint:thelper // tests, not helpers of tests
var cxCableCases = []cxCase{
	{"074", func(t *testing.T, s *cx) {
		socket := s.dial(t, cxProtocols...)
		began := time.Now()
		if socket.selected != "actioncable-v1-json" {
			t.Errorf("the protocol is %q", socket.selected)
		}
		if place, welcome := socket.kind(t, "welcome"); place != 0 || string(bytes.TrimSpace(welcome.raw)) != `{"type":"welcome"}` {
			t.Errorf("frame %d is %s", place, welcome.raw)
		}
		_, ping := socket.kind(t, "ping")
		if wait := ping.at.Sub(began); wait > 3500*time.Millisecond {
			t.Errorf("the first ping came after %s", wait)
		}
		ping.body.at("message").isSeconds()
	}},
	{"077", func(t *testing.T, s *cx) {
		socket := s.dial(t, cxProtocols...)
		for _, identifier := range []string{
			cxRoom("aaaaaaaaaaaaaaaaaaaaaaaa"), cxRoom(""), `{"channel":"OtherChannel"}`, "no JSON",
			fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":"aaaaaaaaaaaaaaaaaaaaaaaa","user_id":%d,"account_id":1}`, s.fixture.rui),
		} {
			socket.sends(t, object{"command": "subscribe", "identifier": identifier})
		}
		sent := time.Now()
		const patience = 2 * time.Second
		socket.await(t, "pings that go on", func(_ int, f cxFrame) bool { return f.kind == "ping" && f.at.Sub(sent) > patience })
		for _, f := range socket.got() {
			if f.kind == "confirm_subscription" {
				t.Errorf("%s", f.raw)
			}
		}
	}},
	{"085", func(t *testing.T, _ *cx) {
		s := newCX(t)
		p := s.parley
		// A front end knows one address.
		p.stop()
		p.set.Addr = strings.TrimPrefix(p.URL, "http://")
		p.start()
		o := s.office(t)
		v := o.visitor(t, nil).chat(t)
		token := v.contact.pubsub(t)
		socket := s.dial(t, cxProtocols...)
		socket.subscribes(t, cxRoom(token))
		p.stop()
		_, bye := socket.kind(t, "disconnect")
		bye.body.at("reconnect").is(true)
		bye.body.at("reason").is("server_restart")
		p.start()
		again := s.dial(t, cxProtocols...)
		again.subscribes(t, cxRoom(token))
		id := v.says(t, "here again")
		again.event(t, "message.created", "id", id)
	}},
	{"075", func(t *testing.T, s *cx) {
		c := s.office(t).visitor(t, nil)
		token := c.pubsub(t)
		socket := s.dial(t)
		if socket.selected != "" {
			t.Errorf("the protocol is %q", socket.selected)
		}
		socket.subscribes(t, cxRoom(token)) // the welcome may still be on its way
		socket.kind(t, "welcome")
		_, confirmed := socket.kind(t, "confirm_subscription")
		confirmed.body.is(object{"identifier": cxRoom(token), "type": "confirm_subscription"})
	}},
	{"076", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.visitor(t, nil).chat(t)
		identifier := fmt.Sprintf(`{ "account_id": %d , "pubsub_token":"%s","channel":"RoomChannel" }`, o.number, v.contact.pubsub(t))
		socket := s.dial(t, cxProtocols...)
		socket.subscribes(t, identifier)
		id := v.says(t, "hello")
		socket.event(t, "message.created", "id", id).body.at("identifier").is(identifier)
	}},
	{"078", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.visitor(t, object{"name": "Bo"}).chat(t)
		socket := o.cable(t, v.contact)
		said := socket.event(t, "message.created", "id", v.says(t, "hello")).data
		for name, want := range map[string]any{
			"message_type": 1, "content": "hello", "account_id": o.number, "inbox_id": o.inbox, "conversation_id": v.id, "private": false,
			"status": "sent", "source_id": nil, "content_type": "text", "content_attributes": object{}, "sender_type": "User", "sender_id": o.rui,
		} {
			said.at(name).is(want)
		}
		said.at("sender", "name").is("Rui Costa")
		said.at("performer", "id").is(o.rui)
		said.at("created_at").isSeconds()
		said.at("updated_at").isISO()
		said.at("conversation", "contact_inbox", "source_id").is(v.contact.source)

		heard := o.clientPosts(t, v.clientPath("/messages"), object{"content": "hi", "echo_id": "e1"}).at("id").integer()
		own := socket.event(t, "message.created", "id", heard).data
		own.at("echo_id").is("e1")
		own.at("message_type").is(0)
		own.at("sender_type").is("Contact")
	}},
	{"079", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.visitor(t, nil).chat(t)
		socket, operator := o.cable(t, v.contact), o.userCable(t)
		note := v.notes(t, "do not tell")
		v.turns(t, "resolved") // makes an activity
		v.turns(t, "open")
		last := v.says(t, "hello")
		socket.event(t, "message.created", "id", last)
		if n := socket.count("message.created"); n != 1 {
			t.Errorf("%d messages were told", n)
		}
		operator.event(t, "message.created", "id", note, "private", true) // operators are told
	}},
	{"080", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.visitor(t, nil)
		o.userCable(t) // Rui is there
		token := c.pubsub(t)
		socket := s.dial(t, cxProtocols...)
		socket.subscribes(t, cxRoom(token))
		socket.event(t, "presence.update").data.at("users").isObject()
		for n, data := range []any{`{"action":"update_presence"}`, object{"action": "update_presence"}} {
			socket.sends(t, object{"command": "message", "identifier": cxRoom(token), "data": data})
			socket.await(t, "presence", func(int, cxFrame) bool { return socket.count("presence.update") >= n+2 })
		}
		socket.sends(t, object{"command": "message", "identifier": cxRoom(token), "data": `{"action":"dance"}`})
		socket.sends(t, object{"command": "dance"})
		told := socket.event(t, "presence.update", "account_id", o.number, "users."+digits(o.rui), "online").data
		told.isObject()
		// Who is there is shown to operators.
		o.reads(t, c.path("")).at("payload", "availability_status").is("online")
		got := o.app(t, http.MethodDelete, c.path(""), nil)
		cxRefused(t, got, http.StatusUnprocessableEntity).at("message").text()
	}},
	{"081", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.visitor(t, nil).chat(t)
		socket, operator := o.cable(t, v.contact), o.userCable(t)
		cxEmpty(t, o.public(t, http.MethodPost, v.clientPath("/toggle_typing"), object{"typing_status": "on"}))
		cxEmpty(t, o.app(t, http.MethodPost, v.path("/toggle_typing_status"), object{"typing_status": "on"}))
		typing := socket.event(t, "conversation.typing_on").data
		typing.at("user", "id").is(o.rui)
		typing.at("is_private").is(false)
		typing.at("conversation", "id").is(v.id)
		cxEmpty(t, o.app(t, http.MethodPost, v.path("/toggle_typing_status"), object{"typing_status": "off"}))
		socket.event(t, "conversation.typing_off", "user.id", o.rui)
		if n := socket.count("conversation.typing_on"); n != 1 {
			t.Errorf("told %d times", n)
		}
		operator.event(t, "conversation.typing_on", "user.id", v.contact.id, "user.type", "contact")
	}},
	{"082", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.visitor(t, nil).chat(t)
		socket := o.cable(t, v.contact)
		v.turns(t, "resolved")
		turned := socket.event(t, "conversation.status_changed", "id", v.id).data
		turned.at("status").is("resolved")
		turned.at("account_id").is(o.number)
		turned.at("account").isAbsent()
		turned.at("contact_inbox", "source_id").is(v.contact.source)
		second := v.contact.chat(t)
		socket.event(t, "conversation.created", "id", second.id)
	}},
	{"083", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.visitor(t, nil).chat(t)
		socket := o.cable(t, v.contact)
		id := v.says(t, "hello")
		v.patches(t, id, object{"status": "read"})
		socket.event(t, "message.updated", "id", id, "status", "read").data.at("previous_changes").isObject()
	}},
	{"084", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.visitor(t, nil).chat(t)
		room := cxRoom(v.contact.pubsub(t))
		socket := s.dial(t, cxProtocols...)
		for range 3 {
			socket.sends(t, object{"command": "subscribe", "identifier": room})
		}
		socket.subscribes(t, room)
		first, second := v.says(t, "one"), v.says(t, "two")
		socket.event(t, "message.created", "id", second)
		if n := socket.count("message.created", "id", first); n != 1 {
			t.Errorf("told %d times", n)
		}
		// A room that was left is quiet.
		other := o.visitor(t, nil).chat(t)
		otherRoom := cxRoom(other.contact.pubsub(t))
		socket.subscribes(t, otherRoom)
		socket.sends(t, object{"command": "unsubscribe", "identifier": room})
		socket.sends(t, object{"command": "message", "identifier": otherRoom, "data": `{"action":"update_presence"}`})
		answers := 0 // the first is to the subscription
		socket.await(t, "an answer after the room was left", func(_ int, f cxFrame) bool {
			if f.event == "presence.update" && f.body.at("identifier").equals(otherRoom) {
				answers++
			}
			return answers == 2
		})
		quiet, last := v.says(t, "nobody hears this"), other.says(t, "last")
		socket.event(t, "message.created", "id", last)
		if n := socket.count("message.created", "id", quiet); n != 0 {
			t.Errorf("told %d times", n)
		}
	}},
}
