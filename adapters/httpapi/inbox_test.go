package httpapi

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

const inboxBody = `{"dialect":"channelx","name":"Bridge"`

// makeInbox makes a channel of dialect channelx over HTTP, with further settings,
// and gives the answer.
func (w *world) makeInbox(more string) answer {
	w.t.Helper()
	return w.call(adminToken, "POST", "/v1/channels", inboxBody+more+`}`).want(201)
}

// Ensure a channel of dialect channelx shows what its integration needs (channelx.md
// 3.2), its secrets only to admins and not in lists, and that each has its own.
func TestInboxChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.makeInbox("")
	id := made.field("id")
	for path, want := range map[string]string{
		"inbox_id": "1", "webhook_url": "https://parley.example.com", "callback_url": "", "rate_per_second": "0", "hmac_mandatory": "false",
		"lock_to_single_conversation": "false", "id_type": "<none>", "member_ids": "<none>", "api_token": "<none>", "use_tags": "<none>",
	} {
		if got := made.field(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	secrets := []string{made.field("hmac_token"), made.field("secret")}
	tokens := append([]string{made.field("inbox_identifier")}, secrets...)
	for _, token := range tokens {
		if len(token) != domain.TokenLength {
			t.Errorf("%q is no token", token)
		}
	}
	other := w.makeInbox("")
	tokens = append(tokens, other.field("inbox_identifier"), other.field("hmac_token"), other.field("secret"))
	slices.Sort(tokens)
	if len(slices.Compact(tokens)) != 6 || other.field("inbox_id") != "2" {
		t.Errorf("two inboxes share something: %s, %s", made.body, other.body)
	}
	for _, a := range []answer{
		w.call(readerToken, "GET", "/v1/channels/"+id, ""), w.call(agentToken, "GET", "/v1/channels/"+id, ""),
		w.call(adminToken, "GET", "/v1/channels", ""),
	} {
		for _, secret := range secrets {
			if strings.Contains(string(a.want(200).body), secret) {
				t.Errorf("a secret in %s", a.body)
			}
		}
	}
	shown := w.call(adminToken, "GET", "/v1/channels/"+id, "").want(200)
	if shown.field("secret") != secrets[1] || shown.field("hmac_token") != secrets[0] {
		t.Errorf("an admin sees %s", shown.body)
	}
	rotated := w.call(adminToken, "POST", "/v1/channels/"+id+"/rotate", "").want(200)
	if rotated.field("secret") == secrets[1] || len(rotated.field("secret")) != domain.TokenLength || rotated.field("hmac_token") != secrets[0] {
		t.Errorf("rotated: %s", rotated.body)
	}
	w.call(adminToken, "POST", "/v1/channels/"+id+"/rotate", `{"save_anyway":true}`).want(422)
	w.call(adminToken, "DELETE", "/v1/channels/"+id, "").want(204)
	w.call(adminToken, "GET", "/v1/channels/"+id, "").want(404)
}

// Ensure an inbox can be moved here from another installation unchanged, that what
// is taken is told, and that the counter goes on above what was brought along.
func TestInboxBroughtAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const own = `,"inbox_id":40,"inbox_identifier":"wQ7hK2mXv9TzR4sYb8LcNd31","hmac_token":"k9Yw2rTzQm4VbX7sLd1NcA5e","secret":"Zt6qWm3pXc8RfJ2hVd5KsB7n"` +
		`,"callback_url":"https://bridge.example.com/cx?key=1","hmac_mandatory":true,"lock_to_single_conversation":true`
	made := w.makeInbox(own)
	for path, want := range map[string]string{
		"inbox_id": "40", "inbox_identifier": "wQ7hK2mXv9TzR4sYb8LcNd31", "hmac_token": "k9Yw2rTzQm4VbX7sLd1NcA5e", "secret": "Zt6qWm3pXc8RfJ2hVd5KsB7n",
		"callback_url": "https://bridge.example.com/cx?key=1", "hmac_mandatory": "true", "lock_to_single_conversation": "true",
	} {
		if got := made.field(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for field, body := range map[string]string{
		"inbox_id": `,"inbox_id":40`, "inbox_identifier": `,"inbox_identifier":"wQ7hK2mXv9TzR4sYb8LcNd31"`,
	} {
		if p := w.call(adminToken, "POST", "/v1/channels", inboxBody+body+`}`).want(409).problem(); !strings.HasPrefix(p.Detail, field) {
			t.Errorf("%s: %s", field, p.Detail)
		}
	}
	if next, err := strconv.Atoi(w.makeInbox("").field("inbox_id")); err != nil || next <= 40 {
		t.Errorf("the next inbox is %d, %v", next, err)
	}
	again := w.call(adminToken, "POST", "/v1/channels", inboxBody+`,"inbox_id":90}`, "Idempotency-Key", "k1").want(201)
	if repeated := w.call(adminToken, "POST", "/v1/channels", inboxBody+`,"inbox_id":90}`, "Idempotency-Key", "k1").want(201); string(repeated.body) != string(again.body) {
		t.Errorf("repeated: %s, was %s", repeated.body, again.body)
	}
}

// Ensure the settings of an inbox are checked, changed one by one, and are no
// settings of other dialects.
func TestInboxSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(adminToken, "POST", "/v1/agents", `{"username":"petra"}`).want(201)
	w.call(adminToken, "POST", "/v1/agents", `{"username":"iva"}`).want(201)
	id := w.makeInbox(`,"member_ids":[2,1,2],"delivery":{"schedule":[]}`).field("id")
	path := "/v1/channels/" + id
	if got := w.call(readerToken, "GET", path, "").want(200); got.field("member_ids") != "[1 2]" || got.field("delivery", "schedule") != "[]" {
		t.Errorf("made: %s", got.body)
	}
	changed := w.call(adminToken, "PATCH", path,
		`{"member_ids":[],"hmac_mandatory":true,"secret":"a-secret-of-mine","callback_url":"https://bridge.example.com"}`).want(200)
	if changed.field("secret") != "a-secret-of-mine" || changed.field("hmac_mandatory") != "true" || changed.field("member_ids") != "<none>" ||
		changed.field("lock_to_single_conversation") != "false" || changed.field("name") != "Bridge" {
		t.Errorf("changed: %s", changed.body)
	}
	if cleared := w.call(adminToken, "PATCH", path, `{"callback_url":""}`).want(200); cleared.field("callback_url") != "" {
		t.Errorf("cleared: %s", cleared.body)
	}
	for body, c := range map[string]struct {
		status int
		field  string
	}{
		`,"member_ids":[1,9]`:                      {422, "member_ids[1]"},
		`,"callback_url":"bridge"`:                 {400, "callback_url"},
		`,"secret":"with spaces and more"`:         {400, "secret"},
		`,"inbox_identifier":"slash/in/it"`:        {400, "inbox_identifier"},
		`,"inbox_id":-1`:                           {400, "inbox_id"},
		`,"use_tags":true`:                         {422, "use_tags"},
		`,"id":"3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b"`: {422, "id"},
		`,"id_type":"phone"`:                       {400, "id_type"},
	} {
		if p := w.call(adminToken, "POST", "/v1/channels", inboxBody+body+`}`).want(c.status).problem(); len(p.Errors) != 1 || p.Errors[0].Field != c.field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if n := len(w.Channels("")); n != 1 {
		t.Errorf("%d channels: what was refused is there", n)
	}
	for _, field := range []string{`"inbox_id":3`, `"inbox_identifier":"abcdefgh"`, `"secret":"abcdefgh"`, `"hmac_token":"abcdefgh"`, `"hmac_mandatory":true`, `"member_ids":[]`, `"lock_to_single_conversation":true`} {
		w.call(adminToken, "POST", "/v1/channels", kitBody+`,`+field+`}`).want(422)
	}
	kit := w.makeKit(adminToken, "")
	w.call(adminToken, "PATCH", "/v1/channels/"+kit, `{"hmac_mandatory":true}`).want(422)
	w.call(adminToken, "PATCH", path, `{"use_tags":true}`).want(422)
	w.call(adminToken, "PATCH", path, `{"inbox_id":7}`).want(400)
	// A bound that only one of the dialects has.
	long := `"callback_url":"https://cb.example.com/` + strings.Repeat("x", 2010) + `"`
	w.call(adminToken, "PATCH", path, `{`+long+`}`).want(200)
	w.call(adminToken, "POST", "/v1/channels", `{"dialect":"respondio","name":"a","id_type":"phone",`+long+`}`).want(400)
}

// Ensure a test calls the callback, and that there must be one.
func TestInboxTest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := "/v1/channels/" + w.makeInbox("").field("id")
	if p := w.call(adminToken, "POST", path+"/test", "").want(409).problem(); !strings.HasPrefix(p.Detail, "callback_url") {
		t.Errorf("without a callback: %s", p.Detail)
	}
	w.call(adminToken, "PATCH", path, `{"callback_url":"https://bridge.example.com"}`).want(200)
	if a := w.call(adminToken, "POST", path+"/test", "").want(200); a.field("delivered") != "true" {
		t.Errorf("with one: %s", a.body)
	}
	w.probe = func(domain.Channel) (domain.Outcome, error) {
		return domain.Outcome{}, errors.New("nothing to be told")
	}
	w.call(adminToken, "POST", path+"/test", "").want(500)
}

// Ensure accounts have the numbers that integrations of channelx have in their
// addresses, and tokens the agents they act as.
func TestNumbersOfAccountsAndTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.call(readerToken, "GET", "/v1/account", "").want(200).field("number"); got != "1" {
		t.Errorf("the default account is %s", got)
	}
	made := w.call(adminToken, "POST", "/v1/accounts", `{"name":"acme","number":17}`).want(201)
	if made.field("number") != "17" {
		t.Errorf("brought along: %s", made.body)
	}
	for _, body := range []string{`{"name":"beta","number":17}`, `{"name":"beta","number":1}`} {
		if p := w.call(adminToken, "POST", "/v1/accounts", body).want(409).problem(); !strings.HasPrefix(p.Detail, "number") {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
	w.call(adminToken, "POST", "/v1/accounts", `{"name":"beta","number":-1}`).want(400)
	derived := w.call(adminToken, "POST", "/v1/accounts", `{"name":"beta"}`).want(201).field("number")
	if derived == "0" || derived == "1" {
		t.Errorf("one that follows from the name is %s", derived)
	}
	if got := w.call(adminToken, "PATCH", "/v1/accounts/beta", `{"number":18}`).want(200).field("number"); got != "18" {
		t.Errorf("changed to %s", got)
	}

	w.call(adminToken, "POST", "/v1/agents", `{"username":"petra"}`).want(201)
	token := w.call(adminToken, "POST", "/v1/tokens", `{"name":"desk","role":"agent","agent_id":1}`).want(201)
	listed := w.call(adminToken, "GET", "/v1/tokens", "").want(200)
	if token.field("agent_id") != "1" || !strings.Contains(string(listed.body), `"agent_id":1`) {
		t.Errorf("made %s, listed %s", token.body, listed.body)
	}
	if p := w.call(adminToken, "POST", "/v1/tokens", `{"name":"desk","role":"agent","agent_id":9}`).want(422).problem(); p.Errors[0].Field != "agent_id" {
		t.Errorf("an agent that is not there: %+v", p)
	}
}
