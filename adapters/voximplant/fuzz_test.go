package voximplant

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// storable tells whether every store can keep a text.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// No body makes the decoder panic; what it refuses is the sender's fault; what it
// takes can be written to the log and kept by every store.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		full, asPHP, minimal, says(`"text":"\ud83d\u0000","payload":[{"type":"x","n":1e999}]`), says(`"payload":[{"type":"location","latitude":"1","longitude":2}]`),
		says(`"payload":[{"type":"contact","number":5}]`), knows(`"utm":{"source":1},"location":{"latitude":""}`), with(`"m-1"`, `777`), with(`"e-1"`, "\"\xff\""), "[]", "",
	} {
		f.Add([]byte(seed))
	}
	ch := channel(acme, channelA)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		e, err := decode(body, ch, noon)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if domain.CodeOf(err) != domain.CodeInvalid || err.Error() == "" || e.Data != nil {
				t.Fatalf("%v, %+v", err, e)
			}
			return
		}
		d, ok := e.Data.(domain.MessageReceived)
		if !ok || !storable(e.ContactRef) || e.ContactRef == "" || len(e.ContactRef) > maxID || !storable(d.ExternalID) || !storable(d.Content.Text) {
			t.Fatalf("%+v", e)
		}
		raw, err := json.Marshal(e.Data)
		if err != nil || !utf8.Valid(raw) || bytes.Contains(bytes.ReplaceAll(raw, []byte(`\\`), nil), []byte(`\u0000`)) {
			t.Fatalf("%s: %v", raw, err)
		}
		stored, err := domain.DecodeData(e.Type(), raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if again, err := json.Marshal(stored); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("%s\nis kept as\n%s: %v", raw, again, err)
		}
	})
}

// The walker cuts the same members and elements out of valid JSON as
// encoding/json does, the last of doubled names alone, and reads the same texts
// but for U+0000.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{
		full, asPHP, `{"a":[1,"]",{"b":null}],"a":{}}`, ` [ { } , [ ] , "\\\"" , -1e5 ] `, `{"\u0061":1,"b\"}":true}`, `["\ud83d\ude00","\ud83d","\ude00\ud83d","\ud83d\u0041"]`,
		"[\"\xff\\n\xff\",\"\xe2\x82\"]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if json.Valid(text) {
			walk(t, bytes.TrimSpace(text), 0)
		}
	})
}

func walk(t *testing.T, v value, depth int) {
	t.Helper()
	if depth > 100 {
		return
	}
	if !json.Valid(v.kept()) {
		t.Fatalf("%s is kept as %s", v, v.kept())
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
		for name, raw := range want {
			name = strings.ReplaceAll(name, "\x00", "\uFFFD")
			if m, ok := got[name]; !ok || !bytes.Equal(m, raw) && len(got) == len(want) {
				t.Fatalf("%q is %s, want %s", name, m, raw)
			}
			walk(t, got[name], depth+1)
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
		want = strings.ReplaceAll(want, "\x00", "\uFFFD")
		if got, ok := v.text(); !ok || got != want || !storable(got) {
			t.Fatalf("%s is %q, want %q", v, got, want)
		}
	}
}

// No body of a login makes the reader panic, or gives a field that is too long.
func FuzzForm(f *testing.F) {
	for _, seed := range []struct{ kind, body string }{
		{"application/x-www-form-urlencoded", "channel_uuid=" + channelA + "&x=%zz&x=1;y"},
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"channel_uuid\"\r\n\r\n" + channelA + "\r\n--b--\r\n"},
		{"multipart/form-data", "--b\r\n"}, {"multipart/form-data; boundary=\"b", "--b\n\nx"}, {"application/json", `{"channel_uuid":"x","n":5,"a":[]}`}, {"", ` {"a":"b"}`}, {"x", "="},
	} {
		f.Add(seed.kind, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		fields, err := parseForm(kind, body)
		if err != nil {
			if domain.CodeOf(err) != domain.CodeInvalid || fields != nil {
				t.Fatalf("%v, %v", err, fields)
			}
			return
		}
		for name, s := range fields {
			if len(s) > 3*len(body) || strings.TrimSpace(s) != s {
				t.Fatalf("%q is %q", name, s)
			}
		}
	})
}

// No answer of a function makes the reader panic, or asks for what the domain
// would not take.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		`{"text":"hi","payload":[{"type":"properties","message_type":"text"},{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4,"queue_name":null},"skills":[{"skill_id":3,"level":5}],"priority":0},` +
			`{"type":"cmd","name":"bind_tags","tags":[5,8],"replace":false}],"variables":{"order":"A-17"}}`,
		commanded(`{"type":"cmd","name":"finish_request"},{"type":"cmd","name":"transfer_to_user","user":{"user_id":31}}`),
		commanded(`{"type":"custom_data","name":"n","data":{"a":1}},{"type":"cmd","name":"bind_tags","tags":["5"],"replace":"1"}`), `{"text":"\u0000\ud800"}`, `{}`, `OK`,
	} {
		f.Add([]byte(seed))
	}
	ch := channel(acme, channelA)
	c := &commands{newWorld(), slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseReply(body)
		if err != nil {
			return
		}
		reply := c.of(ch, r)
		if err := reply.Marks.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, e := range ch.Answer(domain.Answering{ContactRef: "u"}, reply, noon) {
			raw, err := json.Marshal(e.Data)
			if err != nil || !utf8.Valid(raw) {
				t.Fatalf("%s: %v", raw, err)
			}
			switch d := e.Data.(type) {
			case domain.MessageSent:
				if err := d.Content.Validate("", domain.LimitsOf(ch.Dialect)); err != nil {
					t.Fatal(err)
				}
			case domain.ConversationAssigned:
				if err := domain.ValidateSkills("skills", d.Skills); err != nil || d.Priority < 0 || d.Priority > domain.MaxPriority {
					t.Fatalf("%v, %+v", err, d)
				}
			}
		}
	})
}
