package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"testing"
)

// cxProof is the identifier_hash of channelx.md 5.2.
func cxProof(identifier string) string {
	mac := hmac.New(sha256.New, []byte(cxHMACToken))
	mac.Write([]byte(identifier))
	return hex.EncodeToString(mac.Sum(nil))
}

// TestChannelXFrontEnd: somebody writes in a shop's app, which speaks the client
// API and listens at /cable, and an operator answers through the application API.
// The app is closed and opened again in the middle of it, and misses nothing.
func TestChannelXFrontEnd(t *testing.T) {
	t.Parallel()
	s := newCX(t)
	o := s.office(t)
	o.mandatory(t, true)

	// The app knows who its user is, and proves it.
	who := object{"identifier": cxCRM, "identifier_hash": cxProof(cxCRM), "name": "Ana Prado", "email": "Ana@Example.test"}
	made := o.clientPosts(t, "/contacts", who)
	made.at("email").is("ana@example.test")
	ana := &cxContact{office: o, id: made.at("id").integer(), source: made.at("source_id").text()}
	room := cxRoom(made.at("pubsub_token").text())
	app := s.dial(t, cxProtocols...)
	app.subscribes(t, room)
	desk := o.userCable(t)
	app.event(t, "presence.update")

	v := ana.chat(t)
	for _, socket := range []*cxSocket{app, desk} {
		socket.event(t, "conversation.created", "id", v.id, "status", "open")
	}
	cxEmpty(t, o.public(t, http.MethodPost, v.clientPath("/toggle_typing"), object{"typing_status": "on"}))
	desk.event(t, "conversation.typing_on", "user.id", ana.id)
	asked := o.clientPosts(t, v.clientPath("/messages"), object{"content": "Is my order out yet?", "echo_id": "e1"}).at("id").integer()
	app.event(t, "message.created", "id", asked, "echo_id", "e1")
	desk.event(t, "message.created", "id", asked, "sender.name", "Ana Prado")

	// The operator sees it in the list, takes it, and answers.
	list := o.reads(t, "/conversations?assignee_type=unassigned").at("data", "payload")
	list.at(0, "id").is(v.id)
	list.at(0, "unread_count").is(1)
	o.posts(t, v.path("/assignments"), object{"assignee_id": o.rui}).at("id").is(o.rui)
	o.posts(t, v.path("/update_last_seen"), nil).at("unread_count").is(0)
	cxEmpty(t, o.app(t, http.MethodPost, v.path("/toggle_typing_status"), object{"typing_status": "on"}))
	app.event(t, "conversation.typing_on", "user.id", o.rui)
	v.notes(t, "she asked twice last week")
	told := v.says(t, "It ships today.")
	app.event(t, "message.created", "id", told, "sender.name", "Rui Costa", "conversation.assignee_id", o.rui)
	cxEmpty(t, o.public(t, http.MethodPost, v.clientPath("/update_last_seen"), nil))
	app.event(t, "message.updated", "id", told, "status", "read")
	v.message(t, told).at("status").is("read")

	// Files go both ways, and need nothing but their URL.
	photo := o.clientPosts(t, v.clientPath("/messages"), cxForm{}.field("content", "This one").field("echo_id", "e2").file("a.png", "image/png", cxPNG))
	label := v.post(t, cxForm{}.field("content", "The label").file("label.pdf", "application/pdf", []byte("%PDF-1.4 label")))
	for id, content := range map[int64][]byte{photo.at("id").integer(): cxPNG, label.at("id").integer(): []byte("%PDF-1.4 label")} {
		for _, socket := range []*cxSocket{app, desk} {
			file := socket.event(t, "message.created", "id", id).data.at("attachments", 0)
			if got := s.download(t, file.at("data_url").text()); !bytes.Equal(got.raw, content) {
				t.Errorf("message %d has %d bytes", id, len(got.raw))
			}
		}
	}

	// Resolved by the operator, open again when she writes; resolved by herself.
	v.turns(t, "resolved")
	app.event(t, "conversation.status_changed", "id", v.id, "status", "resolved")
	more := v.writes(t, "One more thing")
	app.event(t, "conversation.status_changed", "id", v.id, "status", "open")
	app.event(t, "message.created", "id", more)
	o.clientPosts(t, v.clientPath("/toggle_status"), nil).at("status").is("resolved")
	desk.event(t, "conversation.status_changed", "id", v.id, "status", "resolved")

	// While the app is closed the operator goes on. Opened again, it reads what it
	// has missed, and hears the rest.
	if err := app.conn.CloseNow(); err != nil {
		t.Error(err)
	}
	v.turns(t, "open")
	missed := v.says(t, "Which one?")
	again := s.dial(t, cxProtocols...)
	again.subscribes(t, room)
	heard := v.says(t, "Still there?")
	again.event(t, "message.created", "id", heard)
	ids := o.clientReads(t, v.clientPath("/messages")).integers("id")
	if want := []int64{asked, told, photo.at("id").integer(), label.at("id").integer(), more, missed, heard}; !slices.Equal(ids, want) {
		t.Errorf("she reads %v, want %v", ids, want)
	}
	if n := again.count("message.created", "id", missed); n != 0 {
		t.Errorf("what was missed was told %d times", n)
	}
	for _, socket := range []*cxSocket{app, again} {
		for _, frame := range socket.got() {
			if bytes.Contains(frame.raw, []byte("last week")) {
				t.Errorf("she was told %s", frame.raw)
			}
		}
	}

	// The same user on another device proves who she is there, and sees it all.
	tablet := o.visitor(t, who)
	if tablet.id != ana.id || tablet.source == ana.source {
		t.Errorf("the tablet is contact %d as %s", tablet.id, tablet.source)
	}
	proof := "?identifier=" + cxCRM + "&identifier_hash=" + cxProof(cxCRM)
	o.clientReads(t, tablet.clientPath(proof)).at("id").is(ana.id)
	o.clientReads(t, ana.clientPath(proof)).at("id").is(ana.id)
	o.clientReads(t, tablet.clientPath(v.path("/messages"))).at(0, "id").is(asked)
	second := o.provenCable(t, tablet, proof)
	last := v.says(t, "On both")
	for _, socket := range []*cxSocket{again, second} {
		socket.event(t, "message.created", "id", last)
	}

	// Somebody else proves nothing of hers.
	other := o.visitor(t, object{"identifier": "crm-2", "identifier_hash": cxProof("crm-2")})
	cxRefused(t, o.public(t, http.MethodGet, other.clientPath(v.path("/messages")), nil), http.StatusNotFound).is(cxNotFound)
}

// provenCable opens a socket for a contact who must prove who they are to be told the
// token.
func (o *cxOffice) provenCable(t *testing.T, c *cxContact, proof string) *cxSocket {
	t.Helper()
	socket := o.suite.dial(t, cxProtocols...)
	socket.subscribes(t, cxRoom(o.clientReads(t, c.clientPath(proof)).at("pubsub_token").text()))
	return socket
}
