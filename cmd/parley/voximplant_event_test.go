package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// petraData is how the integration is told of petra.
func (a *kitAccount) petraData(t *testing.T, kind string) object {
	t.Helper()
	data := object{
		"sender_id": json.Number(strconv.FormatInt(a.petra, 10)), "sender_username": "petra", "sender_display_name": "Petra Mala",
		"sender_avatar": "https://desk.acme.example/avatars/31.png", "sender_email": "petra@acme.example", "is_bot": false,
	}
	if kind != "" {
		data["sender_type"] = kind
	}
	return data
}

// botData is how the integration is told of a bot.
var botData = object{
	"sender_id": json.Number("0"), "sender_username": "", "sender_display_name": "Bot", "sender_avatar": "", "sender_email": "",
	"sender_type": "bot", "is_bot": true,
}

// exactly reads JSON with its numbers as they are written.
func exactly(t *testing.T, raw []byte) (v object) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// isEvent expects an event for kitClient of exactly this kind and data; a
// message's id and the event's own may be any.
func isEvent(t *testing.T, call kitCall, kind string, data object) {
	t.Helper()
	body := exactly(t, call.raw)
	got, _ := body["event_data"].(object)
	if message, ok := got["message"].(object); ok {
		if id, _ := message["message_id"].(string); id == "" {
			t.Errorf("no message_id: %s", call.raw)
		}
		delete(message, "message_id")
	}
	want := object{"client_data": object{"client_id": kitClient}, "event_id": call.id, "event_type": kind, "event_data": data}
	if call.method != http.MethodPost || !reflect.DeepEqual(body, want) {
		t.Errorf("%s %s\nwant %s", call.method, call.raw, encode(t, want))
	}
}

// said is the event data of a message without payload.
func kitSaid(sender object, text string) object {
	return object{"sender_data": sender, "message": object{"text": text, "payload": []any{}}}
}

// Events to the callback, and whom they reach in which order.
//
//nolint:thelper // tests, not helpers of tests
var kitEventCases = []kitCase{
	{"049", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		c.replies(t, c.hears(t, kitClient, "Are these in stock?"), "Yes, sizes 38 to 42.")
		isEvent(t, c.stub.gets(t, 1)[0], "send_message", kitSaid(s.acme.petraData(t, "agent"), "Yes, sizes 38 to 42."))
		if v := c.conversation(t, kitClient); v.Handler.Type != "agent" || v.Handler.Agent != strconv.FormatInt(s.acme.petra, 10) {
			t.Errorf("the operator who writes has taken it: %+v", v)
		}
	}},
	{"050", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		var file struct {
			URL string `json:"url"`
		}
		const content = "%PDF-1.4 an invoice"
		got := s.do(t, http.MethodPost, "/v1/files?name=invoice.pdf", map[string]string{"Authorization": "Bearer " + s.acme.token}, content)
		if err := json.Unmarshal(got.raw, &file); err != nil || got.status != http.StatusCreated {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		c.writes(t, c.hears(t, kitClient, "The invoice, please").ID, s.acme.petra, object{
			"type": "attachment", "attachment": object{"type": "file", "url": file.URL, "fileName": "invoice.pdf"},
		})
		call := c.stub.gets(t, 1)[0]
		items := call.payload(t)
		if call.text != "" || len(items) != 1 || !reflect.DeepEqual(items[0], object{"type": "document", "file_name": "invoice.pdf", "file_url": file.URL}) {
			t.Fatalf("%s", call.raw)
		}
		fetched := s.do(t, http.MethodGet, strings.TrimPrefix(items[0].(object)["file_url"].(string), s.parley.URL), nil, "")
		if fetched.status != http.StatusOK || string(fetched.raw) != content {
			t.Errorf("the file answers %d %q", fetched.status, fetched.raw)
		}
	}},
	{"051", func(t *testing.T, s *kit) {
		c, f := s.acme.answered(t)
		f.answers(func(kitAsked) any { return object{"text": "I am a bot.", "payload": []any{}} })
		kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
		isEvent(t, c.stub.gets(t, 1)[0], "send_message", kitSaid(botData, "I am a bot."))
	}},
	{"052", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		v := c.hears(t, kitClient, "hello")
		for i := range 5 {
			c.replies(t, v, fmt.Sprint("message ", i))
		}
		c.closes(t, v)
		calls := c.stub.gets(t, 6)
		if got := kitTold(calls); !slices.Equal(got, []string{"message 0", "message 1", "message 2", "message 3", "message 4", "CLOSED_BY_AGENT"}) {
			t.Errorf("told %q", got)
		}
		isEvent(t, calls[5], "close_conversation", object{"close_reason": "CLOSED_BY_AGENT", "sender_data": s.acme.petraData(t, "")})
		if v := c.conversation(t, kitClient); v.Status != "closed" || v.CloseReason != "agent" {
			t.Errorf("%+v", v)
		}
	}},
	{"053", func(t *testing.T, s *kit) {
		c, f := s.acme.answered(t)
		f.answers(func(kitAsked) any {
			return object{"text": "Goodbye.", "payload": []any{object{"type": "cmd", "name": "finish_request"}}}
		})
		kitAccepted(t, c.post(t, c.says(kitClient, "bye")))
		calls := c.stub.gets(t, 2)
		isEvent(t, calls[0], "send_message", kitSaid(botData, "Goodbye."))
		isEvent(t, calls[1], "close_conversation", object{"close_reason": "CLOSED_BY_BOT", "sender_data": object{"is_bot": true}})
		c.becomes(t, kitClient, "closed by the bot", func(v kitConversation) bool { return v.Status == "closed" && v.CloseReason == "bot" })
	}},
	{"057", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		first := c.hears(t, kitClient, "hello")
		c.closes(t, first)
		c.stub.gets(t, 1)
		second := c.hears(t, kitClient, "hello again")
		if second.ID != first.ID || second.Status != "open" || second.Episode != 2 || second.Handler.Type != "queue" {
			t.Errorf("%+v after %+v", second, first)
		}
		c.replies(t, second, "welcome back")
		if got := kitTold(c.stub.gets(t, 2)); !slices.Equal(got, []string{"CLOSED_BY_AGENT", "welcome back"}) {
			t.Errorf("told %q", got)
		}
	}},
	{"058", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		for _, text := range []string{"one", "two", "three"} {
			kitAccepted(t, c.post(t, c.says(kitClient, text)))
		}
		// What an operator says after them is the first that is told.
		c.replies(t, c.conversation(t, kitClient), "four")
		if got := kitTold(c.stub.gets(t, 1)); !slices.Equal(got, []string{"four"}) {
			t.Errorf("told %q", got)
		}
		var list struct {
			Data []json.RawMessage `json:"data"`
		}
		if s.acme.read(t, "/v1/deliveries?channel="+c.id, &list); len(list.Data) != 1 {
			t.Errorf("%d deliveries", len(list.Data))
		}
	}},
}
