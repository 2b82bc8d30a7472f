package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// TestChannelXRetries: what Parley does and the original does not (channelx.md 6.4
// and 10.3): callbacks are repeated and keep their order, a message can be created
// once however often it is sent, and one that failed can be sent again.
func TestChannelXRetries(t *testing.T) {
	t.Parallel()
	s := newCX(t, callbackTimeout(cxTimeout))
	for name, run := range map[string]func(*testing.T, *cx){
		"refused for good": cxRefusedForGood, "used up": cxUsedUp, "idempotency": cxIdempotency, "sent again": cxSentAgain, "webhook": cxWebhook,
		"receiver away": cxReceiverAway, "redelivered": cxRedelivered,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, s)
		})
	}
	for name, refuse := range map[string]func(http.ResponseWriter){
		"request timeout": func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestTimeout) },
		"too early":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooEarly) },
		"too many":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"bad gateway":     func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		"hung up":         func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := s.office(t).talk(t)
			first, again := v.turnedAway(t, refuse)
			if first.header.Get("X-Chatwoot-Timestamp") == again.header.Get("X-Chatwoot-Timestamp") {
				t.Error("the repeat has the timestamp of the first")
			}
			v.message(t, first.body.at("id").integer()).at("status").is("sent")
		})
	}
}

// cxRefusedForGood: other answers of 4xx are final, and what follows goes on.
func cxRefusedForGood(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	v.office.receiver.answers(func(_ int, call cxHook, w http.ResponseWriter, _ *http.Request) {
		if call.body.has([]any{"event", "message_created", "content", "refused"}) {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	id := v.says(t, "refused")
	next := v.says(t, "taken")
	v.becomes(t, id, "failed").at("content_attributes", "external_error").is("404 Not Found")
	v.office.receiver.event(t, "message_created", "id", next)
	v.office.receiver.event(t, "message_updated", "id", id, "status", "failed").body.at("content_attributes", "external_error").is("404 Not Found")
	v.message(t, next).at("status").is("sent")
	n := 0
	for _, call := range v.fence(t) {
		if call.says() == "message_created refused" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("called %d times", n)
	}
}

// cxUsedUp: a message is failed only after the last attempt of the schedule.
func cxUsedUp(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t, object{"delivery": object{"schedule": []string{"1s"}, "on_exhausted": "continue"}}).talk(t)
	v.office.receiver.answers(func(_ int, call cxHook, w http.ResponseWriter, _ *http.Request) {
		if call.event == "message_created" && call.body.at("content").equals("never") {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	id := v.says(t, "never")
	v.office.receiver.event(t, "message_created", "id", id)
	v.message(t, id).at("status").is("sent")
	failed := v.becomes(t, id, "failed")
	failed.at("content_attributes", "external_error").is("502 Bad Gateway")
	var deliveries []string
	for _, call := range v.fence(t) {
		if call.says() == "message_created never" {
			deliveries = append(deliveries, call.delivery)
		}
	}
	if len(deliveries) != 2 || deliveries[0] != deliveries[1] {
		t.Errorf("deliveries %v", deliveries)
	}
}

// cxIdempotency: a key gives the first message again; without one, the same
// source_id makes a second.
func cxIdempotency(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	path := fmt.Sprintf("/api/v1/accounts/%d%s", v.office.number, v.path("/messages"))
	keyed := func(key string, body any) cxValue {
		return v.office.gets(t, s.send(t, http.MethodPost, path, cxHeaders{"api_access_token": v.office.token, "Idempotency-Key": key}, body))
	}
	first := keyed("k-1", object{"content": "once"})
	for range 3 {
		if again := keyed("k-1", object{"content": "once"}); !again.at("id").equals(first.at("id").integer()) {
			t.Errorf("first %s, then %s", first, again)
		}
	}
	second := keyed("k-2", cxForm{}.field("content", "once").field("message_type", "incoming").file("a.png", "image/png", cxPNG))
	again := keyed("k-2", cxForm{}.field("content", "once").field("message_type", "incoming").file("a.png", "image/png", cxPNG))
	if again.String() != second.String() {
		t.Errorf("first %s, then %s", second, again)
	}
	var ids []int64
	for range 2 {
		ids = append(ids, v.post(t, object{"content": "twice", "source_id": "ext-1"}).at("id").integer())
	}
	var listed []int64
	for _, m := range v.messages(t) {
		listed = append(listed, m.at("id").integer())
	}
	if want := []int64{first.at("id").integer(), second.at("id").integer(), ids[0], ids[1]}; !slices.Equal(listed, want) {
		t.Errorf("messages %v, want %v", listed, want)
	}
	told := slices.DeleteFunc(v.told(t), func(say string) bool { return say != "message_created once" })
	if len(told) != 2 {
		t.Errorf("told %d times of two messages", len(told))
	}
}

// cxSentAgain: a failed message can be sent again, to the callback, too.
func cxSentAgain(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t, object{"delivery": single}).talk(t)
	v.fence(t)
	v.office.settled(t)
	v.office.receiver.answersStatus(http.StatusInternalServerError)
	id := v.says(t, "It ships today.")
	v.becomes(t, id, "failed")
	v.office.settled(t)
	v.office.receiver.answersStatus(http.StatusOK)
	before, _ := v.office.receiver.got()
	retried := v.office.posts(t, v.path("/messages/"+digits(id)+"/retry"), nil)
	retried.at("status").is("sent")
	retried.at("content_attributes").is(object{})
	v.office.receiver.await(t, "the message again", func(h cxHook) bool {
		return h.event == "message_created" && h.body.at("id").equals(id) && h.at.After(before[len(before)-1].at)
	})
	v.message(t, id).at("status").is("sent")
}

// cxWebhook: a webhook of the account is told besides the callback, also at the
// same URL, of contacts, too, and signed with a secret of its own.
func cxWebhook(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	hook := newCXReceiver(t)
	made := o.posts(t, "/webhooks", object{"url": hook.URL, "name": "warehouse"}).at("payload", "webhook")
	made.at("url").is(hook.URL)
	hook.signed(made.at("secret").text())
	v := o.talk(t)
	hook.event(t, "contact_created", "id", v.contact.id, "identifier", cxCRM)
	id := v.says(t, "hello")
	theirs, ours := hook.event(t, "message_created", "id", id), o.receiver.event(t, "message_created", "id", id)
	if theirs.delivery == ours.delivery {
		t.Errorf("both are delivery %s", ours.delivery)
	}
	if theirs.body.String() != ours.body.String() {
		t.Errorf("told %s and %s", theirs.body, ours.body)
	}
	o.gets(t, o.app(t, http.MethodPut, v.contact.path(""), object{"name": "Ana P."}))
	changed := hook.event(t, "contact_updated", "id", v.contact.id, "name", "Ana P.")
	if names := changed.changes(); !slices.Contains(names, "name") {
		t.Errorf("changed: %v", names)
	}
	// One that fails for good hurts neither the message nor the callback.
	hook.answersStatus(http.StatusGone)
	next := v.says(t, "still here")
	hook.event(t, "message_created", "id", next)
	o.receiver.event(t, "message_created", "id", next)
	v.fence(t)
	v.message(t, next).at("status").is("sent")
	for _, call := range o.receiver.calledFor(v.id) {
		if call.event == "contact_created" || call.event == "contact_updated" {
			t.Errorf("the callback was told %s", call.raw)
		}
	}
	// The same URL as the callback's gets both.
	o.receiver.signed("") // by two secrets from now on
	o.posts(t, "/webhooks", object{"url": o.receiver.URL, "subscriptions": []string{"message_created"}})
	both := v.says(t, "twice")
	deliveries := map[string]bool{}
	o.receiver.await(t, "both deliveries", func(h cxHook) bool {
		if h.event == "message_created" && h.body.at("id").equals(both) {
			deliveries[h.delivery] = true
		}
		return len(deliveries) == 2
	})
}

// cxReceiverAway: an outage of the receiver loses nothing, and order is kept.
func cxReceiverAway(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	away := httptest.NewServer(nil) // a port that nobody listens at
	address := away.URL
	away.Close()
	o.gets(t, o.app(t, http.MethodPatch, fmt.Sprintf("/inboxes/%d", o.inbox), object{"channel": object{"webhook_url": address}}))
	v := o.talk(t)
	want := []string{"conversation_created"}
	for i := range 5 {
		text := fmt.Sprint("message ", i)
		v.hears(t, text)
		want = append(want, "message_created "+text)
	}
	o.gets(t, o.app(t, http.MethodPatch, fmt.Sprintf("/inboxes/%d", o.inbox), object{"channel": object{"webhook_url": o.receiver.URL}}))
	told := slices.DeleteFunc(v.told(t), func(say string) bool { return say == "conversation_updated" })
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	for _, m := range v.messages(t) {
		m.at("status").is("sent")
	}
}

// cxRedelivered: redriving a dead letter of the platform API makes the call again.
func cxRedelivered(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	v.fence(t)
	v.office.settled(t)
	v.office.receiver.answersStatus(http.StatusForbidden)
	id := v.says(t, "It ships today.")
	v.becomes(t, id, "failed")
	v.office.settled(t)
	v.office.receiver.answersStatus(http.StatusOK)
	before, _ := v.office.receiver.got()
	dead := v.office.deliveries(t, "&state=dead")
	if len(dead) == 0 {
		t.Fatal("no dead letter")
	}
	for _, letter := range dead {
		got := s.send(t, http.MethodPost, "/v1/deliveries/"+letter.at("id").text()+"/redrive", cxHeaders{"Authorization": "Bearer " + v.office.admin}, nil)
		if got.status >= http.StatusMultipleChoices {
			t.Fatalf("redrive: %d %s", got.status, got.raw)
		}
	}
	v.office.receiver.await(t, "the message again", func(h cxHook) bool {
		return h.event == "message_created" && h.body.at("id").equals(id) && h.at.After(before[len(before)-1].at)
	})
}
