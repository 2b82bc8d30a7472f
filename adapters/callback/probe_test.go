package callback

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

func prober(s *Sender, d domain.Dialect, k Dialect) *Prober {
	return &Prober{Sender: s, Dialects: map[domain.Dialect]Dialect{d: k}, Now: time.Now}
}

// Ensure a test call is made once and judged by the dialect.
func TestProbe(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "m1") }) //nolint:errcheck // a test
	p := prober(sender(t, time.Second), domain.DialectRespondIO, plain{})
	ch := domain.Channel{ID: "c1", Dialect: domain.DialectRespondIO, CallbackURL: url, IDType: domain.IDTypePhone}
	if o, err := p.Probe(t.Context(), ch); err != nil || o.Verdict != domain.Delivered || o.ExternalID != "m1" {
		t.Errorf("got %+v, %v", o, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Probe(gone, ch); err == nil {
		t.Error("a probe whose asker has gone has an outcome")
	}
	ch.Dialect = "smoke signals"
	if _, err := p.Probe(t.Context(), ch); domain.CodeOf(err) != domain.CodeInvalid {
		t.Errorf("got %v", err)
	}
}

// checking is a dialect that checks with GET, and with POST where GET is unknown.
type checking struct {
	plain

	endless bool
}

func (c checking) Check(ch domain.Channel, nth int, last domain.Answer) (domain.Call, bool) {
	call := domain.Call{Method: http.MethodGet, URL: ch.CallbackURL, SkipTLSVerify: ch.SkipTLSVerify}
	switch {
	case nth == 0, c.endless:
		return call, true
	case nth == 1 && last.Status == http.StatusMethodNotAllowed:
		call.Method = http.MethodPost
		return call, true
	default:
		return domain.Call{}, false
	}
}

// Ensure a dialect's check is its own calls, each after the answer to the one
// before, and that a failure names the status or the cause.
func TestProbe_Check(t *testing.T) {
	t.Parallel()
	var asked atomic.Pointer[string]
	record := func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		line := ""
		if before := asked.Load(); before != nil {
			line = *before + " "
		}
		line += r.Method + string(body)
		asked.Store(&line)
	}
	var status, post atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		record(r)
		if r.Method == http.MethodPost {
			w.WriteHeader(int(post.Load()))
			return
		}
		w.WriteHeader(int(status.Load()))
	})
	p := prober(sender(t, time.Second), domain.DialectVoximplant, checking{})
	for _, c := range []struct {
		get, post int64
		calls     string
		verdict   domain.Verdict
		detail    string
	}{
		{200, 0, "GET", domain.Delivered, ""},
		{500, 0, "GET", domain.Retry, "answered 500"},
		{401, 0, "GET", domain.Refused, "answered 401"},
		{405, 204, "GET POST", domain.Delivered, ""},
		{405, 302, "GET POST", domain.Refused, "answered 302"},
		{405, 405, "GET POST", domain.Refused, "answered 405"},
	} {
		asked.Store(nil)
		status.Store(c.get)
		post.Store(c.post)
		o, err := p.Probe(t.Context(), domain.Channel{ID: "c1", Dialect: domain.DialectVoximplant, CallbackURL: url})
		if err != nil || o.Verdict != c.verdict || o.Detail != c.detail || *asked.Load() != c.calls {
			t.Errorf("%+v: got %+v, %v after %s", c, o, err, *asked.Load())
		}
	}
}

// Ensure a check that gets no answer names the cause, without the URL.
func TestProbe_CheckNamesTheCause(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the client go
		<-r.Context().Done()
	})
	open := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		url    string
		allow  []netip.Prefix
		reason domain.Reason
		detail string
	}{
		{closed.URL, open, domain.ReasonUnreachable, "connection refused"},
		{"http://no-such-host.invalid", open, domain.ReasonUnreachable, "its name"},
		{untrusted.URL, open, domain.ReasonUnreachable, "certificate"},
		{hangs, open, domain.ReasonTimeout, "timeout"},
		{closed.URL, nil, domain.ReasonAddressRefused, "PARLEY_CALLBACK_ALLOW"},
	} {
		s := NewSender(c.allow, time.Second, 1)
		t.Cleanup(s.Close)
		ch := domain.Channel{ID: "c1", Dialect: domain.DialectVoximplant, CallbackURL: c.url + "/secret"}
		o, err := prober(s, domain.DialectVoximplant, checking{}).Probe(t.Context(), ch)
		if err != nil || o.Verdict == domain.Delivered || o.Reason != c.reason || !strings.Contains(o.Detail, c.detail) || strings.Contains(o.Detail, "secret") {
			t.Errorf("%s: got %+v, %v", c.url, o, err)
		}
	}
}

// broken is a dialect whose check fails in one way or another.
type broken struct {
	plain

	panics bool
}

func (b broken) Check(domain.Channel, int, domain.Answer) (domain.Call, bool) {
	if b.panics {
		panic("no")
	}
	return domain.Call{}, false
}

// Ensure a check that never ends is ended, and one that cannot be made is an error.
func TestProbe_CheckIsBounded(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	url := serve(t, func(http.ResponseWriter, *http.Request) { n.Add(1) })
	ch := domain.Channel{ID: "c1", Dialect: domain.DialectVoximplant, CallbackURL: url}
	o, err := prober(sender(t, time.Second), domain.DialectVoximplant, checking{endless: true}).Probe(t.Context(), ch)
	if err != nil || o.Verdict != domain.Delivered || n.Load() != mostChecks {
		t.Errorf("got %+v, %v after %d calls", o, err, n.Load())
	}
	for _, k := range []Dialect{broken{panics: true}, broken{}} {
		if o, err := prober(sender(t, time.Second), domain.DialectVoximplant, k).Probe(t.Context(), ch); err == nil {
			t.Errorf("%s: got %+v", fmt.Sprint(k), o)
		}
	}
}
