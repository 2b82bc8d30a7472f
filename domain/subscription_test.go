package domain

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Ensure an event belongs to the revision of its own time, whatever was said later.
func TestSubscription_Wants(t *testing.T) {
	t.Parallel()
	ch := Channel{ID: "c1", Account: "acme", Dialect: DialectRespondIO}
	s := Subscription{ID: "s1", Account: "acme"}
	step := func(r Revision, at time.Time) {
		if err := s.Revise(r, at); err != nil {
			t.Fatal(err)
		}
	}
	step(Revision{Events: []string{"message.*"}, Channel: "c1"}, noon)
	step(Revision{Events: []string{"message.*"}, Channel: "c1"}, noon.Add(time.Minute)) // says the same
	step(Revision{Events: []string{"conversation.closed"}}, noon.Add(time.Hour))
	step(Revision{Off: true}, noon.Add(2*time.Hour))
	step(Revision{}, noon.Add(2*time.Hour)) // within the same moment
	if len(s.Revisions) != 4 || s.Revisions[3].Since.Sub(s.Revisions[2].Since) != time.Millisecond {
		t.Fatalf("revisions %+v", s.Revisions)
	}
	hears := func(account, channel string, data Data, at time.Time) bool {
		e := ch.on("anna", at)
		e.Account, e.Channel, e.Data = account, channel, data
		return s.Wants(e)
	}
	own := DeliveryAttempted{Target: SubscriptionTarget("s2")}
	for name, c := range map[string]struct {
		account, channel string
		data             Data
		after            time.Duration
		want             bool
	}{
		"before it counts":            {"acme", "c1", MessageReceived{}, SubscriptionLead - time.Millisecond, false},
		"from when it counts":         {"acme", "c1", MessageReceived{}, SubscriptionLead, true},
		"another name":                {"acme", "c1", ReceiptRecorded{}, time.Minute, false},
		"another channel":             {"acme", "c2", MessageReceived{}, time.Minute, false},
		"another account":             {"umbra", "c1", MessageReceived{}, time.Minute, false},
		"what was chosen then":        {"acme", "c2", MessageReceived{}, time.Hour + time.Minute, false},
		"a name of then":              {"acme", "c2", ConversationClosed{}, time.Hour + time.Minute, true},
		"while it is off":             {"acme", "c1", ConversationClosed{}, 2*time.Hour + SubscriptionLead, false},
		"everything":                  {"acme", "c9", Unknown{Type: "thing.happened.v7"}, 3 * time.Hour, true},
		"everything but deliveries":   {"acme", "c1", DeliveryAttempted{}, 3 * time.Hour, false},
		"deliveries to subscriptions": {"acme", "c1", own, time.Minute, false},
	} {
		if got := hears(c.account, c.channel, c.data, noon.Add(c.after)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	step(Revision{Events: []string{"delivery.*"}}, noon.Add(4*time.Hour))
	if !hears("acme", "c1", DeliveryAttempted{}, noon.Add(5*time.Hour)) || hears("acme", "c1", own, noon.Add(5*time.Hour)) ||
		hears("acme", "c1", DeliveryRedriven{Target: own.Target}, noon.Add(5*time.Hour)) {
		t.Error("deliveries are not told as they were asked for")
	}
}

// Ensure a history ends somewhere, but that a subscription can always be ended.
func TestSubscription_MostRevisions(t *testing.T) {
	t.Parallel()
	s := Subscription{}
	for i := range MostRevisions {
		if err := s.Revise(Revision{Channel: strings.Repeat("c", i%2+1)}, noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Revise(Revision{Channel: "d"}, noon); CodeOf(err) != CodeConflict {
		t.Errorf("one more: %v", err)
	}
	if err := s.Revise(Revision{Off: true}, noon); err != nil || !s.Now().Off {
		t.Errorf("its end: %v", err)
	}
}

// Ensure a secret that was replaced signs for a day, and that there are never many.
func TestSubscription_Rotate(t *testing.T) {
	t.Parallel()
	s := Subscription{Secret: "0"}
	s.Rotate("1", noon)
	if got := strings.Join(s.Signing(noon.Add(SecretOverlap-time.Second)), ""); got != "10" {
		t.Errorf("signed by %s", got)
	}
	if got := strings.Join(s.Signing(noon.Add(SecretOverlap)), ""); got != "1" {
		t.Errorf("a day later signed by %s", got)
	}
	for _, secret := range []string{"2", "3", "4", "5"} {
		s.Rotate(secret, noon.Add(time.Hour))
	}
	if got := strings.Join(s.Signing(noon.Add(time.Hour)), ""); got != "5432" {
		t.Errorf("signed by %s", got)
	}
}

func TestSigningSecret(t *testing.T) {
	t.Parallel()
	made, err := NewSigningSecret(bytes.NewReader(make([]byte, 32)))
	if key, keyErr := SigningKey(made); err != nil || keyErr != nil || len(key) != 32 {
		t.Errorf("made %q: %v %v", made, err, keyErr)
	}
	for _, wrong := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!", "whsec_" + strings.Repeat("AAAA", 22)} {
		if _, err := SigningKey(wrong); CodeOf(err) != CodeInvalid {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// Ensure lanes and targets survive being put together and taken apart, whatever a
// contact is called, and that two channels' contacts of one name have a lane each.
func TestSubscription_Lane(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"anna", "a/b", "sub~x/y", "#1", "/"} {
		ch := Channel{ID: "c1", Account: "acme", Dialect: DialectRespondIO}
		r := Recorded{Event: ch.Receive(ref, "m1", noon, Content{Type: ContentText, Text: "hello"}, nil, noon)}
		d := Tell(r, "s1")
		target, _, _ := SplitStream(d.Lane())
		if id, ok := SubscriptionOf(target); !ok || id != "s1" || target != d.Target() || RefOfLane(d.Lane()) != ref || ChannelOf(target) != target {
			t.Errorf("%s: lane %s", ref, d.Lane())
		}
		other := d
		other.Channel = "c2"
		if other.Lane() == d.Lane() {
			t.Errorf("%s: two channels share the lane %s", ref, d.Lane())
		}
		told := d.Attempted(Outcome{Verdict: Delivered}, DeliveryPolicy{}, 0, false, noon, noon)
		if told.LaneOf() != d.Lane() || told.TargetOf() != d.Target() || RefOfLane(StreamOf("c1", ref)) != ref {
			t.Errorf("%s: its outcome is of lane %s", ref, told.LaneOf())
		}
	}
}

// Ensure an event is told as JSON whoever wrote it, and once however often it landed.
func TestTell(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{`{"a": 1}`: `{"a":1}`, `{`: `"{"`, "\xff": `"` + "\uFFFD" + `"`, `"\xff"`: `"\"` + `\\xff` + `\""`} {
		r := Recorded{Event: Event{ID: uuid.New(), Channel: "c1", ContactRef: "anna", Data: Unknown{Type: "x.y.v1", Raw: json.RawMessage(raw)}}}
		d := Tell(r, "s1")
		if got := string(d.Subject.Told.Data); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%q is told as %s, want %s", raw, got, want)
		}
		if d.ID != Tell(r, "s1").ID || d.ID == Tell(r, "s2").ID || d.ID == DeliveryID(r.ID) || d.MessageID != uuid.Nil {
			t.Errorf("delivery %s", d.ID)
		}
	}
	for stored, want := range map[string]string{"message.received.v1": "message.received", "a.v12": "a", "a.vb": "a.vb", "a.v": "a.v", "": ""} {
		if got := EventName(stored); got != want {
			t.Errorf("%q is named %q", stored, got)
		}
	}
}
