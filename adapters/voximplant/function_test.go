package voximplant

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// asked is a delivery to the function, of a conversation that it handles.
func asked(c domain.Content) domain.Delivery {
	handled := noon.Add(time.Second)
	return domain.Delivery{
		ID: uuid.MustParse("11111111-2222-5333-8444-555555555555"), Kind: domain.DeliverFunction, Account: acme, Channel: channelA,
		Dialect: domain.DialectVoximplant, ContactRef: "u-20417", Conversation: domain.ConversationID(channelA, "u-20417"), Content: c,
		Subject: domain.Subject{Function: 12, Inbound: domain.EventMessageID(channelA, "u-20417", "e-1", "m-1"), Episode: &domain.Episode{
			Number: 2, Open: true, Handler: domain.HandlerBot, Function: 12, OpenedAt: noon, HandledAt: &handled, Tags: []int64{5, 8},
			Variables: domain.Texts{"order": "A-17"}, Profile: domain.Profile{DisplayName: "Jana Novak", Phone: "+420601000111"},
			Messages: 7, StartsWith: 5, Inbound: domain.EventMessageID(channelA, "u-20417", "e-1", "m-1"), InboundAt: noon.Add(1500 * time.Millisecond),
			Handling: domain.DeriveID("handling"),
		}},
	}
}

// Ensure the headers and the body of section 7, byte for byte, with the secrets of
// the channel in neither.
func TestFunctionCall(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.keys = []domain.SignKey{{ID: "k", Purpose: domain.KeyConversation, Secret: []byte(strings.Repeat("k", 32))}}
	o, ch := outbound(w), channel(acme, channelA)
	d := asked(domain.Content{Type: domain.ContentText, Text: "Are these <in> stock?", Attachments: []domain.Item{
		{Type: domain.ItemImage, URL: "https://x.example/p.jpg"}, {Type: domain.ItemUnsupported, Raw: json.RawMessage(`{"type":"cmd"}`)},
		{Type: domain.ItemContact, Name: "n", Number: "1"},
	}})
	call, err := o.Request(ch, d)
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := o.veil.hide(t.Context(), d.Conversation)
	if err != nil {
		t.Fatal(err)
	}
	const request = `"id":207506074824220,"conversation_id":5297459701281349,"start_sequence":5,"end_sequence":7,"start_time":"2026-01-01T12:00:00Z",` +
		`"handling_start_time":"2026-01-01T12:00:01Z","end_time":"2026-01-01T12:00:01Z","completed":false`
	want := `{"id":4074279536527724,"text":"Are these <in> stock?","type":"custom","sender":{"is_bot":false},"conversation":{"id":5297459701281349,"uuid":"` + hidden.String() +
		`","client_id":"u-20417","custom_data":{"client_data":{"client_id":"u-20417","client_phone":"+420601000111","client_avatar":"","client_display_name":"Jana Novak"},` +
		`"conversation_data":{"last_message_text":"Are these <in> stock?","last_message_time":1767268801,"channel_type":"custom","last_message_sender_type":"client","is_read":false},` +
		`"request_data":{` + request + `,"variables":{"order":"A-17"},"tags":[5,8]}},"current_status":"processed_by_function","current_request":{` + request +
		`},"channel":{"id":7722159334162510,"channel_uuid":"` + channelA + `","channel_type":"custom","processing_method":"function","processing_function":12},"customer_id":7361503300912770},` +
		`"payload":[{"type":"properties","sender_type":"client"},{"type":"photo","file_name":"p.jpg","file_url":"https://x.example/p.jpg"},{"type":"contact","name":"n","number":"1","avatar":""}],` +
		`"customer":{"id":7361503300912770,"customer_display_name":"Jana Novak","customer_details":"","customer_photo":"","customer_phones":[],` +
		`"customer_client_ids":[{"client_id":"u-20417","client_type":"custom"}],"customer_external_id":"","customer_emails":[]},"HasMedia":true}`
	if diff := cmp.Diff(want, string(call.Body)); diff != "" {
		t.Error(diff)
	}
	headers := []domain.Header{
		{Name: "Content-Type", Value: "application/json"}, {Name: "x-kit-event-type", Value: "incoming_message"},
		{Name: "x-kit-access-token", Value: "ptok"}, {Name: "x-kit-api-url", Value: "kit.example.com:8443/base"},
		{Name: "x-kit-domain", Value: acme}, {Name: "x-kit-function-id", Value: "12"},
	}
	if diff := cmp.Diff(headers, call.Headers); diff != "" || call.Method != http.MethodPost || call.URL != w.function.URL || call.Timeout != callTimeout || call.SkipTLSVerify {
		t.Errorf("%+v\n%s", call, diff)
	}
	if body := string(call.Body); strings.Contains(body, theSalt) || strings.Contains(body, theToken) || strings.Contains(body, d.Conversation.String()) {
		t.Errorf("a secret is told: %s", body)
	}
	ids, err := o.veil.reveal(hidden)
	if err != nil || len(ids) != 1 || ids[0] != d.Conversation {
		t.Errorf("leads back to %v, %v", ids, err)
	}
}

// Ensure arrays and objects are there when they are empty, and the numbers of
// section 7 are ones that every reader holds.
func TestFunctionCallEmpty(t *testing.T) {
	t.Parallel()
	o := outbound(newWorld())
	d := asked(domain.Content{Type: domain.ContentText})
	d.Subject.Episode.Tags, d.Subject.Episode.Variables, d.Subject.Episode.HandledAt = nil, nil, nil
	call, err := o.Request(channel(acme, channelA), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"variables":{},"tags":[]`, `"payload":[{"type":"properties","sender_type":"client"}]`, `"HasMedia":false`, `"text":""`} {
		if !strings.Contains(string(call.Body), part) {
			t.Errorf("no %s in %s", part, call.Body)
		}
	}
	for range 1000 {
		if n := numberOf(uuid.New()); n < 1 || n >= 1<<53 {
			t.Fatal(n)
		}
	}
	if numberOf(uuid.Nil) != 1 {
		t.Error("zero is no number")
	}
}

// Ensure a function that is gone, a delivery that is not whole and a key that
// cannot be made are errors.
func TestFunctionCallRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld()
	o, d := outbound(w), asked(domain.Content{})
	d.Subject.Function = 13
	if _, err := o.Request(channel(acme, channelA), d); domain.CodeOf(err) != domain.CodeNotFound {
		t.Error(err)
	}
	d = asked(domain.Content{})
	d.Subject.Episode = nil
	if _, err := o.Request(channel(acme, channelA), d); err == nil {
		t.Error("no episode")
	}
	w.noKeys = errors.New("away")
	if _, err := o.Request(channel(acme, channelA), asked(domain.Content{})); !errors.Is(err, w.noKeys) {
		t.Error(err)
	}
}

// shown is what events of a reply come down to.
func shown(events []domain.Event) string {
	var out []string
	for _, e := range events {
		raw, err := json.Marshal(e.Data)
		if err != nil {
			return err.Error()
		}
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil {
			return err.Error()
		}
		for _, same := range []string{"conversation_id", "contact_id", "message_id", "terms", "seen", "handling", "seen_inbound", "by", "author"} {
			delete(m, same)
		}
		raw, err = json.Marshal(m)
		if err != nil {
			return err.Error()
		}
		out = append(out, strings.TrimSuffix(e.Type(), ".v1")+string(raw))
	}
	return strings.Join(out, " ")
}

const (
	saidHi   = `message.sent{"content":{"text":"hi","type":"text"},"sender":{"bot":true,"display_name":"Bot","id":0,"username":""}}`
	fallback = `conversation.assigned{"queue":5,"to":"queue","wait_s":90}`
)

func commanded(items string) string { return `{"text":null,"payload":[` + items + `]}` }

// Ensure a function's reply does what the table of section 7 says.
func TestReplies(t *testing.T) {
	t.Parallel()
	toQueue := `conversation.assigned{"queue":4,"to":"queue","wait_s":60}`
	for body, want := range map[string]string{
		`{}`: "",
		`{"text":null,"payload":null,"variables":null}`: "",
		`{"text":"","payload":[],"variables":{}}`:       "",
		`{"text":"hi"}`: saidHi,
		`{"text":"h\u0069","payload":{},"variables":[]}`:      saidHi,
		`{"text":{},"payload":["x",null,5,[]]}`:               "",
		`{"text":7}`:                                          strings.Replace(saidHi, `"hi"`, `"7"`, 1),
		commanded(`{"type":"properties","message_type":"x"}`): "",
		commanded(`{"type":"cmd","name":"dance"},{"type":"sticker"},{"name":"finish_request"},{"type":null}`):                                                                                              "",
		commanded(`{"type":"cmd","name":"finish_request"}`):                                                                                                                                                `conversation.closed{"reason":"bot"}`,
		`{"payload":[{"type":"cmd","name":"finish_request"}],"text":"hi"}`:                                                                                                                                 saidHi + ` conversation.closed{"reason":"bot"}`,
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4,"queue_name":null}}`):                                                                                                    toQueue,
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":"4"}}`):                                                                                                                    toQueue,
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":null,"queue_name":"line"}}`):                                                                                               toQueue,
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":0,"queue_name":"line"}}`):                                                                                                  toQueue,
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_name":""}}`):                                                                                                                   "",
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":9,"queue_name":"line"}}`):                                                                                                  "",
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_name":"Line"}}`):                                                                                                               "",
		commanded(`{"type":"cmd","name":"transfer_to_queue"}`):                                                                                                                                             "",
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":7}`):                                                                                                                                   "",
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4},"skills":[],"priority":0}`):                                                                                             toQueue,
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4},"priority":-3}`):                                                                                                        toQueue,
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4},"skills":"x","priority":"x"}`):                                                                                          toQueue,
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":9}},{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4}}`):                                                     toQueue,
		commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4},"skills":[{"skill_id":3,"level":5},{"skill_id":9,"level":1},{"skill_id":3,"level":6},{"skill_id":3},5],"priority":99}`): `conversation.assigned{"priority":10,"queue":4,"skills":[{"level":5,"skill_id":3}],"to":"queue","wait_s":60}`,
		commanded(`{"type":"cmd","name":"transfer_to_user","user":{"user_id":31,"user_email":null}}`):                                                                                                      `conversation.assigned{"agent_id":"31","to":"agent"}`,
		commanded(`{"type":"cmd","name":"transfer_to_user","user":{"user_email":"Petra@ACME.example"}}`):                                                                                                   `conversation.assigned{"agent_id":"31","to":"agent"}`,
		commanded(`{"type":"cmd","name":"transfer_to_user","user":{"user_id":32,"user_email":"petra@acme.example"}}`):                                                                                      "",
		commanded(`{"type":"cmd","name":"transfer_to_user","user":{"user_email":""}}`):                                                                                                                     "",
		commanded(`{"type":"cmd","name":"bind_tags","tags":[5,8],"replace":false}`):                                                                                                                        `conversation.marked{"tags":[5,8]}`,
		commanded(`{"type":"cmd","name":"bind_tags","tags":["5",9,"x",null],"replace":true}`):                                                                                                              `conversation.marked{"replace_tags":true,"tags":[5]}`,
		commanded(`{"type":"cmd","name":"bind_tags","tags":[],"replace":"true"}`):                                                                                                                          `conversation.marked{"replace_tags":true}`,
		commanded(`{"type":"cmd","name":"bind_tags","tags":[5]},{"type":"cmd","name":"bind_tags","tags":[8],"replace":1},{"type":"cmd","name":"bind_tags","tags":[5]}`):                                    `conversation.marked{"replace_tags":true,"tags":[8,5]}`,
		commanded(`{"type":"cmd","name":"bind_tags","tags":{},"replace":true},{"type":"cmd","name":"bind_tags","tags":[9]}`):                                                                               "",
		commanded(`{"type":"custom_data","name":"a","data":"{\"b\":1}"},{"type":"custom_data","name":"c","data":{"d":[1]}},{"type":"custom_data","name":"","data":"x"},{"type":"custom_data","name":"e"}`): `conversation.marked{"custom_data":{"a":"{\"b\":1}","c":"{\"d\":[1]}"}}`,
		commanded(`{"type":"custom_data","name":"big","data":"` + a(domain.MaxMarksBytes) + `"}`):                                                                                                          "",
		`{"variables":{"order":"A-17","n":5,"no":null,"list":[]}}`:                                                                                                                                         `conversation.marked{"variables":{"n":"5","order":"A-17"}}`,
		`{"variables":{"big":"` + a(domain.MaxMarksBytes) + `"},"text":"hi"}`:                                                                                                                              saidHi,
		`{"text":"hi","variables":{"v":"\u0000"},"payload":[{"type":"cmd","name":"bind_tags","tags":[8]},{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4}}]}`:                               `conversation.marked{"tags":[8],"variables":{"v":"` + "\uFFFD" + `"}} ` + saidHi + " " + toQueue,
	} {
		o, d := outbound(newWorld()), asked(domain.Content{})
		answer := domain.Answer{Status: 200, Body: []byte(body)}
		out := o.Outcome(d, answer, noon)
		if out.Verdict != domain.Delivered {
			t.Errorf("%s: %+v", body, out)
		}
		events := o.Replies(channel(acme, channelA), d, answer, out, noon)
		if got := shown(events); got != want {
			t.Errorf("%.300s\ngives %s\nwant  %s", body, got, want)
		}
		again := o.Replies(channel(acme, channelA), d, answer, out, noon)
		for i, e := range events {
			if e.Stream() != domain.StreamOf(d.Channel, d.ContactRef) || again[i].ID != e.ID {
				t.Errorf("%s: %+v", body, e)
			}
		}
	}
}

// Ensure a function's close and transfer are void once the conversation has moved
// on, and its text is cut to what can be sent.
func TestReplyBounds(t *testing.T) {
	t.Parallel()
	o, d := outbound(newWorld()), asked(domain.Content{})
	reply := func(body string) []domain.Event {
		answer := domain.Answer{Status: 200, Body: []byte(body)}
		return o.Replies(channel(acme, channelA), d, answer, o.Outcome(d, answer, noon), noon)
	}
	if e, ok := reply(commanded(`{"type":"cmd","name":"finish_request"}`))[0].Data.(domain.ConversationClosed); !ok || e.SeenInbound != d.Subject.Inbound {
		t.Errorf("%+v", e)
	}
	moved, ok := reply(commanded(`{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4}}`))[0].Data.(domain.ConversationAssigned)
	if !ok || moved.Handling != d.Subject.Episode.Handling || moved.Terms == nil {
		t.Errorf("%+v", moved)
	}
	long, ok := reply(`{"text":"` + strings.Repeat("ü", 70_000) + `"}`)[0].Data.(domain.MessageSent)
	if !ok || long.Content.Validate("", domain.LimitsOf(domain.DialectVoximplant)) != nil {
		t.Errorf("%d bytes", len(long.Content.Text))
	}
	if events := reply(commanded(strings.Repeat(`{},`, maxCommands) + `{"type":"cmd","name":"finish_request"}`)); len(events) != 0 {
		t.Errorf("%d events", len(events))
	}
}

// Ensure a function that fails hands the conversation over, where the channel says
// to whom.
func TestFunctionFails(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]domain.Answer{
		"timeout": {Fault: domain.ReasonTimeout}, "unreachable": {Fault: domain.ReasonUnreachable}, "gone": {Fault: domain.ReasonInternal},
		"404": {Status: 404}, "500": {Status: 500, Body: []byte(`{"text":"hi"}`)}, "503": {Status: 503, RetryAfter: "5"}, "302": {Status: 302}, "429": {Status: 429},
		"204": {Status: 204}, "no JSON": {Status: 200, Body: []byte("OK")}, "an array": {Status: 200, Body: []byte("[]")},
		"endless": {Status: 200, Body: []byte(`{"text":"hi"}`), Truncated: true}, "cut": {Status: 200, Body: []byte(`{"text":"hi"`)},
	} {
		w := newWorld()
		o, d, ch := outbound(w), asked(domain.Content{}), channel(acme, channelA)
		out := o.Outcome(d, answer, noon)
		if out.Verdict != domain.Refused || out.Reason == domain.ReasonOK || out.Detail == "" && answer.Fault == "" {
			t.Errorf("%s: %+v", name, out)
		}
		if got := shown(o.Replies(ch, d, answer, out, noon)); got != fallback {
			t.Errorf("%s gives %s", name, got)
		}
		ch.Desk.FallbackQueue = 0
		if got := o.Replies(ch, d, answer, out, noon); len(got) != 0 {
			t.Errorf("%s without a fallback gives %s", name, shown(got))
		}
		ch.Desk.FallbackQueue = 77 // deleted
		if got := o.Replies(ch, d, answer, out, noon); len(got) != 0 {
			t.Errorf("%s with a fallback that is gone gives %s", name, shown(got))
		}
	}
	o := outbound(newWorld())
	if got := o.Replies(channel(acme, channelA), delivery(domain.DeliverMessage, domain.Content{}, domain.Subject{}), domain.Answer{Status: 400}, domain.Outcome{Verdict: domain.Refused}, noon); got != nil {
		t.Errorf("a message that is refused gives %s", shown(got))
	}
}
