package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// cxNotFound is what the client API answers about what is not there, or is
// somebody else's.
var cxNotFound = object{"status": 404, "error": "Not Found"}

// visitor is somebody whom the client API has made.
func (o *cxOffice) visitor(t *testing.T, fields object) *cxContact {
	t.Helper()
	var body any // without fields there is no body
	if fields != nil {
		body = fields
	}
	made := o.clientPosts(t, "/contacts", body)
	return &cxContact{office: o, id: made.at("id").integer(), source: made.at("source_id").text()}
}

// chat opens a conversation through the client API.
func (c *cxContact) chat(t *testing.T) *cxTalk {
	t.Helper()
	made := c.office.clientPosts(t, c.clientPath("/conversations"), nil)
	return &cxTalk{contact: c, office: c.office, id: made.at("id").integer()}
}

// writes is a message of the contact through the client API, and gives its id.
func (v *cxTalk) writes(t *testing.T, text string) int64 {
	t.Helper()
	return v.office.clientPosts(t, v.clientPath("/messages"), object{"content": text}).at("id").integer()
}

// mandatory sets whether contacts must prove who they are.
func (o *cxOffice) mandatory(t *testing.T, mandatory bool) {
	t.Helper()
	changed := o.gets(t, o.app(t, http.MethodPatch, fmt.Sprintf("/inboxes/%d", o.inbox), object{"channel": object{"hmac_mandatory": mandatory}}))
	changed.at("hmac_mandatory").is(mandatory)
}

// Client API.
//
//nolint:thelper // tests, not helpers of tests
var cxClientCases = []cxCase{
	{"048", func(t *testing.T, s *cx) {
		o := s.office(t)
		made := o.clientPosts(t, "/contacts", nil)
		if made.at("source_id").text() == "" || made.at("name").text() == "" {
			t.Errorf("%s", made)
		}
		made.at("pubsub_token").isToken()
		made.at("email").is(nil)
		made.at("phone_number").is(nil)
		shown := o.clientReads(t, "/contacts/"+made.at("source_id").text())
		if shown.String() != made.String() {
			t.Errorf("made as %s, read as %s", made, shown)
		}
		// A token that strays in does no harm.
		got := s.send(t, http.MethodPost, "/public/api/v1/inboxes/"+o.identifier+"/contacts", cxHeaders{"api_access_token": "wrong"}, nil)
		o.gets(t, got)
		cxRefused(t, s.send(t, http.MethodGet, "/public/api/v1/inboxes/nobody-has-this", nil, nil), http.StatusNotFound).is(cxNotFound)
		cxRefused(t, o.public(t, http.MethodGet, "/contacts/nobody", nil), http.StatusNotFound).is(cxNotFound)
	}},
	{"049", func(t *testing.T, s *cx) {
		o := s.office(t)
		first := o.clientPosts(t, "/contacts", object{"source_id": "device-1", "name": "Bo"})
		second := o.clientPosts(t, "/contacts", object{"source_id": "device-1", "name": "Ty"})
		if second.String() != first.String() {
			t.Errorf("first %s, then %s", first, second)
		}
		second.at("name").is("Bo")
		second.at("source_id").is("device-1")
	}},
	{"050", func(t *testing.T, s *cx) {
		o := s.office(t)
		ana := o.ana(t)
		if c := o.visitor(t, object{"identifier": cxCRM, "identifier_hash": cxCRMHash}); c.id != ana.id || c.source == ana.source {
			t.Errorf("contact %d as %s, want %d as somebody new", c.id, c.source, ana.id)
		}
		for identifier, hash := range map[string]string{
			"ana@example.test": "668c4a6b1d1921b4639eda7c09fb39a38c7b752636d6c1a39c856a40a7c38817",
			"+5511999990000":   "b8437635692b3d161831418b3830d8187795c735fe255f30b3e0e287de2b2b75",
			"jürgen":           "c39c378314d579ae7098b36f535c09f5ad6848b624da6e967e00d38b0f47a220",
		} {
			o.visitor(t, object{"identifier": identifier, "identifier_hash": hash})
		}
	}},
	{"051", func(t *testing.T, s *cx) {
		o := s.office(t)
		ana := o.ana(t)
		wrong := strings.TrimSuffix(cxCRMHash, "1") + "2"
		for _, identifier := range []string{cxCRM, "crm-unknown", ""} {
			got := o.public(t, http.MethodPost, "/contacts", object{"identifier": identifier, "identifier_hash": wrong})
			cxRefused(t, got, http.StatusUnauthorized).is(object{"error": "HMAC failed: Invalid Identifier Hash Provided"})
		}
		if list := o.reads(t, ana.path("")).at("payload", "contact_inboxes").list(); len(list) != 1 {
			t.Errorf("%v", list)
		}
		if list := o.reads(t, "/contacts/search?q=crm-unknown").at("payload").list(); len(list) != 0 {
			t.Errorf("%v", list)
		}
	}},
	{"052", func(t *testing.T, s *cx) {
		o := s.office(t)
		ana := o.ana(t)
		v := ana.talk(t)
		o.mandatory(t, true)
		for _, body := range []any{nil, object{"identifier": cxCRM}, object{"identifier": "", "identifier_hash": "3dfd590265fdd00a0e8831550ec3b9ff80d868dcbdac1e0b16fc7bddd3f23ffe"}} {
			if got := o.public(t, http.MethodPost, "/contacts", body); got.status != http.StatusUnauthorized {
				t.Errorf("%v: %d %s", body, got.status, got.raw)
			}
		}
		cxRefused(t, o.public(t, http.MethodGet, ana.clientPath(""), nil), http.StatusUnauthorized)
		o.reads(t, v.path("")).at("meta", "hmac_verified").is(false)
		proof := url.Values{"identifier": {cxCRM}, "identifier_hash": {cxCRMHash}}
		o.clientReads(t, ana.clientPath("?"+proof.Encode())).at("id").is(ana.id)
		o.reads(t, v.path("")).at("meta", "hmac_verified").is(true)
		// Somebody else's proof does not fit.
		other := url.Values{"identifier": {"+5511999990000"}, "identifier_hash": {"b8437635692b3d161831418b3830d8187795c735fe255f30b3e0e287de2b2b75"}}
		cxRefused(t, o.public(t, http.MethodGet, ana.clientPath("?"+other.Encode()), nil), http.StatusUnauthorized)
	}},
	{"053", func(t *testing.T, s *cx) {
		o := s.office(t)
		for _, mandatory := range []bool{false, true} {
			o.mandatory(t, mandatory)
			inbox := o.clientReads(t, "")
			inbox.at("identifier").is(o.identifier)
			inbox.at("identity_validation_enabled").is(mandatory)
			inbox.at("name").is(cxInboxName)
			inbox.at("hmac_token").isAbsent()
			inbox.at("secret").isAbsent()
		}
		s.fixture.clientReads(t, "").at("identifier").is(cxIdentifier)
	}},
	{"054", func(t *testing.T, s *cx) {
		c := s.office(t).visitor(t, object{"name": "Bo"})
		made := c.office.clientPosts(t, c.clientPath("/conversations"), nil)
		made.at("status").is("open")
		made.at("inbox_id").is(c.office.inbox)
		made.at("messages").is([]string{})
		made.at("contact", "id").is(c.id)
		made.at("contact", "created_at").isISO()
		made.at("contact", "contact_type").is("visitor")
		v := &cxTalk{contact: c, office: c.office, id: made.at("id").integer()}
		m := c.office.clientPosts(t, v.clientPath("/messages"), object{"content": "hi", "echo_id": "e1"})
		m.at("content").is("hi")
		m.at("message_type").is(0)
		m.at("created_at").isSeconds()
		m.at("conversation_id").is(v.id)
		m.at("content_attributes").is(object{})
		m.at("sender", "id").is(c.id)
		shown := c.office.clientReads(t, v.clientPath(""))
		shown.at("messages", 0, "content").is("hi")
		if ids := c.office.clientReads(t, c.clientPath("/conversations")).integers("id"); !slices.Equal(ids, []int64{v.id}) {
			t.Errorf("conversations %v", ids)
		}
	}},
	{"055", func(t *testing.T, s *cx) {
		v := s.office(t).visitor(t, nil).chat(t)
		v.writes(t, "one")
		v.notes(t, "do not tell")
		v.turns(t, "resolved") // makes an activity
		v.turns(t, "open")
		v.says(t, "two")
		list := v.office.clientReads(t, v.clientPath("/messages"))
		if len(list.list()) != 2 {
			t.Fatalf("%s", list)
		}
		list.at(0, "content").is("one")
		list.at(1, "content").is("two")
		list.at(1, "sender", "name").is("Rui Costa")
		if shown := v.office.clientReads(t, v.clientPath("")).at("messages"); len(shown.list()) != 2 {
			t.Errorf("%s", shown)
		}
	}},
	{"056", func(t *testing.T, s *cx) {
		o := s.office(t)
		mine, theirs := o.visitor(t, nil).chat(t), o.visitor(t, nil).chat(t)
		id := theirs.writes(t, "private matters")
		prying := cxTalk{contact: mine.contact, office: o, id: theirs.id}
		for _, got := range []answered{
			o.public(t, http.MethodGet, prying.clientPath(""), nil),
			o.public(t, http.MethodGet, prying.clientPath("/messages"), nil),
			o.public(t, http.MethodPost, prying.clientPath("/messages"), object{"content": "hi"}),
			o.public(t, http.MethodPost, prying.clientPath("/toggle_status"), nil),
			o.public(t, http.MethodPost, prying.clientPath("/toggle_typing?typing_status=on"), nil),
			o.public(t, http.MethodPost, prying.clientPath("/update_last_seen"), nil),
			o.public(t, http.MethodPatch, prying.clientPath("/messages/"+digits(id)), object{"submitted_values": object{"name": "a", "value": "b"}}),
			o.public(t, http.MethodGet, mine.contact.clientPath("/conversations/99999"), nil),
		} {
			cxRefused(t, got, http.StatusNotFound).is(cxNotFound)
		}
		if n := len(theirs.messages(t)); n != 1 {
			t.Errorf("%d messages", n)
		}
	}},
	{"057", func(t *testing.T, s *cx) {
		v := s.office(t).visitor(t, nil).chat(t)
		for range 2 {
			v.office.clientPosts(t, v.clientPath("/toggle_status"), nil).at("status").is("resolved")
		}
		v.office.reads(t, v.path("")).at("status").is("resolved")
	}},
	{"058", func(t *testing.T, s *cx) {
		v := s.office(t).visitor(t, nil).chat(t)
		asked := v.writes(t, "hello?")
		id := v.says(t, "hello")
		cxEmpty(t, v.office.public(t, http.MethodPost, v.clientPath("/update_last_seen"), nil))
		v.message(t, id).at("status").is("read")
		v.message(t, asked).at("status").is("sent")
		v.office.clientReads(t, v.clientPath("")).at("contact_last_seen_at").isSeconds()
	}},
	{"059", func(t *testing.T, s *cx) {
		v := s.office(t).visitor(t, nil).chat(t)
		id := v.post(t, object{"content": "Is that all?", "content_type": "input_select", "content_attributes": object{
			"items": []object{{"title": "Yes", "value": "y"}, {"title": "No", "value": "n"}},
		}}).at("id").integer()
		got := v.office.public(t, http.MethodPatch, v.clientPath("/messages/"+digits(id)), `{"submitted_values":[{"title":"Yes","value":"y"}]}`)
		for _, m := range []cxValue{v.office.gets(t, got), v.message(t, id)} {
			m.at("content_attributes", "submitted_values", 0, "title").is("Yes")
			m.at("content_attributes", "submitted_values", 0, "value").is("y")
			m.at("content_attributes", "items", 1, "value").is("n")
		}
	}},
	{"060", func(t *testing.T, s *cx) {
		v := s.office(t).visitor(t, nil).chat(t)
		const origin = "https://shop.example.test"
		for _, path := range []string{"", "/contacts", v.contact.clientPath(""), v.clientPath("/messages"), "/no/such/path"} {
			got := s.send(t, http.MethodOptions, "/public/api/v1/inboxes/"+v.office.identifier+path, cxHeaders{
				"Origin": origin, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "content-type,x-custom",
			}, nil)
			allowed := got.header.Get("Access-Control-Allow-Origin")
			methods, headers := got.header.Get("Access-Control-Allow-Methods"), strings.ToLower(got.header.Get("Access-Control-Allow-Headers"))
			if got.status >= http.StatusMultipleChoices || allowed != "*" && allowed != origin || !strings.Contains(methods, "PATCH") && methods != "*" ||
				!strings.Contains(headers, "x-custom") && headers != "*" {
				t.Errorf("%s: %d %v", path, got.status, got.header)
			}
		}
		got := s.send(t, http.MethodGet, "/public/api/v1/inboxes/"+v.office.identifier, cxHeaders{"Origin": origin}, nil)
		if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != "*" && allowed != origin {
			t.Errorf("%d %v", got.status, got.header)
		}
	}},
}
