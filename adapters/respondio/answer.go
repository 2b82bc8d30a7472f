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

// maxExternalID is how much of an id that a server gives is kept, in characters (4.3).
const maxExternalID = 255

// Reasons that operators see where the server gave none (4.3).
const (
	reasonNoID        = "no mId in the answer"
	reasonUnreachable = "integration server unreachable"
	reasonTimeout     = "timeout"
)

// Outcome reads a server's answer (4.3).
func (Outbound) Outcome(a domain.Answer, now time.Time) domain.Outcome {
	o := domain.Outcome{HTTPStatus: a.Status, Response: a.Body, Reason: a.Fault, Verdict: domain.Retry}
	switch a.Fault {
	case "":
	case domain.ReasonTimeout:
		o.Detail = reasonTimeout
		return o
	case domain.ReasonAddressRefused:
		o.Verdict, o.Detail = domain.Refused, a.Detail
		return o
	default:
		o.Detail = reasonUnreachable
		return o
	}
	switch status := a.Status; {
	case status >= 200 && status < 300:
		return accepted(o, a)
	case status == http.StatusTooManyRequests:
		o.Reason, o.RetryAfter = domain.ReasonRateLimited, retryAfter(a.RetryAfter, now)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		o.Reason = domain.ReasonServerError
		if a.RetryAfter != "" {
			o.RetryAfter = retryAfter(a.RetryAfter, now)
		}
	default:
		o.Verdict, o.Reason = domain.Refused, domain.ReasonRejected
	}
	o.Detail = reasonIn(a)
	return o
}

// accepted reads a 2xx: it is a success only with an id under which receipts
// will come.
func accepted(o domain.Outcome, a domain.Answer) domain.Outcome {
	var body struct {
		MID name `json:"mId"`
	}
	if a.Truncated || json.Unmarshal(a.Body, &body) != nil || body.MID.state != present || body.MID.value == "" {
		o.Verdict, o.Reason, o.Detail = domain.Refused, domain.ReasonBadAnswer, reasonNoID
		return o
	}
	o.Verdict, o.Reason = domain.Delivered, domain.ReasonOK
	o.ExternalID = domain.Cut(strings.ReplaceAll(body.MID.value, "\x00", ""), maxExternalID)
	return o
}

// retryAfter reads seconds or a date; 1 s when it is missing or no time (4.3).
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.Atoi(header); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<31)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return time.Second
}

// reasonIn finds what to show to operators (4.3): error.message, error, message,
// the body when it is neither JSON nor HTML, and last the status.
func reasonIn(a domain.Answer) string {
	fallback := "HTTP " + strconv.Itoa(a.Status)
	raw := bytes.TrimSpace(a.Body)
	if a.Truncated || len(raw) == 0 || !utf8.Valid(raw) {
		return fallback
	}
	if !json.Valid(raw) {
		if raw[0] == '<' || bytes.Contains(bytes.ToLower(raw[:min(len(raw), 512)]), []byte("<html")) {
			return fallback
		}
		return clean(string(raw))
	}
	var body struct {
		Error   json.RawMessage `json:"error"`
		Message text            `json:"message"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return fallback // JSON, but no object
	}
	var nested struct {
		Message text `json:"message"`
	}
	if len(body.Error) > 0 && json.Unmarshal(body.Error, &nested) == nil && nested.Message.value != "" {
		return clean(nested.Message.value)
	}
	var plain text
	_ = plain.UnmarshalJSON(body.Error) // notes what it found, never fails
	if plain.value != "" {
		return clean(plain.value)
	}
	if body.Message.value != "" {
		return clean(body.Message.value)
	}
	return fallback
}

// clean makes a text of unknown origin fit to be stored and shown.
func clean(s string) string {
	return domain.Cut(strings.ReplaceAll(s, "\x00", ""), domain.MaxDetail)
}
