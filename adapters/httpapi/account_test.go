package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// Ensure accounts are made by the admins of the default account, each with a
// first token, and see nothing of each other.
func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"name":"umbra","title":"Umbra Ltd"}`
	made := w.call(adminToken, "POST", "/v1/accounts", body, keyHeader, "k").want(201)
	umbra := made.field("token", "token")
	if made.header.Get("Location") != "/v1/accounts/umbra" || made.field("title") != "Umbra Ltd" || made.field("token", "role") != "admin" ||
		made.field("disabled") != "false" {
		t.Errorf("made %s", made.body)
	}
	if own := w.call(umbra, "GET", "/v1/account", "").want(200); own.field("name") != "umbra" {
		t.Errorf("own account: %s", own.body)
	}
	if l := w.call(adminToken, "GET", "/v1/accounts?limit=2", "").want(200); l.field("data", 0, "name") != "default" || l.field("next_cursor") == "<none>" {
		t.Errorf("accounts: %s", l.body)
	}
	w.call(umbra, "POST", "/v1/accounts", `{"name":"mine"}`).want(403)
	w.call(umbra, "PATCH", "/v1/accounts/umbra", `{"title":"x"}`).want(403)
	w.call(adminToken, "POST", "/v1/accounts", `{"name":"umbra"}`).want(409)
	w.call(adminToken, "POST", "/v1/accounts", `{"name":"default"}`).want(409)
	for _, name := range []string{"", "Umbra", "-a", "a-", "a.b", "ä", long(64)} {
		if p := w.call(adminToken, "POST", "/v1/accounts", `{"name":"`+name+`"}`).want(400).problem(); p.Errors[0].Field != "name" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	// The answer was not stored, as after a crash: the repeat finds the account and
	// gives its token another secret.
	clear(w.claims)
	again := w.call(adminToken, "POST", "/v1/accounts", body, keyHeader, "k").want(201)
	if again.field("token", "token") == umbra || len(w.Tokens("umbra")) != 1 {
		t.Errorf("a repeat: %s, %d tokens", again.body, len(w.Tokens("umbra")))
	}
	w.call(umbra, "GET", "/v1/account", "").want(401)
	umbra = again.field("token", "token")

	w.call(adminToken, "POST", "/v1/queues", `{"name":"Sales"}`).want(201)
	w.call(adminToken, "POST", "/v1/api-tokens", `{"name":"app","value":"kt_4f9a2c7be1d84c55"}`).want(201)
	channel := w.makeKit(adminToken, "")
	conversation := w.receive(channel, "u1", "e1", "hello")
	for _, path := range []string{"queues", "api-tokens", "channels", "conversations", "contacts", "tokens"} {
		if a := w.call(umbra, "GET", "/v1/"+path, "").want(200); strings.Contains(string(a.body), "Sales") || (path != "tokens" && a.field("data") != "[]") {
			t.Errorf("umbra lists %s: %s", path, a.body)
		}
	}
	w.call(umbra, "POST", "/v1/conversations/"+conversation+"/assign", `{"to":"unassigned"}`).want(404)
	w.call(umbra, "POST", "/v1/conversations/close", `{"channel_id":"`+channel+`"}`).want(422)
	// What umbra names must be umbra's.
	for body, field := range map[string]string{
		`"redirect":{"queue_id":1}`:                                         "redirect.queue_id",
		`"api_token_id":"` + w.APITokens(domain.DefaultAccount)[0].ID + `"`: "api_token_id",
		`"id":"` + channel + `"`:                                            "id",
		`"fallback_queue_id":1`:                                             "fallback_queue_id",
		`"skills":[{"skill_id":1,"level":1}],"redirect":{},"use_tags":true`: "skills[0].skill_id",
	} {
		a := w.call(umbra, "POST", "/v1/channels", `{"dialect":"voximplant","name":"a","callback_url":"https://cb.example.com",`+body+`}`)
		if a.status/100 != 4 || a.problem().Errors[0].Field != field {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	// A value may be the same in two accounts, and is another token.
	theirs := w.call(umbra, "POST", "/v1/channels",
		`{"dialect":"voximplant","name":"a","callback_url":"https://cb.example.com","api_token":"kt_4f9a2c7be1d84c55"}`).want(201)
	if id := theirs.field("api_token_id"); id == w.APITokens(domain.DefaultAccount)[0].ID || theirs.field("account_name") != "umbra" {
		t.Errorf("umbra's channel: %s", theirs.body)
	}

	if a := w.call(adminToken, "PATCH", "/v1/accounts/umbra", `{"disabled":true}`).want(200); a.field("disabled") != "true" || a.field("title") != "Umbra Ltd" {
		t.Errorf("disabled: %s", a.body)
	}
	w.call(adminToken, "PATCH", "/v1/accounts/umbra", `{"disabled":false,"title":""}`).want(200)
	w.call(adminToken, "PATCH", "/v1/accounts/default", `{"disabled":true}`).want(409)
	w.call(adminToken, "PATCH", "/v1/accounts/default", `{"title":"Us","disabled":false}`).want(200)
	w.call(adminToken, "PATCH", "/v1/accounts/nobody", `{"title":"x"}`).want(404)
	w.call(adminToken, "GET", "/v1/accounts/nobody", "").want(404)
}

// Ensure an API token shows its value to admins who ask for it, and to nobody
// else, and that revoking it is for ever.
func TestAPITokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(adminToken, "POST", "/v1/api-tokens", `{"name":"app","value":"kt_4f9a2c7be1d84c55"}`).want(201)
	id := made.field("id")
	if made.field("value") != "kt_4f9a2c7be1d84c55" || made.field("revoked_at") != "<none>" || made.header.Get("Location") != "/v1/api-tokens/"+id {
		t.Errorf("made %s", made.body)
	}
	if one := w.call(adminToken, "GET", "/v1/api-tokens/"+id, "").want(200); one.field("value") != "kt_4f9a2c7be1d84c55" {
		t.Errorf("read: %s", one.body)
	}
	for _, a := range []answer{
		w.call(readerToken, "GET", "/v1/api-tokens/"+id, ""), w.call(agentToken, "GET", "/v1/api-tokens/"+id, ""),
		w.call(adminToken, "GET", "/v1/api-tokens", ""),
	} {
		if strings.Contains(string(a.want(200).body), "kt_4f") {
			t.Errorf("value in %s", a.body)
		}
	}
	w.call(adminToken, "POST", "/v1/api-tokens", `{"name":"other","value":"kt_4f9a2c7be1d84c55"}`).want(409)
	for _, value := range []string{"short", long(256)} {
		if p := w.call(adminToken, "POST", "/v1/api-tokens", `{"name":"other","value":"`+value+`"}`).want(400).problem(); p.Errors[0].Field != "value" {
			t.Errorf("value %.10s: %+v", value, p)
		}
	}
	random := w.call(adminToken, "POST", "/v1/api-tokens", `{"name":"r"}`, keyHeader, "k").want(201)
	clear(w.claims) // as after a crash
	if again := w.call(adminToken, "POST", "/v1/api-tokens", `{"name":"r"}`, keyHeader, "k").want(201); again.field() != random.field() || len(random.field("value")) != 48 {
		t.Errorf("made %s, again %s", random.body, again.body)
	}
	for range 2 {
		w.call(adminToken, "DELETE", "/v1/api-tokens/"+id, "").want(204)
	}
	if one := w.call(adminToken, "GET", "/v1/api-tokens/"+id, "").want(200); one.field("revoked_at") == "<none>" || one.field("value") == "<none>" {
		t.Errorf("revoked: %s", one.body)
	}
	w.call(adminToken, "DELETE", "/v1/api-tokens/nobody", "").want(404)
	w.call(adminToken, "POST", "/v1/api-tokens", `{"name":"again","value":"kt_4f9a2c7be1d84c55"}`).want(201)
	if strings.Contains(w.logs.String(), "kt_4f") {
		t.Error("a value was logged")
	}
}

// Ensure a new key is taken at once and old ones go a day after they were
// superseded.
func TestRotateKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.call(adminToken, "POST", "/v1/keys/rotate", "").want(201).field("id")
	second := w.call(adminToken, "POST", "/v1/keys/rotate", `{"purpose":"login"}`, keyHeader, "k").want(201).field("id")
	clear(w.claims) // as after a crash
	if again := w.call(adminToken, "POST", "/v1/keys/rotate", `{"purpose":"login"}`, keyHeader, "k").want(201); again.field("id") != second {
		t.Errorf("a repeat made %s", again.body)
	}
	l := w.call(adminToken, "GET", "/v1/keys", "").want(200)
	if l.field("data", 0, "id") != second || l.field("data", 1, "id") != first || l.field("data", 0, "secret") != "<none>" || l.field("data", 0, "purpose") != "login" {
		t.Errorf("keys: %s", l.body)
	}
	w.set(func() { w.now = w.now.Add(23 * time.Hour) })
	third := w.call(adminToken, "POST", "/v1/keys/rotate", "").want(201).field("id")
	w.set(func() { w.now = w.now.Add(2 * time.Hour) })
	fourth := w.call(adminToken, "POST", "/v1/keys/rotate", "").want(201).field("id")
	var left []string
	for _, k := range w.SignKeys(domain.KeyLogin) {
		left = append(left, k.ID)
	}
	// The first was superseded 25 hours ago, the second two hours ago.
	if got, want := strings.Join(left, " "), strings.Join([]string{fourth, third, second}, " "); got != want {
		t.Errorf("left %s, want %s", got, want)
	}
	w.call(adminToken, "POST", "/v1/keys/rotate", `{"purpose":"conversation"}`).want(400)
}
