package channelx

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

const jsonType = "application/json; charset=utf-8" // channelx.md 2.4

// stopping is the wait that a 503 asks for when nothing says another one.
const stopping = 5 * time.Second

// surface is which of the two APIs a request came to; their errors look different.
// It is a label of metrics.
type surface string

// The surfaces.
const (
	atApplication surface = "application"
	atClient      surface = "client"
)

// invalidRecord is a thing that breaks rules: 422 with all texts, and the names of
// the attributes that they are about (channelx.md 10.1).
type invalidRecord struct { //nolint:errname // what the wire calls it
	Texts      []string
	Attributes []string
}

// Error gives the texts.
func (e invalidRecord) Error() string { return strings.Join(e.Texts, ", ") }

// plainError is a refusal of a status with one text; without a text the answer has
// no body.
type plainError struct {
	status int
	text   string
}

// Error gives the text.
func (e plainError) Error() string { return e.text }

// missing refuses a request that does not have what it must.
func missing(name string) error {
	return plainError{http.StatusUnprocessableEntity, "param is missing or the value is empty or invalid: " + name}
}

// unfit refuses a request with a text of its own.
func unfit(format string, args ...any) error {
	return plainError{http.StatusUnprocessableEntity, fmt.Sprintf(format, args...)}
}

// invalidChoice refuses a value that is none of a closed set.
func invalidChoice(value, attribute string) error {
	return unfit("'%s' is not a valid %s", domain.Cut(value, maxQuoted), attribute)
}

// errBadRequest is a request that cannot be read.
var errBadRequest = errors.New("bad request")

// errNotThere is a thing that is not there, or not for this caller.
var errNotThere = domain.Errorf(domain.CodeNotFound, "Resource could not be found")

// errAway is trouble with a part that nobody has explained, such as a database
// that cannot be reached.
var errAway = domain.Errorf(domain.CodeUnavailable, "A part that this needs is away or slow; repeat the request.")

// errGone is for a caller who has closed the connection, or at least its own side
// of it: what was being done ended with that, and is no fault of anything.
var errGone = domain.Errorf(domain.CodeUnavailable, "The connection ended while the request was served; repeat it.")

// The bodies of section 10.1.
type (
	errorsBody struct {
		Errors []string `json:"errors"`
	}
	errorBody struct {
		Error string `json:"error"`
	}
	statusBody struct {
		Status int    `json:"status"`
		Error  string `json:"error"`
	}
	recordBody struct {
		Message    string   `json:"message"`
		Attributes []string `json:"attributes"`
	}
)

// refusal is the answer to a request that was not carried out. A nil body is none.
type refusal struct {
	status int
	body   any
	wait   time.Duration // that 429 and 503 ask for
}

// refusalOf turns an error into the answer of section 10.1.
func refusalOf(at surface, err error) refusal {
	if plain, ok := errors.AsType[plainError](err); ok {
		if plain.text == "" {
			return refusal{status: plain.status}
		}
		return refusal{status: plain.status, body: errorBody{plain.text}}
	}
	if record, ok := errors.AsType[invalidRecord](err); ok {
		return refusal{status: http.StatusUnprocessableEntity, body: recordBody{record.Error(), nonNil(record.Attributes)}}
	}
	switch {
	case errors.Is(err, errNoToken):
		return refusal{status: http.StatusUnauthorized, body: errorsBody{[]string{"You need to sign in or sign up before continuing."}}}
	case errors.Is(err, errBadRequest):
		return refusal{status: http.StatusBadRequest, body: statusBody{http.StatusBadRequest, "Bad Request"}}
	}
	told := &domain.Error{Message: "Internal Server Error"}
	if e, ok := errors.AsType[*domain.Error](err); ok {
		told = e
	} else if domain.Away(err) {
		told = errAway
	}
	return refusalOfCode(at, cmp.Or(told.Code, domain.CodeInternal), told)
}

func refusalOfCode(at surface, code domain.Code, e *domain.Error) refusal {
	switch code {
	case domain.CodeInvalid:
		attributes := []string{}
		if e.Field != "" {
			attributes = append(attributes, e.Field)
		}
		return refusal{status: http.StatusUnprocessableEntity, body: recordBody{e.Error(), attributes}}
	case domain.CodeUnauthorized:
		return refusal{status: http.StatusUnauthorized, body: errorBody{e.Error()}}
	case domain.CodeForbidden:
		return refusal{status: errNoRight.status, body: errorBody{errNoRight.text}}
	case domain.CodeNotFound:
		if at == atClient {
			return refusal{status: http.StatusNotFound, body: statusBody{http.StatusNotFound, "Not Found"}}
		}
		return refusal{status: http.StatusNotFound, body: errorBody{errNotThere.Message}}
	case domain.CodeConflict:
		return refusal{status: http.StatusUnprocessableEntity, body: errorBody{e.Error()}}
	case domain.CodeTooLarge:
		return refusal{status: http.StatusRequestEntityTooLarge, body: errorBody{e.Error()}}
	case domain.CodeRateLimited:
		return refusal{status: http.StatusTooManyRequests, wait: max(e.RetryAfter, time.Second)}
	case domain.CodeUnavailable:
		return refusal{status: http.StatusServiceUnavailable, body: statusBody{http.StatusServiceUnavailable, e.Error()}, wait: max(e.RetryAfter, stopping)}
	case domain.CodeInternal:
		return refusal{status: http.StatusInternalServerError, body: statusBody{http.StatusInternalServerError, "Internal Server Error"}}
	default:
		return refusal{status: http.StatusInternalServerError, body: statusBody{http.StatusInternalServerError, "Internal Server Error"}}
	}
}

// refuse answers with a failure, counts it, and logs it in one line.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, at surface, err error) {
	told := refusalOf(at, err)
	gone := r.Context().Err() != nil
	if gone && told.status == http.StatusInternalServerError {
		told = refusalOf(at, errGone)
	}
	if told.wait > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(max(1, int64((told.wait+time.Second-1)/time.Second)), 10))
	}
	if told.status == http.StatusTooManyRequests {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(told.status)
		_, _ = io.WriteString(w, "Retry later") // a caller who has gone needs no answer
	} else {
		tell(w, told.status, told.body)
	}
	d.metrics.answered(at, told.status)

	level := slog.LevelInfo
	if told.status >= http.StatusInternalServerError && !gone {
		level = slog.LevelWarn
	}
	var cause error
	if e, ok := errors.AsType[*domain.Error](err); ok {
		cause = e.Err
	}
	d.Logger.Log(r.Context(), level, "channelx.refused", "dialect", domain.DialectChannelX, "surface", at, "route", r.Pattern,
		"status", told.status, "reason", err.Error(), "cause", cause)
}

// tell writes an answer; a nil body is none. A caller who has gone needs none.
func tell(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) //nolint:errchkjson // see above
}

// nonNil makes a list that is never null in JSON.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
