package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// A place in the log is a time, a position or refused by name; a position is
// written and read as the same.
func FuzzPoint(f *testing.F) {
	for _, seed := range []string{
		"0:0", "3:1042", "2147483648:0", "0:9223372036854775808", "-1:-1", "1:1:1", ":", "2026-03-01", "2026-03-01T09:30:00Z", "2026-03-01T09:30:00 02:00",
		"9999-12-31T23:59:59.999999999Z", "0000-01-01", "10000-01-01", "1:0x1", "+1:1", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, position, err := parsePoint("from", text)
		switch {
		case err != nil:
			p, ok := errors.AsType[*Problem](err)
			if !ok || p.Status != http.StatusBadRequest || len(p.Errors) != 1 || p.Errors[0].Field != "from" || position != nil || !at.IsZero() {
				t.Fatalf("%q: %v", text, err)
			}
		case position != nil:
			if again, ok := parsePosition(formatPosition(*position)); !ok || again != *position || position.Partition < 0 || position.Offset < 0 || !at.IsZero() {
				t.Fatalf("%q is %v", text, position)
			}
		case text == "":
			if !at.IsZero() {
				t.Fatalf("nothing is %s", at)
			}
		default:
			if again, _, err := parsePoint("from", at.Format(time.RFC3339Nano)); err == nil && !again.Equal(at) || at.Location() != time.UTC {
				t.Fatalf("%q is %s", text, at)
			}
		}
	})
}

// A cursor that a list in memory did not give is refused by name, or cuts the list
// somewhere: no entry comes twice, none out of order.
func FuzzCut(f *testing.F) {
	keys := []string{ageKey(time.UnixMilli(1), "a"), ageKey(time.UnixMilli(1), "b"), ageKey(time.UnixMilli(1<<40), "c"), ageKey(time.UnixMilli(1<<41), "")}
	for _, seed := range append([]string{"", "-", strings.Repeat("f", 14) + "-", strings.Repeat("0", 13) + "-\xff", "0000000000001-a\x00"}, keys...) {
		f.Add(seed, 1)
		f.Add(seed, 200)
	}
	f.Fuzz(func(t *testing.T, cursor string, limit int) {
		if limit < 1 || limit > 200 {
			return // refused by the description
		}
		got, next, err := cut(keys, domain.Page{After: cursor, Limit: limit}, func(k string) string { return k })
		if err != nil {
			if e, ok := errors.AsType[*domain.Error](err); !ok || e.Field != "cursor" || e.Code != domain.CodeInvalid || got != nil {
				t.Fatalf("%q: %v", cursor, err)
			}
			return
		}
		last := cursor
		for _, k := range got {
			if k <= last {
				t.Fatalf("%q after %q", k, last)
			}
			last = k
		}
		if len(got) > limit || next != "" && next != last || next == "" && len(got) > 0 && last != keys[len(keys)-1] {
			t.Fatalf("%q, %d: %q, %q", cursor, limit, got, next)
		}
	})
}

// bodies are the writes of the platform API whose bodies say much.
var bodies = []struct{ method, path, seed string }{
	{http.MethodPost, "/v1/channels", `{"dialect":"respondio","name":"Shop","id_type":"phone","callback_url":"https://a.example/x","delivery":{"schedule":["1s"],"max_age":"72h"}}`},
	{http.MethodPost, "/v1/channels", `{"dialect":"voximplant","name":"Shop","callback_url":"https://a.example/x","redirect":{"queue_id":1},"close_after":60,"skills":[{"skill_id":1,"level":5}]}`},
	{http.MethodPatch, "/v1/channels/1", `{"name":"\u0000","delivery":{"schedule":["-1s"]}}`},
	{http.MethodPost, "/v1/channels/1/messages", `{"contact_ref":"+15550100","type":"quick_reply","title":"t","replies":["a"]}`},
	{http.MethodPost, "/v1/tokens", `{"name":"desk","role":"agent"}`},
	{http.MethodPost, "/v1/queues", `{"name":"Sales","max_wait":300,"priority":1}`},
	{http.MethodPost, "/v1/agents", `{"username":"petra","email":"petra@example.com","queues":[1],"skills":[]}`},
	{http.MethodPost, "/v1/topic-sets", `{"name":"Why","topics":[{"id":1,"name":"Late"}]}`},
	{http.MethodPost, "/v1/functions", `{"name":"Hours","url":"https://a.example/f"}`},
	{http.MethodPost, "/v1/conversations/close", `{"channel_id":"1","reason":"agent"}`},
	{http.MethodPost, "/v1/redrives", `{"channel":"1","from":"2026-03-01T09:00:00Z","to":"2026-03-01T17:00:00+02:00","reason":"timeout","kind":"message","dry_run":true,"confirm":5}`},
	{http.MethodPost, "/v1/subscriptions", `{"url":"https://a.example/x","name":"desk","events":["message.received","conversation.*"],"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","delivery":{"schedule":[]}}`},
	{http.MethodPost, "/v1/api-tokens", `{"name":"site","value":"value-1234567890"}`},
	{http.MethodPost, "/v1/accounts", `{"name":"acme","title":"Acme"}`},
	{http.MethodPost, "/v1/channels", `{"dialect":"channelx","name":"Window","callback_url":"https://a.example/x","inbox_id":7,"inbox_identifier":"abc","member_ids":[1],"hmac_mandatory":true}`},
}

// Whatever body comes, the answer is JSON: what is taken is text that every store
// can keep; what is refused is a problem document that says what is wrong, and is
// never a fault of ours.
func FuzzBodies(f *testing.F) {
	for i, b := range bodies {
		f.Add(i, []byte(b.seed))
	}
	f.Add(0, []byte(`{"dialect":"respondio","name":"a\ud800\u0000b","id_type":"custom","callback_url":"http://%zz"}`))
	f.Add(3, []byte(strings.Repeat("[", 20000)))
	f.Add(5, []byte(`{"name":"x","name":1,"max_wait":1e300}`))
	var w *world
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		if which < 0 || which >= len(bodies) {
			return
		}
		if w == nil || len(w.channels) > 500 {
			w = newWorld(t)
		}
		w.t = t
		got := w.call(adminToken, bodies[which].method, bodies[which].path, string(body))
		if got.status >= 500 {
			t.Fatalf("%d: %s", got.status, got.body)
		}
		if got.status >= 400 {
			got.want(got.status)
		}
		if len(got.body) > 0 && (!json.Valid(got.body) || !utf8.Valid(got.body)) {
			t.Fatalf("%d: %q is no JSON", got.status, got.body)
		}
		if got.status < 300 && bytes.Contains(bytes.ReplaceAll(got.body, []byte(`\\`), nil), []byte(`\u0000`)) {
			t.Fatalf("U+0000 was taken: %s", got.body)
		}
	})
}

// A key that is taken is of printable ASCII without blanks, and bounded.
func FuzzKey(f *testing.F) {
	for _, seed := range []string{"", "key-1", "a b", "\x7f", "\xff", strings.Repeat("k", maxKey), strings.Repeat("k", maxKey+1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		printable := key != "" && strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
		if got := validKey(key); got != (printable && len(key) <= maxKey) {
			t.Fatalf("%q: %t", key, got)
		}
	})
}
