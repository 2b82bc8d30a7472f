package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestRespondIO is section 6 of respond-io.md, case by case, against a running
// Parley over HTTP alone: what integrations post goes to the paths of the
// dialect, what they are sent comes to stub servers, and the effects are read
// from the platform API. Every case has channels of its own.
//
// The cases that measure time run alone, before all others.
func TestRespondIO(t *testing.T) { //nolint:tparallel // the cases that measure time have the machine for themselves
	s := &respondSuite{
		parley: startParley(t, callbackTimeout(respondTimeout)), dialect: "respondio",
		client: &http.Client{
			Timeout:       30 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	t.Cleanup(s.client.CloseIdleConnections)
	for _, c := range respondTimedCases {
		t.Run("case_"+c.number, func(t *testing.T) { c.run(t, s) })
	}
	for _, list := range [][]respondCase{
		respondTransportCases, respondEnvelopeCases, respondMessageCases, respondProfileCases, respondReceiptCases,
		respondCallCases, respondAnswerCases, respondDialectCases,
	} {
		for _, c := range list {
			t.Run("case_"+c.number, func(t *testing.T) {
				t.Parallel()
				c.run(t, s)
			})
		}
	}
}

// respondTimeout stands for the 30 s that a callback may take.
const respondTimeout = 2 * time.Second

// respondCase is one numbered case.
type respondCase struct {
	number string
	run    func(*testing.T, *respondSuite)
}

// respondSuite is what the cases share.
type respondSuite struct {
	parley  *parley
	client  *http.Client
	dialect string
	serial  atomic.Int64 // makes names that nothing else has
}

// object is a JSON object.
type object = map[string]any

// answered is an answer of Parley.
type answered struct {
	status int
	header http.Header
	raw    []byte
}

// do makes a request. headers are set as they are spelt.
func (s *respondSuite) do(t *testing.T, method, path string, headers map[string]string, body string) answered {
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
func (s *respondSuite) api(t *testing.T, method, path string, body any) answered {
	t.Helper()
	text := ""
	if body != nil {
		text = encode(t, body)
	}
	return s.do(t, method, path, map[string]string{"Authorization": "Bearer " + s.parley.Token, "Content-Type": "application/json"}, text)
}

// read reads from the platform API, again until the answer is as fresh as the log.
func (s *respondSuite) read(t *testing.T, path string, into any) {
	t.Helper()
	eventually(t, 20*time.Second, "a fresh answer to "+path, func() bool {
		got := s.api(t, http.MethodGet, path, nil)
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

// encode writes a value as JSON, without escapes for HTML.
func encode(t *testing.T, v any) string {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// respondChannel is a channel of one case, with the integration server behind it.
type respondChannel struct {
	suite     *respondSuite
	id, token string
	stub      *respondStub
}

// single is the delivery policy of a single attempt.
var single = object{"schedule": []string{}}

// channel makes a channel. settings may hold delivery, callback_url and
// rate_per_second.
func (s *respondSuite) channel(t *testing.T, idType string, settings ...object) *respondChannel {
	t.Helper()
	c := &respondChannel{suite: s, stub: newRespondStub(t)}
	body := object{"dialect": s.dialect, "name": t.Name(), "id_type": idType, "callback_url": c.stub.URL}
	for _, more := range settings {
		maps.Copy(body, more)
	}
	got := s.api(t, http.MethodPost, "/v1/channels", body)
	var made struct {
		ID    string `json:"id"`
		Token string `json:"api_token"`
	}
	if err := json.Unmarshal(got.raw, &made); err != nil || got.status != http.StatusCreated {
		t.Fatalf("create a channel: %d %s", got.status, got.raw)
	}
	c.id, c.token = made.ID, made.Token
	return c
}

// name gives an id that nothing else has: of a contact of the channel's type, or of a message.
func (s *respondSuite) name() string { return fmt.Sprintf("n%d", s.serial.Add(1)) }

// number gives a phone number that nothing else has.
func (s *respondSuite) number() string { return fmt.Sprintf("+1555%07d", s.serial.Add(1)) }

// post posts a body to the inbound path with the channel's token.
func (c *respondChannel) post(t *testing.T, body any) answered {
	t.Helper()
	return c.postTo(t, "/custom/channel/webhook/", body)
}

func (c *respondChannel) postTo(t *testing.T, path string, body any) answered {
	t.Helper()
	text, ok := body.(string)
	if !ok {
		text = encode(t, body)
	}
	return c.suite.do(t, http.MethodPost, path, map[string]string{
		"Authorization": "Bearer " + c.token, "Content-Type": "application/json",
	}, text)
}

// inbound is a body that is valid until a case changes it.
type inbound struct {
	body, event, message object
	contact, mID         string
}

// valid makes a body with a text of a contact that has a reference of its own.
func (c *respondChannel) valid(contact string) inbound {
	in := inbound{contact: contact, mID: c.suite.name()}
	in.message = object{"type": "text", "text": "Is the shop open today?"}
	in.event = object{"type": "message", "mId": in.mID, "timestamp": 1767261600000, "message": in.message}
	in.body = object{"channelId": c.id, "contactId": contact, "events": []any{in.event}}
	return in
}

// edit changes a body.
type edit func(in *inbound)

func inBody(name string, v any) edit  { return func(in *inbound) { in.body[name] = v } }
func inEvent(name string, v any) edit { return func(in *inbound) { in.event[name] = v } }

// message puts another message object in.
func inMessage(fields object) edit { return func(in *inbound) { in.event["message"] = fields } }

// profile puts a contact object in.
func inProfile(fields object) edit { return func(in *inbound) { in.body["contact"] = fields } }

func without(name string) edit {
	return func(in *inbound) {
		delete(in.body, name)
		delete(in.event, name)
		delete(in.message, name)
	}
}

// accepts posts a body that is valid but for edits, on a channel of custom ids,
// expects 200 and gives the message as it is stored.
func (c *respondChannel) accepts(t *testing.T, edits ...edit) respondMessage {
	t.Helper()
	in := c.valid(c.suite.name())
	for _, e := range edits {
		e(&in)
	}
	accepted(t, c.post(t, in.body))
	all := c.messages(t, in.contact)
	if len(all) != 1 {
		t.Fatalf("%d messages of %s, want 1", len(all), in.contact)
	}
	return all[0]
}

// refuses posts a body that is valid but for edits, expects 400 and that nothing
// is stored.
func (c *respondChannel) refuses(t *testing.T, what string, edits ...edit) {
	t.Helper()
	in := c.valid(c.suite.name())
	for _, e := range edits {
		e(&in)
	}
	c.refusesBody(t, what, http.StatusBadRequest, in.body)
}

func (c *respondChannel) refusesBody(t *testing.T, what string, status int, body any) {
	t.Helper()
	before := c.census(t)
	got := c.post(t, body)
	if got.status != status {
		t.Errorf("%s: %d %s, want %d", what, got.status, got.raw, status)
	}
	wellRefused(t, got)
	if after := c.census(t); after != before {
		t.Errorf("%s: contacts and messages were %v and are %v", what, before, after)
	}
}

// accepted expects the answer of success.
func accepted(t *testing.T, got answered) {
	t.Helper()
	var body object
	if err := json.Unmarshal(got.raw, &body); err != nil || got.status != http.StatusOK || body["status"] != "success" ||
		got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s %s", got.status, got.header.Get("Content-Type"), got.raw)
	}
}

// wellRefused expects the shape of errors of section 3.7.
func wellRefused(t *testing.T, got answered) {
	t.Helper()
	var body struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Error   struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(got.raw, &body); err != nil || body.Code != got.status || body.Message == "" || body.Error.Message != body.Message {
		t.Errorf("%d: not the shape of an error: %s", got.status, got.raw)
	}
}

// census counts the contacts and the messages of a channel.
func (c *respondChannel) census(t *testing.T) (n struct{ contacts, messages int }) {
	t.Helper()
	n.contacts = len(c.contacts(t))
	var list struct {
		Data []struct {
			Count int `json:"message_count"`
		} `json:"data"`
	}
	c.suite.read(t, "/v1/conversations?limit=200&channel="+c.id, &list)
	for _, conversation := range list.Data {
		n.messages += conversation.Count
	}
	return n
}

// contacts gives the contacts of the channel by their references.
func (c *respondChannel) contacts(t *testing.T) map[string]object {
	t.Helper()
	var list struct {
		Data []object `json:"data"`
	}
	c.suite.read(t, "/v1/contacts?limit=200&channel="+c.id, &list)
	byRef := map[string]object{}
	for _, contact := range list.Data {
		byRef[contact["contact_ref"].(string)] = contact
	}
	if len(byRef) != len(list.Data) {
		t.Errorf("a contact is there twice: %v", list.Data)
	}
	return byRef
}
