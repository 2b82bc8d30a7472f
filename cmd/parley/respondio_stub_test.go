package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

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
