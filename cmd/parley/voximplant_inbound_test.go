package main

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// kitExample is the full event of voximplant-kit.md 4.1.
const kitExample = `{
  "client_data": {
    "client_id": "u-20417",
    "client_phone": "+420601000111",
    "client_avatar": "https://files.acme.example/a/20417.png",
    "client_display_name": "Jana Novak",
    "client_email": "jana@acme.example",
    "client_language": "cs",
    "utm": {"source": "newsletter", "campaign": "spring", "content": "banner-2", "medium": "email", "term": "boots"},
    "page": {"url": "https://shop.acme.example/boots", "title": "Boots"},
    "location": {
      "latitude": 50.0875, "longitude": 14.4213, "country": "Czechia", "country_code": "CZ",
      "region": "Prague", "region_code": "PR", "city": "Prague", "ip_address": "192.0.2.17"
    },
    "device": {"type": "mobile", "model": "Pixel 9", "user_agent": "Mozilla/5.0 (Linux; Android 15)"}
  },
  "event_id": "5e2b8f14-0c3d-4b6a-9e21-6d7f8091a2b3",
  "event_type": "send_message",
  "event_data": {
    "message": {
      "message_id": "msg-0001",
      "text": "Are these in stock?",
      "payload": [{"type": "photo", "file_name": "boots.jpg", "file_url": "https://files.acme.example/m/boots.jpg"}]
    }
  }
}`

// Inbound events. Number 25 moves the clock.
//
//nolint:thelper // tests, not helpers of tests
var kitInboundCases = []kitCase{
	{"019", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		kitAccepted(t, c.post(t, kitExample))
		c.hasExample(t)
	}},
	{"020", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		kitAccepted(t, c.post(t, `{"client_data":{"client_id":"u-20417"},"event_id":"e-1","event_type":"send_message","event_data":{"message":{"message_id":"m-1","text":"hello"}}}`))
		if m := c.only(t, kitClient); m.Text != "hello" || m.ExternalID != "m-1" || len(m.Attachments) != 0 {
			t.Errorf("%+v", m)
		}
	}},
	{"021", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		kitAccepted(t, c.post(t, "{\n    \"client_data\": {\n        \"client_id\": \"u-20417\",\n        \"client_display_name\": \"Jana Nov\\u00e1kov\\u00e1\"\n    },\n"+
			"    \"event_id\": \"e-1\",\n    \"event_type\": \"send_message\",\n    \"event_data\": {\n        \"message\": {\n            \"message_id\": \"m-1\",\n"+
			"            \"text\": \"Dobr\\u00fd den \\ud83d\\ude00\"\n        }\n    }\n}"))
		if m := c.only(t, kitClient); m.Text != "Dobrý den 😀" {
			t.Errorf("%+v", m)
		}
		if name := c.contact(t, kitClient)["display_name"]; name != "Jana Nováková" {
			t.Errorf("the contact is %v", name)
		}
	}},
	{"022", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		for _, headers := range []map[string]string{{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}, {"Authorization": c.access}} {
			kitRefused(t, s.do(t, http.MethodPost, "/"+c.id, headers, encode(t, c.says(kitClient, "hello"))), http.StatusUnauthorized)
		}
		c.hasNothing(t)
	}},
	{"023", func(t *testing.T, s *kit) {
		c, other := s.acme.channel(t), s.umbra.channel(t)
		kitRefused(t, c.postWith(t, other.access, c.says(kitClient, "hello")), http.StatusForbidden)
		c.hasNothing(t)
	}},
	{"024", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		kitRefused(t, c.postWith(t, c.refresh, c.says(kitClient, "hello")), http.StatusUnauthorized)
		c.hasNothing(t)
	}},
	{"026", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		for path, change := range map[string]func(event object){
			"client_data.client_id":         func(event object) { event["client_data"] = object{"client_phone": "+420601000111"} },
			"client_data":                   func(event object) { delete(event, "client_data") },
			"event_id":                      func(event object) { event["event_id"] = "" },
			"event_data.message.message_id": func(event object) { delete(kitMessageOf(event), "message_id") },
		} {
			event := c.says(kitClient, "hello")
			change(event)
			if text := kitRefused(t, c.post(t, event), http.StatusBadRequest); !strings.Contains(text, path) {
				t.Errorf("without %s the error is %q", path, text)
			}
		}
		c.hasNothing(t)
	}},
	{"027", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		event := c.says(kitClient, "hello")
		event["event_type"] = "close_conversation"
		kitRefused(t, c.post(t, event), http.StatusBadRequest)
		c.hasNothing(t)
	}},
	{"028", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		event := c.says(kitClient, "hello")
		kitMessageOf(event)["message_id"] = 777
		kitAccepted(t, c.post(t, event))
		if m := c.only(t, kitClient); m.ExternalID != "777" {
			t.Errorf("stored as %q", m.ExternalID)
		}
	}},
	{"029", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		event := c.says(kitClient, "hello")
		kitMessageOf(event)["payload"], kitMessageOf(event)["text"] = nil, nil
		kitAccepted(t, c.post(t, event))
		if m := c.only(t, kitClient); m.Text != "" || len(m.Attachments) != 0 {
			t.Errorf("%+v", m)
		}
	}},
	{"030", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		event := c.says(kitClient, "hello")
		kitMessageOf(event)["payload"] = object{}
		kitRefused(t, c.post(t, event), http.StatusBadRequest)
		c.hasNothing(t)
	}},
	{"031", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		event := c.says(kitClient, "all kinds")
		kitMessageOf(event)["payload"] = kitPayload
		kitAccepted(t, c.post(t, event))
		c.hasPayload(t)
	}},
	{"032", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		event := c.says(kitClient, "a sticker")
		kitMessageOf(event)["payload"] = []object{{"type": "sticker", "pack": "cats"}, {"type": "photo", "file_name": "nowhere.jpg"}}
		kitAccepted(t, c.post(t, event))
		m := c.only(t, kitClient)
		if len(m.Attachments) != 2 || m.Attachments[0]["type"] != "unsupported" || m.Attachments[1]["type"] != "unsupported" {
			t.Fatalf("%+v", m)
		}
		if !reflect.DeepEqual(m.Attachments[0]["raw"], object{"type": "sticker", "pack": "cats"}) {
			t.Errorf("kept as %v", m.Attachments[0]["raw"])
		}
	}},
	{"033", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		event := c.says(kitClient, "once")
		kitAccepted(t, c.post(t, event))
		before := c.conversation(t, kitClient)
		kitAccepted(t, c.post(t, event))
		c.only(t, kitClient)
		if after := c.conversation(t, kitClient); after != before {
			t.Errorf("%+v, and after the repeat %+v", before, after)
		}
		// Nor does a repeat open what was closed, or ask a function again.
		c.closes(t, before)
		kitAccepted(t, c.post(t, event))
		if v := c.conversation(t, kitClient); v.Status != "closed" || v.Episode != 1 || v.Count != 1 {
			t.Errorf("%+v", v)
		}
		asked, f := s.acme.answered(t)
		kitAccepted(t, asked.post(t, event))
		kitAccepted(t, asked.post(t, event))
		kitAccepted(t, asked.post(t, asked.says(kitClient, "more")))
		eventually(t, 20*time.Second, "the next message", func() bool {
			calls := f.asked()
			return len(calls) > 0 && calls[len(calls)-1].body.Text == "more"
		})
		f.gets(t, 2)
	}},
	{"034", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		event := c.says(kitClient, "one")
		kitAccepted(t, c.post(t, event))
		kitMessageOf(event)["message_id"], kitMessageOf(event)["text"] = "another", "two"
		kitAccepted(t, c.post(t, event))
		if all := c.messages(t, kitClient); len(all) != 2 || all[0].Text != "one" || all[1].Text != "two" {
			t.Errorf("%+v", all)
		}
	}},
	{"035", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		kitAccepted(t, c.post(t, kitExample))
		event := c.says(kitClient, "again")
		event["client_data"] = object{"client_id": kitClient, "client_phone": "", "client_display_name": "Jana Mala"}
		kitAccepted(t, c.post(t, event))
		contact := c.contact(t, kitClient)
		if contact["phone"] != "+420601000111" || contact["display_name"] != "Jana Mala" || contact["email"] != "jana@acme.example" {
			t.Errorf("%v", contact)
		}
	}},
	{"036", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		kitAccepted(t, s.do(t, http.MethodPost, "/"+c.id, map[string]string{"Authorization": "Bearer " + c.access, "Content-Type": "text/plain"},
			encode(t, c.says(kitClient, "plain"))))
		if m := c.only(t, kitClient); m.Text != "plain" {
			t.Errorf("%+v", m)
		}
	}},
	{"037", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		for _, body := range []string{`{"client_data":`, `[]`, ``} {
			kitRefused(t, c.post(t, body), http.StatusBadRequest)
		}
		c.hasNothing(t)
	}},
	{"038", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		bearer := map[string]string{"Authorization": "Bearer " + c.access}
		kitRefused(t, s.do(t, http.MethodPost, "/not-a-uuid", bearer, encode(t, c.says(kitClient, "hello"))), http.StatusNotFound)
		got := s.do(t, http.MethodGet, "/"+kitChannel, nil, "")
		kitRefused(t, got, http.StatusMethodNotAllowed)
		if allow := got.header.Get("Allow"); allow != "POST" {
			t.Errorf("Allow is %q", allow)
		}
	}},
	{"039", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		kitAccepted(t, s.do(t, http.MethodPost, "/api/v3/botService/callback/"+c.id, map[string]string{"Authorization": "Bearer " + c.access}, kitExample))
		c.hasExample(t)
		kitAccepted(t, s.do(t, http.MethodPost, "/api/v3/"+c.id, map[string]string{"Authorization": "Bearer " + c.access}, kitExample))
		c.only(t, kitClient)
	}},
	{"040", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		kitAccepted(t, s.do(t, http.MethodPost, "/"+c.id, map[string]string{"X-Kit-Authorization": "Bearer " + c.access}, kitExample))
		c.hasExample(t)
		kitRefused(t, s.do(t, http.MethodPost, "/"+c.id, map[string]string{"X-Kit-Authorization": "Bearer " + c.access, "Authorization": "Bearer wrong"}, kitExample),
			http.StatusUnauthorized)
	}},
	{"041", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		event := c.says(kitClient, "padded")
		event["padding"] = ""
		event["padding"] = strings.Repeat("a", 1<<20-len(encode(t, event)))
		exact := encode(t, event)
		if len(exact) != 1<<20 {
			t.Fatalf("%d bytes", len(exact))
		}
		kitRefused(t, c.post(t, exact+" "), http.StatusRequestEntityTooLarge)
		c.hasNothing(t)
		kitAccepted(t, c.post(t, exact))
		c.only(t, kitClient)
	}},
}

// kitPayload has one item of each kind.
var kitPayload = []object{
	{"type": "photo", "file_name": "p.jpg", "file_url": "https://files.acme.example/p.jpg"},
	{"type": "video", "file_name": "v.mp4", "file_url": "https://files.acme.example/v.mp4"},
	{"type": "audio", "file_name": "a.ogg", "file_url": "https://files.acme.example/a.ogg"},
	{"type": "document", "file_name": "d.pdf", "file_url": "https://files.acme.example/d.pdf"},
	{"type": "contact", "name": "Showroom", "number": "+420601000222", "avatar": "https://files.acme.example/s.png"},
	{"type": "location", "latitude": 50.08, "longitude": 14.42, "address": "Main Street 1"},
}

// hasPayload expects that one message with kitPayload is there.
func (c *kitChan) hasPayload(t *testing.T) {
	t.Helper()
	m := c.only(t, kitClient)
	if len(m.Attachments) != len(kitPayload) {
		t.Fatalf("%d attachments: %+v", len(m.Attachments), m)
	}
	for i, kind := range []string{"image", "video", "audio", "file", "contact", "location"} {
		got, sent := m.Attachments[i], kitPayload[i]
		if got["type"] != kind {
			t.Errorf("attachment %d is of type %v, want %s", i, got["type"], kind)
		}
		for name, key := range map[string]string{
			"file_name": "fileName", "file_url": "url", "name": "name", "number": "number", "avatar": "avatar",
			"latitude": "latitude", "longitude": "longitude", "address": "address",
		} {
			if want, ok := sent[name]; ok && got[key] != want {
				t.Errorf("%s of attachment %d is %v, want %v", key, i, got[key], want)
			}
		}
	}
}

// hasExample expects what kitExample makes.
func (c *kitChan) hasExample(t *testing.T) {
	t.Helper()
	m := c.only(t, kitClient)
	if m.Text != "Are these in stock?" || m.Direction != "in" || m.ExternalID != "msg-0001" || len(m.Attachments) != 1 ||
		m.Attachments[0]["type"] != "image" || m.Attachments[0]["url"] != "https://files.acme.example/m/boots.jpg" || m.Attachments[0]["fileName"] != "boots.jpg" {
		t.Errorf("%+v", m)
	}
	contact := c.contact(t, kitClient)
	for field, want := range map[string]string{
		"contact_ref": kitClient, "display_name": "Jana Novak", "phone": "+420601000111", "email": "jana@acme.example",
		"picture_url": "https://files.acme.example/a/20417.png", "language": "cs",
	} {
		if contact[field] != want {
			t.Errorf("%s is %v, want %v", field, contact[field], want)
		}
	}
	want := object{
		"utm":      object{"source": "newsletter", "campaign": "spring", "content": "banner-2", "medium": "email", "term": "boots"},
		"page_url": "https://shop.acme.example/boots", "page_title": "Boots", "latitude": 50.0875, "longitude": 14.4213,
		"country": "Czechia", "country_code": "CZ", "region": "Prague", "region_code": "PR", "city": "Prague", "ip_address": "192.0.2.17",
		"device_type": "mobile", "device_model": "Pixel 9", "user_agent": "Mozilla/5.0 (Linux; Android 15)",
	}
	if !reflect.DeepEqual(contact["visit"], want) {
		t.Errorf("visit is %v", contact["visit"])
	}
	if v := c.conversation(t, kitClient); v.Status != "open" || v.Episode != 1 || v.Handler.Type != "queue" || v.Handler.Queue != c.account.queue {
		t.Errorf("%+v", v)
	}
}

// hasNothing expects that the channel has no conversation and no contact.
func (c *kitChan) hasNothing(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/v1/conversations?channel=", "/v1/contacts?channel="} {
		var list struct {
			Data []json.RawMessage `json:"data"`
		}
		c.account.read(t, path+c.id, &list)
		if len(list.Data) != 0 {
			t.Errorf("%s has %s", path, list.Data)
		}
	}
}
