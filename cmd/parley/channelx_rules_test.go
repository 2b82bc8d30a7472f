package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// sets changes settings of the office's inbox.
func (o *cxOffice) sets(t *testing.T, settings object) cxValue {
	t.Helper()
	return o.gets(t, o.app(t, http.MethodPatch, "/inboxes/"+digits(o.inbox), settings))
}

// cxForms: every endpoint takes JSON, forms and multipart, and the query
// (channelx.md 2.3).
func cxForms(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	inbox := digits(o.inbox)
	byForm := o.posts(t, "/contacts", url.Values{"inbox_id": {inbox}, "name": {"Bo"}, "identifier": {"crm-bo"}, "custom_attributes[plan]": {"gold"}, "blocked": {"false"}}).at("payload", "contact")
	byForm.at("custom_attributes").is(object{"plan": "gold"})
	byForm.at("blocked").is(false)
	byParts := o.posts(t, "/contacts", cxForm{}.field("inbox_id", inbox).field("name", "Ty").field("additional_attributes[city]", "Faro").field("blocked", "0"))
	byParts.at("payload", "contact", "additional_attributes", "city").is("Faro")
	source := byParts.at("payload", "contact_inbox", "source_id").text()
	made := o.posts(t, "/conversations?source_id="+source, nil).at("id").integer()
	o.posts(t, "/conversations/"+digits(made)+"/toggle_status?status=pending", nil).at("payload", "current_status").is("pending")
	made = o.posts(t, "/conversations", cxForm{}.field("source_id", source).field("message[content]", "hello").field("custom_attributes[order]", "A-17")).at("id").integer()
	shown := o.reads(t, "/conversations/"+digits(made)+".json")
	shown.at("messages", 0, "content").is("hello")
	shown.at("custom_attributes").is(object{"order": "A-17"})
	o.gets(t, o.app(t, http.MethodPatch, "/inboxes/"+inbox, url.Values{"channel[hmac_mandatory]": {"true"}})).at("hmac_mandatory").is(true)
	o.gets(t, o.app(t, http.MethodPatch, "/inboxes/"+inbox, cxForm{}.field("channel[hmac_mandatory]", "0"))).at("hmac_mandatory").is(false)
	o.posts(t, "/inboxes", url.Values{"name": {"By form"}, "channel[type]": {"api"}}).at("name").is("By form")
	filter := url.Values{
		"payload[][attribute_key]": {"name"}, "payload[][filter_operator]": {"equal_to"}, "payload[][values][]": {"Bo"},
	}
	if found := o.posts(t, "/contacts/filter", filter); !found.at("meta", "count").equals(1) {
		t.Errorf("filtered by form: %s", found)
	}
	visitor := o.clientPosts(t, "/contacts", url.Values{"name": {"Mia"}, "custom_attributes[plan]": {"tin"}})
	visitor.at("name").is("Mia")
	path := "/contacts/" + visitor.at("source_id").text()
	chat := o.clientPosts(t, path+"/conversations/", nil).at("id").integer()
	m := o.clientPosts(t, path+"/conversations/"+digits(chat)+"/messages", url.Values{"content": {"a b+c"}, "echo_id": {"e"}})
	m.at("content").is("a b+c")

	for _, body := range []string{"{", "[1", `{"name":}`} {
		got := o.app(t, http.MethodPost, "/contacts", body)
		cxRefused(t, got, http.StatusBadRequest).is(object{"status": 400, "error": "Bad Request"})
	}
	// What is not known is no error.
	o.posts(t, "/contacts", `{"name":"Lu","shoe_size":{"eu":[42]},"email":null}`)
}

// cxBlocked: rules 1 and 2 of section 8.
func cxBlocked(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	c := o.contact(t, object{"name": "Bo", "blocked": true})
	v := c.talk(t)
	shown := o.reads(t, v.path(""))
	shown.at("status").is("resolved")
	shown.at("muted").is(true)
	v.hears(t, "let me in")
	o.reads(t, v.path("")).at("status").is("resolved")
	o.gets(t, o.app(t, http.MethodPut, c.path(""), object{"blocked": false}))
	v.says(t, "an outgoing one opens nothing")
	v.notes(t, "nor does a note")
	o.reads(t, v.path("")).at("status").is("resolved")
	v.hears(t, "thanks")
	shown = o.reads(t, v.path(""))
	shown.at("status").is("open")
	shown.at("muted").is(false)
}

// cxWaiting: rules 4, 6 and 8 of section 8.
func cxWaiting(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	read := func() cxValue { return v.office.reads(t, v.path("")) }
	v.hears(t, "hello?")
	v.notes(t, "who is that")
	read().at("waiting_since").isSeconds()
	read().at("first_reply_created_at").is(0)
	v.says(t, "hello")
	read().at("waiting_since").is(0)
	first := read().at("first_reply_created_at")
	first.isSeconds()
	v.hears(t, "are you there?")
	read().at("waiting_since").isSeconds()
	v.says(t, "yes")
	read().at("first_reply_created_at").is(first.integer())
	v.hears(t, "good")
	v.turns(t, "resolved")
	read().at("waiting_since").is(0)
	read().at("last_activity_at").isSeconds()
	v.office.reads(t, v.contact.path("")).at("payload", "last_activity_at").isSeconds()
	named := 0
	for _, call := range v.fence(t) {
		if call.event == "conversation_updated" && slices.Contains(call.changes(), "first_reply_created_at") {
			named++
		}
	}
	if named != 1 {
		t.Errorf("the first reply was told %d times", named)
	}
}

// cxGreeting: rule 9 of section 8.
func cxGreeting(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	o.sets(t, object{"greeting_enabled": true, "greeting_message": "Welcome"}).at("greeting_message").is("Welcome")
	v := o.visitor(t, nil).chat(t)
	v.writes(t, "hi")
	v.writes(t, "anybody?")
	var types []int64
	for _, m := range o.clientReads(t, v.clientPath("/messages")).list() {
		types = append(types, m.at("message_type").integer())
	}
	if !slices.Equal(types, []int64{0, 3, 0}) {
		t.Errorf("messages of types %v", types)
	}
	b := o.receiver.event(t, "message_created", "content", "Welcome").body
	b.at("message_type").is("template")
	b.at("conversation", "messages", 0, "content").is("Welcome")
}

// cxWindow: rule 5 of section 8.
func cxWindow(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	cxRefused(t, o.app(t, http.MethodPatch, "/inboxes/"+digits(o.inbox), object{"channel": object{"additional_attributes": object{"agent_reply_time_window": 0}}}), http.StatusUnprocessableEntity)
	o.sets(t, object{"channel": object{"additional_attributes": object{"agent_reply_time_window": 24}}})
	v := o.talk(t)
	o.reads(t, v.path("")).at("can_reply").is(false)
	v.hears(t, "hello")
	o.reads(t, v.path("")).at("can_reply").is(true)
}

// cxSnoozed: a conversation sleeps until a time, or until the contact writes.
func cxSnoozed(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	turned := v.office.posts(t, v.path("/toggle_status"), object{"status": "snoozed", "snoozed_until": until.Unix()}).at("payload")
	turned.at("current_status").is("snoozed")
	v.office.reads(t, v.path("")).at("snoozed_until").is(until.Format("2006-01-02T15:04:05.000Z"))
	v.hears(t, "wake up")
	shown := v.office.reads(t, v.path(""))
	shown.at("status").is("open")
	shown.at("snoozed_until").is(nil)
}

// cxRecognised: who the client API takes somebody for (channelx.md 5.1).
func cxRecognised(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	ana := o.contact(t, object{"name": "Ana Prado", "email": "ana@example.test"})
	if c := o.visitor(t, object{"email": "Ana@Example.TEST"}); c.id != ana.id || c.source == ana.source {
		t.Errorf("by e-mail: contact %d as %s", c.id, c.source)
	}
	bo := o.visitor(t, object{"name": "Bo", "phone_number": cxPhone, "custom_attributes": object{"plan": "gold"}})
	raw := o.gets(t, o.app(t, http.MethodGet, bo.path(""), nil)).at("payload")
	raw.at("phone_number").is(cxPhone)
	patched := o.gets(t, o.public(t, http.MethodPatch, bo.clientPath(""), object{"name": "", "identifier": "crm-9", "custom_attributes": object{"tier": 2}}))
	patched.at("name").is("Bo")
	patched.at("identifier").is(nil)
	patched.at("custom_attributes").is(object{"plan": "gold", "tier": 2})
	patched.at("contact_type").is("lead")
	patched.at("created_at").isISO()
	patched.at("source_id").is(bo.source)
	patched.at("pubsub_token").isToken()

	// An e-mail address that somebody else has makes the two one.
	guest := o.visitor(t, object{"name": "Guest"})
	v := guest.chat(t)
	v.writes(t, "it is me")
	o.gets(t, o.public(t, http.MethodPatch, guest.clientPath(""), object{"email": "ana@example.test"})).at("id").is(ana.id)
	o.reads(t, v.path("")).at("meta", "sender", "id").is(ana.id)
	o.clientReads(t, v.clientPath("/messages")).at(0, "content").is("it is me")
	cxRefused(t, o.app(t, http.MethodGet, guest.path(""), nil), http.StatusNotFound)
}

// cxUserSocket: S13.
func cxUserSocket(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	socket := o.userCable(t)
	c := o.ana(t)
	socket.event(t, "contact.created", "id", c.id)
	v := c.talk(t)
	socket.event(t, "conversation.created", "id", v.id)
	o.posts(t, v.path("/assignments"), object{"assignee_id": o.rui})
	socket.event(t, "assignee.changed", "id", v.id)
	v.hears(t, "hello")
	v.says(t, "hello")
	socket.event(t, "first.reply.created")
	cxEmpty(t, o.public(t, http.MethodPost, v.clientPath("/update_last_seen"), nil))
	socket.event(t, "conversation.read", "id", v.id)
	o.gets(t, o.app(t, http.MethodPut, c.path(""), object{"name": "Ana P."}))
	socket.event(t, "contact.updated", "id", c.id, "name", "Ana P.")
	twin := o.contact(t, object{"name": "Twin"})
	o.posts(t, "/actions/contact_merge", object{"base_contact_id": c.id, "mergee_contact_id": twin.id})
	socket.event(t, "contact.merged")
	socket.event(t, "presence.update").data.at("contacts").isObject()
	// Another account's operator hears nothing of it, and cannot listen here.
	other := s.office(t)
	profile := other.gets(t, other.call(t, http.MethodGet, "/api/v1/profile", nil))
	stranger := s.dial(t, cxProtocols...)
	stranger.sends(t, object{"command": "subscribe", "identifier": fmt.Sprintf(
		`{"channel":"RoomChannel","pubsub_token":"%s","account_id":%d,"user_id":%d}`, profile.at("pubsub_token").text(), o.number, o.rui)})
	if _, f := stranger.await(t, "an answer", func(_ int, f cxFrame) bool { return strings.HasSuffix(f.kind, "_subscription") }); f.kind != "reject_subscription" {
		t.Errorf("%s", f.raw)
	}
}

// cxVerified: who has proved the identifier sees all conversations of the contact,
// and is told of them; others only their own.
func cxVerified(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	proof := "?identifier=" + cxCRM + "&identifier_hash=" + cxCRMHash
	phone, laptop := o.visitor(t, object{"identifier": cxCRM, "identifier_hash": cxCRMHash}), o.visitor(t, object{"identifier": cxCRM, "identifier_hash": cxCRMHash})
	o.clientReads(t, phone.clientPath(proof))
	o.clientReads(t, laptop.clientPath(proof))
	stranger := o.visitor(t, object{"identifier": cxCRM}) // says so without a proof
	v := phone.chat(t)
	v.writes(t, "private matters")
	onLaptop, onStranger := o.cable(t, laptop), o.cable(t, stranger)
	if ids := o.clientReads(t, laptop.clientPath("/conversations")).integers("id"); !slices.Equal(ids, []int64{v.id}) {
		t.Errorf("the laptop sees %v", ids)
	}
	o.clientReads(t, laptop.clientPath(v.path("/messages"))).at(0, "content").is("private matters")
	if ids := o.clientReads(t, stranger.clientPath("/conversations")).integers("id"); len(ids) != 0 {
		t.Errorf("the stranger sees %v", ids)
	}
	cxRefused(t, o.public(t, http.MethodGet, stranger.clientPath(v.path("/messages")), nil), http.StatusNotFound).is(cxNotFound)
	id := v.says(t, "told to the verified")
	onLaptop.event(t, "message.created", "id", id)
	own := stranger.chat(t).writes(t, "who am I")
	onStranger.event(t, "message.created", "id", own)
	if n := onStranger.count("message.created", "id", id); n != 0 {
		t.Error("the stranger was told")
	}
}

// cxLimitsOfMessages: sections 2.7 and 10.1.
func cxLimitsOfMessages(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	files := cxForm{}.field("content", "many")
	for i := range 16 {
		files = files.file(fmt.Sprintf("%d.txt", i), "text/plain", []byte("x"))
	}
	cxRefused(t, v.office.app(t, http.MethodPost, v.path("/messages"), files), http.StatusUnprocessableEntity).at("error").text()
	for _, body := range []object{
		{"content": "x", "source_id": strings.Repeat("s", 20_001)}, {"content": "x", "message_type": "bogus"}, {"content": "x", "content_type": "bogus"},
	} {
		if got := v.office.app(t, http.MethodPost, v.path("/messages"), body); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%d %s", got.status, got.raw)
		} else {
			cxRefused(t, got, got.status).at("error").text()
		}
	}
	long := strings.Repeat("n", 256)
	refused := cxRefused(t, v.office.app(t, http.MethodPost, "/contacts", object{"name": long}), http.StatusUnprocessableEntity)
	refused.is(object{"message": "Name is too long (maximum is 255 characters)", "attributes": []string{"name"}})
	if n := len(v.messages(t)); n != 0 {
		t.Errorf("%d messages", n)
	}
	got := v.office.app(t, http.MethodPost, v.path("/messages/99999999/retry"), nil)
	cxRefused(t, got, http.StatusUnprocessableEntity)
	cxRefused(t, v.office.app(t, http.MethodPatch, v.path("/messages/99999999"), object{"status": "read"}), http.StatusNotFound)
}

// cxTokens: a platform token that is bound to no agent is an operator itself: the
// one that the installation begins with, and those of role agent and reader.
func cxTokens(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	admin := v.office.as(v.office.admin)
	profile := admin.gets(t, admin.call(t, http.MethodGet, "/api/v1/profile", nil))
	id := profile.at("id").integer()
	m := admin.posts(t, v.path("/messages"), object{"content": "from the desk"})
	m.at("sender", "id").is(id)
	m.at("sender", "type").is("user")
	admin.reads(t, "/agents").find("id", id).at("role").is("administrator")
	admin.posts(t, v.path("/assignments"), object{"assignee_id": id}).at("id").is(id)
	admin.reads(t, "/conversations?assignee_type=me").at("data", "payload", 0, "id").is(v.id)
	socket := admin.userCable(t)
	socket.event(t, "message.created", "id", admin.posts(t, v.path("/messages"), object{"content": "again"}).at("id").integer())

	agent := v.office.as(v.office.unbound(t, "agent"))
	own := agent.gets(t, agent.call(t, http.MethodGet, "/api/v1/profile", nil))
	own.at("accounts", 0, "role").is("agent")
	cxRefused(t, agent.app(t, http.MethodPost, v.path("/messages"), object{"content": "not mine"}), http.StatusUnauthorized)
	admin.posts(t, "/inbox_members", object{"inbox_id": v.office.inbox, "user_ids": []int64{own.at("id").integer()}})
	agent.posts(t, v.path("/messages"), object{"content": "mine now"}).at("sender", "id").is(own.at("id").integer())
	cxRefused(t, agent.app(t, http.MethodPost, "/inboxes", object{"name": "x", "channel": object{"type": "api"}}), http.StatusUnauthorized)

	reader := v.office.as(v.office.unbound(t, "reader"))
	cxRefused(t, reader.app(t, http.MethodPost, "/contacts", object{"name": "x"}), http.StatusUnauthorized)

	root := s.fixture.as(s.parley.Token)
	root.gets(t, root.call(t, http.MethodGet, "/api/v1/profile", nil)).at("accounts", 0, "role").is("administrator")
	root.reads(t, "/inboxes").at("payload").find("id", s.fixture.inbox).at("secret").is(cxSecret)
}

// unbound makes a token that acts as itself.
func (o *cxOffice) unbound(t *testing.T, role string) string {
	t.Helper()
	var made struct {
		Token string `json:"token"`
	}
	o.platform(t, http.MethodPost, "/v1/tokens", object{"name": "program", "role": role}, http.StatusCreated, &made)
	return made.Token
}

// cxShared: one contact on two inboxes of an account, each of which is called back
// about its own conversations alone, and signed for itself.
func cxShared(t *testing.T, s *cx) { //nolint:thelper // a test
	first := s.office(t)
	second := *first
	second.receiver = newCXReceiver(t)
	second.channelled(t, object{"name": "Second", "secret": "another-secret-of-24-chr"})
	ana := first.ana(t)
	there := second.posts(t, ana.path("/contact_inboxes"), object{"inbox_id": second.inbox}).at("source_id").text()
	v, w := ana.talk(t), (&cxContact{office: &second, id: ana.id, source: there}).talk(t)
	if v.id != 1 || w.id != 2 {
		t.Errorf("conversations %d and %d", v.id, w.id)
	}
	v.hears(t, "to the first")
	w.hears(t, "to the second")
	for _, call := range append(v.fence(t), w.fence(t)...) {
		if call.event == "message_created" {
			call.body.at("account", "id").is(first.number)
		}
	}
	if n := len(first.receiver.calledFor(w.id)) + len(second.receiver.calledFor(v.id)); n != 0 {
		t.Errorf("%d calls to the wrong inbox", n)
	}
	if ids := first.reads(t, ana.path("/conversations")).at("payload").integers("id"); len(ids) != 2 {
		t.Errorf("conversations %v", ids)
	}
	// Neither inbox of the client API shows what is in the other.
	stray := &cxTalk{contact: ana, office: first, id: w.id}
	cxRefused(t, first.public(t, http.MethodGet, stray.clientPath("/messages"), nil), http.StatusNotFound).is(cxNotFound)
	cxRefused(t, second.public(t, http.MethodGet, v.clientPath("/messages"), nil), http.StatusNotFound).is(cxNotFound)
}
