package respondio

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// No body makes the decoder panic; what it refuses is the sender's fault; what it
// takes can be written to the log and is one event an entry.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		ordinary,
		said(`{"type":"text","text":"hi"}`),
		said(`{"type":"location","latitude":"38.7","longtitude":-9}`),
		said(`{"type":"quick_reply","title":"t","replies":["a"]}`),
		said(`{"type":"attachment","attachment":{"type":"image","url":"https://example.com/a"}}`),
		enveloped(`{"type":"message_status","mId":7,"timestamp":"1767261600","status":{"value":"failed","message":"x"}}`),
	} {
		f.Add([]byte(seed))
	}
	channels := []domain.Channel{phoneChannel(), customChannel()}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		for _, ch := range channels {
			events, err := decode(body, "", ch, noon)
			if err != nil {
				if status := statusOf(domain.CodeOf(err)); status < 400 || status > 499 || err.Error() == "" || events != nil {
					t.Fatalf("%d, %v, %d events", status, err, len(events))
				}
				continue
			}
			if len(events) < 1 || len(events) > maxEvents {
				t.Fatalf("%d events", len(events))
			}
			for _, e := range events {
				raw, err := json.Marshal(e.Data)
				if err != nil || !utf8.Valid(raw) || e.Stream() == "" || bytes.Contains([]byte(e.ContactRef), []byte{0}) {
					t.Fatalf("%s: %v", raw, err)
				}
			}
		}
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
	})
}

// The walker cuts the same members and elements out of valid JSON as
// encoding/json does, the last of doubled names alone.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{ordinary, `{"a":[1,"]",{"b":null}],"a":{}}`, ` [ { } , [ ] , "\\\"" , -1e5 ] `, `{"\u0061":1,"b\"}":true}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) || !utf8.Valid(text) {
			return
		}
		walk(t, bytes.TrimSpace(text), 0)
	})
}

func walk(t *testing.T, v value, depth int) {
	t.Helper()
	if depth > 100 {
		return
	}
	switch {
	case v.is('{'):
		var want map[string]json.RawMessage
		if err := json.Unmarshal(v, &want); err != nil {
			t.Fatal(err)
		}
		got := map[string]value{}
		for name, m := range v.members() {
			got[string(name)] = m
		}
		if len(got) != len(want) {
			t.Fatalf("%d members of %s, want %d", len(got), v, len(want))
		}
		for name, m := range got {
			if !bytes.Equal(m, want[name]) {
				t.Fatalf("%q is %s, want %s", name, m, want[name])
			}
			walk(t, m, depth+1)
		}
	case v.is('['):
		var want []json.RawMessage
		if err := json.Unmarshal(v, &want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for i, e := range v.elements() {
			if i != n || i >= len(want) || !bytes.Equal(e, want[i]) {
				t.Fatalf("element %d of %s is %s", i, v, e)
			}
			walk(t, e, depth+1)
			n++
		}
		if n != len(want) {
			t.Fatalf("%d elements, want %d", n, len(want))
		}
	case v.is('"'):
		var want string
		if err := json.Unmarshal(v, &want); err != nil {
			t.Fatal(err)
		}
		if got, ok := v.text(); !ok || got != want {
			t.Fatalf("%s is %q, want %q", v, got, want)
		}
	}
}
