package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// onPlatform finds a conversation of the office in the platform API.
func (v *cxTalk) onPlatform(t *testing.T) string {
	t.Helper()
	return v.office.reads(t, v.path("")).at("uuid").text()
}

// asks makes a request to the platform API, insists on its status and reads the answer.
func (o *cxOffice) asks(t *testing.T, method, path string, body any, status int) cxValue {
	t.Helper()
	got := o.suite.send(t, method, path, cxHeaders{"Authorization": "Bearer " + o.admin}, body)
	if got.status != status {
		t.Fatalf("%s %s: %d %s, want %d", method, path, got.status, got.raw, status)
	}
	return cxRead(t, method+" "+path, got.raw)
}

// TestPlatformTickets: what the platform API does to a conversation of ChannelX is
// what its operators see there, and what its callback is told.
func TestPlatformTickets(t *testing.T) {
	t.Parallel()
	s := newCX(t)
	o := s.office(t)
	v := o.talk(t)
	v.hears(t, "Is my order out yet?")
	conversation := "/v1/conversations/" + v.onPlatform(t)

	said := o.asks(t, http.MethodPost, conversation+"/messages", object{"type": "text", "text": "It ships today.", "agent_id": "rui"}, http.StatusAccepted)
	shown := v.messages(t)
	last := shown[len(shown)-1]
	last.at("content").is("It ships today.")
	last.at("message_type").is(1)
	last.at("sender", "name").is("Rui Costa")
	said.at("external_id").is(fmt.Sprint(last.at("id").integer()))
	told := o.receiver.await(t, "the callback is told of the reply", func(h cxHook) bool {
		return h.event == "message_created" && h.body.at("id").equals(last.at("id").integer())
	})
	told.body.at("sender", "name").is("Rui Costa")
	told.body.at("conversation", "contact_inbox", "source_id").is(v.contact.source)

	choice := o.asks(t, http.MethodPost, conversation+"/messages", object{
		"type": "quick_reply", "title": "Which one?", "replies": []string{"blue", "red"},
	}, http.StatusAccepted)
	o.asks(t, http.MethodPost, conversation+"/messages", object{
		"type": "attachment", "attachment": object{"type": "file", "url": "https://cdn.example.com/terms.pdf?x=1"},
	}, http.StatusAccepted)
	shown = v.messages(t)
	asked, file := shown[len(shown)-2], shown[len(shown)-1]
	asked.at("content_type").is("input_select")
	asked.at("content_attributes", "items", 1, "value").is("red")
	choice.at("text").is("Which one?")
	file.at("attachments", 0, "data_url").is("https://cdn.example.com/terms.pdf?x=1")
	file.at("attachments", 0, "extension").is("pdf")

	o.asks(t, http.MethodPost, conversation+"/assign", object{"to": "agent", "agent_id": "rui"}, http.StatusAccepted).at("handler", "agent_id").is(fmt.Sprint(o.rui))
	o.reads(t, v.path("")).at("meta", "assignee", "id").is(o.rui)
	o.asks(t, http.MethodPost, conversation+"/assign", object{"to": "unassigned"}, http.StatusAccepted).at("handler", "type").is("unassigned")
	o.reads(t, v.path("")).at("meta", "assignee").isAbsent()

	tag := o.asks(t, http.MethodPost, "/v1/tags", object{"name": "refund"}, http.StatusCreated).at("id").integer()
	o.posts(t, v.path("/labels"), object{"labels": []string{"urgent"}})
	o.asks(t, http.MethodPost, conversation+"/marks", object{"tags": []int64{tag}}, http.StatusAccepted)
	if labels := o.reads(t, v.path("/labels")).at("payload").list(); len(labels) != 2 {
		t.Errorf("labels %v: those that were there are gone", labels)
	}
	o.asks(t, http.MethodPost, conversation+"/marks", object{"tags": []int64{tag}, "replace_tags": true}, http.StatusAccepted)
	if labels := o.reads(t, v.path("/labels")).at("payload").list(); len(labels) != 1 || labels[0].text() != "refund" {
		t.Errorf("labels %v", labels)
	}

	o.asks(t, http.MethodPost, conversation+"/close", object{}, http.StatusAccepted).at("status").is("closed")
	o.reads(t, v.path("")).at("status").is("resolved")
	o.receiver.await(t, "the callback is told of the close", func(h cxHook) bool {
		return h.event == "conversation_status_changed" && h.body.at("status").equals("resolved")
	})
	o.asks(t, http.MethodPost, conversation+"/close", object{}, http.StatusConflict)
}

// TestPlatformClosesTickets: the open conversations of an inbox are closed together,
// each as one that is closed alone, while contacts write into some of them, and those
// of another inbox are not.
func TestPlatformClosesTickets(t *testing.T) {
	t.Parallel()
	o := newCX(t).office(t)
	other := o.talk(t)
	o.channelled(t)
	const count = 30
	talks := make([]*cxTalk, count)
	var running sync.WaitGroup
	for i := range talks {
		running.Go(func() { talks[i] = o.contact(t, object{"name": fmt.Sprint("Ana ", i)}).talk(t) })
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	var writing sync.WaitGroup
	for _, v := range talks[:5] {
		writing.Go(func() { v.hears(t, "wait!") })
	}
	all := "/v1/conversations/close"
	closed := o.asks(t, http.MethodPost, all, object{"channel_id": o.channel}, http.StatusAccepted).at("closed").integer()
	writing.Wait()
	if closed != count {
		t.Errorf("closed %d, want %d", closed, count)
	}
	// What was written after the close has opened its conversation again.
	again := o.asks(t, http.MethodPost, all, object{"channel_id": o.channel}, http.StatusAccepted).at("closed").integer()
	if again > 5 {
		t.Errorf("closed %d once more, want at most 5", again)
	}
	for i, v := range talks {
		o.reads(t, v.path("")).at("status").is("resolved")
		resolved := int64(0)
		for _, m := range v.messages(t) {
			if m.at("message_type").equals(2) && strings.HasPrefix(m.at("content").text(), "Conversation was resolved by ") {
				resolved++
			}
		}
		if resolved < 1 || i >= 5 && resolved != 1 || resolved > 2 {
			t.Errorf("conversation %d was resolved %d times", v.id, resolved)
		}
		o.receiver.await(t, "the callback is told of the close", func(h cxHook) bool {
			return h.about(v.id) && h.event == "conversation_status_changed" && h.body.at("status").equals("resolved")
		})
	}
	o.reads(t, other.path("")).at("status").is("open")
	if n := o.asks(t, http.MethodPost, all, object{"channel_id": o.channel}, http.StatusAccepted).at("closed").integer(); n != 0 {
		t.Errorf("closed %d that were closed", n)
	}
}

// TestPlatformStartsTickets: writing to a contact of a channel goes on in the
// newest conversation that is not resolved, or opens one; a key says it once.
func TestPlatformStartsTickets(t *testing.T) {
	t.Parallel()
	s := newCX(t)
	o := s.office(t)
	c := o.ana(t)
	path := "/v1/channels/" + o.channel + "/messages"
	write := func(text, key string, status int) cxValue {
		t.Helper()
		headers := cxHeaders{"Authorization": "Bearer " + o.admin}
		if key != "" {
			headers["Idempotency-Key"] = key
		}
		got := s.send(t, http.MethodPost, path, headers, object{"contact_ref": c.source, "type": "text", "text": text})
		if got.status != status {
			t.Fatalf("%s: %d %s", text, got.status, got.raw)
		}
		return cxRead(t, text, got.raw)
	}
	tickets := func() []cxValue { return o.reads(t, c.path("/conversations")).at("payload").list() }

	first := write("hello", "k1", http.StatusAccepted)
	write("hello", "k1", http.StatusAccepted).at("id").is(first.at("id").text())
	second := write("and more", "", http.StatusAccepted)
	second.at("conversation_id").is(first.at("conversation_id").text())
	all := tickets()
	if len(all) != 1 {
		t.Fatalf("%d conversations after two messages", len(all))
	}
	v := &cxTalk{contact: c, office: o, id: all[0].at("id").integer()}
	if said := v.messages(t); len(said) != 2 {
		t.Errorf("%d messages, want 2", len(said))
	}
	v.turns(t, "snoozed")
	write("still there?", "", http.StatusAccepted).at("conversation_id").is(first.at("conversation_id").text())
	v.turns(t, "resolved")
	if third := write("a new one", "", http.StatusAccepted); third.at("conversation_id").text() == first.at("conversation_id").text() {
		t.Error("a resolved conversation goes on")
	}
	if n := len(tickets()); n != 2 {
		t.Errorf("%d conversations, want 2", n)
	}
	o.asks(t, http.MethodPost, path, object{"contact_ref": "nobody", "type": "text", "text": "hello"}, http.StatusConflict)
}

// TestWebhooksAreEndpoints: a webhook of an account is told with its own secret,
// is listed among deliveries and endpoints, and its failing holds nothing back.
func TestWebhooksAreEndpoints(t *testing.T) {
	t.Parallel()
	s := newCX(t)
	o := s.office(t)
	hook := newCXReceiver(t)
	made := o.posts(t, "/webhooks", object{"url": hook.URL, "subscriptions": []string{"message_created"}}).at("payload", "webhook")
	hook.signed(made.at("secret").text())
	v := o.talk(t)
	id := v.says(t, "It ships today.")
	hook.await(t, "the webhook is told", func(h cxHook) bool { return h.event == "message_created" && h.body.at("id").equals(id) })

	target := fmt.Sprintf("hook~%s~%d", o.name, made.at("id").integer())
	eventually(t, 20*time.Second, "the delivery to the webhook", func() bool {
		list := o.asks(t, http.MethodGet, "/v1/deliveries?kind=notice&state=delivered&channel="+o.channel, nil, http.StatusOK).at("data").list()
		for _, d := range list {
			if d.at("target").text() == target && d.at("event_type").text() == "message_created" {
				return true
			}
		}
		return false
	})
	o.asks(t, http.MethodGet, "/v1/endpoints/"+url.PathEscape(target), nil, http.StatusOK).at("state").is("healthy")
	o.asks(t, http.MethodPost, "/v1/endpoints/"+url.PathEscape(target)+"/pause", object{}, http.StatusOK).at("state").is("paused")
	other := v.says(t, "And another.")
	o.receiver.await(t, "the callback is told although the webhook is paused", func(h cxHook) bool {
		return h.event == "message_created" && h.body.at("id").equals(other)
	})
	if told, _ := hook.got(); len(told) != 1 {
		t.Errorf("a webhook that is paused was told %d things", len(told))
	}
	o.asks(t, http.MethodPost, "/v1/endpoints/"+url.PathEscape(target)+"/resume", object{}, http.StatusOK)
	hook.await(t, "the webhook is told after all", func(h cxHook) bool { return h.body.at("id").equals(other) })
}

// TestLargeUploads: files that are larger than any other body come in through
// ChannelX, up to their own bound, and through nothing else.
func TestLargeUploads(t *testing.T) {
	t.Parallel()
	s := newCX(t)
	o := s.office(t)
	v := o.talk(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), (9<<20)/16) // 9 MiB
	sent := v.post(t, cxForm{}.field("content", "large").file("large.bin", "application/octet-stream", large))
	if got := s.download(t, sent.at("attachments", 0, "data_url").text()); !bytes.Equal(got.raw, large) {
		t.Errorf("%d bytes came back of %d", len(got.raw), len(large))
	}
	for path, headers := range map[string]cxHeaders{
		"/v1/files?name=large.bin":               {"Authorization": "Bearer " + o.admin},
		"/custom/channel/webhook/":               {"Authorization": "Bearer " + o.admin},
		"/api/v1/accounts/1/contacts?name=large": {"api_access_token": o.token, "Content-Type": "application/json"},
	} {
		got := s.send(t, http.MethodPost, path, headers, strings.Repeat("x", 9<<20))
		if got.status != http.StatusRequestEntityTooLarge && got.status != http.StatusUnauthorized {
			t.Errorf("%s takes 9 MiB: %d %.100s", path, got.status, got.raw)
		}
	}
}

// TestInboxCommands: channels of ChannelX are made, shown and changed on the
// command line, accounts have numbers there, and tokens agents.
func TestInboxCommands(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	p.must("agents", "create", "--username", "petra")
	out := p.must("channels", "create", "--dialect", "channelx", "--name", "Bridge", "--inbox-id", "40", "--inbox-identifier", "wQ7hK2mXv9TzR4sYb8LcNd31",
		"--hmac-token", "k9Yw2rTzQm4VbX7sLd1NcA5e", "--secret", "Zt6qWm3pXc8RfJ2hVd5KsB7n", "--hmac-mandatory", "--members", "1", "--single-try")
	contains(t, "channels create", out, `"inbox_id": 40`, "wQ7hK2mXv9TzR4sYb8LcNd31", "k9Yw2rTzQm4VbX7sLd1NcA5e", "Zt6qWm3pXc8RfJ2hVd5KsB7n", `"hmac_mandatory": true`, `"schedule": []`)
	id := made(t, out)
	contains(t, "a number twice", p.refused("channels", "create", "--dialect", "channelx", "--name", "Other", "--inbox-id", "40"), "inbox_id")
	contains(t, "channels change", p.must("channels", "change", id, "--callback-url", "https://bridge.example.com", "--no-hmac-mandatory", "--members", "none"),
		"https://bridge.example.com", `"hmac_mandatory": false`)
	if out := p.must("channels", "change", id, "--no-callback"); strings.Contains(out, "bridge.example.com") || strings.Contains(out, "member_ids") {
		t.Errorf("without a callback:\n%s", out)
	}
	if out := p.must("channels", "rotate", id); strings.Contains(out, "Zt6qWm3pXc8RfJ2hVd5KsB7n") || !strings.Contains(out, "k9Yw2rTzQm4VbX7sLd1NcA5e") {
		t.Errorf("rotated:\n%s", out)
	}
	contains(t, "channels test", p.refused("channels", "test", id), "callback_url")
	contains(t, "accounts create", p.must("accounts", "create", "acme", "--number", "17"), `"number": 17`)
	contains(t, "accounts change", p.must("accounts", "change", "acme", "--number", "18"), `"number": 18`)
	contains(t, "accounts list", p.must("accounts", "list"), "NUMBER", "18")
	contains(t, "tokens create", p.must("tokens", "create", "--name", "desk", "--agent-id", "1"), `"agent_id": 1`)
	contains(t, "tokens list", p.must("tokens", "list"), "AGENT", "desk")
	contains(t, "deliveries list", p.must("deliveries", "list", "--kind", "notice"), "")
}
