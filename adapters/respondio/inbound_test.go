package respondio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// directory knows channels by their tokens.
type directory map[string]domain.Channel

func (d directory) ChannelByToken(token string) (domain.Channel, bool) {
	ch, ok := d[token]
	return ch, ok
}

// keptLog keeps what is appended, or fails.
type keptLog struct {
	events []domain.Event
	fails  error
}

func (l *keptLog) Append(_ context.Context, events ...domain.Event) ([]domain.Position, error) {
	if l.fails != nil {
		return nil, l.fails
	}
	positions := make([]domain.Position, len(events))
	for i := range events {
		positions[i] = domain.Position{Partition: 3, Offset: int64(len(l.events) + i)}
	}
	l.events = append(l.events, events...)
	return positions, nil
}

// doorway is a Door on a mux, with what is around it.
type doorway struct {
	mux  *http.ServeMux
	log  *keptLog
	said *bytes.Buffer // what was logged
	now  time.Time
}

func openDoor(t *testing.T, perSecond int) *doorway {
	t.Helper()
	w := &doorway{mux: http.NewServeMux(), log: &keptLog{}, said: &bytes.Buffer{}, now: noon}
	other := phoneChannel()
	other.Dialect = "voximplant"
	door, err := New(Config{
		Channels: directory{"TP": phoneChannel(), "TC": customChannel(), "TV": other}, Log: w.log,
		Now: func() time.Time { return w.now }, InboundRate: perSecond,
		Logger:     slog.New(slog.NewTextHandler(w.said, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	door.Register(w.mux)
	return w
}

func (w *doorway) request(method, path, auth, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	got := httptest.NewRecorder()
	w.mux.ServeHTTP(got, r)
	return got
}

func (w *doorway) post(path, auth, body string) *httptest.ResponseRecorder {
	return w.request(http.MethodPost, path, auth, body)
}

// told gives the message of an error and checks its two shapes (section 3.7).
func told(t *testing.T, got *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Error   struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(got.Body.Bytes(), &body); err != nil {
		t.Fatalf("%q: %v", got.Body, err)
	}
	if body.Code != got.Code || body.Message == "" || body.Message != body.Error.Message ||
		got.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %s: %s", got.Code, got.Header().Get("Content-Type"), got.Body)
	}
	return body.Message
}

func TestDoorAccepts(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/custom/channel/webhook/", "/custom/channel/webhook", "/custom/webhook", "/custom/webhook/",
		"/custom/channel/webhook/620418", "/custom/channel/webhook/620418/",
	} {
		w := openDoor(t, 0)
		got := w.post(path, "bearer   TP ", ordinary)
		if got.Code != http.StatusOK || got.Body.String() != `{"status":"success"}` || len(w.log.events) != 1 {
			t.Errorf("%s: %d %s, %d events", path, got.Code, got.Body, len(w.log.events))
		}
		if got.Header().Get("Parley-Position") != "3:0" || got.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", path, got.Header())
		}
	}
}

// The order of checks is method, token, rate, size, JSON, channel, fields.
func TestDoorRefuses(t *testing.T) {
	t.Parallel()
	big := strings.Repeat(" ", maxBody+1)
	for _, c := range []struct {
		name, method, path, auth, body string
		status                         int
		header                         string // name: value
	}{
		{"method before token", "GET", "/custom/channel/webhook", "", "", 405, "Allow: POST"},
		{"method on each path", "PUT", "/custom/webhook/", "", "", 405, "Allow: POST"},
		{"no token", "POST", "/custom/webhook", "", big, 401, "Www-Authenticate: Bearer"},
		{"wrong token", "POST", "/custom/webhook", "Bearer TX", big, 401, "Www-Authenticate: Bearer"},
		{"another scheme", "POST", "/custom/webhook", "Basic TP", "{}", 401, "Www-Authenticate: Bearer"},
		{"no scheme", "POST", "/custom/webhook", "TP", "{}", 401, "Www-Authenticate: Bearer"},
		{"empty token", "POST", "/custom/webhook", "Bearer ", "{}", 401, "Www-Authenticate: Bearer"},
		{"a channel of another dialect", "POST", "/custom/webhook", "Bearer TV", ordinary, 401, "Www-Authenticate: Bearer"},
		{"size before JSON", "POST", "/custom/webhook", "Bearer TP", big, 413, ""},
		{"JSON", "POST", "/custom/channel/webhook/999999", "Bearer TP", "{", 400, ""},
		{"another channel in the path", "POST", "/custom/channel/webhook/999999", "Bearer TP", ordinary, 404, ""},
		{"another channel in the body", "POST", "/custom/webhook", "Bearer TC", ordinary, 403, ""},
		{"a field", "POST", "/custom/webhook", "Bearer TC", said(`{}`), 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := openDoor(t, 0)
			got := w.request(c.method, c.path, c.auth, c.body)
			if got.Code != c.status || len(w.log.events) != 0 {
				t.Fatalf("%d %s, %d events; want %d", got.Code, got.Body, len(w.log.events), c.status)
			}
			told(t, got)
			if name, want, ok := strings.Cut(c.header, ": "); ok && got.Header().Get(name) != want {
				t.Errorf("header %s is %q, want %q", name, got.Header().Get(name), want)
			}
		})
	}
}

// A body of exactly the limit is taken; the limit is in bytes.
func TestDoorBodyLimit(t *testing.T) {
	t.Parallel()
	w := openDoor(t, 0)
	padded := ordinary[:len(ordinary)-1] + `,"pad":"`
	padded += strings.Repeat("a", maxBody-len(padded)-2) + `"}`
	if got := w.post("/custom/webhook", "Bearer TP", padded); len(padded) != maxBody || got.Code != http.StatusOK {
		t.Errorf("%d bytes: %d %s", len(padded), got.Code, got.Body)
	}
	if got := w.post("/custom/webhook", "Bearer TP", padded+" "); got.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a byte more: %d", got.Code)
	}
}

// A body that breaks off stores nothing.
func TestDoorBrokenBody(t *testing.T) {
	t.Parallel()
	w := openDoor(t, 0)
	r := httptest.NewRequest(http.MethodPost, "/custom/webhook", io.MultiReader(strings.NewReader(ordinary), &broken{}))
	r.Header.Set("Authorization", "Bearer TP")
	got := httptest.NewRecorder()
	w.mux.ServeHTTP(got, r)
	if got.Code != http.StatusBadRequest || len(w.log.events) != 0 {
		t.Errorf("%d, %d events", got.Code, len(w.log.events))
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// When the log does not take events nothing is promised.
func TestDoorLogAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		wait   string
		told   string
	}{
		{&domain.Error{Code: domain.CodeUnavailable, Message: "try again", RetryAfter: 1500 * time.Millisecond}, 503, "2", "try again"},
		{&domain.Error{Code: domain.CodeUnavailable, Message: "try again"}, 503, "1", "try again"},
		{&domain.Error{Code: domain.CodeTooLarge, Message: "too large"}, 413, "", "too large"},
		{errors.New("disk on fire"), 500, "", "internal error"},
	} {
		w := openDoor(t, 0)
		w.log.fails = c.err
		got := w.post("/custom/webhook", "Bearer TP", ordinary)
		if got.Code != c.status || got.Header().Get("Retry-After") != c.wait || told(t, got) != c.told {
			t.Errorf("%v: %d, Retry-After %q, %s", c.err, got.Code, got.Header().Get("Retry-After"), got.Body)
		}
	}
}

// The bucket of each channel is its own, as large as its refill of a second.
func TestDoorRate(t *testing.T) {
	t.Parallel()
	w := openDoor(t, 20)
	for i := range 20 {
		if got := w.post("/custom/webhook", "Bearer TP", ordinary); got.Code != http.StatusOK {
			t.Fatalf("request %d: %d", i, got.Code)
		}
	}
	got := w.post("/custom/webhook", "Bearer TP", "{")
	if got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v", got.Code, got.Header())
	}
	told(t, got)
	if got := w.post("/custom/webhook", "Bearer TC", said(`{"type":"text","text":"hi"}`)); got.Code != http.StatusOK {
		t.Errorf("the other channel: %d", got.Code)
	}
	w.now = w.now.Add(time.Second)
	if got := w.post("/custom/webhook", "Bearer TP", ordinary); got.Code != http.StatusOK {
		t.Errorf("a second later: %d", got.Code)
	}
}

// However many channels there are, the memory of their rates is bounded.
func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	l := newLimiter(1)
	for i := range maxBuckets + 100 {
		if !l.allow(strconv.Itoa(i), noon) {
			t.Fatal("a new channel is refused")
		}
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(l.buckets))
	}
	l.allow("later", noon.Add(time.Minute)) // all the others are full again
	if len(l.buckets) != 1 {
		t.Errorf("%d buckets after a minute", len(l.buckets))
	}
}

// Neither logs nor answers hold the token (section 5, 3).
func TestDoorKeepsSecrets(t *testing.T) {
	t.Parallel()
	w := openDoor(t, 0)
	ch := phoneChannel()
	ch.Credentials.APIToken = "SECRET48"
	w.mux = http.NewServeMux()
	door, err := New(Config{
		Channels: directory{"SECRET48": ch}, Log: w.log, Now: func() time.Time { return noon },
		Logger:     slog.New(slog.NewTextHandler(w.said, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	door.Register(w.mux)
	answers := ""
	for _, body := range []string{ordinary, "{", strings.Replace(ordinary, "620418", "1", 1), said(`{}`)} {
		answers += w.post("/custom/webhook", "Bearer SECRET48", body).Body.String()
	}
	w.log.fails = errors.New("disk on fire")
	answers += w.post("/custom/webhook", "Bearer SECRET48", ordinary).Body.String()
	if !strings.Contains(w.said.String(), "disk on fire") {
		t.Errorf("the cause is not logged: %s", w.said)
	}
	if strings.Contains(answers+w.said.String(), "SECRET48") || strings.Contains(answers, "disk on fire") {
		t.Errorf("told too much: %s %s", answers, w.said)
	}
}

// discard takes an answer and forgets it.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// nowhere is a log that is done at once.
type nowhere struct{ at []domain.Position }

func (n nowhere) Append(context.Context, ...domain.Event) ([]domain.Position, error) {
	return n.at, nil
}

func BenchmarkDoor(b *testing.B) {
	door, err := New(Config{
		Channels: directory{"TP": phoneChannel()}, Log: nowhere{make([]domain.Position, 1)}, Now: time.Now,
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	door.Register(mux)
	body := strings.NewReader(ordinary)
	r := httptest.NewRequest(http.MethodPost, WebhookPath, body)
	r.Header.Set("Authorization", "Bearer TP")
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(ordinary)
		mux.ServeHTTP(w, r)
	}
}
