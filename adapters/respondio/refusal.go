package respondio

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/parley-im/parley/domain"
)

// statusOf maps the codes of errors to the statuses of section 3.7.
func statusOf(code domain.Code) int {
	switch code {
	case domain.CodeInvalid:
		return http.StatusBadRequest
	case domain.CodeUnauthorized:
		return http.StatusUnauthorized
	case domain.CodeForbidden:
		return http.StatusForbidden
	case domain.CodeNotFound:
		return http.StatusNotFound
	case domain.CodeConflict:
		return http.StatusConflict
	case domain.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case domain.CodeRateLimited:
		return http.StatusTooManyRequests
	case domain.CodeUnavailable:
		return http.StatusServiceUnavailable
	case domain.CodeInternal:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// refuse answers a request of a known channel that was not taken, and logs it.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, ch domain.Channel, err error) {
	status, told := statusOf(domain.CodeOf(err)), "internal error"
	var cause error
	wait := time.Duration(0)
	if e, ok := errors.AsType[*domain.Error](err); ok {
		told, cause, wait = e.Error(), e.Err, e.RetryAfter
	} else {
		cause = err
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		// Rounded up, and at least a second.
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int((wait+time.Second-1)/time.Second))))
	}
	d.metrics.answered(answer(w, status, told))

	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	d.logger.Log(r.Context(), level, "webhook.refused", "channel", ch.ID, "dialect", ch.Dialect, "status", status,
		"reason", told, "cause", cause)
}

// refusal is the shape of every error: it serves readers of both public styles
// (section 3.7).
type refusal struct {
	Code    int         `json:"code"`
	Message string      `json:"message"`
	Error   refusalText `json:"error"`
}

type refusalText struct {
	Message string `json:"message"`
}

// answer writes an error and gives its status back.
func answer(w http.ResponseWriter, status int, told string) int {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A caller who has gone needs no answer.
	_ = json.NewEncoder(w).Encode(refusal{Code: status, Message: told, Error: refusalText{Message: told}}) //nolint:errchkjson // see above
	return status
}
