package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Outbound: what the answer means. These channels make a single attempt.
//
//nolint:thelper // tests, not helpers of tests
var respondAnswerCases = []respondCase{
	{"114", respondBlocked},
	{"115", fails(401, "application/json", `{"error":"Unauthorized."}`, "Unauthorized.")},
	{"116", fails(404, "application/json", `{"status":"error","message":"no such channel"}`, "no such channel")},
	{"117", fails(400, "application/json", `{"error":{"code":470,"message":"outside the window"}}`, "outside the window")},
	{"118", fails(502, "text/plain", "bad gateway", "bad gateway")},
	{"119", fails(500, "text/html", "<!DOCTYPE html>\n<html><head><title>500</title></head><body>Oops</body></html>", "HTTP 500")},
	{"120", fails(200, "text/plain", "Ignored", "no mId in the answer")},
	{"121", func(t *testing.T, s *respondSuite) {
		fails(200, "application/json", `{}`, "no mId in the answer")(t, s)
		fails(200, "application/json", `{"mId":""}`, "no mId in the answer")(t, s)
		fails(204, "application/json", "", "no mId in the answer")(t, s)
	}},
	{"122", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		c.stub.always(http.StatusOK, "application/json", `{"mId":12345}`)
		id := c.sends(t, contact, written("hello"))
		if m := c.becomes(t, contact, id, "sent"); m.ExternalID != "12345" {
			t.Errorf("%+v", m)
		}
		c.receipt(t, contact, "12345", object{"value": "read"}, 1767261720000)
		c.becomes(t, contact, id, "read")
	}},
	{"123", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		c.stub.always(http.StatusCreated, "application/json", `{"mId":"z","status":"accepted_with_error"}`)
		if m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "sent"); m.ExternalID != "z" {
			t.Errorf("%+v", m)
		}
	}},
	{"124", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": single})
		stuck, other := s.number(), s.number()
		c.stub.answers(func(n int, call respondCall, w http.ResponseWriter, r *http.Request) {
			if call.body.ContactID == stuck {
				<-r.Context().Done()
				return
			}
			fmt.Fprintf(w, `{"mId":"free-%d"}`, n)
		})
		held := c.sends(t, stuck, written("hello"))
		c.stub.gets(t, 1)
		c.becomes(t, other, c.sends(t, other, written("hello")), "sent")
		if m := c.message(t, stuck, held); m.Status != "queued" {
			t.Errorf("the other contact was held up until the first was %s", m.Status)
		}
		if m := c.becomes(t, stuck, held, "failed"); m.Reason != "timeout" {
			t.Errorf("%+v", m)
		}
		c.stub.gets(t, 2)
	}},
	{"125", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		// A connection that was kept: a client may take its end for a reason to
		// send the request again by itself.
		c.becomes(t, contact, c.sends(t, contact, written("hello")), "sent")
		c.stub.answers(func(_ int, _ respondCall, w http.ResponseWriter, _ *http.Request) { hangUp(t, w) })
		m := c.becomes(t, contact, c.sends(t, contact, written("hello again")), "failed")
		if m.Reason != "integration server unreachable" {
			t.Errorf("%+v", m)
		}
		// Operators are told the cause, which who talks is not.
		var dead struct {
			Data []struct {
				Detail string `json:"last_detail"`
			} `json:"data"`
		}
		s.read(t, "/v1/deliveries?state=dead&channel="+c.id, &dead)
		if len(dead.Data) != 1 || !strings.HasPrefix(dead.Data[0].Detail, m.Reason+": ") {
			t.Errorf("dead letters: %+v", dead.Data)
		}
		c.stub.answers(nil)
		c.becomes(t, contact, c.sends(t, contact, written("and again")), "sent")
		c.stub.gets(t, 3)
	}},
	{"126", func(t *testing.T, s *respondSuite) {
		elsewhere := newRespondStub(t)
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		c.stub.answers(func(_ int, _ respondCall, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL+"/message")
			w.WriteHeader(http.StatusFound)
		})
		if m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "failed"); m.Reason != "HTTP 302" {
			t.Errorf("%+v", m)
		}
		c.stub.gets(t, 1)
		if n := len(elsewhere.got()); n != 0 {
			t.Errorf("followed %d times", n)
		}
	}},
	{"127", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": waits(1)})
		contact := s.number()
		c.stub.answers(func(n int, _ respondCall, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			fmt.Fprint(w, `{"mId":"second"}`)
		})
		c.becomes(t, contact, c.sends(t, contact, written("hello")), "sent")
		if calls := c.stub.gets(t, 2); calls[1].at.Sub(calls[0].at) < time.Second {
			t.Errorf("repeated after %s", calls[1].at.Sub(calls[0].at))
		}
	}},
	{"128", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": waits(3)})
		contact := s.number()
		c.stub.always(http.StatusTooManyRequests, "text/plain", "slow down")
		if m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "failed"); m.Reason != "slow down" {
			t.Errorf("%+v", m)
		}
		c.stub.gets(t, 4)
	}},
	{"128c", respondDeadLetter},
	{"128d", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "phone", object{"delivery": waits(3)})
		contact := s.number()
		c.stub.always(http.StatusBadRequest, "application/json", `{"error":{"message":"blocked"}}`)
		if m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "failed"); m.Reason != "blocked" {
			t.Errorf("%+v", m)
		}
		c.stub.answers(nil)
		c.becomes(t, contact, c.sends(t, contact, written("next")), "sent") // the first one holds nothing up
		c.stub.gets(t, 2)
	}},
}

// waits is a delivery policy of n waits of a second.
func waits(n int) object {
	return object{"schedule": slices.Repeat([]string{"1s"}, n)}
}

// fails makes a case: a stub that always answers so, one call, and the message
// failed for that reason.
func fails(status int, contentType, body, reason string) func(*testing.T, *respondSuite) {
	return func(t *testing.T, s *respondSuite) {
		t.Helper()
		c := s.channel(t, "phone", object{"delivery": single})
		contact := s.number()
		c.stub.always(status, contentType, body)
		m := c.becomes(t, contact, c.sends(t, contact, written("hello")), "failed")
		if m.Reason != reason || m.ExternalID != "" {
			t.Errorf("%d %q: %q, want %q", status, body, m.Reason, reason)
		}
		c.stub.gets(t, 1)
	}
}

// respondBlocked is case 114.
func respondBlocked(t *testing.T, s *respondSuite) { //nolint:thelper // a test
	fails(400, "application/json", `{"error":{"message":"blocked"}}`, "blocked")(t, s)
}

// respondDeadLetter is case 128c.
func respondDeadLetter(t *testing.T, s *respondSuite) { //nolint:thelper // a test
	c := s.channel(t, "phone", object{"delivery": waits(2)})
	contact := s.number()
	c.stub.always(http.StatusServiceUnavailable, "text/plain", "down")
	first := c.sends(t, contact, written("1"))
	followers := []string{c.sends(t, contact, written("2")), c.sends(t, contact, written("3"))}
	c.becomes(t, contact, first, "failed")
	key := c.stub.gets(t, 3)[0].key()

	var dead struct {
		Data []struct {
			ID        string `json:"id"`
			MessageID string `json:"message_id"`
			Attempts  int    `json:"attempt_count"`
		} `json:"data"`
	}
	s.read(t, "/v1/deliveries?state=dead&channel="+c.id, &dead)
	if len(dead.Data) != 1 || dead.Data[0].MessageID != first || dead.Data[0].Attempts != 3 {
		t.Fatalf("dead letters %+v", dead.Data)
	}
	for _, id := range followers {
		if m := c.message(t, contact, id); m.Status != "queued" {
			t.Errorf("a follower is %s", m.Status)
		}
	}
	c.stub.answers(nil)
	if got := s.api(t, http.MethodPost, "/v1/deliveries/"+dead.Data[0].ID+"/redrive", object{}); got.status != http.StatusAccepted {
		t.Fatalf("redrive: %d %s", got.status, got.raw)
	}
	for _, id := range append([]string{first}, followers...) {
		c.becomes(t, contact, id, "sent")
	}
	var order []string
	for _, call := range c.stub.gets(t, 6) {
		order = append(order, call.text())
		if (call.text() == "1") != (call.key() == key) {
			t.Errorf("key %s for %q", call.key(), call.text())
		}
	}
	if strings.Join(order, " ") != "1 1 1 1 2 3" {
		t.Errorf("called for %v", order)
	}
}
