package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Transport and auth.
var respondTransportCases = []respondCase{
	{"001", respondFirstText},
	{"002", func(t *testing.T, s *respondSuite) { postsTo(t, s, "/custom/channel/webhook") }},
	{"003", func(t *testing.T, s *respondSuite) {
		postsTo(t, s, "/custom/webhook")
		postsTo(t, s, "/custom/webhook/")
	}},
	{"004", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		accepted(t, c.postTo(t, "/custom/channel/webhook/"+c.id, c.valid(s.number()).body))
		before := c.census(t)
		if got := c.postTo(t, "/custom/channel/webhook/999999", c.valid(s.number()).body); got.status != http.StatusNotFound {
			t.Errorf("%d %s", got.status, got.raw)
		}
		if after := c.census(t); after != before {
			t.Errorf("%v, then %v", before, after)
		}
	}},
	{"005", func(t *testing.T, s *respondSuite) { unauthorized(t, s, nil) }},
	{"006", func(t *testing.T, s *respondSuite) {
		unauthorized(t, s, map[string]string{"Authorization": "Bearer wrong"})
	}},
	{"007", func(t *testing.T, s *respondSuite) {
		unauthorized(t, s, map[string]string{"Authorization": "Basic dXNlcjpwYXNz"})
		c := s.channel(t, "phone")
		unauthorized(t, s, map[string]string{"Authorization": "Basic " + c.token})
	}},
	{"008", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		for _, value := range []string{"bearer " + c.token, "BEARER   " + c.token + " "} {
			accepted(t, s.do(t, http.MethodPost, "/custom/channel/webhook/", map[string]string{"authorization": value},
				encode(t, c.valid(s.number()).body)))
		}
	}},
	{"009", func(t *testing.T, s *respondSuite) {
		p, c := s.channel(t, "phone"), s.channel(t, "custom")
		in := p.valid(s.number())
		in.body["channelId"] = c.id
		p.refusesBody(t, "the channel of another token", http.StatusForbidden, in.body)
		if n := c.census(t); n.contacts+n.messages != 0 {
			t.Errorf("stored on the other channel: %v", n)
		}
	}},
	{"010", func(t *testing.T, s *respondSuite) {
		p := s.channel(t, "phone")
		in := p.valid(s.number())
		in.body["channelId"] = "1"
		p.refusesBody(t, "an unknown channel", http.StatusForbidden, in.body)
	}},
	{"011", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").accepts(t, func(in *inbound) { in.body["channelId"] = json.Number(in.body["channelId"].(string)) })
	}},
	{"012", func(t *testing.T, s *respondSuite) {
		for _, path := range []string{"/custom/channel/webhook/", "/custom/channel/webhook", "/custom/webhook/", "/custom/webhook", "/custom/channel/webhook/620418"} {
			got := s.do(t, http.MethodGet, path, nil, "")
			if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "POST" {
				t.Errorf("%s: %d, Allow %q", path, got.status, got.header.Get("Allow"))
			}
			wellRefused(t, got)
		}
	}},
	{"013", func(t *testing.T, s *respondSuite) {
		s.channel(t, "phone").refusesBody(t, "{", http.StatusBadRequest, "{")
	}},
	{"014", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		for _, text := range []string{"[]", `"x"`, "null", ""} {
			c.refusesBody(t, text, http.StatusBadRequest, text)
		}
	}},
	{"015", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		for _, headers := range []map[string]string{{}, {"Content-Type": "text/plain"}} {
			headers["Authorization"] = "Bearer " + c.token
			accepted(t, s.do(t, http.MethodPost, "/custom/channel/webhook/", headers, encode(t, c.valid(s.number()).body)))
		}
	}},
	{"016", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		in := c.valid(s.number())
		in.body["padding"] = ""
		in.body["padding"] = strings.Repeat("a", 1<<20-len(encode(t, in.body)))
		exact := encode(t, in.body)
		if len(exact) != 1<<20 {
			t.Fatalf("%d bytes", len(exact))
		}
		c.refusesBody(t, "1 MiB + 1", http.StatusRequestEntityTooLarge, exact+" ")
		accepted(t, c.post(t, exact))
		if all := c.messages(t, in.contact); len(all) != 1 {
			t.Errorf("%d messages", len(all))
		}
	}},
	{"017", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").accepts(t, inBody("extra", object{"a": []int{1}}), inEvent("extra", "x"),
			inProfile(object{"extra": []string{"y"}}), func(in *inbound) { in.message["extra"] = 7 })
	}},
	{"018", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		const posts, at = 200, 20
		answers := make([]int, posts)
		var all sync.WaitGroup
		for worker := range at {
			all.Go(func() {
				for i := worker; i < posts; i += at {
					answers[i] = c.post(t, c.valid("busy").body).status
				}
			})
		}
		all.Wait()
		for i, status := range answers {
			if status != http.StatusOK {
				t.Errorf("request %d: %d", i, status)
			}
		}
		if n := c.census(t); n.contacts != 1 || n.messages != posts {
			t.Errorf("stored %v", n)
		}
	}},
}

// respondFirstText is case 1.
func respondFirstText(t *testing.T, s *respondSuite) {
	c := s.channel(t, "phone")
	in := c.valid("+351912345678")
	accepted(t, c.postTo(t, "/custom/channel/webhook/", in.body))
	if contacts := c.contacts(t); len(contacts) != 1 || contacts["+351912345678"] == nil {
		t.Errorf("contacts %v", contacts)
	}
	all := c.messages(t, "+351912345678")
	if len(all) != 1 || all[0].Direction != "in" || all[0].Kind != "message" || all[0].Type != "text" ||
		all[0].Text != "Is the shop open today?" || all[0].ExternalID != in.mID {
		t.Errorf("messages %+v", all)
	}
}

func postsTo(t *testing.T, s *respondSuite, path string) {
	t.Helper()
	c := s.channel(t, "phone")
	contact := s.number()
	accepted(t, c.postTo(t, path, c.valid(contact).body))
	if all := c.messages(t, contact); len(all) != 1 || all[0].Direction != "in" {
		t.Errorf("%s: messages %+v", path, all)
	}
}

func unauthorized(t *testing.T, s *respondSuite, headers map[string]string) {
	t.Helper()
	c := s.channel(t, "phone")
	got := s.do(t, http.MethodPost, "/custom/channel/webhook/", headers, encode(t, c.valid(s.number()).body))
	if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("%d, WWW-Authenticate %q", got.status, got.header.Get("WWW-Authenticate"))
	}
	wellRefused(t, got)
	if n := c.census(t); n.contacts+n.messages != 0 {
		t.Errorf("stored %v", n)
	}
}

// contactID puts another contactId in; it is looked for as it is given.
func contactID(id string) edit {
	return func(in *inbound) { in.body["contactId"], in.contact = id, id }
}

// Identity and event envelope.
var respondEnvelopeCases = []respondCase{
	{"020", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").accepts(t, contactID(strings.Repeat("aZ09_=+/@b", 5)))
	}},
	{"021", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").refuses(t, "51 characters", contactID(strings.Repeat("a", 51)))
	}},
	{"022", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.accepts(t, contactID("Ab9_=+/@"))
		if c.contacts(t)["Ab9_=+/@"] == nil {
			t.Errorf("contacts %v", c.contacts(t))
		}
	}},
	{"023", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, sign := range []string{"-", ".", " ", ":", "é"} {
			c.refuses(t, "a"+sign+"b", contactID("a"+sign+"b"))
		}
	}},
	{"024", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "missing", without("contactId"))
		c.refuses(t, "null", inBody("contactId", nil))
		c.refuses(t, "empty", inBody("contactId", ""))
	}},
	{"025", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		accepted(t, c.post(t, c.valid("ABC").body))
		accepted(t, c.post(t, c.valid("abc").body))
		if contacts := c.contacts(t); len(contacts) != 2 || contacts["ABC"] == nil || contacts["abc"] == nil {
			t.Errorf("contacts %v", contacts)
		}
	}},
	{"026", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		for _, spelling := range []string{"+351912345678", "351912345678", "+351 912-345-678"} {
			accepted(t, c.post(t, c.valid(spelling).body))
		}
		if contacts := c.contacts(t); len(contacts) != 1 || len(c.messages(t, "+351912345678")) != 3 {
			t.Errorf("contacts %v", contacts)
		}
	}},
	{"027", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		c.accepts(t, contactID("+1234567"))
		c.refuses(t, "6 digits", contactID("+123456"))
	}},
	{"028", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		c.accepts(t, contactID("+123456789012345"))
		c.refuses(t, "16 digits", contactID("+1234567890123456"))
	}},
	{"029", func(t *testing.T, s *respondSuite) { s.channel(t, "phone").refuses(t, "hello", contactID("hello")) }},
	{"030", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "missing", without("events"))
		c.refuses(t, "[]", inBody("events", []any{}))
		c.refuses(t, "{}", inBody("events", object{}))
	}},
	{"031", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		batch := func(n int) []any {
			list := make([]any, n)
			for i := range list {
				list[i] = object{"type": "message", "mId": fmt.Sprintf("b%d", i), "timestamp": 1767261600000, "message": written(fmt.Sprint(i))}
			}
			return list
		}
		accepted(t, c.post(t, object{"channelId": c.id, "contactId": "many", "events": batch(100)}))
		all := c.messages(t, "many")
		if len(all) != 100 {
			t.Fatalf("%d messages", len(all))
		}
		for i, m := range all {
			if m.Text != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, m.Text)
			}
		}
		c.refusesBody(t, "101 events", http.StatusBadRequest, object{"channelId": c.id, "contactId": "more", "events": batch(101)})
	}},
	{"032", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").refuses(t, "message_read", inEvent("type", "message_read"))
	}},
	{"033", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		if m := c.accepts(t, inEvent("mId", strings.Repeat("é", 50))); m.ExternalID != strings.Repeat("é", 50) {
			t.Errorf("stored as %s", m.ExternalID)
		}
		c.refuses(t, "51 characters", inEvent("mId", strings.Repeat("a", 51)))
	}},
	{"034", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "missing", without("mId"))
		c.refuses(t, "null", inEvent("mId", nil))
		c.refuses(t, "empty", inEvent("mId", ""))
	}},
	{"035", func(t *testing.T, s *respondSuite) {
		if m := s.channel(t, "custom").accepts(t, inEvent("mId", "a-b.c:d_e")); m.ExternalID != "a-b.c:d_e" {
			t.Errorf("stored as %s", m.ExternalID)
		}
	}},
	{"036", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, id := range []string{"77", "123456789012345678"} {
			if m := c.accepts(t, inEvent("mId", json.Number(id))); m.ExternalID != id {
				t.Errorf("%s is stored as %s", id, m.ExternalID)
			}
		}
	}},
	{"037", func(t *testing.T, s *respondSuite) {
		if m := s.channel(t, "custom").accepts(t, without("mId"), inEvent("mld", "alias-1")); m.ExternalID != "alias-1" {
			t.Errorf("stored as %s", m.ExternalID)
		}
	}},
	{"038", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").refuses(t, "id", without("mId"), inEvent("id", "x1"))
	}},
	{"039", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "missing", without("timestamp"))
		for _, v := range []any{nil, 0, -1, "x"} {
			c.refuses(t, fmt.Sprint(v), inEvent("timestamp", v))
		}
	}},
	{"040", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		want := time.UnixMilli(1767261600000)
		for _, v := range []any{"1767261600000", 1767261600, 1767261600000} {
			if m := c.accepts(t, inEvent("timestamp", v)); !m.CreatedAt.Equal(want) {
				t.Errorf("%v is stored as %s", v, m.CreatedAt)
			}
		}
	}},
	{"041", func(t *testing.T, s *respondSuite) {
		if m := s.channel(t, "custom").accepts(t, inEvent("timestamp", 2132131321000)); m.CreatedAt.UnixMilli() != 2132131321000 {
			t.Errorf("stored as %s", m.CreatedAt)
		}
	}},
	{"042", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").refuses(t, "the second event", func(in *inbound) {
			in.body["events"] = []any{in.event, object{"type": "message", "mId": "second", "timestamp": 1767261600000}}
		})
	}},
}

// respondLongText is case 43.
func respondLongText(t *testing.T, s *respondSuite) {
	c := s.channel(t, "custom")
	if m := c.accepts(t, inMessage(written(strings.Repeat("a", 7000)))); len(m.Text) != 7000 {
		t.Errorf("stored with %d characters", len(m.Text))
	}
	c.refuses(t, "7001 characters", inMessage(written(strings.Repeat("a", 7001))))
}

// file makes an attachment with a field set.
func file(kind, name string, v any) object {
	attachment := object{"type": kind, "url": "https://cdn.example.net/a/7f3/receipt.png"}
	if name != "" {
		attachment[name] = v
	}
	return object{"type": "attachment", "attachment": attachment}
}

// place makes a location with a field set.
func place(name string, v any) object {
	m := object{"type": "location", "latitude": 38.7223, "longitude": -9.1393}
	if name != "" {
		m[name] = v
	}
	return m
}

// quick makes a quick reply with a field set.
func quick(name string, v any) object {
	m := object{"type": "quick_reply", "title": "Which day suits you?", "replies": []string{"Monday", "Thursday"}}
	m[name] = v
	return m
}

// address makes a URL of n characters.
func address(n int) string {
	const base = "https://cdn.example.net/"
	return base + strings.Repeat("a", n-len(base))
}

func texts(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("Reply %d", i)
	}
	return list
}

func long(n int) string { return strings.Repeat("é", n) }

// Messages.
var respondMessageCases = []respondCase{
	{"043", respondLongText},
	{"044", func(t *testing.T, s *respondSuite) {
		if m := s.channel(t, "custom").accepts(t, inMessage(written(strings.Repeat("😀", 7000)))); m.Text != strings.Repeat("😀", 7000) {
			t.Errorf("stored with %d bytes", len(m.Text))
		}
	}},
	{"045", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "missing", inMessage(object{"type": "text"}))
		c.refuses(t, "empty", inMessage(written("")))
		c.refuses(t, "number", inMessage(object{"type": "text", "text": 5}))
	}},
	{"046", func(t *testing.T, s *respondSuite) { s.channel(t, "custom").refuses(t, "missing", without("message")) }},
	{"047", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "sticker", inMessage(object{"type": "sticker", "url": "https://cdn.example.net/s"}))
		c.refuses(t, "image", inMessage(object{"type": "image", "url": "https://cdn.example.net/s"}))
	}},
	{"048", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, kind := range []string{"image", "video", "audio", "file"} {
			m := c.accepts(t, inMessage(file(kind, "", nil)))
			if m.Type != "attachment" || m.Attachment.Type != kind || m.Attachment.URL != "https://cdn.example.net/a/7f3/receipt.png" {
				t.Errorf("%s: %+v", kind, m)
			}
		}
	}},
	{"049", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").refuses(t, "document", inMessage(file("document", "", nil)))
	}},
	{"050", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "attachment missing", inMessage(object{"type": "attachment"}))
		c.refuses(t, "url missing", inMessage(object{"type": "attachment", "attachment": object{"type": "image"}}))
	}},
	{"051", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		if m := c.accepts(t, inMessage(file("image", "url", address(2000)))); m.Attachment.URL != address(2000) {
			t.Errorf("stored as %s", m.Attachment.URL)
		}
		c.refuses(t, "2001 characters", inMessage(file("image", "url", address(2001))))
	}},
	{"052", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, u := range []string{"ftp://h/f", "/f", "data:image/png;base64,AAAA"} {
			c.refuses(t, u, inMessage(file("image", "url", u)))
		}
	}},
	{"053", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		if m := c.accepts(t, inMessage(file("file", "fileName", long(256)))); m.Attachment.FileName != long(256) {
			t.Errorf("stored as %s", m.Attachment.FileName)
		}
		c.refuses(t, "257 characters", inMessage(file("file", "fileName", long(257))))
	}},
	{"054", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		if m := c.accepts(t, inMessage(file("image", "description", long(256)))); m.Attachment.Description != long(256) {
			t.Errorf("stored as %s", m.Attachment.Description)
		}
		c.refuses(t, "257 characters", inMessage(file("image", "description", long(257))))
	}},
	{"055", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").accepts(t, inMessage(file("audio", "description", "A song")))
	}},
	{"056", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		started := time.Now()
		in := c.valid("far")
		inMessage(file("image", "url", "https://unreachable.invalid/a.png"))(&in)
		accepted(t, c.post(t, in.body))
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("took %s", took)
		}
		if all := c.messages(t, "far"); len(all) != 1 || all[0].Attachment.URL != "https://unreachable.invalid/a.png" {
			t.Errorf("%+v", all)
		}
	}},
	{"057", func(t *testing.T, s *respondSuite) { bounded(t, s, "latitude", 90) }},
	{"058", func(t *testing.T, s *respondSuite) { bounded(t, s, "longitude", 180) }},
	{"059", func(t *testing.T, s *respondSuite) {
		m := s.channel(t, "custom").accepts(t, inMessage(object{"type": "location", "latitude": 1, "longtitude": -9.5}))
		if m.Longitude != -9.5 {
			t.Errorf("stored as %v", m.Longitude)
		}
	}},
	{"060", func(t *testing.T, s *respondSuite) {
		if m := s.channel(t, "custom").accepts(t, inMessage(place("longtitude", 5))); m.Longitude != -9.1393 {
			t.Errorf("stored as %v", m.Longitude)
		}
	}},
	{"061", func(t *testing.T, s *respondSuite) {
		if m := s.channel(t, "custom").accepts(t, inMessage(place("latitude", "38.7"))); m.Latitude != 38.7 {
			t.Errorf("stored as %v", m.Latitude)
		}
	}},
	{"062", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "latitude missing", inMessage(object{"type": "location", "longitude": 1}))
		c.refuses(t, "longitude missing", inMessage(object{"type": "location", "latitude": 1}))
	}},
	{"063", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		if m := c.accepts(t, inMessage(place("address", long(256)))); m.Address != long(256) {
			t.Errorf("stored as %s", m.Address)
		}
		c.refuses(t, "257 characters", inMessage(place("address", long(257))))
	}},
	{"064", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		if m := c.accepts(t, inMessage(quick("title", long(256)))); m.Title != long(256) || len(m.Replies) != 2 {
			t.Errorf("stored as %s", m.Title)
		}
		c.refuses(t, "257 characters", inMessage(quick("title", long(257))))
		c.refuses(t, "missing", inMessage(object{"type": "quick_reply", "replies": texts(2)}))
	}},
	{"065", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, n := range []int{1, 10} {
			if m := c.accepts(t, inMessage(quick("replies", texts(n)))); len(m.Replies) != n {
				t.Errorf("stored as %v", m.Replies)
			}
		}
		c.refuses(t, "0 replies", inMessage(quick("replies", texts(0))))
		c.refuses(t, "11 replies", inMessage(quick("replies", texts(11))))
	}},
	{"066", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.accepts(t, inMessage(quick("replies", []string{long(256)})))
		c.refuses(t, "257 characters", inMessage(quick("replies", []string{long(257)})))
		c.refuses(t, "empty", inMessage(quick("replies", []string{""})))
	}},
	{"067", func(t *testing.T, s *respondSuite) {
		s.channel(t, "custom").refuses(t, "objects", inMessage(quick("replies", []object{{"title": "Monday"}})))
	}},
}

func bounded(t *testing.T, s *respondSuite, name string, limit float64) {
	t.Helper()
	c := s.channel(t, "custom")
	for _, v := range []float64{limit, -limit} {
		m := c.accepts(t, inMessage(place(name, v)))
		if got := map[string]float64{"latitude": m.Latitude, "longitude": m.Longitude}[name]; got != v {
			t.Errorf("%v is stored as %v", v, got)
		}
	}
	for _, v := range []float64{limit + 0.0001, -limit - 0.0001} {
		c.refuses(t, fmt.Sprint(v), inMessage(place(name, v)))
	}
}

// knows posts a contact object with a message and gives the contact as stored.
func knows(t *testing.T, c *respondChannel, fields object) object {
	t.Helper()
	ref := c.suite.name()
	c.accepts(t, contactID(ref), inProfile(fields))
	contact := c.contacts(t)[ref]
	if contact == nil {
		t.Fatalf("no contact %s", ref)
	}
	return contact
}

// profileFields are the names of a profile on the wire and in the platform API.
var profileFields = map[string]string{
	"firstName": "first_name", "lastName": "last_name", "profilePic": "picture_url", "locale": "locale",
	"countryCode": "country_code", "timezone": "timezone", "email": "email", "phone": "phone", "language": "language",
}

// Contact profile.
var respondProfileCases = []respondCase{
	{"068", func(t *testing.T, s *respondSuite) { s.channel(t, "custom").accepts(t) }},
	{"069", func(t *testing.T, s *respondSuite) {
		fields := object{
			"firstName": "Marta", "lastName": "Lopes", "profilePic": "https://img.example.net/u/marta.jpg", "locale": "pt_PT",
			"countryCode": "PT", "timezone": 0.0, "email": "marta@example.net", "phone": "+351912345678", "language": "pt",
		}
		contact := knows(t, s.channel(t, "custom"), fields)
		for wire, shown := range profileFields {
			if contact[shown] != fields[wire] {
				t.Errorf("%s is %v, want %v", shown, contact[shown], fields[wire])
			}
		}
	}},
	{"070", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, name := range []string{"firstName", "lastName"} {
			if contact := knows(t, c, object{name: long(50)}); contact[profileFields[name]] != long(50) {
				t.Errorf("%s is %v", name, contact[profileFields[name]])
			}
			c.refuses(t, name, inProfile(object{name: long(51)}))
		}
	}},
	{"071", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		mail := func(n int) string { return strings.Repeat("a", n-len("@example.net")) + "@example.net" }
		if contact := knows(t, c, object{"email": mail(50)}); contact["email"] != mail(50) {
			t.Errorf("stored as %v", contact["email"])
		}
		c.refuses(t, "51 characters", inProfile(object{"email": mail(51)}))
	}},
	{"072", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		if contact := knows(t, c, object{"phone": "+351 912 345 678 "}); contact["phone"] != "+351912345678" {
			t.Errorf("stored as %v", contact["phone"])
		}
		if contact := knows(t, c, object{"phone": "+35 1912 345 6789 "}); contact["phone"] != "+3519123456789" {
			t.Errorf("18 characters are stored as %v", contact["phone"])
		}
		c.refuses(t, "19 characters", inProfile(object{"phone": "+351 912 345 678   "}))
	}},
	{"073", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, v := range []struct{ given, want any }{{-24, -24.0}, {24, 24.0}, {5.5, 5.5}, {"8", 8.0}} {
			if contact := knows(t, c, object{"timezone": v.given}); contact["timezone"] != v.want {
				t.Errorf("%v is stored as %v", v.given, contact["timezone"])
			}
		}
	}},
	{"074", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, v := range []any{-24.5, 24.5, 25, "x"} {
			c.refuses(t, fmt.Sprint(v), inProfile(object{"timezone": v}))
		}
	}},
	{"075", func(t *testing.T, s *respondSuite) {
		if contact := knows(t, s.channel(t, "custom"), object{"countryCode": "pt"}); contact["country_code"] != "PT" {
			t.Errorf("stored as %v", contact["country_code"])
		}
	}},
	{"076", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, v := range []string{"20", "PRT"} {
			if contact := knows(t, c, object{"countryCode": v}); contact["country_code"] != nil {
				t.Errorf("%s is stored as %v", v, contact["country_code"])
			}
		}
	}},
	{"077", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for given, want := range map[string]any{"pt-BR": "pt", "Portuguese": nil} {
			if contact := knows(t, c, object{"language": given}); contact["language"] != want {
				t.Errorf("%s is stored as %v", given, contact["language"])
			}
		}
	}},
	{"078", func(t *testing.T, s *respondSuite) {
		contact := knows(t, s.channel(t, "custom"), object{"email": "nobody", "profilePic": "x"})
		if contact["email"] != nil || contact["picture_url"] != nil {
			t.Errorf("stored as %v", contact)
		}
	}},
	{"079", func(t *testing.T, s *respondSuite) { knowsNothing(t, s, "") }},
	{"080", func(t *testing.T, s *respondSuite) { knowsNothing(t, s, nil) }},
	{"081", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "an array", inBody("contact", []any{}))
		c.refuses(t, "a string", inBody("contact", "Marta"))
	}},
	{"082", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, fields := range []object{{"firstName": "Marta"}, {"firstName": "Other", "email": "marta@example.net"}} {
			in := c.valid("twice")
			inProfile(fields)(&in)
			accepted(t, c.post(t, in.body))
		}
		if contact := c.contacts(t)["twice"]; contact["first_name"] != "Marta" || contact["email"] != "marta@example.net" {
			t.Errorf("stored as %v", contact)
		}
	}},
}

func knowsNothing(t *testing.T, s *respondSuite, v any) {
	t.Helper()
	fields := object{}
	for wire := range profileFields {
		fields[wire] = v
	}
	contact := knows(t, s.channel(t, "custom"), fields)
	for _, shown := range profileFields {
		if contact[shown] != nil {
			t.Errorf("%s is stored as %v", shown, contact[shown])
		}
	}
}
