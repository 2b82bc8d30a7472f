package httpapi

import (
	"strings"
	"testing"
)

// Ensure the platform's main job: channel, contact's message, reply, dead
// letter, redrive, close.
func TestStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(adminToken, "POST", "/v1/channels",
		`{"dialect":"respondio","name":"Shop","callback_url":"https://cb.example.com/x","id_type":"phone"}`).want(201)
	channel := made.field("id")
	if made.header.Get("Location") != "/v1/channels/"+channel || len(made.field("api_token")) != 48 {
		t.Fatalf("unexpected answer: %v %s", made.header, made.body)
	}
	if got := made.field("webhook_url"); got != "https://parley.example.com/custom/channel/webhook/" {
		t.Errorf("webhook_url %s", got)
	}
	if made.field("rate_per_second") != "20" || made.field("delivery", "schedule") != "<none>" {
		t.Errorf("defaults: %s", made.body)
	}

	conversation := w.receive(channel, "+15550100", "ext-1", "Is the shop open?")
	one := w.call(readerToken, "GET", "/v1/conversations/"+conversation, "").want(200)
	for path, want := range map[string]string{
		"contact_ref": "+15550100", "status": "open", "message_count": "1", "channel_id": channel, "closed_at": "<none>",
	} {
		if got := one.field(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if one.field("contact", "first_name") != "Marta" || one.field("last_message", "text") != "Is the shop open?" {
		t.Errorf("conversation: %s", one.body)
	}

	sent := w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/messages", `{"type":"text","text":"Until six."}`).want(202)
	if sent.header.Get("Parley-Position") != "0:1" || sent.header.Get("Location") != "/v1/messages/"+sent.field("id") {
		t.Errorf("headers: %v", sent.header)
	}
	listed := w.call(readerToken, "GET", "/v1/conversations/"+conversation+"/messages", "").want(200)
	if listed.field("data", 1) != sent.field() {
		t.Errorf("the list has\n%s\nthe send answered\n%s", listed.field("data", 1), sent.field())
	}
	for path, want := range map[string]string{
		"direction": "out", "kind": "message", "type": "text", "text": "Until six.", "status": "queued",
		"external_id": "", "author": "agent of default",
	} {
		if got := sent.field(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if in := listed.field("data", 0, "status") + listed.field("data", 0, "direction"); in != "deliveredin" {
		t.Errorf("incoming message: %s", listed.body)
	}

	delivery := w.fail(sent.field("id"))
	dead := w.call(readerToken, "GET", "/v1/deliveries?state=dead", "").want(200)
	if dead.field("data", 0, "id") != delivery || dead.field("data", 0, "state") != "dead" {
		t.Errorf("dead letters: %s", dead.body)
	}
	full := w.call(readerToken, "GET", "/v1/deliveries/"+delivery, "").want(200)
	if full.field("attempts", 0, "detail") != "blocked" || full.field("attempts", 0, "http_status") != "400" || full.field("attempt_count") != "1" {
		t.Errorf("delivery: %s", full.body)
	}
	if full.field("request", "method") != "POST" || !strings.HasPrefix(full.field("request", "url"), "https://") || full.field("request", "body_truncated") != "true" ||
		full.field("request", "headers", 0, "name") != "Authorization" || full.field("request", "headers", 0, "value") != "…" || full.field("request", "body") == "" {
		t.Errorf("request: %s", full.body)
	}
	if strings.Contains(string(dead.body), `"request"`) {
		t.Errorf("a list shows requests: %s", dead.body)
	}
	if m := w.call(readerToken, "GET", "/v1/messages/"+sent.field("id"), "").want(200); m.field("status") != "failed" || m.field("status_reason") != "blocked" {
		t.Errorf("failed message: %s", m.body)
	}
	again := w.settled(w.call(adminToken, "POST", "/v1/deliveries/"+delivery+"/redrive", "").want(202))
	if again.field("state") != "pending" || again.header.Get("Parley-Position") == "" {
		t.Errorf("redriven: %s", again.body)
	}
	w.call(adminToken, "POST", "/v1/deliveries/"+delivery+"/redrive", "").want(409)
	w.call(adminToken, "POST", "/v1/deliveries/"+delivery+"/drop", "").want(409)
	w.fail(sent.field("id"))
	if dropped := w.settled(w.call(adminToken, "POST", "/v1/deliveries/"+delivery+"/drop", "").want(202)); dropped.field("state") != "dropped" {
		t.Errorf("dropped: %s", dropped.body)
	}

	assigned := w.settled(w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/assign", `{"to":"agent","agent_id":"a-7"}`).want(202))
	if assigned.field("handler", "type") != "agent" || assigned.field("handler", "agent_id") != "a-7" {
		t.Errorf("assigned: %s", assigned.body)
	}
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/assign", `{"to":"agent"}`).want(400)
	closed := w.settled(w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/close", "").want(202))
	if closed.field("status") != "closed" || closed.field("closed_at") == "<none>" || closed.header.Get("Parley-Position") == "" {
		t.Errorf("closed: %s", closed.body)
	}
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/close", "").want(409)
	if l := w.call(readerToken, "GET", "/v1/conversations?status=open", "").want(200); l.field("data", 0) != "<none>" || l.field("next_cursor") != "<none>" {
		t.Errorf("open conversations: %s", l.body)
	}

	events := w.call(readerToken, "GET", "/v1/events?from=2026-03-01", "").want(200)
	if n := strings.Count(string(events.body), "\n"); n != len(w.events) || events.header.Get("Content-Type") != ndjsonType {
		t.Errorf("%d lines of %d events, %s", n, len(w.events), events.header.Get("Content-Type"))
	}
}

// Ensure every type of message is taken in the shapes of respond-io.md 3.3, and
// refused outside its limits with the field named.
func TestMessageContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conversation := w.receive(w.makeChannel(adminToken, "custom"), "c-1", "ext-1", "hello")
	path := "/v1/conversations/" + conversation + "/messages"
	for body, want := range map[string]string{
		`{"type":"text","text":"a"}`:                                 "",
		`{"type":"text","text":"` + strings.Repeat("😀", 7000) + `"}`: "",
		`{"type":"attachment","attachment":{"type":"image","url":"https://x.example.com/a","mimeType":"image/png","fileName":"a.png"}}`: "",
		`{"type":"location","latitude":38.7,"longitude":-9.1}`:                                                                          "",
		`{"type":"quick_reply","title":"Day?","replies":["Monday"]}`:                                                                    "",

		`{"type":"text","text":"` + strings.Repeat("a", 7001) + `"}`: "text",
		`{"type":"text"}`:                           "text",
		`{"type":"text","text":"a\u0000"}`:          "",
		`{"type":"sticker"}`:                        "type",
		`{"text":"a"}`:                              "",
		`{"type":"text","text":5}`:                  "text",
		`{"type":"text","text":"a","colour":"red"}`: "colour",
		`{"type":"attachment"}`:                     "attachment",
		`{"type":"attachment","attachment":{"type":"image","url":"ftp://x/y"}}`:     "attachment.url",
		`{"type":"location","latitude":91,"longitude":0}`:                           "latitude",
		`{"type":"location","latitude":9}`:                                          "longitude",
		`{"type":"quick_reply","title":"Day?","replies":[]}`:                        "replies",
		`{"type":"quick_reply","title":"Day?","replies":["a","` + long(257) + `"]}`: "replies[1]",
		`{"type":"text","text":"a"`:                                                 "",
		`[]`:                                                                        "",
		`null`:                                                                      "",
	} {
		a := w.call(agentToken, "POST", path, body)
		if a.status == 202 {
			if want != "" || strings.Contains(body, "u0000") || strings.HasPrefix(body, "[") || body == "null" || !strings.Contains(body, "type") {
				t.Errorf("%.80s was taken", body)
			}
			continue
		}
		p := a.want(400).problem()
		if len(p.Errors) == 0 || p.Errors[0].In != "body" || (want != "" && p.Errors[0].Field != want) {
			t.Errorf("%.80s: %s", body, a.body)
		}
	}
	m := w.call(agentToken, "POST", path,
		`{"type":"attachment","attachment":{"type":"file","url":"https://x.example.com/a","mime_type":"text/plain","file_name":"a.txt"}}`).want(202)
	if m.field("attachment", "mimeType") != "text/plain" || m.field("attachment", "fileName") != "a.txt" {
		t.Errorf("names with underscores: %s", m.body)
	}
}

func long(n int) string { return strings.Repeat("a", n) }

// Ensure a phone channel writes to new numbers and a custom channel only to
// contacts that exist (respond-io.md 2.1).
func TestStartConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	phone, custom := w.makeChannel(adminToken, "phone"), w.makeChannel(adminToken, "custom")
	a := w.call(agentToken, "POST", "/v1/channels/"+phone+"/messages", `{"contact_ref":"1 (555) 01-00","type":"text","text":"hi"}`).want(202)
	c := w.call(readerToken, "GET", "/v1/conversations/"+a.field("conversation_id"), "").want(200)
	if c.field("contact_ref") != "+15550100" || c.field("contact", "phone") != "+15550100" {
		t.Errorf("conversation: %s", c.body)
	}
	for _, ref := range []string{"+15550100", "%2B15550100"} {
		if l := w.call(readerToken, "GET", "/v1/conversations?contact="+ref, "").want(200); l.field("data", 0, "id") != c.field("id") {
			t.Errorf("contact=%s: %s", ref, l.body)
		}
	}
	bad := w.call(agentToken, "POST", "/v1/channels/"+phone+"/messages", `{"contact_ref":"hello","type":"text","text":"hi"}`).want(400).problem()
	if bad.Errors[0].Field != "contact_ref" {
		t.Errorf("errors: %+v", bad.Errors)
	}
	w.call(agentToken, "POST", "/v1/channels/"+phone+"/messages", `{"type":"text","text":"hi"}`).want(400)
	w.call(agentToken, "POST", "/v1/channels/"+custom+"/messages", `{"contact_ref":"u1","type":"text","text":"hi"}`).want(409)
	w.receive(custom, "u1", "e1", "hello")
	w.call(agentToken, "POST", "/v1/channels/"+custom+"/messages", `{"contact_ref":"u1","type":"text","text":"hi"}`).want(202)
	w.call(agentToken, "POST", "/v1/channels/"+custom+"/messages", `{"contact_ref":"u-1","type":"text","text":"hi"}`).want(400)
}
