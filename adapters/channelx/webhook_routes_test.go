package channelx

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

func TestWebhooksAreMadeChangedAndDeleted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made := at(t, o.gets(t, adminToken, http.MethodPost, "/webhooks", `{"url":"https://example.com/hook","name":"CRM"}`), "payload", "webhook")
	secret, _ := at(t, made, "secret").(string)
	want := map[string]any{
		"id": 1.0, "name": "CRM", "url": "https://example.com/hook", "account_id": 7.0, "secret": secret,
		"subscriptions": []any{
			"conversation_created", "conversation_updated", "conversation_status_changed", "message_created",
			"message_updated", "contact_created", "contact_updated", "webwidget_triggered",
		},
	}
	if !reflect.DeepEqual(made, want) || len(secret) != domain.TokenLength {
		t.Errorf("%v, want %v", made, want)
	}

	// In an object of its own, bound to an inbox, with another subscription.
	changed := at(t, o.gets(t, adminToken, http.MethodPatch, "/webhooks/1",
		`{"webhook":{"subscriptions":["message_created","message_created"],"inbox_id":"3","name":null}}`), "payload", "webhook")
	if at(t, changed, "secret") != secret || at(t, changed, "url") != "https://example.com/hook" || at(t, changed, "name") != nil ||
		!reflect.DeepEqual(at(t, changed, "subscriptions"), []any{"message_created"}) ||
		!reflect.DeepEqual(at(t, changed, "inbox"), map[string]any{"id": 3.0, "name": "Mobile bridge"}) || o.hooks[0].Channel != bridge {
		t.Errorf("%v", changed)
	}
	o.gets(t, adminToken, http.MethodPatch, "/webhooks/1", `{"inbox_id":null}`)
	if o.hooks[0].Channel != "" {
		t.Error("it is still bound")
	}
	listed := at(t, o.gets(t, adminToken, http.MethodGet, "/webhooks", ""), "payload", "webhooks")
	if len(listed.([]any)) != 1 || at(t, listed, 0, "id") != 1.0 {
		t.Errorf("%v", listed)
	}
	o.refuses(t, adminToken, http.MethodDelete, "/webhooks/1", "", http.StatusOK, "")
	o.refuses(t, adminToken, http.MethodDelete, "/webhooks/1", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, adminToken, http.MethodPatch, "/webhooks/1", "{}", http.StatusNotFound, `{"error":"Resource could not be found"}`)
}

func TestWebhooksThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.gets(t, adminToken, http.MethodPost, "/webhooks", `{"url":"https://example.com/hook"}`)
	for _, c := range []struct{ body, want string }{
		{`{"url":"https://example.com/hook"}`, `{"message":"Url has already been taken","attributes":["url"]}`},
		{`{}`, `{"message":"Url is invalid","attributes":["url"]}`},
		{`{"url":"ftp://example.com"}`, `{"message":"Url is invalid","attributes":["url"]}`},
		{`{"url":"https://example.com/` + strings.Repeat("u", 2048) + `"}`, `{"message":"Url is too long (maximum is 2048 characters)","attributes":["url"]}`},
		{`{"url":"https://example.com/2","subscriptions":["message_read"]}`, `{"message":"Subscriptions Invalid subscriptions","attributes":["subscriptions"]}`},
		{`{"url":"https://example.com/2","subscriptions":[]}`, `{"message":"Subscriptions Invalid subscriptions","attributes":["subscriptions"]}`},
	} {
		o.refuses(t, adminToken, http.MethodPost, "/webhooks", c.body, http.StatusUnprocessableEntity, c.want)
	}
	o.refuses(t, adminToken, http.MethodPost, "/webhooks", `{"url":"https://example.com/2","inbox_id":99}`, http.StatusNotFound, `{"error":"Resource could not be found"}`)
	if len(o.hooks) != 1 {
		t.Errorf("there are %d webhooks", len(o.hooks))
	}
	for _, token := range []string{ruisToken, readersToken} {
		o.refuses(t, token, http.MethodGet, "/webhooks", "", http.StatusUnauthorized, noRight)
		o.refuses(t, token, http.MethodPost, "/webhooks", `{"url":"https://example.com/3"}`, http.StatusUnauthorized, noRight)
	}
}
