package respondio

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// What operators see where the server gave no reason (section 4.3).
const (
	detailNoID        = "no mId in the answer"
	detailUnreachable = "integration server unreachable"
	detailTimeout     = "timeout"
	detailRefused     = "the callback's address is not allowed"
)

// Bounds of what a Retry-After asks for: what it is when a 429 names none, and
// the longest that is believed.
const (
	defaultRetryAfter = time.Second
	longestRetryAfter = 24 * time.Hour
)

// Outcome reads what came of a call (section 4.3). An address that the operator
// does not allow is final: no repetition changes it, and the failure is seen at
// once instead of at the schedule's end.
func (Outbound) Outcome(_ domain.Delivery, a domain.Answer, now time.Time) domain.Outcome {
	switch a.Fault {
	case "":
		return outcome(a, now)
	case domain.ReasonTimeout:
		return domain.Outcome{Verdict: domain.Retry, Reason: a.Fault, Detail: detailTimeout}
	case domain.ReasonAddressRefused:
		return domain.Outcome{Verdict: domain.Refused, Reason: a.Fault, Detail: either(a.Detail, detailRefused)}
	case domain.ReasonUnreachable:
		return domain.Outcome{Verdict: domain.Retry, Reason: a.Fault, Detail: detailUnreachable}
	default: // a fault of ours
		return domain.Outcome{Verdict: domain.Retry, Reason: a.Fault, Detail: either(a.Detail, detailUnreachable)}
	}
}

// outcome reads an answer. One that is longer than what is read of it is judged
// by its status alone.
func outcome(a domain.Answer, now time.Time) domain.Outcome {
	o := domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, HTTPStatus: a.Status, Response: a.Body}
	body := bytes.TrimSpace(a.Body)
	if a.Truncated {
		body = nil
	}
	switch status := a.Status; {
	case status >= 200 && status < 300:
		if id := messageID(body); id != "" {
			o.Verdict, o.Reason, o.ExternalID = domain.Delivered, domain.ReasonOK, id
			return o
		}
		o.Reason, o.Detail = domain.ReasonBadAnswer, detailNoID
		return o
	case status == http.StatusTooManyRequests:
		o.Verdict, o.Reason = domain.Retry, domain.ReasonRateLimited
		o.RetryAfter = retryAfter(a.RetryAfter, defaultRetryAfter, now)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		o.Verdict, o.Reason = domain.Retry, domain.ReasonServerError
		o.RetryAfter = retryAfter(a.RetryAfter, 0, now)
	}
	o.Detail = domain.Cut(reasonIn(body, a.Status), domain.MaxDetail)
	return o
}

// messageID gives the id under which receipts will come, "" when there is none.
func messageID(body []byte) string {
	v, ok := object(body)
	if !ok {
		return ""
	}
	var mID, mld value
	for name, m := range v.members() {
		switch string(name) {
		case "mId":
			mID = m
		case "mld": // as the field tables spell it
			mld = m
		}
	}
	if mID.absent() {
		mID = mld
	}
	id, ok := mID.id()
	if !ok && mID.number() {
		id = string(mID) // the decimal text of any number
	}
	return domain.Cut(id, domain.MaxExternalID)
}

// retryAfter reads seconds or a date; otherwise is the wait where the header is
// missing or neither.
func retryAfter(header string, otherwise time.Duration, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header != "" && digits(header, len(header)) {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || seconds > int64(longestRetryAfter/time.Second) {
			return longestRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return otherwise
	}
	return max(0, min(at.Sub(now), longestRetryAfter))
}

// reasonIn finds the reason that operators see: error.message, error, message,
// the body when it is neither JSON nor HTML, and last the status.
func reasonIn(body []byte, status int) string {
	last := "HTTP " + strconv.Itoa(status)
	if len(body) == 0 {
		return last
	}
	v, ok := object(body)
	if !ok {
		if html(body) || json.Valid(body) {
			return last
		}
		return either(strings.TrimSpace(strings.ToValidUTF8(string(body), "\uFFFD")), last)
	}
	var trouble, message value
	for name, m := range v.members() {
		switch string(name) {
		case "error":
			trouble = m
		case "message":
			message = m
		}
	}
	if trouble.is('{') {
		var inner value
		for name, m := range trouble.members() {
			if string(name) == "message" {
				inner = m
			}
		}
		if s, ok := inner.text(); ok && s != "" {
			return s
		}
	}
	if s, ok := trouble.text(); ok && s != "" {
		return s
	}
	s, _ := message.text()
	return either(s, last)
}

// object gives the JSON object that a body is, whatever its header says
// (section 5, 15).
func object(body []byte) (value, bool) {
	v := value(body)
	return v, v.is('{') && utf8.Valid(body) && json.Valid(body)
}

// html tells whether a body that is not JSON is a page, such as a proxy makes.
func html(body []byte) bool {
	return strings.HasPrefix(http.DetectContentType(body), "text/html") ||
		bytes.Contains(bytes.ToLower(body[:min(len(body), 1024)]), []byte("<html"))
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
