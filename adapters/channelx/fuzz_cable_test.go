package channelx

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// FuzzCommand: whatever frame a client sends, it is none, or names what it is about by
// the JSON of a text, which the answer repeats as it came.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{
		`{"command":"subscribe","identifier":"{\"channel\":\"RoomChannel\",\"pubsub_token\":\"x\"}"}`, `{"command":"message","identifier":"a","data":"{\"action\":\"update_presence\"}"}`,
		`{"command":"message","identifier":"a","data":{"action":"update_presence"}}`, `{"command":1,"identifier":{}}`, `{"identifier":"\ud800\u0000"}`, `[]`, `null`, ``, "{\"identifier\":\"\xff\"}",
		`{"identifier":"a","identifier":"b","data":"\"x\""}`, `{"identifier": "a" ,"data":[[[]]]}`, `{"command":"subscribe","identifier":"` + strings.Repeat(`\\`, 500) + `"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		c, ok := readCommand(frame)
		if !ok {
			return
		}
		var text string
		if err := json.Unmarshal(c.Identifier, &text); err != nil {
			t.Fatalf("%q names %q: %v", frame, c.Identifier, err)
		}
		if !json.Valid(answerFrame(c.Identifier, "confirm_subscription")) || !json.Valid(appendTold(nil, c.Identifier, []byte(`{}`))) {
			t.Fatalf("%q: an answer to %q is no JSON", frame, c.Identifier)
		}
		if !sameText(c.Identifier, c.Identifier) || sameText(c.Identifier, []byte(`{}`)) {
			t.Fatalf("%q is not itself", c.Identifier)
		}
		if again, err := json.Marshal(text); err != nil || !sameText(c.Identifier, again) {
			t.Fatalf("%q is not %q (%v)", c.Identifier, again, err)
		}
		if action := c.action(); !sound(strings.ReplaceAll(action, "\x00", "")) {
			t.Fatalf("%q asks for %q", frame, action)
		}
	})
}

// FuzzIdentifier: who may listen is named by a token of its length, and an operator by
// two numbers; everything else is nobody.
func FuzzIdentifier(f *testing.F) {
	token := strings.Repeat("t", domain.TokenLength)
	for _, s := range []string{
		`{"channel":"RoomChannel","pubsub_token":"` + token + `"}`, `{"channel":"RoomChannel","pubsub_token":"` + token + `","account_id":1,"user_id":"4"}`,
		`{"channel":"RoomChannel","pubsub_token":"` + token + `","account_id":9223372036854775808,"user_id":1e2}`, `{"channel":"RoomChannel","pubsub_token":"` + token + `","account_id":" 1 ","user_id":-4}`,
		`{"channel":"RoomChannel","pubsub_token":"` + token + `","account_id":null,"user_id":7}`, `{"channel":"OtherChannel"}`, `{"channel":"RoomChannel","pubsub_token":["x"]}`, ``, `null`, `[`, "\x00",
	} {
		f.Add(s, true)
	}
	f.Add(`{"channel":"RoomChannel"}`, false)
	f.Fuzz(func(t *testing.T, text string, quoted bool) {
		raw := []byte(text)
		if quoted {
			var err error
			if raw, err = json.Marshal(text); err != nil {
				t.Fatal(err)
			}
		}
		entry, ok := readIdentifier(raw)
		if !ok {
			return
		}
		if len(entry.token) != domain.TokenLength || entry.user < 0 || entry.account < 0 {
			t.Fatalf("%q is %+v", raw, entry)
		}
	})
}
