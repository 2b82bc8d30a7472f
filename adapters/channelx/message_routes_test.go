package channelx

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// Ensure a message is taken in as section 4.6 says, in all encodings.
func TestMessageCreated(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	path := w.conversation(t, w.ana(t)) + "/messages"
	first := w.gets(t, adminToken, http.MethodPost, path, `{"content":"Is my order out yet?","message_type":"incoming","source_id":"ext-881","echo_id":"tmp-9","external_created_at":1765000000}`)
	for member, want := range map[string]any{
		"content": "Is my order out yet?", "message_type": 0.0, "source_id": "ext-881", "echo_id": "tmp-9", "private": false, "status": "sent",
		"content_type": "text", "inbox_id": 3.0, "conversation_id": 1.0,
	} {
		if at(t, first, member) != want {
			t.Errorf("%s is %v, want %v", member, at(t, first, member), want)
		}
	}
	if at(t, first, "sender", "type") != "contact" || at(t, first, "content_attributes", "external_created_at") != 1765000000.0 {
		t.Errorf("%v", first)
	}
	id := number(t, at(t, first, "id"))
	status, reply := w.posts(t, path, formPart{name: "content", content: "Yes"}, formPart{name: "message_type", content: "outgoing"},
		formPart{name: "private", content: "false"}, formPart{name: "content_attributes", content: `{"in_reply_to_external_id":"ext-881"}`})
	if status != http.StatusOK || number(t, at(t, reply, "content_attributes", "in_reply_to")) != id || at(t, reply, "sender", "type") != "user" {
		t.Errorf("%d %v", status, reply)
	}
	status, reply = w.posts(t, path, formPart{name: "content_attributes[in_reply_to]", content: id}, formPart{name: "private", content: "1"})
	if status != http.StatusOK || at(t, reply, "content_attributes", "in_reply_to_external_id") != "ext-881" || at(t, reply, "private") != true || at(t, reply, "content") != nil {
		t.Errorf("%d %v", status, reply)
	}
	if status, reply = w.posts(t, path, formPart{name: "content_attributes", content: "{broken"}, formPart{name: "content", content: "x"}); status != http.StatusOK || len(at(t, reply, "content_attributes").(map[string]any)) != 0 {
		t.Errorf("%d %v", status, reply)
	}
	if made := w.gets(t, adminToken, http.MethodPost, path, ""); at(t, made, "message_type") != 1.0 {
		t.Errorf("%v", made)
	}
	for body, want := range map[string]string{
		`{"content":"` + strings.Repeat("x", maxContent+1) + `"}`: "Validation failed: Content is too long (maximum is 150000 characters)",
		`{"message_type":"bogus"}`:                                "'bogus' is not a valid message_type",
		`{"content_type":"bogus"}`:                                "'bogus' is not a valid content_type",
	} {
		status, answer := w.says(t, adminToken, http.MethodPost, path, body)
		if status != http.StatusUnprocessableEntity || at(t, answer, "error") != want {
			t.Errorf("%.40s: %d %v", body, status, answer)
		}
	}
}

// Ensure a key gives the first message again, by header and by member, and that
// nothing is looked for without one.
func TestMessageKeys(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	path := w.conversation(t, w.ana(t)) + "/messages"
	first := w.gets(t, adminToken, http.MethodPost, path, `{"content":"a","client_message_id":"k1"}`)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/accounts/7"+path, strings.NewReader(`{"content":"b","echo_id":"e"}`))
	r.Header.Set("Idempotency-Key", "k1")
	r.Header.Set("Api-Access-Token", adminToken)
	r.Header.Set("Content-Type", "application/json")
	if status, again := w.answer(t, r); status != http.StatusOK || at(t, again, "id") != at(t, first, "id") || at(t, again, "content") != "a" {
		t.Errorf("%d %v", status, again)
	}
	if len(w.ledger.posts) != 1 {
		t.Errorf("%d messages", len(w.ledger.posts))
	}
	for range 2 {
		w.gets(t, adminToken, http.MethodPost, path, `{"content":"a","source_id":"same"}`)
	}
	if len(w.ledger.posts) != 3 {
		t.Errorf("%d messages", len(w.ledger.posts))
	}
}

// asking records what is asked of posts.
type asking struct {
	posts

	asked *domain.PostQuery
}

// Ensure pages of messages are those of section 4.6.
func TestMessageList(t *testing.T) {
	t.Parallel()
	var asked domain.PostQuery
	w := newCounter(t)
	path := w.conversation(t, w.ana(t)) + "/messages"
	w.gets(t, adminToken, http.MethodPost, path, `{"content":"a"}`)
	w.door.Posts = asking{w.door.Posts, &asked}
	for query, want := range map[string]domain.PostQuery{
		"":                             {Limit: 20, Newest: true},
		"before=50":                    {Limit: 20, Newest: true, Before: 50},
		"after=7":                      {Limit: 100, After: 7},
		"after=7&before=50":            {Limit: 1000, After: 7, Before: 50},
		"filter_internal_messages=":    {Limit: 20, Newest: true},
		"filter_internal_messages=yes": {Limit: 20, Newest: true, PublicOnly: true},
	} {
		page := w.gets(t, adminToken, http.MethodGet, path+"?"+query, "")
		want.Account, want.Number = officeAccount, 1
		if asked != want {
			t.Errorf("%s asks for %+v, want %+v", query, asked, want)
		}
		if at(t, page, "meta", "contact", "type") != "contact" || at(t, page, "meta", "agent_last_seen_at") != nil || at(t, page, "meta", "labels") == nil {
			t.Errorf("%v", page)
		}
	}
}

// Ensure a message's status, deletion and retry are as section 4.6 says.
func TestMessageChanges(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	path := w.conversation(t, w.ana(t)) + "/messages"
	id := path + "/" + number(t, at(t, w.gets(t, adminToken, http.MethodPost, path, `{"content":"a"}`), "id"))
	for _, c := range []struct{ body, status string }{
		{`{"status":"delivered"}`, "delivered"}, {`{"status":"read"}`, "read"}, {`{"status":"delivered"}`, "read"}, {`{"status":"bogus"}`, "read"}, {``, "read"},
	} {
		if got := w.gets(t, adminToken, http.MethodPatch, id, c.body); at(t, got, "status") != c.status {
			t.Errorf("%s: %v", c.body, got)
		}
	}
	if got := w.gets(t, adminToken, http.MethodPatch, id, `{"status":"failed","external_error":"no route"}`); at(t, got, "content_attributes", "external_error") != "no route" {
		t.Errorf("%v", got)
	}
	if got := w.gets(t, adminToken, http.MethodPost, id+"/retry", ""); at(t, got, "status") != "sent" || len(at(t, got, "content_attributes").(map[string]any)) != 0 {
		t.Errorf("%v", got)
	}
	w.refuses(t, adminToken, http.MethodPost, path+"/999/retry", "", http.StatusUnprocessableEntity, `{"error":"Couldn't find Message with 'id'=999"}`)
	w.refuses(t, adminToken, http.MethodPatch, path+"/999", `{"status":"read"}`, http.StatusNotFound, `{"error":"Resource could not be found"}`)
	gone := w.gets(t, adminToken, http.MethodDelete, id, "")
	if at(t, gone, "content") != "This message was deleted" || fmt.Sprint(at(t, gone, "content_attributes")) != "map[deleted:true]" {
		t.Errorf("%v", gone)
	}
}

// Posts notes the question.
func (a asking) Posts(ctx context.Context, q domain.PostQuery) ([]domain.Post, error) {
	*a.asked = q
	return a.posts.Posts(ctx, q)
}
