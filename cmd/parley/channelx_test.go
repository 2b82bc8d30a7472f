package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The fixtures of section 11 of channelx.md.
const (
	cxIdentifier = "wQ7hK2mXv9TzR4sYb8LcNd31"
	cxHMACToken  = "k9Yw2rTzQm4VbX7sLd1NcA5e"
	cxSecret     = "Zt6qWm3pXc8RfJ2hVd5KsB7n"
	cxInboxName  = "Mobile bridge"
	cxCRM        = "crm-48213" // the identifier of Ana Prado
	cxPhone      = "+5511988887777"
	cxCRMHash    = "02bae89a00c344ef2c160b04dfa13caaf11950648ec0f77a0b8f7bc2652ef5a1"
)

// cxTimeout is how long a receiver may take in these tests.
const cxTimeout = 2 * time.Second

// TestChannelX is section 11 of channelx.md, case by case, against a running
// Parley over HTTP and WebSocket alone. What is called back comes to receivers
// that verify each signature. Cases that name the fixtures' numbers use the
// account default; every other case has an account of its own, with the same
// names and secrets.
func TestChannelX(t *testing.T) {
	t.Parallel()
	s := newCX(t, callbackTimeout(cxTimeout))
	for _, list := range [][]cxCase{
		cxCableCases, cxCallbackCases, cxCredentialCases, cxInboxCases, cxContactCases, cxTicketCases, cxMessageCases, cxClientCases,
	} {
		for _, c := range list {
			t.Run("case_"+c.number, func(t *testing.T) {
				t.Parallel()
				c.run(t, s)
			})
		}
	}
}

// cxCase is one numbered case.
type cxCase struct {
	number string
	run    func(*testing.T, *cx)
}

// cx is a Parley with the fixtures.
type cx struct {
	parley  *parley
	client  *http.Client
	fixture *cxOffice    // the account default with inbox 3
	serial  atomic.Int64 // makes names that nothing else has
	killed  atomic.Bool  // Parley is about to be: whom it answers no more goes home
}

// newCX starts a Parley and makes the fixtures.
func newCX(t *testing.T, options ...option) *cx {
	t.Helper()
	return cxOf(t, startParley(t, options...))
}

// cxOf makes the fixtures on a Parley.
func cxOf(t *testing.T, p *parley) *cx {
	t.Helper()
	s := &cx{parley: p, client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}}
	t.Cleanup(s.client.CloseIdleConnections)
	o := &cxOffice{suite: s, name: "default", number: 1, admin: p.Token}
	for _, name := range []string{"ines", "joao", "lena"} {
		o.agent(t, object{"username": name})
	}
	o.opened(t, object{"inbox_id": 3, "inbox_identifier": cxIdentifier})
	if o.rui != 4 || o.inbox != 3 || o.identifier != cxIdentifier {
		t.Fatalf("the fixture is user %d with inbox %d, %s", o.rui, o.inbox, o.identifier)
	}
	s.fixture = o
	return s
}

// name gives a text that nothing else has.
func (s *cx) name() string { return fmt.Sprintf("n%d", s.serial.Add(1)) }

// phone gives a phone number that nothing else has.
func (s *cx) phone() string { return fmt.Sprintf("+1555%07d", s.serial.Add(1)) }

// cxOffice is an account with the operator Rui Costa and an inbox whose callback
// goes to a receiver.
type cxOffice struct {
	suite  *cx
	name   string
	number int64  // account_id on the wire
	admin  string // token of the platform API
	rui    int64  // user id of Rui Costa
	token  string // of Rui Costa, who is an administrator

	inbox      int64
	channel    string // id of the inbox in the platform API
	identifier string
	receiver   *cxReceiver
}

// office makes an account with an inbox. settings are those of its channel.
func (s *cx) office(t *testing.T, settings ...object) *cxOffice {
	t.Helper()
	o := &cxOffice{suite: s, name: "office-" + s.name(), admin: s.parley.Token}
	var made struct {
		Token struct {
			Token string `json:"token"`
		} `json:"token"`
	}
	o.platform(t, http.MethodPost, "/v1/accounts", object{"name": o.name, "title": "Acme Support"}, http.StatusCreated, &made)
	o.admin = made.Token.Token
	o.opened(t, settings...)
	return o
}

// opened gives the office its operator and its inbox.
func (o *cxOffice) opened(t *testing.T, settings ...object) {
	t.Helper()
	o.rui = o.agent(t, object{"username": "rui", "display_name": "Rui Costa", "email": "rui@example.test"})
	o.token = o.bound(t, "admin", o.rui)
	o.number = o.gets(t, o.call(t, http.MethodGet, "/api/v1/profile", nil)).at("accounts", 0, "id").integer()
	o.receiver = newCXReceiver(t)
	o.channelled(t, settings...)
}

// channelled gives the office an inbox, which is the one that it works with from
// now on. The callback is the receiver unless settings name another.
func (o *cxOffice) channelled(t *testing.T, settings ...object) {
	t.Helper()
	body := object{
		"dialect": "channelx", "name": cxInboxName, "callback_url": o.receiver.URL, "hmac_token": cxHMACToken, "secret": cxSecret,
	}
	for _, more := range settings {
		maps.Copy(body, more)
	}
	var made struct {
		ID         string `json:"id"`
		Inbox      int64  `json:"inbox_id"`
		Identifier string `json:"inbox_identifier"`
		HMACToken  string `json:"hmac_token"`
		Secret     string `json:"secret"`
	}
	o.platform(t, http.MethodPost, "/v1/channels", body, http.StatusCreated, &made)
	if made.ID == "" || made.Inbox <= 0 || made.Identifier == "" || made.HMACToken != body["hmac_token"] || made.Secret != body["secret"] {
		t.Fatalf("made %+v", made)
	}
	o.channel, o.inbox, o.identifier = made.ID, made.Inbox, made.Identifier
	o.receiver.signed(made.Secret)
}

// agent makes an agent and gives the number.
func (o *cxOffice) agent(t *testing.T, body object) int64 {
	t.Helper()
	var made struct {
		ID int64 `json:"id"`
	}
	o.platform(t, http.MethodPost, "/v1/agents", body, http.StatusCreated, &made)
	return made.ID
}

// bound makes a token that acts as an agent.
func (o *cxOffice) bound(t *testing.T, role string, agent int64) string {
	t.Helper()
	var made struct {
		Token string `json:"token"`
	}
	o.platform(t, http.MethodPost, "/v1/tokens", object{"name": "office", "role": role, "agent_id": agent}, http.StatusCreated, &made)
	if made.Token == "" {
		t.Fatal("a token without its secret")
	}
	return made.Token
}

// as gives the office as another operator of it works there.
func (o *cxOffice) as(token string) *cxOffice {
	other := *o
	other.token = token
	return &other
}

// staff gives the office as an operator of role agent works there, who is a member
// of its inbox or not, and the user id.
func (o *cxOffice) staff(t *testing.T, member bool) (*cxOffice, int64) {
	t.Helper()
	agent := o.agent(t, object{"username": o.suite.name(), "display_name": "Bia Lima", "email": "bia@example.test"})
	if member {
		o.posts(t, "/inbox_members", object{"inbox_id": o.inbox, "user_ids": []int64{agent}})
	}
	return o.as(o.bound(t, "agent", agent)), agent
}

// platform makes a request to the platform API, insists on its status and reads
// the answer into v unless that is nil.
func (o *cxOffice) platform(t *testing.T, method, path string, body any, status int, v any) {
	t.Helper()
	got := o.suite.send(t, method, path, cxHeaders{"Authorization": "Bearer " + o.admin}, body)
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

// deliveries lists what the platform API tells of calls of the office's inbox.
func (o *cxOffice) deliveries(t *testing.T, query string) []cxValue {
	t.Helper()
	var list cxValue
	eventually(t, 20*time.Second, "a fresh list of deliveries", func() bool {
		got := o.suite.send(t, http.MethodGet, "/v1/deliveries?limit=200&channel="+o.channel+query, cxHeaders{"Authorization": "Bearer " + o.admin}, nil)
		if got.status != http.StatusOK {
			t.Fatalf("deliveries: %d %s", got.status, got.raw)
		}
		list = cxRead(t, "deliveries", got.raw)
		return got.header.Get("Parley-Stale") == ""
	})
	return list.at("data").list()
}

// call makes a request of an integration, with the token of the operator.
func (o *cxOffice) call(t *testing.T, method, path string, body any) answered {
	t.Helper()
	return o.suite.send(t, method, path, cxHeaders{"api_access_token": o.token}, body)
}

// app makes a request to the application API. path goes on after the account.
func (o *cxOffice) app(t *testing.T, method, path string, body any) answered {
	t.Helper()
	return o.call(t, method, fmt.Sprintf("/api/v1/accounts/%d%s", o.number, path), body)
}

// public makes a request to the client API. path goes on after the inbox.
func (o *cxOffice) public(t *testing.T, method, path string, body any) answered {
	t.Helper()
	return o.suite.send(t, method, "/public/api/v1/inboxes/"+o.identifier+path, nil, body)
}

// gets expects success and gives the answer.
func (o *cxOffice) gets(t *testing.T, got answered) cxValue {
	t.Helper()
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Fatalf("%d %s %s", got.status, got.header.Get("Content-Type"), got.raw)
	}
	return cxRead(t, "answer", got.raw)
}

// reads gets an answer of the application API.
func (o *cxOffice) reads(t *testing.T, path string) cxValue {
	t.Helper()
	return o.gets(t, o.app(t, http.MethodGet, path, nil))
}

// posts makes a post to the application API.
func (o *cxOffice) posts(t *testing.T, path string, body any) cxValue {
	t.Helper()
	return o.gets(t, o.app(t, http.MethodPost, path, body))
}

// clientReads reads from the client API.
func (o *cxOffice) clientReads(t *testing.T, path string) cxValue {
	t.Helper()
	return o.gets(t, o.public(t, http.MethodGet, path, nil))
}

// clientPosts posts to the client API.
func (o *cxOffice) clientPosts(t *testing.T, path string, body any) cxValue {
	t.Helper()
	return o.gets(t, o.public(t, http.MethodPost, path, body))
}

// empty expects success without a body.
func cxEmpty(t *testing.T, got answered) {
	t.Helper()
	if got.status != http.StatusOK || len(strings.TrimSpace(string(got.raw))) != 0 {
		t.Fatalf("%d %s, want 200 and nothing", got.status, got.raw)
	}
}

// cxRefused expects a status and gives the body.
func cxRefused(t *testing.T, got answered, status int) cxValue {
	t.Helper()
	if got.status != status {
		t.Fatalf("%d %s, want %d", got.status, got.raw, status)
	}
	return cxRead(t, "refusal", got.raw)
}
