package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// digits writes an id as clients do that keep ids as texts.
func digits(id int64) string { return strconv.FormatInt(id, 10) }

// cxPNG is a picture of one dot.
var cxPNG = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89" +
	"\x00\x00\x00\nIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00\x00\x00IEND\xaeB`\x82")

// Messages.
//
//nolint:thelper // tests, not helpers of tests
var cxMessageCases = []cxCase{
	{"036", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		m := v.post(t, `{"content":"Is my order out yet?","message_type":"incoming","source_id":"ext-881","echo_id":"tmp-9"}`)
		m.at("id").integer()
		for name, want := range map[string]any{
			"content": "Is my order out yet?", "inbox_id": v.office.inbox, "conversation_id": v.id, "message_type": 0, "content_type": "text",
			"status": "sent", "private": false, "source_id": "ext-881", "echo_id": "tmp-9", "content_attributes": object{},
		} {
			m.at(name).is(want)
		}
		m.at("created_at").isSeconds()
		m.at("attachments").isAbsent()
		m.at("sender").is(object{
			"additional_attributes": object{}, "custom_attributes": object{}, "email": nil, "id": v.contact.id, "identifier": cxCRM,
			"name": "Ana Prado", "phone_number": cxPhone, "thumbnail": "", "blocked": false, "type": "contact",
		})
		listed := v.message(t, m.at("id").integer())
		listed.at("echo_id").isAbsent()
		listed.at("sender", "type").is("contact")
	}},
	{"037", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		asked := v.post(t, object{"content": "Is my order out yet?", "message_type": "incoming", "source_id": "ext-881"}).at("id").integer()
		m := v.post(t, cxForm{}.field("content", "It ships today.").field("message_type", "outgoing").field("private", "false").
			field("content_attributes", `{"in_reply_to_external_id":"ext-881"}`))
		m.at("content").is("It ships today.")
		m.at("message_type").is(1)
		m.at("private").is(false)
		m.at("content_attributes").is(object{"in_reply_to": asked, "in_reply_to_external_id": "ext-881"})
		m.at("sender", "type").is("user")
		m.at("sender", "id").is(v.office.rui)
		m.at("sender", "name").is("Rui Costa")
		// Not found: both are null. Not readable: none.
		lost := v.post(t, object{"content": "?", "content_attributes": object{"in_reply_to": 99999999}}).at("content_attributes")
		if !lost.at("in_reply_to").null() || !lost.at("in_reply_to_external_id").null() {
			t.Errorf("%s", lost)
		}
		v.post(t, cxForm{}.field("content", "?").field("content_attributes", "{nonsense")).at("content_attributes").is(object{})
	}},
	{"038", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		m := v.post(t, cxForm{}.field("content", "").file("a.png", "image/png", cxPNG))
		m.at("attachments").list()
		file := m.at("attachments", 0)
		for name, want := range map[string]any{
			"file_type": "image", "extension": "png", "file_size": len(cxPNG), "message_id": m.at("id").integer(), "account_id": v.office.number,
			"width": 1, "height": 1,
		} {
			file.at(name).is(want)
		}
		file.at("id").integer()
		got := s.download(t, file.at("data_url").text())
		if !bytes.Equal(got.raw, cxPNG) || got.header.Get("Content-Type") != "image/png" {
			t.Errorf("%d bytes of %s, want %d", len(got.raw), got.header.Get("Content-Type"), len(cxPNG))
		}
		if u, err := url.Parse(file.at("data_url").text()); err != nil || path.Base(u.Path) != "a.png" {
			t.Errorf("data_url is %s", file.at("data_url"))
		}
		s.download(t, file.at("thumb_url").text())
		for name, want := range map[string]string{"b.ogg": "audio", "c.mp4": "video", "d.pdf": "file"} {
			kind := map[string]string{"b.ogg": "audio/ogg", "c.mp4": "video/mp4", "d.pdf": "application/pdf"}[name]
			file := v.post(t, cxForm{}.field("message_type", "incoming").file(name, kind, []byte(name))).at("attachments", 0)
			file.at("file_type").is(want)
			file.at("thumb_url").is("")
			if got := s.download(t, file.at("data_url").text()); string(got.raw) != name {
				t.Errorf("%s: %q", name, got.raw)
			}
		}
	}},
	{"039", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		asked := v.post(t, object{"content": "?", "message_type": "incoming", "source_id": "ext-7"}).at("id").integer()
		for _, body := range []any{
			cxForm{}.field("content", "!").field("content_attributes[in_reply_to]", digits(asked)),
			url.Values{"content": {"!"}, "content_attributes[in_reply_to]": {digits(asked)}},
		} {
			v.post(t, body).at("content_attributes").is(object{"in_reply_to": asked, "in_reply_to_external_id": "ext-7"})
		}
	}},
	{"040", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		v.post(t, object{"content": "hello"}).at("message_type").is(1)
		v.post(t, object{}).at("content").is(nil)
		bare := v.office.posts(t, v.path("/messages?content=in+the+query"), nil)
		bare.at("content").is("in the query")
		bare.at("message_type").is(1)
	}},
	{"041", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		got := v.office.app(t, http.MethodPost, v.path("/messages"), object{"content": strings.Repeat("ã", 150_001)})
		cxRefused(t, got, http.StatusUnprocessableEntity).is(object{"error": "Validation failed: Content is too long (maximum is 150000 characters)"})
		if n := len(v.messages(t)); n != 0 {
			t.Errorf("%d messages", n)
		}
		v.post(t, object{"content": strings.Repeat("ã", 150_000)})
	}},
	{"042", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		var all []int64
		for i := range 25 {
			all = append(all, v.hears(t, fmt.Sprint("message ", i)))
		}
		if !slices.IsSorted(all) {
			t.Errorf("ids do not grow: %v", all)
		}
		list := v.office.reads(t, v.path("/messages"))
		list.at("meta", "contact", "id").is(v.contact.id)
		list.at("meta", "labels").is([]string{})
		list.at("meta", "additional_attributes").is(object{})
		list.at("meta", "agent_last_seen_at").is(nil)
		for query, want := range map[string][]int64{
			"": all[5:], "?before=" + digits(all[5]): all[:5], "?before=" + digits(all[24]): all[4:24], "?after=" + digits(all[19]): all[20:],
			"?after=" + digits(all[3]): all[4:], "?after=" + digits(all[3]) + "&before=" + digits(all[6]): all[3:6],
		} {
			if ids := v.office.reads(t, v.path("/messages"+query)).at("payload").integers("id"); !slices.Equal(ids, want) {
				t.Errorf("%s: %v, want %v", query, ids, want)
			}
		}
	}},
	{"043", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		id := v.says(t, "hello")
		for _, step := range [][2]string{{"delivered", "delivered"}, {"read", "read"}, {"delivered", "read"}} {
			v.patches(t, id, object{"status": step[0]}).at("status").is(step[1])
			v.message(t, id).at("status").is(step[1])
		}
	}},
	{"044", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		id := v.says(t, "hello")
		failed := v.patches(t, id, object{"status": "failed", "external_error": "no route"})
		failed.at("status").is("failed")
		failed.at("content_attributes", "external_error").is("no route")
		sent := v.patches(t, id, object{"status": "sent"})
		sent.at("status").is("sent")
		if e := sent.at("content_attributes", "external_error"); !e.missing() && !e.null() {
			t.Errorf("%s", sent)
		}
	}},
	{"045", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		id := v.says(t, "hello")
		v.patches(t, id, cxForm{}.field("status", "read")).at("status").is("read")
		v.message(t, id).at("status").is("read")
	}},
	{"046", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		id := v.says(t, "hello")
		v.patches(t, id, object{"status": "bogus"}).at("status").is("sent")
		v.patches(t, id, object{}).at("status").is("sent")
	}},
	{"047", func(t *testing.T, s *cx) {
		v := s.office(t).talk(t)
		m := v.post(t, cxForm{}.field("content", "oh no").file("a.png", "image/png", cxPNG))
		id := m.at("id").integer()
		gone := v.office.gets(t, v.office.app(t, http.MethodDelete, v.path("/messages/"+digits(id)), nil))
		for _, m := range []cxValue{gone, v.message(t, id)} {
			m.at("content").is("This message was deleted")
			m.at("content_type").is("text")
			m.at("content_attributes").is(object{"deleted": true})
			m.at("attachments").isAbsent()
		}
	}},
}
