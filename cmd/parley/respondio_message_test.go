package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// respondLongText is case 43.
func respondLongText(t *testing.T, s *respondSuite) { //nolint:thelper // a test
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
//
//nolint:thelper // tests, not helpers of tests
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
