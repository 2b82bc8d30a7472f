package httpapi

import (
	"strings"
	"testing"
)

// Ensure that an address which no call reaches is refused when it is saved, with
// the field that holds it; and that what was saved before can still be changed
// otherwise.
func TestSave_refusesHopelessAddresses(t *testing.T) {
	t.Parallel()
	const inner = `"http://169.254.169.254/latest"`
	w := newWorld(t)
	refused := func(method, path, body, field string) {
		t.Helper()
		got := w.call(adminToken, method, path, body).want(400)
		if got.field("errors", 0, "field") != field || !strings.Contains(got.field("detail"), "169.254.169.254 is not allowed") {
			t.Errorf("%s %s: %s", method, path, got.body)
		}
	}
	made := func(path, body string) string {
		t.Helper()
		return path + "/" + w.call(adminToken, "POST", path, body).want(201).field("id")
	}
	for _, dialect := range []string{"respondio", "ismessenger", "voximplant", "channelx"} {
		extra := ""
		if dialect == "respondio" || dialect == "ismessenger" {
			extra = `,"id_type":"custom"`
		}
		refused("POST", "/v1/channels", `{"dialect":"`+dialect+`","name":"a","callback_url":`+inner+extra+`}`, "callback_url")
	}
	refused("POST", "/v1/subscriptions", `{"name":"a","events":["message.sent.v1"],"url":`+inner+`}`, "url")
	refused("POST", "/v1/functions", `{"name":"a","url":`+inner+`}`, "url")

	channel := made("/v1/channels", `{"dialect":"respondio","id_type":"custom","name":"a","callback_url":"https://example.com/a"}`)
	refused("PATCH", channel, `{"callback_url":`+inner+`}`, "callback_url")
	function := made("/v1/functions", `{"name":"a","url":"https://example.com/a"}`)
	refused("PATCH", function, `{"url":`+inner+`}`, "url")
	w.set(func() { // as an installation has it that was told otherwise before
		id := strings.TrimPrefix(channel, "/v1/channels/")
		ch := w.channels[id]
		ch.CallbackURL = "http://169.254.169.254/latest"
		w.channels[id] = ch
	})
	w.call(adminToken, "PATCH", channel, `{"name":"b","callback_url":`+inner+`}`).want(200)
}

// Ensure that a delivery without a request says why.
func TestDelivery_saysWhyThereIsNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.call(adminToken, "POST", "/v1/channels", `{"dialect":"respondio","id_type":"phone","name":"a","callback_url":"https://example.com/a"}`).want(201).field("id")
	sent := w.call(adminToken, "POST", "/v1/channels/"+channel+"/messages", `{"contact_ref":"+15550100","type":"text","text":"hello"}`).want(202)
	delivery := w.fail(sent.field("id"))
	w.call(adminToken, "DELETE", "/v1/channels/"+channel, "").want(204)
	got := w.call(readerToken, "GET", "/v1/deliveries/"+delivery, "").want(200)
	if got.field("request_missing") != "the channel was deleted" || strings.Contains(string(got.body), `"request":`) {
		t.Errorf("got %s", got.body)
	}
}
