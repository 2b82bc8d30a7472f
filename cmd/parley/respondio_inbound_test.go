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
//
//nolint:thelper // tests, not helpers of tests
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
func respondFirstText(t *testing.T, s *respondSuite) { //nolint:thelper // a test
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
//
//nolint:thelper // tests, not helpers of tests
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
