package channelx

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzPost reads messages out of JSON. One that is taken is of a type that may be
// written, and is text that every store can keep; one that is not is refused in the
// dialect's words.
func FuzzPost(f *testing.F) {
	for _, s := range []string{
		`{"content":"hi","message_type":"incoming","private":false,"source_id":"s-1","echo_id":"tmp-9","client_message_id":"k"}`,
		`{"content":"pick","content_type":"input_select","content_attributes":{"items":[{"title":"Yes","value":"y"}]}}`, `{"content":"x","message_type":3}`, `{"message_type":"activity"}`,
		`{"content":"a\u0000b","content_attributes":{"in_reply_to":7,"\u0000":"\ud800"},"external_created_at":1765000123}`, `{"content":null,"content_type":[]}`, `{"content":{"a":1},"private":"1"}`,
		`{"content":"hi","content_attributes":"{\"in_reply_to\":7}"}`, `{"content":"hi","external_created_at":{"a":[1e400]}}`, `{"content":"` + strings.Repeat("x", 300) + `","source_id":"` + strings.Repeat("s", 300) + `"}`,
		`{"template_params":{"name":"t"},"content":"","message_type":"template"}`, `{}`, `[]`, ``,
	} {
		f.Add(s)
	}
	door := &Door{}
	f.Fuzz(func(t *testing.T, body string) {
		p := fuzzParams(t, "application/json", "", body)
		if p == nil {
			return
		}
		r := &request{Request: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/messages", nil), params: p}
		in, err := door.readPost(t.Context(), r)
		if err != nil {
			if !refused(err) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		for _, who := range []actor{byAdmin(), byAgent(), byContact()} {
			taken, err := in.checked(who)
			if err != nil {
				if !refused(err) || !utf8.ValidString(err.Error()) {
					t.Fatalf("%q: %v", body, err)
				}
				continue
			}
			if taken.Content != nil && !sound(*taken.Content) {
				t.Fatalf("%q says %q", body, *taken.Content)
			}
			for _, text := range []string{taken.ContentType, taken.SourceID, taken.EchoID, taken.Key} {
				if !sound(text) {
					t.Fatalf("%q names %q", body, text)
				}
			}
			text, err := json.Marshal(taken.Attributes)
			if err != nil || strings.Contains(strings.ReplaceAll(string(text), `\\`, ""), `\u0000`) {
				t.Fatalf("%q has attributes %s (%v)", body, text, err)
			}
		}
	})
}
