package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// Tokens of the test world, by what they may do.
const (
	adminToken  = "admin-secret"
	agentToken  = "agent-secret"
	readerToken = "reader-secret"
	otherToken  = "other-secret" // admin of another account
)

// world is a platform over memory that keeps the rules its interfaces promise.
type world struct {
	t      *testing.T
	server *Server
	reg    *prometheus.Registry
	logs   *bytes.Buffer

	mu         sync.Mutex
	now        time.Time
	channels   map[string]domain.Channel
	tokens     map[string]domain.Token // by id
	events     []domain.Recorded
	thread     *domain.Thread
	episodes   map[string]*domain.Episode // by stream
	deliveries map[uuid.UUID]*domain.Delivery
	attempts   map[uuid.UUID][]domain.Attempt
	claims     map[string]*claim

	appendErr error                       // of the next appends
	readErr   error                       // of the next reads
	freshErr  func(context.Context) error // of waits for freshness
	reached   domain.Position             // positions up to this one are applied
	waited    []domain.Position           // positions that were waited for
	ends      func(context.Context, int) (int64, bool, error)
	exportErr error  // after the last line
	exporting func() // at the start of an export
	probe     func(domain.Channel) (domain.Outcome, error)
	refusal   func(channel string) (time.Time, int, bool, error)

	redrives  *redriveWorld
	tickets   *ticketWorld
	health    []domain.EndpointHealth
	endpoints map[string]domain.Endpoint

	*directoryWorld
}

type claim struct {
	fingerprint []byte
	token       string
	answer      []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, reg: prometheus.NewRegistry(), logs: &bytes.Buffer{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		channels: map[string]domain.Channel{}, tokens: map[string]domain.Token{}, thread: domain.NewThread(), episodes: map[string]*domain.Episode{},
		deliveries: map[uuid.UUID]*domain.Delivery{}, attempts: map[uuid.UUID][]domain.Attempt{}, claims: map[string]*claim{},
		freshErr: func(context.Context) error { return nil }, reached: domain.Position{Partition: 0, Offset: 1 << 40},
		probe: func(domain.Channel) (domain.Outcome, error) {
			return domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, HTTPStatus: 200, ExternalID: "m1"}, nil
		},
		refusal:        func(string) (time.Time, int, bool, error) { return time.Time{}, 0, false, nil },
		directoryWorld: newDirectoryWorld(),
	}
	w.redrives = &redriveWorld{world: w}
	w.tickets = &ticketWorld{world: w}
	w.token("t1", domain.DefaultAccount, domain.RoleAdmin, adminToken)
	w.token("t2", domain.DefaultAccount, domain.RoleAgent, agentToken)
	w.token("t3", domain.DefaultAccount, domain.RoleReader, readerToken)
	w.token("t4", "other", domain.RoleAdmin, otherToken)

	server, err := New(Config{
		Gatherer: w.reg, Registerer: w.reg, Logger: slog.New(slog.NewJSONHandler(w.logs, nil)),
		Platform: &Platform{
			PublicURL: "https://parley.example.com/", Tokens: w, TokenAdmin: w, Channels: w, Log: w, Reads: w, Deliveries: w, Redrives: w.redrives, Directory: w, Numbers: w,
			Tickets: w.tickets, ManyTickets: w.tickets, Freshness: w, History: w, Prober: w, Previewer: w, Idempotency: w, Sealer: testSealer{}, Now: w.time, Random: rand.Reader, Files: w,
		},
		Checks: []Check{{Name: "log", Func: func(context.Context) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.appendErr
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.server = server
	return w
}

func (w *world) token(id, account string, role domain.Role, secret string) {
	w.tokens[id] = domain.Token{
		ID: id, Account: account, Name: string(role) + " of " + account, Role: role,
		Hash: domain.HashSecret(secret), CreatedAt: w.now,
	}
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Second)
	return w.now
}

// set changes the world while requests may be running.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// call makes one request. headers are name, value pairs.
func (w *world) call(token, method, path, body string, headers ...string) answer {
	w.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, in)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return answer{t: w.t, status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
}

// want checks the status, and that every error is a problem document.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if status >= 400 {
		var p Problem
		if err := json.Unmarshal(a.body, &p); err != nil || a.header.Get("Content-Type") != problemType {
			a.t.Fatalf("not a problem document (%s): %s", a.header.Get("Content-Type"), a.body)
		}
		if p.Status != status || p.Title != http.StatusText(status) || p.Type != "about:blank" || p.Code == "" || p.Detail == "" {
			a.t.Fatalf("incomplete problem document: %s", a.body)
		}
	}
	return a
}

// problem reads the problem document.
func (a answer) problem() Problem {
	a.t.Helper()
	var p Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		a.t.Fatalf("read %s: %v", a.body, err)
	}
	return p
}

// field is what the body has at a path of names and indexes, as text.
func (a answer) field(path ...any) string {
	a.t.Helper()
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatalf("read %s: %v", a.body, err)
	}
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return "<none>"
			}
			v = l[s]
		}
	}
	if v == nil {
		return "<none>"
	}
	return fmt.Sprint(v)
}

// settled checks that an answer was held until its own event was applied.
func (w *world) settled(a answer) answer {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.waited); n == 0 || formatPosition(w.waited[n-1]) != a.header.Get(positionHeader) {
		w.t.Errorf("waited for %v, appended at %s", w.waited, a.header.Get(positionHeader))
	}
	return a
}

// makeChannel makes a channel over HTTP and gives its id.
func (w *world) makeChannel(token, idType string) string {
	w.t.Helper()
	return w.call(token, "POST", "/v1/channels",
		`{"dialect":"respondio","name":"Shop","callback_url":"https://cb.example.com/x","id_type":"`+idType+`"}`).want(201).field("id")
}

// makeKit makes a channel of dialect voximplant over HTTP, with further settings
// such as `,"close_after":60`, and gives its id.
func (w *world) makeKit(token, more string) string {
	w.t.Helper()
	return w.call(token, "POST", "/v1/channels",
		`{"dialect":"voximplant","name":"Kit","callback_url":"https://cb.example.com/x"`+more+`}`).want(201).field("id")
}

// receive lets a contact write and gives the conversation's id.
func (w *world) receive(channel, ref, external, text string) string {
	w.t.Helper()
	ch, _ := w.Channel(channel)
	now := w.time()
	e := ch.Receive(ref, external, now, domain.Content{Type: domain.ContentText, Text: text}, &domain.Profile{FirstName: "Marta"}, now)
	if _, err := w.Append(context.Background(), e); err != nil {
		w.t.Fatal(err)
	}
	return domain.ConversationID(channel, ref).String()
}

// fail lets the delivery of a message end as a dead letter and gives its id.
func (w *world) fail(message string) string {
	w.t.Helper()
	id := domain.DeliveryID(uuid.MustParse(message))
	w.mu.Lock()
	d := *w.deliveries[id]
	w.mu.Unlock()
	now := w.time()
	o := domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, HTTPStatus: 400, Detail: "blocked", Response: []byte("blocked")}
	if _, err := w.Append(context.Background(), d.Attempted(o, domain.DeliveryPolicy{}, 0, false, now, now)); err != nil {
		w.t.Fatal(err)
	}
	return id.String()
}
