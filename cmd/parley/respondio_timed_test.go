package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// The cases that measure time.
//
//nolint:thelper // tests, not helpers of tests
var respondTimedCases = []respondCase{
	{"019", respondInboundRate},
	{"128a", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": waits(3)})
		contact := s.number()
		c.stub.answers(recovers(t, contact))
		if m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "sent"); m.ExternalID != "r1" {
			t.Errorf("%+v", m)
		}
		recovered(t, c.stub.gets(t, 3))
	}},
	{"128b", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": waits(3)})
		contact, other := s.number(), s.number()
		c.stub.answers(recovers(t, contact))
		first := c.sends(t, contact, written("first"))
		second := c.sends(t, contact, written("second"))
		c.stub.gets(t, 1)
		asked := time.Now()
		free := c.sends(t, other, written("free"))
		c.becomes(t, contact, first, "sent")
		c.becomes(t, contact, second, "sent")
		c.becomes(t, other, free, "sent")
		var mine []respondCall
		for _, call := range c.stub.gets(t, 5) {
			if call.body.ContactID == contact {
				mine = append(mine, call)
			} else if wait := call.at.Sub(asked); wait > 500*time.Millisecond {
				t.Errorf("the other contact was held up for %s", wait)
			}
		}
		recovered(t, mine[:3])
		if mine[3].text() != "second" || mine[3].at.Before(mine[2].done) {
			t.Errorf("the second message came as %q, %s after the first was settled", mine[3].text(), mine[3].at.Sub(mine[2].done))
		}
	}},
	{"129", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone")
		const messages, limit = 60, 20
		for i := range messages {
			c.sends(t, s.number(), written(fmt.Sprint(i)))
		}
		calls := c.stub.gets(t, messages)
		slices.SortFunc(calls, func(a, b respondCall) int { return a.at.Compare(b.at) })
		for i := range messages - limit {
			if within := calls[i+limit].at.Sub(calls[i].at); within < time.Second {
				t.Errorf("calls %d to %d came within %s", i, i+limit, within)
			}
		}
		if took := calls[messages-1].at.Sub(calls[0].at); took > 6*time.Second {
			t.Errorf("60 calls took %s", took)
		}
	}},
}

// recovers answers the first message of a contact with 500, then hangs up, then
// takes it as r1; whatever else comes is taken.
func recovers(t *testing.T, contact string) func(int, respondCall, http.ResponseWriter, *http.Request) {
	t.Helper()
	calls := 0 // of one lane, so one after another
	return func(n int, call respondCall, w http.ResponseWriter, _ *http.Request) {
		if call.body.ContactID == contact {
			calls++
			switch calls {
			case 1:
				w.WriteHeader(http.StatusInternalServerError)
				return
			case 2:
				hangUp(t, w)
				return
			case 3:
				fmt.Fprint(w, `{"mId":"r1"}`)
				return
			}
		}
		fmt.Fprintf(w, `{"mId":"other-%d"}`, n)
	}
}

// recovered expects three calls of one message under one key, on time.
func recovered(t *testing.T, calls []respondCall) {
	t.Helper()
	for _, call := range calls {
		if call.key() == "" || call.key() != calls[0].key() || string(call.raw) != string(calls[0].raw) {
			t.Errorf("key %q with %s, and key %q with %s", call.key(), call.raw, calls[0].key(), calls[0].raw)
		}
	}
	if wait := calls[1].at.Sub(calls[0].at); wait < time.Second || wait > 1400*time.Millisecond {
		t.Errorf("the second call came %s after the first", wait)
	}
}

// respondInboundRate is case 19, on a Parley with the limit switched on. The
// requests are written up to the last byte of their headers and then released
// together. Where the machine was too slow for one instant, another second is
// given: 21 requests may pass then, but never fewer than 20.
func respondInboundRate(t *testing.T, _ *respondSuite) { //nolint:thelper // a test
	const limit, requests = 20, 21
	s := &respondSuite{parley: startParley(t, inboundRate(limit)), client: &http.Client{Timeout: 30 * time.Second}, dialect: "respondio"}
	t.Cleanup(s.client.CloseIdleConnections)
	c := s.channel(t, "custom")
	accepted(t, c.post(t, c.valid("warm").body))
	for range 5 {
		<-time.After(1100 * time.Millisecond) // the bucket is full again
		passed := instant(t, c, requests)
		if passed < limit {
			t.Fatalf("%d of %d requests passed", passed, requests)
		}
		if passed == limit {
			<-time.After(time.Second)
			accepted(t, c.post(t, c.valid("later").body))
			return
		}
	}
	t.Error("all requests passed, each time")
}

// instant makes n requests in the same instant and tells how many passed.
func instant(t *testing.T, c *respondChannel, n int) int {
	t.Helper()
	host := strings.TrimPrefix(c.suite.parley.URL, "http://")
	conns := make([]net.Conn, n)
	rest := make([]string, n)
	for i := range conns {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		body := encode(t, c.valid("burst").body)
		fmt.Fprintf(conn, "POST /custom/channel/webhook/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n", host, c.token, len(body))
		conns[i], rest[i] = conn, "\r\n"+body
	}
	for i, conn := range conns {
		if _, err := io.WriteString(conn, rest[i]); err != nil {
			t.Fatal(err)
		}
	}
	passed := 0
	for _, conn := range conns {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			passed++
		case http.StatusTooManyRequests:
			if resp.Header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
			}
			wellRefused(t, answered{resp.StatusCode, resp.Header, raw})
		default:
			t.Errorf("%d %s", resp.StatusCode, raw)
		}
	}
	return passed
}
