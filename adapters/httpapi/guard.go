package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
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
	roomy       []roomy
	lasting     []lasting
}

// lasts tells whether a request has no deadline of its own and bounds each write
// instead.
func (g *guard) lasts(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/v1/events") ||
		slices.ContainsFunc(g.lasting, func(l lasting) bool { return l.Lasts(r) })
}

// ServeHTTP answers one request whatever happens inside.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	g.metrics.inFlight.Inc()
	defer g.metrics.inFlight.Dec()

	r = single(r.WithContext(domain.WithTrace(r.Context(), r.Header.Get("Traceparent"))))
	res := &response{ResponseWriter: w}
	extra := g.bound(res, r)
	if !g.lasts(r) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout+extra)
		defer cancel()
		r = r.WithContext(ctx)
	}
	res.request = r

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

// bound limits the size of the body and the time it takes to come in, and tells
// how much longer than others a request may take for its size. net/http lifts the
// deadline at the body's end, so it does not bound the answer.
func (g *guard) bound(w http.ResponseWriter, r *http.Request) (extra time.Duration) {
	if r.Body == nil || r.Body == http.NoBody {
		return 0
	}
	most := g.maxBody
	for _, door := range g.roomy {
		most = max(most, door.MaxBody(r))
	}
	connection := http.NewResponseController(w)
	// At the pace that a body of the common bound must come in with. Writers that know
	// no deadline exist only in tests.
	limit := min(time.Duration(float64(g.bodyTimeout)*float64(most)/float64(g.maxBody)), max(g.bodyTimeout, mostBodyTimeout))
	_ = connection.SetReadDeadline(time.Now().Add(limit))
	if extra = limit - g.bodyTimeout; extra > 0 {
		_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout + extra))
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	return extra
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
