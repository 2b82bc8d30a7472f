package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// kitSign is the signature of voximplant-kit.md 5.2: of a check without an
// event id, else of an event.
func kitSign(parts ...string) string {
	sum := md5.Sum([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}

// kitCall is one call that a stub got.
type kitCall struct {
	at, done time.Time // done is set when it was answered
	method   string
	uri      string
	header   http.Header
	raw      []byte

	// Of an event.
	event  object
	client string
	id     string
	kind   string
	sender object // sender_data; nil when it is not there
	text   string
	reason string
}

// message gives the message of an event.
func (c kitCall) message() object {
	data, _ := c.event["event_data"].(object)
	message, _ := data["message"].(object)
	return message
}

// payload gives the payload of an event's message.
func (c kitCall) payload(t *testing.T) []any {
	t.Helper()
	list, ok := c.message()["payload"].([]any)
	if !ok {
		t.Fatalf("payload is %v", c.message()["payload"])
	}
	return list
}

// read takes the event out of the body.
func (c *kitCall) read() error {
	var body struct {
		ClientData struct {
			ClientID *string `json:"client_id"`
		} `json:"client_data"`
		EventID   string `json:"event_id"`
		EventType string `json:"event_type"`
		EventData struct {
			Sender  object `json:"sender_data"`
			Reason  string `json:"close_reason"`
			Message *struct {
				ID      string  `json:"message_id"`
				Text    *string `json:"text"`
				Payload []any   `json:"payload"`
			} `json:"message"`
		} `json:"event_data"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(c.raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return err
	}
	if err := json.Unmarshal(c.raw, &c.event); err != nil {
		return err
	}
	if body.ClientData.ClientID == nil || body.EventID == "" || len(c.event) != 4 {
		return fmt.Errorf("%s is no event", c.raw)
	}
	c.client, c.id, c.kind = *body.ClientData.ClientID, body.EventID, body.EventType
	c.sender, c.reason = body.EventData.Sender, body.EventData.Reason
	switch message := body.EventData.Message; c.kind {
	case "send_message":
		if message == nil || message.ID == "" || message.Text == nil || message.Payload == nil || c.sender == nil || c.reason != "" {
			return fmt.Errorf("%s is no message", c.raw)
		}
		c.text = *message.Text
	case "close_conversation":
		if message != nil || c.reason == "" {
			return fmt.Errorf("%s is no close", c.raw)
		}
	default:
		return fmt.Errorf("event_type is %q", c.kind)
	}
	return nil
}

// kitStub is an integration's callback: it notes every call, verifies the
// signature of each and answers as told.
type kitStub struct {
	*httptest.Server

	t           testing.TB
	mu          sync.Mutex
	calls       []*kitCall
	salt, token string
	answer      func(n int, call kitCall, w http.ResponseWriter, r *http.Request) // n counts events from 1
	check       func(call kitCall, w http.ResponseWriter)
}

func newKitStub(t testing.TB) *kitStub {
	t.Helper()
	s := &kitStub{t: t}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// signed says what calls are signed with from now on; nil when that is not known.
func (s *kitStub) signed(salt, token any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.salt, _ = salt.(string)
	s.token, _ = token.(string)
}

// answers sets what the next events are answered.
func (s *kitStub) answers(f func(n int, call kitCall, w http.ResponseWriter, r *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// checked sets what the next checks are answered.
func (s *kitStub) checked(f func(call kitCall, w http.ResponseWriter)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check = f
}

// ServeHTTP notes a call and answers it; without being told, as the published
// samples do.
func (s *kitStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := &kitCall{at: time.Now(), method: r.Method, uri: r.RequestURI, header: r.Header.Clone()}
	var err error
	if call.raw, err = io.ReadAll(r.Body); err != nil {
		return // the caller has gone
	}
	isEvent := r.Method == http.MethodPost && string(call.raw) != "{}"
	if isEvent {
		err = call.read()
	}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	salt, token, answer, check, noted := s.salt, s.token, s.answer, s.check, *call
	n := 0
	for _, c := range s.calls {
		if c.event != nil {
			n++
		}
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		call.done = time.Now()
	}()
	if err != nil {
		s.t.Errorf("a callback: %v", err)
	}
	want := kitSign(salt, token)
	if isEvent {
		want = kitSign(salt, token, call.id)
		if kind := r.Header.Get("Content-Type"); kind != "application/json" {
			s.t.Errorf("Content-Type of a callback is %q", kind)
		}
	}
	if got := r.Header["Authorization"]; salt != "" && token != "" && (len(got) != 1 || got[0] != want) {
		s.t.Errorf("a callback is signed %q, want %s: %s", got, want, call.raw)
	}
	switch {
	case isEvent && answer != nil:
		answer(n, noted, w, r)
	case !isEvent && check != nil:
		check(noted, w)
	default:
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "OK")
	}
}

// copied lists calls: events, or else checks.
func (s *kitStub) copied(events bool) []kitCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []kitCall
	for _, c := range s.calls {
		if (c.event != nil) == events {
			list = append(list, *c)
		}
	}
	return list
}

// events gives the event posts up to now.
func (s *kitStub) events() []kitCall { return s.copied(true) }

// checks gives the check requests up to now.
func (s *kitStub) checks() []kitCall { return s.copied(false) }

// of gives the event posts to a client up to now.
func (s *kitStub) of(client string) []kitCall {
	return slices.DeleteFunc(s.events(), func(c kitCall) bool { return c.client != client })
}

// gets waits for n event posts, and gives them.
func (s *kitStub) gets(t *testing.T, n int) []kitCall {
	t.Helper()
	return kitGets(t, n, s.events)
}

// getsOf waits for n event posts to a client, and gives them.
func (s *kitStub) getsOf(t *testing.T, client string, n int) []kitCall {
	t.Helper()
	return kitGets(t, n, func() []kitCall { return s.of(client) })
}

func kitGets(t *testing.T, n int, list func() []kitCall) []kitCall {
	t.Helper()
	eventually(t, 30*time.Second, fmt.Sprintf("%d callbacks", n), func() bool {
		calls := list()
		return len(calls) > n || len(calls) == n && !calls[n-1].done.IsZero()
	})
	calls := list()
	if len(calls) != n {
		for _, c := range calls {
			t.Logf("%s", c.raw)
		}
		t.Fatalf("%d callbacks, want %d", len(calls), n)
	}
	return calls
}

// kitTold says in a word what events told, one after another.
func kitTold(calls []kitCall) (told []string) {
	for _, c := range calls {
		if c.kind == "close_conversation" {
			told = append(told, c.reason)
		} else {
			told = append(told, c.text)
		}
	}
	return told
}
