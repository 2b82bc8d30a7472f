package voximplant

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/parley-im/parley/domain"
)

const jsonType = "application/json; charset=utf-8" // section 1

// stopping is the wait that a 503 asks for when nothing says another one (section 8.3).
const stopping = 5 * time.Second

// success is an answer of status 200; failure every other one (section 1.1).
type success struct {
	Success bool `json:"success"`
	Result  any  `json:"result"`
}

type failure struct {
	Success bool       `json:"success"`
	Result  failedWith `json:"result"`
}

type failedWith struct {
	Error string `json:"error"`
	Code  int    `json:"code"`
}

// taken is the answer to an event or a reply that was taken (section 4.4).
const taken = `{"success":true,"result":true}`

// accepted says that what was posted is in the log, and where the last of it is.
func accepted(w http.ResponseWriter, positions []domain.Position) {
	h := w.Header()
	h.Set("Content-Type", jsonType)
	if len(positions) > 0 {
		h.Set("Parley-Position", where(positions))
	}
	_, _ = io.WriteString(w, taken) // a caller who has gone will repeat
}

// where names the place of the last of the events that were appended.
func where(positions []domain.Position) string {
	if len(positions) == 0 {
		return ""
	}
	last := positions[len(positions)-1]
	return strconv.Itoa(last.Partition) + ":" + strconv.FormatInt(last.Offset, 10)
}

// tell writes an answer. A caller who has gone needs none.
func tell(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) //nolint:errchkjson // see above
}

// statusOf maps the codes of errors to the statuses of section 8.
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

// refuse answers with a failure, counts it, and logs it in one line. what is what
// is known of the request.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, at endpoint, err error, what ...any) {
	status, told := statusOf(domain.CodeOf(err)), "internal error"
	cause := err
	var wait time.Duration
	if e, ok := errors.AsType[*domain.Error](err); ok {
		told, cause, wait = e.Error(), e.Err, e.RetryAfter
	}
	h := w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", seconds(max(wait, stopping)))
	case http.StatusTooManyRequests:
		h.Set("Retry-After", seconds(wait))
	}
	tell(w, status, failure{Result: failedWith{Error: told, Code: status}})
	d.metrics.answered(at, status)

	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	what = append(what, "endpoint", at, "dialect", domain.DialectVoximplant, "status", status, "reason", told, "cause", cause)
	d.logger.Log(r.Context(), level, "kit.refused", what...)
}

// onlyPost answers a request of another method (section 8).
func (d *Door) onlyPost(w http.ResponseWriter, at endpoint) {
	w.Header().Set("Allow", http.MethodPost)
	tell(w, http.StatusMethodNotAllowed, failure{Result: failedWith{Error: "the method must be POST", Code: http.StatusMethodNotAllowed}})
	d.metrics.answered(at, http.StatusMethodNotAllowed)
}

// seconds rounds up, to one at least.
func seconds(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}
