package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The fixtures of section 9 of voximplant-kit.md.
const (
	kitToken   = "kt_4f9a2c7be1d84c55"
	kitSalt    = "b3f1c9d27a5e4f08"
	kitChannel = "3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33"
	kitOther   = "aa11bb22-cc33-4d44-8e55-ff6677889900" // of the account umbra
	kitClient  = "u-20417"

	kitLogin   = "/api/v3/botService/login"
	kitRefresh = "/api/v3/botService/refreshToken"
)

// TestVoximplant is section 9 of voximplant-kit.md, case by case, against a
// running Parley over HTTP alone: what integrations post goes to the paths of
// the dialect, what they are sent comes to stub servers that verify each
// signature, and the effects are read from the platform API. Every case has
// channels of its own; those that move the clock have a Parley of their own.
func TestVoximplant(t *testing.T) {
	t.Parallel()
	s := newKit(t)
	for _, list := range [][]kitCase{
		kitTimerCases, kitDeliveryCases, kitLoginCases, kitInboundCases, kitCheckCases, kitEventCases, kitSettingsCases,
	} {
		for _, c := range list {
			t.Run("case_"+c.number, func(t *testing.T) {
				t.Parallel()
				c.run(t, s)
			})
		}
	}
}

// kitCase is one numbered case.
type kitCase struct {
	number string
	run    func(*testing.T, *kit)
}

// kit is a Parley with the fixtures.
type kit struct {
	parley      *parley
	client      *http.Client
	acme, umbra *kitAccount
	fixture     *kitChan     // kitChannel
	serial      atomic.Int64 // makes names that nothing else has
}

// newKit starts a Parley and makes the fixtures.
func newKit(t *testing.T, options ...option) *kit {
	t.Helper()
	return kitOf(t, startParley(t, options...))
}

// kitOf makes the fixtures on a Parley.
func kitOf(t *testing.T, p *parley) *kit {
	t.Helper()
	s := &kit{
		parley: p,
		client: &http.Client{
			Timeout:       30 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	t.Cleanup(s.client.CloseIdleConnections)
	s.acme, s.umbra = s.account(t, "acme"), s.account(t, "umbra")
	s.fixture = s.acme.channel(t, object{"id": kitChannel})
	s.umbra.channel(t, object{"id": kitOther})
	return s
}

// kitAccount is an account with what its channels need.
type kitAccount struct {
	suite       *kit
	name, token string
	queue       int64 // nobody who is ready serves it
	petra       int64 // an agent who is not ready
}

// account makes an account with a queue, an agent and the API token.
func (s *kit) account(t *testing.T, name string) *kitAccount {
	t.Helper()
	got := s.do(t, http.MethodPost, "/v1/accounts", map[string]string{"Authorization": "Bearer " + s.parley.Token}, encode(t, object{"name": name}))
	var made struct {
		Token struct {
			Token string `json:"token"`
		} `json:"token"`
	}
	if err := json.Unmarshal(got.raw, &made); err != nil || got.status != http.StatusCreated || made.Token.Token == "" {
		t.Fatalf("create account %s: %d %s", name, got.status, got.raw)
	}
	a := &kitAccount{suite: s, name: name, token: made.Token.Token}
	a.queue = a.makes(t, "queues", object{"name": "line"})
	a.petra = a.makes(t, "agents", object{
		"username": "petra", "display_name": "Petra Mala", "email": "petra@acme.example", "avatar": "https://desk.acme.example/avatars/31.png",
		"ready": false, "queues": []int64{a.queue},
	})
	return a
}

// makes creates something that the account numbers, and gives its number.
func (a *kitAccount) makes(t *testing.T, what string, body object) int64 {
	t.Helper()
	var made struct {
		ID int64 `json:"id"`
	}
	a.must(t, http.MethodPost, "/v1/"+what, body, http.StatusCreated, &made)
	if made.ID <= 0 {
		t.Fatalf("%s of number %d", what, made.ID)
	}
	return made.ID
}

// do makes a request. headers are set as they are spelt.
func (s *kit) do(t *testing.T, method, path string, headers map[string]string, body string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.parley.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header[name] = []string{value}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Header, raw}
}

// api makes a request to the platform API.
func (a *kitAccount) api(t *testing.T, method, path string, body any) answered {
	t.Helper()
	text := ""
	if body != nil {
		text = encode(t, body)
	}
	return a.suite.do(t, method, path, map[string]string{"Authorization": "Bearer " + a.token, "Content-Type": "application/json"}, text)
}

// must makes a request to the platform API, insists on its status and reads the
// answer into v unless that is nil.
func (a *kitAccount) must(t *testing.T, method, path string, body any, status int, v any) {
	t.Helper()
	got := a.api(t, method, path, body)
	if got.status != status {
		t.Fatalf("%s %s: %d %s, want %d", method, path, got.status, got.raw, status)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(got.raw, v); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// read reads from the platform API, again until the answer is as fresh as the log.
func (a *kitAccount) read(t *testing.T, path string, into any) {
	t.Helper()
	eventually(t, 20*time.Second, "a fresh answer to "+path, func() bool {
		got := a.api(t, http.MethodGet, path, nil)
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, got.status, got.raw)
		}
		if got.header.Get("Parley-Stale") != "" {
			return false
		}
		if err := json.Unmarshal(got.raw, into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return true
	})
}

// kitChan is a channel of one case, with the integration behind it.
type kitChan struct {
	account         *kitAccount
	id              string
	token, salt     string // as the channel was made
	stub            *kitStub
	access, refresh string
}

// channelBody is a channel of the fixtures' secrets that redirects to the queue.
func (a *kitAccount) channelBody(t *testing.T, stub *kitStub, settings ...object) object {
	t.Helper()
	body := object{
		"dialect": "voximplant", "name": t.Name(), "callback_url": stub.URL, "redirect": object{"queue_id": a.queue},
		"api_token": kitToken, "security_salt": kitSalt,
	}
	for _, more := range settings {
		maps.Copy(body, more)
	}
	return body
}

// channel makes a channel and logs in to it.
func (a *kitAccount) channel(t *testing.T, settings ...object) *kitChan {
	t.Helper()
	stub := newKitStub(t)
	return a.channelAt(t, stub, a.channelBody(t, stub, settings...))
}

// channelAt makes a channel out of a body.
func (a *kitAccount) channelAt(t *testing.T, stub *kitStub, body object) *kitChan {
	t.Helper()
	var made struct {
		ID      string `json:"id"`
		UUID    string `json:"channel_uuid"`
		Webhook string `json:"webhook_url"`
		Token   string `json:"api_token"`
		Salt    string `json:"security_salt"`
		Account string `json:"account_name"`
	}
	stub.signed(body["security_salt"], body["api_token"])
	a.must(t, http.MethodPost, "/v1/channels", body, http.StatusCreated, &made)
	if made.UUID != made.ID || made.Webhook != a.suite.parley.URL+"/"+made.ID || made.Account != a.name || made.Token == "" || made.Salt == "" {
		t.Fatalf("made %+v", made)
	}
	stub.signed(made.Salt, made.Token)
	c := &kitChan{account: a, id: made.ID, token: made.Token, salt: made.Salt, stub: stub}
	c.access, c.refresh = kitTokens(t, a.suite.login(t, a.name, c.token, c.id))
	return c
}

// change changes the channel's settings.
func (c *kitChan) change(t *testing.T, settings object) {
	t.Helper()
	c.account.must(t, http.MethodPatch, "/v1/channels/"+c.id, settings, http.StatusOK, nil)
}

// name gives an id that nothing else has.
func (s *kit) name() string { return fmt.Sprintf("n%d", s.serial.Add(1)) }

// form makes a form post.
func (s *kit) form(t *testing.T, path string, values url.Values) answered {
	t.Helper()
	return s.do(t, http.MethodPost, path, map[string]string{
		"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded",
	}, values.Encode())
}

// login logs in as the PHP client does.
func (s *kit) login(t *testing.T, account, token, channel string) answered {
	t.Helper()
	query := "?access_token=" + escaped(token) + "&domain=" + escaped(account)
	return s.form(t, kitLogin+query, url.Values{"channel_uuid": {channel}})
}

// escaped encodes a value of a query by RFC 3986: a blank is %20.
func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// kitTokens expects a pair of tokens.
func kitTokens(t *testing.T, got answered) (access, refresh string) {
	t.Helper()
	var body struct {
		Success bool              `json:"success"`
		Result  map[string]string `json:"result"`
	}
	if err := json.Unmarshal(got.raw, &body); err != nil || got.status != http.StatusOK || !body.Success || len(body.Result) != 2 {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	kitJSON(t, got)
	for name, token := range body.Result {
		if strings.Count(token, ".") != 2 {
			t.Fatalf("%s is %q", name, token)
		}
	}
	return body.Result["access_token"], body.Result["refresh_token"]
}

// kitJSON expects the content type of all answers.
func kitJSON(t *testing.T, got answered) {
	t.Helper()
	if kind := got.header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
		t.Errorf("Content-Type is %q", kind)
	}
}

// kitRefused expects a failure in the envelope, and gives its text.
func kitRefused(t *testing.T, got answered, status int) string {
	t.Helper()
	var body struct {
		Success *bool `json:"success"`
		Result  struct {
			Error string `json:"error"`
			Code  int    `json:"code"`
		} `json:"result"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(got.raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil || got.status != status || body.Success == nil || *body.Success ||
		body.Result.Error == "" || body.Result.Code != status {
		t.Fatalf("%d %s, want %d", got.status, got.raw, status)
	}
	kitJSON(t, got)
	return body.Result.Error
}

// kitAccepted expects the answer to an event that was taken.
func kitAccepted(t *testing.T, got answered) {
	t.Helper()
	if got.status != http.StatusOK || strings.TrimSpace(string(got.raw)) != `{"success":true,"result":true}` {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	kitJSON(t, got)
}
