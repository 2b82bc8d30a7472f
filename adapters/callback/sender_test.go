package callback

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
)

func post(url string) domain.Call {
	return domain.Call{
		Method: http.MethodPost, URL: url, Body: []byte(`{}`),
		Headers: []domain.Header{{Name: "Authorization", Value: "Bearer T"}, {Name: "Idempotency-Key", Value: "k1"}},
	}
}

// sender makes a Sender that may reach loopback.
func sender(t *testing.T, timeout time.Duration) *Sender {
	t.Helper()
	s := NewSender([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, timeout, 4)
	t.Cleanup(s.Close)
	return s
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// Ensure addresses that are not public are refused, however they are written,
// unless the operator names their range.
func TestGate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		addr  string
		allow string
		ok    bool
	}{
		{addr: "93.184.215.14", ok: true},
		{addr: "2606:2800:21f:cb07::1", ok: true},
		{addr: "127.0.0.1"},
		{addr: "127.255.255.254"},
		{addr: "::1"},
		{addr: "::ffff:127.0.0.1"},
		{addr: "::127.0.0.1"},
		{addr: "0.0.0.0"},
		{addr: "::"},
		{addr: "10.1.2.3"},
		{addr: "172.16.0.1"},
		{addr: "172.32.0.1", ok: true},
		{addr: "192.168.1.1"},
		{addr: "::ffff:192.168.1.1"},
		{addr: "100.64.0.1"},
		{addr: "100.100.100.200"},
		{addr: "100.128.0.1", ok: true},
		{addr: "169.254.169.254"},
		{addr: "64:ff9b::a9fe:a9fe"},
		{addr: "2002:7f00:1::"},
		{addr: "fd00:ec2::254"},
		{addr: "fe80::1%eth0"},
		{addr: "fec0::1"},
		{addr: "224.0.0.1"},
		{addr: "255.255.255.255"},
		{addr: "ff02::1"},
		{addr: "192.0.2.1"},
		{addr: "198.18.0.1"},
		{addr: "127.0.0.1", allow: "127.0.0.0/8", ok: true},
		{addr: "::ffff:127.0.0.1", allow: "127.0.0.0/8", ok: true},
		{addr: "127.0.0.1", allow: "::ffff:127.0.0.0/104", ok: true},
		{addr: "::1", allow: "127.0.0.0/8"},
		{addr: "10.1.2.3", allow: "10.1.0.0/16", ok: true},
		{addr: "10.2.2.3", allow: "10.1.0.0/16"},
	} {
		var allow []netip.Prefix
		if c.allow != "" {
			allow = append(allow, netip.MustParsePrefix(c.allow))
		}
		err := newGate(allow).check(netip.MustParseAddr(c.addr))
		if (err == nil) != c.ok {
			t.Errorf("%s with %q allowed: %v", c.addr, c.allow, err)
		}
	}
}

// Ensure the check is made when the connection is: a name that leads inside is
// refused, no packet is sent, and the answer says which setting to change.
func TestSend_NameThatLeadsInside(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) })}
	go server.Serve(listener) //nolint:errcheck // ends with the test
	t.Cleanup(func() { server.Close() })
	s := NewSender(nil, 5*time.Second, 4)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0"} {
		answer := s.Send(t.Context(), post("http://"+host+":"+port+"/message"))
		if answer.Fault != domain.ReasonAddressRefused || !strings.Contains(answer.Detail, "PARLEY_CALLBACK_ALLOW") {
			if host == "0" && answer.Fault == domain.ReasonUnreachable {
				continue // not a name everywhere
			}
			t.Errorf("%s: %+v", host, answer)
		}
	}
	if reached.Load() {
		t.Error("the receiver was reached")
	}
}

// Ensure the call goes out as the dialect made it.
func TestSend_Request(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.Header.Get("Idempotency-Key") != "k1" || r.Header.Get("Authorization") != "Bearer T" ||
			string(body) != "{}" || r.ContentLength != 2 || r.Header.Get("Accept-Encoding") != "" || r.UserAgent() != "Parley/1.2" {
			t.Errorf("got %s %v %q", r.Method, r.Header, body)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, "slow down") //nolint:errcheck // a test
	})
	answer := sender(t, time.Second).As("Parley/1.2").Send(t.Context(), post(url))
	if answer.Fault != "" || answer.Status != 429 || answer.RetryAfter != "7" || string(answer.Body) != "slow down" {
		t.Errorf("got %+v", answer)
	}
}

// Ensure a redirect is an answer and not followed.
func TestSend_RedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	if answer := sender(t, time.Second).Send(t.Context(), post(url)); answer.Status != 307 || n.Load() != 1 {
		t.Errorf("got %+v after %d calls", answer, n.Load())
	}
}

// Ensure no more than a mebibyte of an answer is read.
func TestSend_LongAnswerIsCut(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte("x"), 2<<20)) })
	answer := sender(t, 10*time.Second).Send(t.Context(), post(url))
	if answer.Status != 200 || len(answer.Body) != MaxAnswer || !answer.Truncated {
		t.Errorf("status %d, %d bytes, truncated %v, fault %s", answer.Status, len(answer.Body), answer.Truncated, answer.Fault)
	}
	url = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", 1<<20))
	})
	if answer := sender(t, 10*time.Second).Send(t.Context(), post(url)); answer.Fault != domain.ReasonUnreachable {
		t.Errorf("a header of a mebibyte: %+v", answer.Fault)
	}
}

// Ensure that an answer that does not end in time is none, whether it has not
// begun or only trickles.
func TestSend_TimeIsBounded(t *testing.T) {
	t.Parallel()
	for _, trickle := range []bool{false, true} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-r.Context().Done():
					return
				case <-tick.C:
					if trickle {
						io.WriteString(w, "x") //nolint:errcheck // a test
						http.NewResponseController(w).Flush()
					}
				}
			}
		})
		if answer := sender(t, 200*time.Millisecond).Send(t.Context(), post(url)); answer.Fault != domain.ReasonTimeout {
			t.Errorf("trickle %v: %+v", trickle, answer.Fault)
		}
	}
}

// Ensure that a connection closed instead of an answer is one call, also when the
// connection was kept from a call before: the schedule alone makes calls again.
func TestSend_ClosedConnectionIsOneCall(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if n.Add(1) > 1 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		}
	})
	s := sender(t, time.Second)
	if answer := s.Send(t.Context(), post(url)); answer.Status != 200 {
		t.Fatalf("got %+v", answer)
	}
	if answer := s.Send(t.Context(), post(url)); answer.Fault != domain.ReasonUnreachable || n.Load() != 2 {
		t.Errorf("got %+v, %d calls in all", answer, n.Load())
	}
}

// Ensure what cannot be reached says so, without the URL.
func TestSend_Unreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	s := sender(t, 5*time.Second)
	for _, url := range []string{server.URL + "/secret", "http://no-such-host.invalid/secret", "https://" + strings.TrimPrefix(serve(t, func(http.ResponseWriter, *http.Request) {}), "http://") + "/secret"} {
		answer := s.Send(t.Context(), post(url))
		if answer.Fault != domain.ReasonUnreachable || strings.Contains(answer.Detail, "secret") {
			t.Errorf("%s: %+v", url, answer)
		}
	}
}

// Ensure certificates are checked, unless the call says otherwise; and that a call
// that wants its certificate checked never goes over a connection that was not.
func TestSend_Certificates(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1) }))
	t.Cleanup(server.Close)
	s := sender(t, 5*time.Second)
	strict, lax := post(server.URL), post(server.URL)
	lax.SkipTLSVerify = true
	for range 2 {
		if answer := s.Send(t.Context(), strict); answer.Fault != domain.ReasonUnreachable || !strings.Contains(answer.Detail, "x509") {
			t.Errorf("checked: %+v", answer)
		}
		if answer := s.Send(t.Context(), lax); answer.Status != 200 {
			t.Errorf("unchecked: %+v", answer)
		}
	}
	if n.Load() != 2 {
		t.Errorf("%d calls", n.Load())
	}
	guarded := NewSender(nil, 5*time.Second, 4)
	t.Cleanup(guarded.Close)
	if answer := guarded.Send(t.Context(), lax); answer.Fault != domain.ReasonAddressRefused {
		t.Errorf("an inner address, unchecked: %+v", answer)
	}
}

// Ensure a redirect is not followed by calls that take any certificate either.
func TestSend_UncheckedRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	t.Cleanup(server.Close)
	call := post(server.URL)
	call.SkipTLSVerify = true
	if answer := sender(t, 5*time.Second).Send(t.Context(), call); answer.Status != http.StatusFound {
		t.Errorf("got %+v", answer)
	}
}

// Ensure a call's own time holds where it is the shorter one, and only there.
func TestSend_TimeOfACall(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the client go
		<-r.Context().Done()
	})
	for _, c := range []struct{ setting, call time.Duration }{
		{time.Hour, 50 * time.Millisecond},
		{50 * time.Millisecond, time.Hour},
		{50 * time.Millisecond, 0},
	} {
		call := post(url)
		call.Timeout = c.call
		began := time.Now()
		answer := sender(t, c.setting).Send(t.Context(), call)
		if took := time.Since(began); answer.Fault != domain.ReasonTimeout || took < 50*time.Millisecond || took > 30*time.Second {
			t.Errorf("%+v: %+v after %s", c, answer, took)
		}
	}
}

// Ensure the rate holds in every window of a second, at whatever moment between
// writing and answer a call reaches the receiver.
func TestRate_HoldsForTheReceiver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "n")
		type flight struct{ write, answer, arrives time.Time }
		var r rate
		now := time.Unix(1_700_000_000, 0)
		var arrivals []time.Time
		type event struct {
			at time.Time
			do func()
		}
		var pending []event
		run := func(until time.Time) {
			for {
				first := -1
				for i, e := range pending {
					if !e.at.After(until) && (first < 0 || e.at.Before(pending[first].at)) {
						first = i
					}
				}
				if first < 0 {
					return
				}
				e := pending[first]
				pending = append(pending[:first], pending[first+1:]...)
				now = e.at
				e.do()
			}
		}
		for range 60 {
			run(now)
			ok, at := r.take(now, n)
			if !ok {
				until := now.Add(10 * time.Millisecond)
				if !at.IsZero() && at.After(now) {
					until = at
				}
				run(until)
				now = until
				continue
			}
			f := flight{write: now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "dial")) * time.Millisecond)}
			f.answer = f.write.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "answer")) * time.Millisecond)
			// It arrives between the two, and at most rateGrace after it was written.
			most := min(f.answer.Sub(f.write), rateGrace)
			f.arrives = f.write.Add(time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, "arrives")))
			arrivals = append(arrivals, f.arrives)
			pending = append(pending, event{f.write, func() {
				p := r.written(now, ratePeriod)
				pending = append(pending, event{f.answer, func() { p.answered(now, ratePeriod) }})
			}})
			now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "gap")) * time.Millisecond)
		}
		for i := range arrivals {
			within := 0
			for _, a := range arrivals {
				if d := a.Sub(arrivals[i]); d >= 0 && d < time.Second {
					within++
				}
			}
			if within > n {
				t.Fatalf("%d calls within a second, %d allowed", within, n)
			}
		}
	})
}

// Ensure nodes share a rate out by the partitions that they hold.
func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, owned, total, n int
		period                 time.Duration
	}{
		{20, 12, 12, 20, time.Second},
		{20, 4, 12, 6, time.Second},
		{1, 6, 12, 1, 2 * time.Second},
	} {
		if n, period := share(c.limit, c.owned, c.total); n != c.n || period != c.period {
			t.Errorf("%+v: %d in %s", c, n, period)
		}
	}
}
