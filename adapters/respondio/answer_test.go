package respondio

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/domain"
)

// The table of section 4.3.
func TestOutcome(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 1200)
	for _, c := range []struct {
		name   string
		answer domain.Answer
		want   domain.Outcome
	}{
		{"id", is(200, `{"mId":"s1"}`), domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, ExternalID: "s1"}},
		{"id as number", is(200, ` {"mId":123456789012345678} `), domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, ExternalID: "123456789012345678"}},
		{"id as fraction", is(200, `{"mId":1.50}`), domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, ExternalID: "1.50"}},
		{"id, created", is(201, `{"status":"accepted_with_error","mId":"z","note":"a\u0000"}`), domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, ExternalID: "z"}},
		{"id, misspelt", is(200, `{"mld":"s1"}`), domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, ExternalID: "s1"}},
		{"id, long", is(200, `{"mId":"`+long+`"}`), domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, ExternalID: long[:2*255]}},
		{"id, last of two", is(200, `{"mId":"a","mId":"b"}`), domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, ExternalID: "b"}},
		{"plain text", is(200, "Ignored"), noID},
		{"empty", is(204, ""), noID},
		{"no id", is(200, "{}"), noID},
		{"empty id", is(200, `{"mId":""}`), noID},
		{"null id", is(200, `{"mId":null}`), noID},
		{"id of another kind", is(200, `{"mId":{"id":"x"}}`), noID},
		{"array", is(200, `[{"mId":"x"}]`), noID},
		{"not UTF-8", is(200, "{\"mId\":\"\xff\"}"), noID},
		{"cut off", domain.Answer{Status: 200, Body: []byte(`{"mId":"x"}`), Truncated: true}, noID},

		{"error.message", is(400, `{"error":{"code":7,"message":"blocked","details":[]},"message":"other"}`), rejected("blocked")},
		{"error", is(401, `{"error":"Unauthorized.","message":"other"}`), rejected("Unauthorized.")},
		{"message", is(404, `{"status":"error","message":"no such channel"}`), rejected("no such channel")},
		{"message beside an error without one", is(400, `{"error":{"code":1},"message":"why"}`), rejected("why")},
		{"message that is no text", is(400, `{"error":{"message":5},"message":{}}`), rejected("HTTP 400")},
		{"text", is(400, " bad request \n"), rejected("bad request")},
		{"text, not UTF-8", is(400, "caf\xe9"), rejected("caf\uFFFD")},
		{"text, long", is(400, long), rejected(long[:2*1000])},
		{"JSON text", is(400, `"blocked"`), rejected("HTTP 400")},
		{"empty error", is(410, ""), rejected("HTTP 410")},
		{"page", is(403, "<!DOCTYPE html><title>No</title>"), rejected("HTTP 403")},
		{"page with a preamble", is(403, "<?xml version=\"1.0\"?>\n<HTML>"), rejected("HTTP 403")},
		{"error, cut off", domain.Answer{Status: 400, Body: []byte("bad request"), Truncated: true}, rejected("HTTP 400")},
		{"redirect", is(302, ""), rejected("HTTP 302")},

		{"502", is(502, "bad gateway"), again(domain.ReasonServerError, "bad gateway", 0)},
		{"500 page", is(500, "<html><body>Oops"), again(domain.ReasonServerError, "HTTP 500", 0)},
		{"408", is(408, ""), again(domain.ReasonServerError, "HTTP 408", 0)},
		{"425", is(425, ""), again(domain.ReasonServerError, "HTTP 425", 0)},
		{"503 with a wait", waits(503, "7"), again(domain.ReasonServerError, "HTTP 503", 7*time.Second)},
		{"429", is(429, ""), again(domain.ReasonRateLimited, "HTTP 429", time.Second)},
		{"429 in seconds", waits(429, " 3 "), again(domain.ReasonRateLimited, "HTTP 429", 3*time.Second)},
		{"429 until", waits(429, noon.Add(90*time.Second).Format("Mon, 02 Jan 2006 15:04:05 GMT")), again(domain.ReasonRateLimited, "HTTP 429", 90*time.Second)},
		{"429 until a time past", waits(429, "Thu, 01 Jan 2015 00:00:00 GMT"), again(domain.ReasonRateLimited, "HTTP 429", 0)},
		{"429 that is no time", waits(429, "-5"), again(domain.ReasonRateLimited, "HTTP 429", time.Second)},
		{"429 for ever", waits(429, "99999999999999999999"), again(domain.ReasonRateLimited, "HTTP 429", 24*time.Hour)},

		{"timeout", domain.Answer{Fault: domain.ReasonTimeout, Detail: "x"}, again(domain.ReasonTimeout, "timeout", 0)},
		{"unreachable", domain.Answer{Fault: domain.ReasonUnreachable, Detail: "x"}, again(domain.ReasonUnreachable, "integration server unreachable", 0)},
		{
			"address", domain.Answer{Fault: domain.ReasonAddressRefused, Detail: "10.0.0.1 is private"},
			domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonAddressRefused, Detail: "10.0.0.1 is private"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			want.HTTPStatus, want.Response = c.answer.Status, c.answer.Body
			if diff := cmp.Diff(want, Outbound{}.Outcome(domain.Delivery{}, c.answer, noon)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var noID = domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonBadAnswer, Detail: "no mId in the answer"}

func is(status int, body string) domain.Answer {
	return domain.Answer{Status: status, Body: []byte(body)}
}

func waits(status int, header string) domain.Answer {
	return domain.Answer{Status: status, RetryAfter: header}
}

func rejected(detail string) domain.Outcome {
	return domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, Detail: detail}
}

func again(reason domain.Reason, detail string, wait time.Duration) domain.Outcome {
	return domain.Outcome{Verdict: domain.Retry, Reason: reason, Detail: detail, RetryAfter: wait}
}
