package voximplant

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-im/parley/domain"
)

// Ensure every path and header of section 1 takes an event.
func TestEventPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/" + channelA, "/" + channelA + "/", "/" + strings.ToUpper(channelA), "/" + strings.ReplaceAll(channelA, "-", "%2D"), "/%33" + channelA[1:],
		"/" + channelA + "?x=1", "/api/v3/" + channelA, "/api/v3/" + channelA + "/", "/api/v3/botService/callback/" + channelA,
		"/api/v3/botService/callback/" + strings.ToUpper(channelA) + "/",
	} {
		w := openDoor(t)
		access := w.access(t)
		e := w.takenAs(t, w.do(http.MethodPost, path, minimal, "Authorization", access, "Content-Type", "text/plain"))
		if e.Channel != channelA || e.Account != acme || e.ContactRef != "u-20417" || e.Dialect != domain.DialectVoximplant {
			t.Errorf("%s: %+v", path, e)
		}
	}
}

// Ensure the scheme's spelling does not count, and that the header of old clients
// counts only alone (section 1).
func TestEventBearer(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	access := strings.TrimPrefix(w.access(t), "Bearer ")
	for _, headers := range [][]string{
		{"Authorization", "bearer    " + access + " "}, {"Authorization", "BEARER " + access}, {"X-Kit-Authorization", "Bearer " + access},
		{"Authorization", "Bearer " + access, "X-Kit-Authorization", "Bearer x"},
	} {
		w.takenAs(t, w.do(http.MethodPost, "/"+channelA, minimal, headers...))
	}
	for _, headers := range [][]string{
		{"X-Kit-Authorization", "Bearer x"}, {"Authorization", "Bearer x", "X-Kit-Authorization", "Bearer " + access},
		{"Authorization", "", "X-Kit-Authorization", "Bearer " + access},
	} {
		refusedWith(t, w.do(http.MethodPost, "/"+channelA, minimal, headers...), http.StatusUnauthorized)
	}
}

// Ensure the table of section 8.3 holds, in its order: path, token, body.
func TestEventRefuses(t *testing.T) {
	t.Parallel()
	const broken = "{"
	for _, c := range []struct {
		name   string
		status int
		do     func(w *doorway, p pair) *httptest.ResponseRecorder
	}{
		{"no header", 401, func(w *doorway, _ pair) *httptest.ResponseRecorder { return w.do("POST", "/"+channelA, broken) }},
		{"not Bearer", 401, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelA, broken, "Authorization", "Basic "+p.Access)
		}},
		{"the token alone", 401, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelA, broken, "Authorization", p.Access)
		}},
		{"empty token", 401, func(w *doorway, _ pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelA, broken, "Authorization", "Bearer ")
		}},
		{"malformed", 401, func(w *doorway, _ pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelA, broken, "Authorization", "Bearer a.b.c")
		}},
		{"refresh token", 401, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelA, broken, "Authorization", "Bearer "+p.Refresh)
		}},
		{"expired", 401, func(w *doorway, p pair) *httptest.ResponseRecorder {
			w.now = noon.Add(15*time.Minute + time.Second)
			return w.do("POST", "/"+channelA, minimal, "Authorization", "Bearer "+p.Access)
		}},
		{"nearly expired", 200, func(w *doorway, p pair) *httptest.ResponseRecorder {
			w.now = noon.Add(15*time.Minute - time.Second)
			return w.do("POST", "/"+channelA, minimal, "Authorization", "Bearer "+p.Access)
		}},
		{"API token revoked", 401, func(w *doorway, p pair) *httptest.ResponseRecorder {
			w.tokens[0].RevokedAt = &w.now
			return w.do("POST", "/"+channelA, minimal, "Authorization", "Bearer "+p.Access)
		}},
		{"account disabled", 401, func(w *doorway, p pair) *httptest.ResponseRecorder {
			w.accounts[acme] = domain.Account{Name: acme, Disabled: true}
			return w.do("POST", "/"+channelA, minimal, "Authorization", "Bearer "+p.Access)
		}},
		{"channel deleted", 401, func(w *doorway, p pair) *httptest.ResponseRecorder {
			delete(w.channels, channelA)
			return w.do("POST", "/"+channelA, minimal, "Authorization", "Bearer "+p.Access)
		}},
		{"channel disabled", 403, func(w *doorway, p pair) *httptest.ResponseRecorder {
			ch := w.channels[channelA]
			ch.Disabled = true
			w.channels[channelA] = ch
			return w.do("POST", "/"+channelA, broken, "Authorization", "Bearer "+p.Access)
		}},
		{"another channel of the account", 403, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelA2, broken, "Authorization", "Bearer "+p.Access)
		}},
		{"channel of another account", 403, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelU, broken, "Authorization", "Bearer "+p.Access)
		}},
		{"no such channel, good token", 404, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+strangers, broken, "Authorization", "Bearer "+p.Access)
		}},
		{"channel of another dialect", 404, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelR, broken, "Authorization", "Bearer "+p.Access)
		}},
		{"no such channel, bad token", 401, func(w *doorway, _ pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+strangers, broken, "Authorization", "Bearer x")
		}},
		{"no UUID", 404, func(w *doorway, _ pair) *httptest.ResponseRecorder { return w.do("POST", "/not-a-uuid", broken) }},
		{"no UUID behind the alias", 404, func(w *doorway, _ pair) *httptest.ResponseRecorder {
			return w.do("POST", "/api/v3/botService/callback/x", broken)
		}},
		{"broken body", 400, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelA, broken, "Authorization", "Bearer "+p.Access)
		}},
		{"1 MiB and a byte", 413, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelA, strings.Repeat(" ", maxBody+1), "Authorization", "Bearer "+p.Access)
		}},
		{"1 MiB", 200, func(w *doorway, p pair) *httptest.ResponseRecorder {
			return w.do("POST", "/"+channelA, minimal+strings.Repeat(" ", maxBody-len(minimal)), "Authorization", "Bearer "+p.Access)
		}},
		{"the log is away", 503, func(w *doorway, p pair) *httptest.ResponseRecorder {
			w.fails = &domain.Error{Code: domain.CodeUnavailable, Message: "stopping", RetryAfter: time.Second}
			return w.do("POST", "/"+channelA, minimal, "Authorization", "Bearer "+p.Access)
		}},
		{"the log is broken", 500, func(w *doorway, p pair) *httptest.ResponseRecorder {
			w.fails = errors.New("disk of db-7 is full")
			return w.do("POST", "/"+channelA, minimal, "Authorization", "Bearer "+p.Access)
		}},
		{"too large for the log", 413, func(w *doorway, p pair) *httptest.ResponseRecorder {
			w.fails = domain.Errorf(domain.CodeTooLarge, "the events are too large for the log")
			return w.do("POST", "/"+channelA, minimal, "Authorization", "Bearer "+p.Access)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := openDoor(t)
			p := tokens(t, w.login(acme, theToken, channelA))
			got := c.do(w, p)
			if c.status == http.StatusOK {
				w.takenAs(t, got)
				return
			}
			told := refusedWith(t, got, c.status)
			if len(w.events) != 0 || strings.Contains(told, "db-7") || strings.Contains(w.said.String(), p.Access) {
				t.Errorf("%d events; %s; %s", len(w.events), told, w.said)
			}
			if after := got.Header().Get("Retry-After"); c.status == http.StatusServiceUnavailable && after != "5" {
				t.Errorf("Retry-After is %q", after)
			}
		})
	}
}

// Ensure a body that ends early is the sender's fault.
func TestEventCutOff(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	r := httptest.NewRequest(http.MethodPost, "/"+channelA, io.MultiReader(strings.NewReader(minimal[:20]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Authorization", w.access(t))
	got := httptest.NewRecorder()
	w.mux.ServeHTTP(got, r)
	refusedWith(t, got, http.StatusBadRequest)
}

// Ensure the root route leaves everything else to whom it belongs.
func TestRootSwallowsNothing(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
		kit          bool // answered in the envelope
	}{
		{"GET", "/healthz", 204, "", false},
		{"GET", "/", 204, "", false},
		{"POST", "/healthz", 405, "GET, HEAD", false},
		{"DELETE", "/healthz", 405, "GET, HEAD", false},
		{"POST", "/custom/webhook/", 204, "", false},
		{"PUT", "/v1/channels", 204, "", false},
		{"GET", "/nothing", 404, "", false},
		{"GET", "/nothing/", 404, "", false},
		{"PUT", "/v1", 404, "", false},
		{"POST", "/nothing", 404, "", true},
		{"POST", "/nothing/", 404, "", true},
		{"POST", "/a/b", 404, "", false},
		{"POST", "/" + channelA + "/b", 404, "", false},
		{"POST", "/" + strings.ReplaceAll(channelA, "-", ""), 404, "", true},
		{"POST", "/{" + channelA + "}", 404, "", true},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		got := httptest.NewRecorder()
		w.mux.ServeHTTP(got, r)
		if got.Code != c.status || got.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q", c.method, c.path, got.Code, got.Header().Get("Allow"))
		}
		if c.kit {
			refusedWith(t, got, c.status)
		}
		// A miss says so in the pattern: the server then answers in its own way.
		if missed := got.Code >= 400 && !c.kit; missed != (r.Pattern == "") {
			t.Errorf("%s %s: pattern %q", c.method, c.path, r.Pattern)
		}
	}
}

// Ensure answers are counted by endpoint and status.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	access := w.access(t)
	w.takenAs(t, w.do(http.MethodPost, "/"+channelA, minimal, "Authorization", access))
	w.takenAs(t, w.do(http.MethodPost, "/"+channelA, minimal, "Authorization", access))
	refusedWith(t, w.do(http.MethodPost, "/"+channelA, "", "Authorization", access), http.StatusBadRequest)
	refusedWith(t, w.do(http.MethodGet, loginPath, ""), http.StatusMethodNotAllowed)
	for kind, want := range map[answerKind]float64{
		{atLogin, 200}: 1, {atLogin, 405}: 1, {atEvent, 200}: 2, {atEvent, 400}: 1, {atResponse, 200}: 0,
	} {
		if got := testutil.ToFloat64(w.door.metrics.requests[kind]); got != want {
			t.Errorf("%v: %v, want %v", kind, got, want)
		}
	}
	registry := prometheus.NewRegistry()
	if _, err := newMetrics(registry); err != nil {
		t.Fatal(err)
	}
	if _, err := newMetrics(registry); err == nil {
		t.Error("registered twice")
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Error(err, problems)
	}
}

// discard is a response that goes nowhere.
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
	w := openDoor(b)
	w.door.log, w.door.logger = nowhere{make([]domain.Position, 1)}, slog.New(slog.DiscardHandler)
	body := strings.NewReader(full)
	r := httptest.NewRequest(http.MethodPost, "/"+channelA, body)
	r.Header.Set("Authorization", w.access(b))
	out := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(full)
		w.mux.ServeHTTP(out, r)
	}
}
