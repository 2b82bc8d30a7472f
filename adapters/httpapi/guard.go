package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// guard stands around every route.
type guard struct {
	next    http.Handler
	metrics *metrics
	log     *slog.Logger
	maxBody int64

	bodyTimeout time.Duration // for a whole body to come in
}

// streams tells whether a request may last: it has no deadline of its own and
// bounds each write instead.
func streams(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v1/events") }

// ServeHTTP answers one request whatever happens inside.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	g.metrics.inFlight.Inc()
	defer g.metrics.inFlight.Dec()

	ctx, cancel := r.Context(), context.CancelFunc(func() {})
	if !streams(r) {
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
	}
	defer cancel()
	r = single(r.WithContext(domain.WithTrace(ctx, r.Header.Get("Traceparent"))))
	res := &response{ResponseWriter: w, request: r}
	g.bound(res, r)

	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")

	defer func() {
		if fault := recover(); fault != nil {
			g.recovered(res, r, fault)
		}
		if res.missed != 0 {
			g.miss(res, r)
		}
		g.metrics.served(r, res.statusSent(), time.Since(started))
	}()
	g.next.ServeHTTP(res, r)
}

// single collapses repeated slashes of a path. Clients that join a base URL and a
// path by hand send them, and the mux would answer with a redirect, on which many
// of them lose the body (respond-io.md 3.1).
func single(r *http.Request) *http.Request {
	if !strings.Contains(r.URL.Path, "//") {
		return r
	}
	u := *r.URL
	for strings.Contains(u.Path, "//") {
		u.Path = strings.ReplaceAll(u.Path, "//", "/")
	}
	for strings.Contains(u.RawPath, "//") {
		u.RawPath = strings.ReplaceAll(u.RawPath, "//", "/")
	}
	r.URL = &u // of WithContext's copy
	return r
}

// bound limits the size of the body and the time it takes to come in. net/http
// lifts the deadline at the body's end, so it does not bound the answer.
func (g *guard) bound(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	// Writers that know no deadline exist only in tests.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.bodyTimeout))
	r.Body = http.MaxBytesReader(w, r.Body, g.maxBody)
}

// recovered turns a panic into an answer, if none has begun. http.ErrAbortHandler
// is a handler's wish to cut the connection and is passed on.
func (g *guard) recovered(w *response, r *http.Request, fault any) {
	if fault == http.ErrAbortHandler { //nolint:errorlint // net/http compares like this as well
		panic(fault) //nolint:forbidigo // the one way to tell net/http
	}
	g.metrics.panics.Inc()
	g.log.Error("http.panic", "method", r.Method, "route", r.Pattern, "panic", fault, "stack", string(debug.Stack()))
	w.missed = 0
	if w.status == 0 {
		w.tell(problemOf(domain.Errorf(domain.CodeInternal, "Something went wrong inside; it has been logged.")))
	}
}

// miss answers a request that no route took.
func (g *guard) miss(w *response, r *http.Request) {
	w.Header().Del("Content-Length")
	if w.missed == http.StatusMethodNotAllowed {
		w.tell(newProblem(w.missed, codeMethod, r.Method+" is not possible here; see the header Allow."))
		return
	}
	w.tell(newProblem(w.missed, domain.CodeNotFound, "There is nothing at this address; /docs lists what there is."))
}
