package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var update = flag.Bool("update", false, "write docs/openapi.json")

// Ensure docs/openapi.json is what the code says. go generate writes it.
func TestOpenAPIIsFresh(t *testing.T) {
	t.Parallel()
	const file = "../../docs/openapi.json"
	w := newWorld(t)
	served := w.call("", "GET", "/v1/openapi.json", "").want(200).body
	got := bytes.Replace(served, []byte(`"https://parley.example.com"`), []byte(`"http://127.0.0.1:8080"`), 1)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/openapi.json is stale; run go generate ./adapters/httpapi:\n%s", diff)
	}
	var doc map[string]any
	if err := json.Unmarshal(got, &doc); err != nil || doc["openapi"] != "3.1.0" {
		t.Errorf("openapi %v, %v", doc["openapi"], err)
	}
	for _, foreign := range []string{"ErrorModel", "ErrorDetail", "$schema"} {
		if bytes.Contains(got, []byte(foreign)) {
			t.Errorf("the document speaks of %s", foreign)
		}
	}
}

// Ensure /docs needs nothing from elsewhere and shows every operation.
func TestDocsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.call("", "GET", "/docs", "").want(200)
	page := string(a.body)
	for _, r := range routesOf(w) {
		if name := "<b>" + r.method + "</b> " + generic(r.path); !strings.Contains(page, name) {
			t.Errorf("no %s", name)
		}
	}
	for _, bad := range []string{"<script", "src=", "@import", "url(", "ZgotmplZ", "<link"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	if !strings.Contains(page, `name="viewport"`) || !strings.Contains(a.header.Get("Content-Type"), "text/html") {
		t.Error("not a page for a phone")
	}
	if root := w.call("", "GET", "/", ""); root.status != 302 || root.header.Get("Location") != "/docs" {
		t.Errorf("/ answers %d %v", root.status, root.header)
	}
}

// Ensure every error has the shape of a problem document, also those that no
// operation makes.
func TestProblems(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call("", "GET", "/nothing", "").want(404)
	w.call("", "GET", "/v1/nothing", "").want(404)
	w.call("", "POST", "/", "").want(405)
	for _, c := range []struct{ method, path, allow string }{
		{"DELETE", "/v1/channels", "GET, HEAD, POST"}, {"PUT", "/v1/contacts", "GET, HEAD"}, {"POST", "/healthz", "GET, HEAD"},
	} {
		if a := w.call(adminToken, c.method, c.path, "").want(405); a.header.Get("Allow") != c.allow || a.problem().Code != codeMethod {
			t.Errorf("%s %s: Allow %q, %s", c.method, c.path, a.header.Get("Allow"), a.body)
		}
	}
	big := `{"name":"` + long(maxJSONBody) + `"}`
	w.call(adminToken, "POST", "/v1/channels", big).want(413)
	w.call(adminToken, "PATCH", "/v1/channels/"+w.makeChannel(adminToken, "phone"), big).want(413)
	w.call(adminToken, "POST", "/v1/channels", "").want(400)
	w.call(adminToken, "POST", "/v1/channels", "{").want(400)
	w.call(adminToken, "POST", "/v1/channels", "name=x", "Content-Type", "application/x-www-form-urlencoded").want(400)
	// JSON is JSON, whatever the header says.
	w.call(adminToken, "POST", "/v1/channels", `{"dialect":"respondio","name":"Shop","callback_url":"https://cb.example.com","id_type":"phone"}`,
		"Content-Type", "application/x-www-form-urlencoded").want(201)
	// Whatever the caller says it accepts, errors are told.
	w.call("", "GET", "/v1/channels", "", "Accept", "text/html").want(401)
	w.call(adminToken, "GET", "/v1/channels?limit=0", "", "Accept", "image/png").want(400)
	// A body that fills the limit is taken.
	fits := `{"dialect":"respondio","name":"Shop","callback_url":"https://cb.example.com","id_type":"phone"}`
	w.call(adminToken, "POST", "/v1/channels", fits+strings.Repeat(" ", maxJSONBody-len(fits))).want(201)
	w.call(adminToken, "POST", "/v1/channels", fits+strings.Repeat(" ", maxJSONBody-len(fits)+1)).want(413)
}

// Ensure a path with repeated slashes is served, not redirected.
func TestRepeatedSlashes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(adminToken, "POST", "//v1///channels", `{"dialect":"respondio","name":"a","callback_url":"https://cb.example.com","id_type":"phone"}`).want(201)
	w.call(adminToken, "GET", "/v1//channels", "").want(200)
}

// doorFunc is a door with one route.
type doorFunc struct {
	pattern string
	serve   http.HandlerFunc
}

// Register implements Door.
func (d doorFunc) Register(mux *http.ServeMux) { mux.Handle(d.pattern, d.serve) }

// newServer makes a server without the platform API.
func newServer(t testing.TB, logs io.Writer, doors ...Door) (*Server, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	s, err := New(Config{Gatherer: reg, Registerer: reg, Logger: slog.New(slog.NewTextHandler(logs, nil)), Doors: doors, Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return s, reg
}

// Ensure a panic is an answer, a log line and a number, and never the end of the
// process; and that a door's own answers pass untouched.
func TestDoors(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	s, reg := newServer(t, &logs,
		doorFunc{"/panic", func(http.ResponseWriter, *http.Request) { panic("oh no") }},
		doorFunc{"/late", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated); panic("too late") }},
		doorFunc{"/own", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "mine", http.StatusNotFound) }},
		doorFunc{"/echo", func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if _, big := errors.AsType[*http.MaxBytesError](err); big {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			}
			_, _ = fmt.Fprint(w, n)
		}},
	)
	get := func(method, path string, body io.Reader) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest(method, path, body))
		return rec
	}
	a := answer{t: t}
	rec := get("GET", "/panic", nil)
	a.status, a.header, a.body = rec.Code, rec.Header(), rec.Body.Bytes()
	a.want(500)
	if strings.Contains(rec.Body.String(), "oh no") || !strings.Contains(logs.String(), "oh no") {
		t.Errorf("answer %s, log %s", rec.Body, &logs)
	}
	if rec := get("GET", "/late", nil); rec.Code != 201 || rec.Body.Len() != 0 {
		t.Errorf("a panic after the header: %d %s", rec.Code, rec.Body)
	}
	if rec := get("GET", "/own", nil); rec.Code != 404 || rec.Body.String() != "mine\n" {
		t.Errorf("a door's own 404: %d %s", rec.Code, rec.Body)
	}
	if rec := get("POST", "/echo", bytes.NewReader(make([]byte, DefaultMaxBody))); rec.Body.String() != fmt.Sprint(DefaultMaxBody) {
		t.Errorf("body of the limit: %d %s", rec.Code, rec.Body)
	}
	if rec := get("POST", "/echo", bytes.NewReader(make([]byte, DefaultMaxBody+1))); rec.Code != 413 {
		t.Errorf("body above the limit: %d", rec.Code)
	}
	if rec := get("GET", "/", nil); rec.Code != 200 || !strings.Contains(rec.Body.String(), "Parley") {
		t.Errorf("/ answers %d %s", rec.Code, rec.Body)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
		if got := rec.Header().Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if n := testutil.ToFloat64(s.guard.metrics.panics); n != 2 {
		t.Errorf("%v panics counted", n)
	}
	get("BREW", "/nowhere/"+long(100), nil)
	for labels, want := range map[[3]string]float64{
		{"/panic", "GET", "5xx"}: 1, {"/late", "GET", "2xx"}: 1, {"/own", "GET", "4xx"}: 1, {"/echo", "POST", "4xx"}: 1,
		{noRoute, "other", "4xx"}: 1, {"/metrics", "GET", "2xx"}: 0,
	} {
		if got := testutil.ToFloat64(s.guard.metrics.requests.WithLabelValues(labels[:]...)); got != want {
			t.Errorf("%v: %v requests, want %v", labels, got, want)
		}
	}
	if n, err := testutil.GatherAndCount(reg, "parley_http_request_duration_seconds"); err != nil || n == 0 {
		t.Errorf("durations: %d, %v", n, err)
	}
	if rec := get("GET", "/metrics", nil); rec.Code != 200 || !strings.Contains(rec.Body.String(), `parley_http_requests_total{method="GET",route="/own",status="4xx"} 1`) {
		t.Errorf("/metrics answers %d", rec.Code)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
}

// Ensure /healthz tells that the process lives and /readyz why it is not of use.
func TestHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.call("", "GET", "/healthz", ""); a.status != 200 || string(a.body) != "ok\n" {
		t.Errorf("/healthz: %d %s", a.status, a.body)
	}
	if a := w.call("", "GET", "/readyz", ""); a.status != 200 || a.field("parts", "log", "ready") != "true" {
		t.Errorf("/readyz: %d %s", a.status, a.body)
	}
	w.set(func() { w.appendErr = errors.New("no broker") })
	if a := w.call("", "GET", "/readyz", ""); a.status != 503 || a.field("parts", "log", "reason") != "no broker" || a.field("ready") != "false" {
		t.Errorf("/readyz: %d %s", a.status, a.body)
	}
	w.set(func() { w.appendErr = nil })
	w.server.stopping.Store(true)
	if a := w.call("", "GET", "/readyz", ""); a.status != 503 || a.field("parts", "server", "reason") != "stopping" {
		t.Errorf("/readyz while stopping: %d %s", a.status, a.body)
	}
}

// serve runs a server on a real socket and gives its base URL and how to stop it.
func serve(t *testing.T, s *Server) (url string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return "http://" + listener.Addr().String(), stop
}

// Ensure a stop lets a request finish, and ends one that will not.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	ended := make(chan struct{})
	s, _ := newServer(t, io.Discard,
		doorFunc{"/slow", func(w http.ResponseWriter, _ *http.Request) {
			entered <- struct{}{}
			<-leave
			_, _ = io.WriteString(w, "done")
		}},
	)
	url, stop := serve(t, s)
	answered := make(chan string, 1)
	go func() {
		res, err := http.Get(url + "/slow")
		if err != nil {
			answered <- err.Error()
			return
		}
		body, err := io.ReadAll(res.Body)
		answered <- fmt.Sprint(string(body), " ", err, " ", res.Body.Close())
	}()
	<-entered
	stopping := make(chan error, 1)
	go func() { stopping <- stop() }()
	for !s.stopping.Load() { // set before anything is cut
		if _, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), time.Second); err != nil {
			if !s.stopping.Load() {
				t.Error("connections are refused before /readyz says so")
			}
			break
		}
	}
	close(leave)
	if got := <-answered; got != "done <nil> <nil>" {
		t.Errorf("the request that was being answered: %s", got)
	}
	if err := <-stopping; err != nil {
		t.Errorf("stop: %v", err)
	}

	s, _ = newServer(t, io.Discard, doorFunc{"/never", func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
		close(ended)
	}})
	url, stop = serve(t, s)
	go func() {
		if res, err := http.Get(url + "/never"); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-entered
	if err := stop(); err == nil {
		t.Error("a stop that cut a request says nothing")
	}
	<-ended
}

// Ensure a server that is to stop goes on until balancers have noticed: it takes
// new connections, and gives up those that it has with an answer, not between two
// requests.
func TestDrain(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, io.Discard, doorFunc{"/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") }})
	s.drain = 300 * time.Millisecond
	url, stop := serve(t, s)
	client := &http.Client{Transport: &http.Transport{}}
	get := func(path string) (status int, closed bool) {
		t.Helper()
		res, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Close
	}
	if _, closed := get("/"); closed {
		t.Fatal("a connection is closed although nothing is to stop")
	}
	stopping := make(chan error, 1)
	go func() { stopping <- stop() }()
	for !s.stopping.Load() {
		get("/")
	}
	for range 2 { // on the connection that there is, and on a new one
		if status, closed := get("/"); status != http.StatusOK || !closed {
			t.Errorf("while draining: %d, connection closed %t", status, closed)
		}
	}
	if status, _ := get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz while draining: %d", status)
	}
	if err := <-stopping; err != nil {
		t.Errorf("stop: %v", err)
	}
}

// Ensure a body that does not come in ends, and that a handler which takes longer
// than its body might have is not taken for a caller who has gone.
func TestBodyDeadline(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	read := make(chan error, 1)
	s, _ := newServer(t, io.Discard, doorFunc{"/", func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		if err == nil {
			select { // longer than the body's deadline
			case <-r.Context().Done():
				err = r.Context().Err()
			case <-time.After(3 * limit):
			}
		}
		read <- err
	}})
	s.guard.bodyTimeout = limit
	url, _ := serve(t, s)
	for range 2 { // the connection is used again
		res, err := http.Post(url+"/x", "text/plain", strings.NewReader("all of it"))
		if err := errors.Join(err, <-read); err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a body that stops half way: %v", err)
	}
}

// Ensure an export that fails at once is a problem, and one that fails on the
// way is no whole answer.
func TestExportFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.makeChannel(adminToken, "phone")
	w.receive(channel, "+15550100", "e", "hello")
	for _, bad := range []string{"from=yesterday", "to=1", "from=0:1&to=1:1", "from=2026-13-01"} {
		w.call(readerToken, "GET", "/v1/events?"+bad, "").want(400)
	}
	for _, good := range []string{"from=0:0&to=0:5", "from=2026-03-01T00:00:00Z", "from=2026-03-01T00:00:00+01:00", "to=2027-01-01", "type=message&channel=x&stream=x%2Fy"} {
		w.call(readerToken, "GET", "/v1/events?"+good, "").want(200)
	}
	if a := w.call(readerToken, "GET", "/v1/events?from=0:1", "").want(200); len(a.body) != 0 {
		t.Errorf("from a position: %s", a.body)
	}
	w.set(func() { w.exportErr = errors.New("log lost") })
	w.call(readerToken, "GET", "/v1/events", "").want(500)

	for range 2000 { // more than one part
		w.receive(channel, "+15550100", fmt.Sprint(len(w.events)), "hello")
	}
	url, _ := serve(t, w.server)
	r, err := http.NewRequest(http.MethodGet, url+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+readerToken)
	read := func() (int, error) {
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		defer func() { _ = res.Body.Close() }()
		lines, in := 0, bufio.NewScanner(res.Body)
		for in.Scan() {
			lines++
		}
		return lines, in.Err()
	}
	if n, err := read(); err == nil {
		t.Errorf("an export that failed ended like a whole one, after %d lines", n)
	}
	w.set(func() { w.exportErr = nil })
	if n, err := read(); err != nil || n != 2001 {
		t.Errorf("%d lines, %v", n, err)
	}
}

// Ensure only so many exports run at the same time.
func TestExportsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	w.exporting = func() { entered <- struct{}{}; <-leave }
	var all sync.WaitGroup
	for range mostExports {
		all.Go(func() { w.call(readerToken, "GET", "/v1/events", "") })
		<-entered
	}
	if a := w.call(readerToken, "GET", "/v1/events", "").want(429); a.header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	close(leave)
	all.Wait()
	w.exporting = nil
	w.call(readerToken, "GET", "/v1/events", "").want(200)
}
