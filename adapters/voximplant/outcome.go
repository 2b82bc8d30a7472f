package voximplant

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// longestRetryAfter is the longest wait that is believed (section 5.6).
const longestRetryAfter = 10 * time.Minute

// maxQuoted is how much of an answer's text is told to people, in characters.
const maxQuoted = 200

// Outcome reads what came of a call (sections 5.6 and 8.4). What an integration
// answers beside the status does not matter. A function is asked once: whatever
// came of it is final, because the contact does not wait for a schedule.
func (o Outbound) Outcome(d domain.Delivery, a domain.Answer, now time.Time) domain.Outcome {
	out := judge(a, now)
	if d.Kind != domain.DeliverFunction {
		return out
	}
	out.RetryAfter, out.Firm = 0, false
	if out.Verdict == domain.Retry {
		out.Verdict = domain.Refused
	}
	if out.Verdict == domain.Delivered {
		if _, err := readReply(a); err != nil {
			out.Verdict, out.Reason, out.Detail, out.Response = domain.Refused, domain.ReasonBadAnswer, err.Error(), a.Body
		}
	}
	return out
}

func judge(a domain.Answer, now time.Time) domain.Outcome {
	switch a.Fault {
	case "":
	case domain.ReasonTimeout:
		return domain.Outcome{Verdict: domain.Retry, Reason: a.Fault, Detail: first(a.Detail, "timeout")}
	case domain.ReasonAddressRefused:
		return domain.Outcome{Verdict: domain.Refused, Reason: a.Fault, Detail: first(a.Detail, "the callback's address is not allowed")}
	default:
		return domain.Outcome{Verdict: domain.Retry, Reason: a.Fault, Detail: first(a.Detail, "integration server unreachable")}
	}
	out := domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, HTTPStatus: a.Status, Response: a.Body, Detail: detail(a)}
	switch status := a.Status; {
	case status >= 200 && status < 300:
		out.Verdict, out.Reason, out.Detail = domain.Delivered, domain.ReasonOK, ""
	case status == http.StatusTooManyRequests:
		out.Verdict, out.Reason, out.RetryAfter = domain.Retry, domain.ReasonRateLimited, retryAfter(a.RetryAfter, now)
	case status == http.StatusServiceUnavailable:
		out.Verdict, out.Reason, out.RetryAfter = domain.Retry, domain.ReasonServerError, retryAfter(a.RetryAfter, now)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500, status < 400:
		out.Verdict, out.Reason = domain.Retry, domain.ReasonServerError // a redirect is not followed and is a failure like any other
	}
	out.Firm = out.RetryAfter > 0
	return out
}

// retryAfter reads seconds or a date; 0 where the header is missing or neither.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header != "" && strings.Trim(header, "0123456789") == "" {
		n, err := strconv.ParseInt(header, 10, 64)
		if err != nil || n > int64(longestRetryAfter/time.Second) {
			return longestRetryAfter
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), longestRetryAfter))
}

// detail is what people are told of an answer that is no success: its status, and
// its text unless that is a page.
func detail(a domain.Answer) string {
	status := "HTTP " + strconv.Itoa(a.Status)
	text := strings.TrimSpace(strings.ToValidUTF8(string(a.Body[:min(len(a.Body), 4*maxQuoted)]), "\uFFFD"))
	if text == "" || strings.HasPrefix(http.DetectContentType(a.Body), "text/html") || bytes.HasPrefix(a.Body, []byte("<")) {
		return status
	}
	return status + ": " + domain.Cut(text, maxQuoted)
}
