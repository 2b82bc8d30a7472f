package subscription

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// What is taken of Retry-After. The schedule has its own bounds.
const (
	defaultRetryAfter = time.Second // of a 429 that does not say
	timeoutWait       = time.Second // an endpoint that hangs is left alone for as long at least
	longestRetryAfter = 24 * time.Hour
)

// Outcome says what an answer means: 2xx is delivered; 429, 408, 425, 5xx and no
// answer are tried again; everything else, redirects and 410 among it, and an
// address that the operator does not allow, is refused for good.
func (Outbound) Outcome(_ domain.Delivery, a domain.Answer, now time.Time) domain.Outcome {
	o := domain.Outcome{HTTPStatus: a.Status, Response: a.Body, Verdict: domain.Refused, Reason: domain.ReasonRejected}
	if a.Fault != "" {
		o.Verdict, o.Reason, o.Detail = domain.Retry, a.Fault, a.Detail
		if a.Fault == domain.ReasonTimeout {
			o.RetryAfter, o.Firm = timeoutWait, true
		}
		if a.Fault == domain.ReasonAddressRefused {
			o.Verdict = domain.Refused // no repetition changes it
		}
		return o
	}
	o.Detail = "HTTP " + strconv.Itoa(a.Status)
	switch {
	case a.Status >= 200 && a.Status < 300:
		o.Verdict, o.Reason, o.Detail = domain.Delivered, domain.ReasonOK, ""
	case a.Status == http.StatusTooManyRequests:
		o.Verdict, o.Reason, o.Firm = domain.Retry, domain.ReasonRateLimited, true
		o.RetryAfter = retryAfter(a.RetryAfter, defaultRetryAfter, now)
	case a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly, a.Status >= 500:
		o.Verdict, o.Reason = domain.Retry, domain.ReasonServerError
		o.RetryAfter = retryAfter(a.RetryAfter, 0, now)
	}
	return o
}

// retryAfter reads seconds or a date; otherwise is the wait where the header is
// missing or neither.
func retryAfter(header string, otherwise time.Duration, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestRetryAfter)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return otherwise
	}
	return max(0, min(at.Sub(now), longestRetryAfter))
}
