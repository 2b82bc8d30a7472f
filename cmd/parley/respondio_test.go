package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
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
func TestRespondIO(t *testing.T) {
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
	req, err := http.NewRequestWithContext(context.Background(), method, s.parley.URL+path, strings.NewReader(body))
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

// respondMessage is a message as the platform API shows it.
type respondMessage struct {
	ID         string `json:"id"`
	Direction  string `json:"direction"`
	Kind       string `json:"kind"`
	Type       string `json:"type"`
	Text       string `json:"text"`
	Attachment struct {
		Type        string `json:"type"`
		URL         string `json:"url"`
		MimeType    string `json:"mimeType"`
		FileName    string `json:"fileName"`
		Description string `json:"description"`
	} `json:"attachment"`
	Latitude   float64  `json:"latitude"`
	Longitude  float64  `json:"longitude"`
	Address    string   `json:"address"`
	Title      string   `json:"title"`
	Replies    []string `json:"replies"`
	ExternalID string   `json:"external_id"`
	Status     string   `json:"status"`
	Reason     string   `json:"status_reason"`
	History    []struct {
		Value     string    `json:"value"`
		Timestamp time.Time `json:"timestamp"`
		Message   string    `json:"message"`
	} `json:"status_history"`
	Author    string    `json:"author"`
	CreatedAt time.Time `json:"created_at"`
}

// messages gives the messages of a contact, oldest first.
func (c *respondChannel) messages(t *testing.T, contact string) []respondMessage {
	t.Helper()
	id := c.conversation(t, contact)
	if id == "" {
		return nil
	}
	var list struct {
		Data []respondMessage `json:"data"`
	}
	c.suite.read(t, "/v1/conversations/"+id+"/messages?limit=200", &list)
	return list.Data
}

// conversation gives the id of a contact's conversation, "" without one.
func (c *respondChannel) conversation(t *testing.T, contact string) string {
	t.Helper()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	c.suite.read(t, "/v1/conversations?channel="+c.id+"&contact="+url.QueryEscape(contact), &list)
	if len(list.Data) == 0 {
		return ""
	}
	if len(list.Data) > 1 {
		t.Fatalf("%s has %d conversations", contact, len(list.Data))
	}
	return list.Data[0].ID
}

// sends has the platform send content to a contact and gives the message's id.
func (c *respondChannel) sends(t *testing.T, contact string, content object) string {
	t.Helper()
	got := c.send(t, contact, content)
	var m respondMessage
	if err := json.Unmarshal(got.raw, &m); err != nil || got.status != http.StatusAccepted {
		t.Fatalf("send %.200s: %d %s", encode(t, content), got.status, got.raw)
	}
	return m.ID
}

func (c *respondChannel) send(t *testing.T, contact string, content object) answered {
	t.Helper()
	content = maps.Clone(content)
	content["contact_ref"] = contact
	return c.suite.api(t, http.MethodPost, "/v1/channels/"+c.id+"/messages", content)
}

// written is a text to send.
func written(text string) object { return object{"type": "text", "text": text} }

// message gives a message of a contact as it is now.
func (c *respondChannel) message(t *testing.T, contact, id string) respondMessage {
	t.Helper()
	for _, m := range c.messages(t, contact) {
		if m.ID == id {
			return m
		}
	}
	t.Fatalf("%s has no message %s", contact, id)
	return respondMessage{}
}

// becomes waits until a message has a status, and gives it.
func (c *respondChannel) becomes(t *testing.T, contact, id, status string) (m respondMessage) {
	t.Helper()
	eventually(t, 20*time.Second, "message "+id+" "+status, func() bool {
		m = c.message(t, contact, id)
		return m.Status == status
	})
	return m
}

// receipt posts a receipt and expects 200.
func (c *respondChannel) receipt(t *testing.T, contact, mID string, status object, at int64) {
	t.Helper()
	accepted(t, c.post(t, object{"channelId": c.id, "contactId": contact, "events": []any{
		object{"type": "message_status", "mId": mID, "timestamp": at, "status": status},
	}}))
}

// respondCall is one call that a stub got.
type respondCall struct {
	at, done time.Time // done is set when it was answered
	method   string
	uri      string
	header   http.Header
	raw      []byte
	body     struct {
		ChannelID any    `json:"channelId"`
		ContactID any    `json:"contactId"`
		Message   object `json:"message"`
	}
}

func (c respondCall) key() string { return c.header.Get("Idempotency-Key") }

func (c respondCall) text() string {
	s, _ := c.body.Message["text"].(string)
	return s
}

// respondStub is an integration server that notes every call and answers as told.
type respondStub struct {
	*httptest.Server

	mu     sync.Mutex
	calls  []*respondCall
	answer func(n int, call respondCall, w http.ResponseWriter, r *http.Request) // n counts from 1
}

func newRespondStub(t *testing.T) *respondStub {
	t.Helper()
	s := &respondStub{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// ServeHTTP notes a call and answers it; without being told, with a new mId.
func (s *respondStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := &respondCall{at: time.Now(), method: r.Method, uri: r.RequestURI, header: r.Header.Clone()}
	call.raw, _ = io.ReadAll(r.Body)
	_ = json.Unmarshal(call.raw, &call.body) // what cannot be read is seen in raw
	s.mu.Lock()
	s.calls = append(s.calls, call)
	n, answer, noted := len(s.calls), s.answer, *call
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		call.done = time.Now()
	}()
	if answer == nil {
		fmt.Fprintf(w, `{"mId":"s-%s"}`, call.key())
		return
	}
	answer(n, noted, w, r)
}

// answers sets what the next calls are answered.
func (s *respondStub) answers(f func(n int, call respondCall, w http.ResponseWriter, r *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// always answers all calls alike.
func (s *respondStub) always(status int, contentType, body string) {
	s.answers(func(_ int, _ respondCall, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// got gives the calls up to now.
func (s *respondStub) got() []respondCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]respondCall, len(s.calls))
	for i, c := range s.calls {
		list[i] = *c
	}
	return list
}

// gets waits for n calls, and gives them.
func (s *respondStub) gets(t *testing.T, n int) []respondCall {
	t.Helper()
	eventually(t, 20*time.Second, fmt.Sprintf("%d calls", n), func() bool { return len(s.got()) >= n })
	list := s.got()
	if len(list) != n {
		t.Fatalf("%d calls, want %d", len(list), n)
	}
	return list
}

// hangUp closes a connection without an answer.
func hangUp(t *testing.T, w http.ResponseWriter) {
	t.Helper()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, as of a server that crashed
	}
	_ = conn.Close()
}
