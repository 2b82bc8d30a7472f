package httpapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

const kitBody = `{"dialect":"voximplant","name":"Kit","callback_url":"https://cb.example.com/x"`

// Ensure a channel of dialect voximplant shows what its integration needs, and
// takes over what was brought along (voximplant-kit.md 2.2).
func TestKitChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(adminToken, "POST", "/v1/channels", kitBody+`}`).want(201)
	id := made.field("id")
	if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 4 || made.field("channel_uuid") != id {
		t.Errorf("id %s: %v", id, err)
	}
	for path, want := range map[string]string{
		"webhook_url": "https://parley.example.com/" + id, "account_name": "default", "close_after": "86400", "bot_close_after": "86400",
		"use_tags": "false", "disabled": "false", "skip_tls_verify": "false", "redirect": "<none>", "id_type": "<none>",
		"rate_per_second": "0", "topic_set_id": "<none>", "warnings": "<none>",
	} {
		if got := made.field(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if salt := made.field("security_salt"); len(salt) != 32 || strings.Trim(salt, "0123456789abcdef") != "" {
		t.Errorf("salt %s", salt)
	}
	token, _ := w.APIToken("default", made.field("api_token_id"))
	if token.Value != made.field("api_token") || token.Name != "Kit" || len(token.Value) != 48 {
		t.Errorf("token %+v, channel %s", token, made.body)
	}
	for _, a := range []answer{
		w.call(readerToken, "GET", "/v1/channels/"+id, ""), w.call(agentToken, "GET", "/v1/channels/"+id, ""),
		w.call(adminToken, "GET", "/v1/channels", ""),
	} {
		if body := string(a.want(200).body); strings.Contains(body, token.Value) || strings.Contains(body, made.field("security_salt")) {
			t.Errorf("a secret in %s", body)
		}
	}

	const own = `,"id":"3F0C8A52-6a1d-4c0e-9a77-0d6f4f1b2c33","api_token":"kt_4f9a2c7be1d84c55","security_salt":"b3f1c9d27a5e4f08"}`
	brought := w.call(adminToken, "POST", "/v1/channels", kitBody+own).want(201)
	if brought.field("id") != "3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33" || brought.field("api_token") != "kt_4f9a2c7be1d84c55" ||
		brought.field("security_salt") != "b3f1c9d27a5e4f08" {
		t.Errorf("brought along: %s", brought.body)
	}
	w.call(adminToken, "POST", "/v1/channels", kitBody+own).want(409)
	same := w.call(adminToken, "POST", "/v1/channels", kitBody+`,"api_token":"kt_4f9a2c7be1d84c55"}`).want(201)
	picked := w.call(adminToken, "POST", "/v1/channels", kitBody+`,"api_token_id":"`+same.field("api_token_id")+`"}`).want(201)
	if same.field("api_token_id") != brought.field("api_token_id") || picked.field("api_token") != "kt_4f9a2c7be1d84c55" {
		t.Errorf("the same token: %s, %s", same.body, picked.body)
	}
	if n := len(w.APITokens("default")); n != 2 {
		t.Errorf("%d API tokens", n)
	}
}

// Ensure the settings of a voximplant channel are checked by themselves (400) and
// beside what they name (422), when it is made and when it is changed, and that
// nothing is half stored.
func TestKitSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(adminToken, "POST", "/v1/queues", `{"name":"Sales","max_wait":300}`).want(201)
	w.call(adminToken, "POST", "/v1/queues", `{"name":"Night"}`).want(201)
	w.call(adminToken, "POST", "/v1/functions", `{"name":"hours","url":"https://bot.example.com"}`).want(201)
	w.call(adminToken, "POST", "/v1/topic-sets", `{"name":"a"}`).want(201)
	w.call(adminToken, "POST", "/v1/topic-sets", `{"name":"b"}`).want(201)
	revoked := w.call(adminToken, "POST", "/v1/api-tokens", `{"name":"old"}`).want(201).field("id")
	w.call(adminToken, "DELETE", "/v1/api-tokens/"+revoked, "").want(204)
	id := w.makeKit(adminToken, "")
	tokens := len(w.APITokens("default"))
	for _, c := range []struct {
		setting string
		status  int
		field   string
	}{
		{`"close_after":59`, 400, "close_after"},
		{`"close_after":604801`, 400, "close_after"},
		{`"bot_close_after":59`, 400, "bot_close_after"},
		{`"bot_close_after":604801`, 400, "bot_close_after"},
		{`"redirect":{"queue_id":1,"function_id":1}`, 400, "redirect"},
		{`"redirect":{"queue_id":9}`, 422, "redirect.queue_id"},
		{`"redirect":{"function_id":9}`, 422, "redirect.function_id"},
		{`"redirect":{"colour":9}`, 400, "redirect.colour"},
		{`"fallback_queue_id":9`, 422, "fallback_queue_id"},
		{`"topic_set_id":9`, 422, "topic_set_id"},
		{`"skills":[{"skill_id":9,"level":1}]`, 422, "skills[0].skill_id"},
		{`"skills":[{"skill_id":9,"level":0}]`, 400, "skills[0].level"},
		{`"redirect":{"queue_id":1},"close_after":300`, 422, "close_after"},
		{`"redirect":{"function_id":1},"fallback_queue_id":1,"close_after":300`, 422, "close_after"},
		{`"api_token_id":"nobody"`, 422, "api_token_id"},
		{`"api_token_id":"` + revoked + `"`, 422, "api_token_id"},
		{`"api_token":"short"`, 400, "api_token"},
		{`"security_salt":"` + long(256) + `"`, 400, "security_salt"},
		{`"id_type":"phone"`, 400, "id_type"},
	} {
		for method, path := range map[string]string{"POST": "/v1/channels", "PATCH": "/v1/channels/" + id} {
			body := kitBody + "," + c.setting + "}"
			if method == "PATCH" {
				body = "{" + c.setting + "}"
			}
			p := w.call(adminToken, method, path, body).want(c.status).problem()
			if len(p.Errors) == 0 || p.Errors[0].Field != c.field || p.Errors[0].In != "body" {
				t.Errorf("%s %s: %+v", method, c.setting, p)
			}
		}
	}
	for _, given := range []string{`"id":"x"`, `"channel_uuid":"{3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33}"`} {
		w.call(adminToken, "POST", "/v1/channels", kitBody+","+given+"}").want(400)
	}
	if len(w.channels) != 1 || len(w.APITokens("default")) != tokens {
		t.Errorf("%d channels, %d tokens more", len(w.channels), len(w.APITokens("default"))-tokens)
	}

	w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"redirect":{"queue_id":1},"close_after":301,"topic_set_id":1,"bot_close_after":60}`).want(200)
	// The other way round: the queue against the channels that use it.
	if p := w.call(adminToken, "PATCH", "/v1/queues/1", `{"max_wait":301}`).want(422).problem(); p.Errors[0].Field != "max_wait" || !strings.Contains(p.Detail, id) {
		t.Errorf("longer wait: %+v", p)
	}
	w.call(adminToken, "PATCH", "/v1/queues/1", `{"max_wait":0}`).want(200)
	w.call(adminToken, "PATCH", "/v1/queues/1", `{"max_wait":60}`).want(200)
	w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"close_after":60}`).want(422)
	changed := w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"close_after":604800,"topic_set_id":2,"use_tags":true,"disabled":true}`).want(200)
	for path, want := range map[string]string{
		"redirect": "map[queue_id:1]", "close_after": "604800", "bot_close_after": "60", "topic_set_id": "2", "use_tags": "true", "disabled": "true",
	} {
		if got := changed.field(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if none := w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"redirect":{}}`).want(200); none.field("redirect") != "<none>" {
		t.Errorf("without redirect: %s", none.body)
	}
}

// Ensure the other dialects have none of the settings of voximplant.
func TestKitSettingsElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.makeChannel(adminToken, "phone")
	for field, setting := range map[string]string{
		"redirect": `{}`, "fallback_queue_id": "0", "close_after": "60", "bot_close_after": "60", "use_tags": "true", "topic_set_id": "0",
		"skills": "[]", "api_token_id": `"x"`, "api_token": `"12345678"`, "security_salt": `"x"`, "save_anyway": "true",
		"skip_tls_verify": "true", "disabled": "false", "id": `"x"`, "channel_uuid": `"x"`,
	} {
		a := w.call(adminToken, "POST", "/v1/channels",
			fmt.Sprintf(`{"dialect":"ismessenger","name":"a","callback_url":"https://cb.example.com","id_type":"phone",%q:%s}`, field, setting))
		if a.status != 422 || a.problem().Errors[0].Field != field {
			t.Errorf("create with %s: %d %s", field, a.status, a.body)
		}
		a = w.call(adminToken, "PATCH", "/v1/channels/"+id, fmt.Sprintf(`{%q:%s}`, field, setting))
		if field != "id" && field != "channel_uuid" && (a.status != 422 || a.problem().Errors[0].Field != field) {
			t.Errorf("change of %s: %d %s", field, a.status, a.body)
		}
	}
	w.call(adminToken, "POST", "/v1/channels/"+id+"/rotate", `{"save_anyway":true}`).want(422)
	shown := string(w.call(adminToken, "GET", "/v1/channels/"+id, "").want(200).body)
	for _, field := range []string{"redirect", "close_after", "use_tags", "security_salt", "channel_uuid", "disabled", "account_name"} {
		if strings.Contains(shown, field) {
			t.Errorf("%s in %s", field, shown)
		}
	}
	conversation := w.receive(w.makeChannel(adminToken, "custom"), "u1", "e1", "hello")
	for body, field := range map[string]string{
		`{"type":"text","text":"a","agent_id":"petra"}`:                                             "agent_id",
		`{"type":"text","text":"a","sender":"bot"}`:                                                 "sender",
		`{"type":"text","text":"a","attachments":[{"type":"image","url":"https://x.example.com"}]}`: "attachments",
	} {
		if p := w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/messages", body).problem(); p.Status/100 != 4 || p.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/messages", `{"type":"text","text":"a","sender":"agent"}`).want(202)
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/marks", `{"variables":{"a":"b"}}`).want(409)
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/assign", `{"to":"queue","queue_id":1}`).want(400)
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/close", `{"agent_id":"petra"}`).want(422)
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/close", `{"reason":"bot"}`).want(202)
}

// Ensure the callback is checked whenever what it depends on is new, with the new
// values, and that a check that fails stores nothing unless that is wanted.
func TestKitCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var checked []domain.Channel
	outcome := domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, HTTPStatus: 200}
	w.probe = func(ch domain.Channel) (domain.Outcome, error) {
		checked = append(checked, ch)
		return outcome, nil
	}
	checks := func(want int, what string) {
		t.Helper()
		if len(checked) != want {
			t.Errorf("%s: %d checks, want %d", what, len(checked), want)
		}
		checked = nil
	}
	made := w.call(adminToken, "POST", "/v1/channels", kitBody+`,"api_token":"kt_4f9a2c7be1d84c55","security_salt":"b3f1c9d27a5e4f08"}`).want(201)
	path := "/v1/channels/" + made.field("id")
	if len(checked) == 1 && (checked[0].Credentials != domain.Credentials{APIToken: "kt_4f9a2c7be1d84c55", Salt: "b3f1c9d27a5e4f08"}) {
		t.Errorf("checked with %+v", checked[0].Credentials)
	}
	checks(1, "create")
	w.call(adminToken, "PATCH", path, `{"name":"Other","close_after":60,"callback_url":"https://cb.example.com/x","security_salt":"b3f1c9d27a5e4f08","api_token":"kt_4f9a2c7be1d84c55"}`).want(200)
	checks(0, "nothing new that it depends on")
	w.call(adminToken, "PATCH", path, `{"api_token":"kt_NEW_91c0d2"}`).want(200)
	if len(checked) == 1 && checked[0].Credentials.APIToken != "kt_NEW_91c0d2" {
		t.Errorf("checked with %+v", checked[0].Credentials)
	}
	checks(1, "another token")
	salt := w.call(adminToken, "POST", path+"/rotate", "").want(200).field("security_salt")
	if salt == "b3f1c9d27a5e4f08" || (len(checked) == 1 && checked[0].Credentials.Salt != salt) {
		t.Errorf("rotated to %s, checked %+v", salt, checked)
	}
	checks(1, "rotate")
	w.call(adminToken, "POST", path+"/test", "").want(200)
	checks(1, "test")

	outcome = domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 500, Detail: "no luck"}
	before, tokens := w.call(adminToken, "GET", path, "").want(200), len(w.APITokens("default"))
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/v1/channels", kitBody + `}`},
		{"PATCH", path, `{"name":"x","callback_url":"https://cb.example.com/y"}`},
		{"PATCH", path, `{"security_salt":"other"}`},
		{"PATCH", path, `{"api_token":"kt_third_111111"}`},
		{"POST", path + "/rotate", ""},
	} {
		p := w.call(adminToken, r.method, r.path, r.body).want(422).problem()
		if p.Errors[0].Field != "callback_url" || !strings.Contains(p.Detail, "500") || !strings.Contains(p.Detail, "no luck") {
			t.Errorf("%s %s: %+v", r.method, r.body, p)
		}
	}
	if after := w.call(adminToken, "GET", path, "").want(200); after.field() != before.field() || len(w.channels) != 1 || len(w.APITokens("default")) != tokens {
		t.Errorf("before %s, after %s, %d channels", before.body, after.body, len(w.channels))
	}
	outcome = domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonUnreachable, Detail: "dial tcp: connection refused"}
	if p := w.call(adminToken, "POST", "/v1/channels", kitBody+`}`).want(422).problem(); !strings.Contains(p.Detail, "connection refused") {
		t.Errorf("network cause: %+v", p)
	}
	checked = nil
	w.call(adminToken, "POST", "/v1/channels", kitBody+`,"save_anyway":true}`).want(201)
	w.call(adminToken, "PATCH", path, `{"callback_url":"https://cb.example.com/y","save_anyway":true}`).want(200)
	w.call(adminToken, "POST", path+"/rotate", `{"save_anyway":true}`).want(200)
	checks(0, "save_anyway")
	w.probe = func(domain.Channel) (domain.Outcome, error) { return domain.Outcome{}, errors.New("no prober") }
	w.call(adminToken, "POST", "/v1/channels", kitBody+`}`).want(500)
}

// Ensure a repeat under an idempotency key finds the channel and the token that
// were made, wherever the first request was cut off.
func TestKitChannelRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.call(adminToken, "POST", "/v1/channels", kitBody+`}`, keyHeader, "k").want(201)
	if id := uuid.MustParse(first.field("id")); id.Version() != 4 {
		t.Errorf("id %s", id)
	}
	clear(w.claims)
	if again := w.call(adminToken, "POST", "/v1/channels", kitBody+`}`, keyHeader, "k").want(201); again.field() != first.field() {
		t.Errorf("first %s, again %s", first.body, again.body)
	}
	delete(w.channels, first.field("id")) // as if it had died after the token
	clear(w.claims)
	again := w.call(adminToken, "POST", "/v1/channels", kitBody+`}`, keyHeader, "k").want(201)
	if again.field("id") != first.field("id") || again.field("api_token_id") != first.field("api_token_id") || len(w.APITokens("default")) != 1 {
		t.Errorf("first %s, again %s", first.body, again.body)
	}
}

// Ensure a channel says what is wrong with it as it stands (voximplant-kit.md 8.4).
func TestKitWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(adminToken, "POST", "/v1/channels", kitBody+`}`).want(201)
	path := "/v1/channels/" + made.field("id")
	w.refusal = func(channel string) (time.Time, int, bool, error) {
		return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), 401, channel == made.field("id"), nil
	}
	want := "[signature refused: the callback answered 401 at 2026-03-01T09:00:00Z]"
	if one := w.call(readerToken, "GET", path, "").want(200); one.field("warnings") != want {
		t.Errorf("warnings: %s", one.body)
	}
	w.call(adminToken, "DELETE", "/v1/api-tokens/"+made.field("api_token_id"), "").want(204)
	w.refusal = func(string) (time.Time, int, bool, error) {
		return time.Time{}, 0, false, errors.New("the database is away")
	}
	if one := w.call(readerToken, "GET", path, "").want(200); !strings.Contains(one.field("warnings"), "revoked") {
		t.Errorf("warnings: %s", one.body)
	}
}
