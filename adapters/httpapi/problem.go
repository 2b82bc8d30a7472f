package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/parley-im/parley/domain"
)

const problemType = "application/problem+json"

// defaultRetryAfter is told to a caller who may repeat and was not told when.
const defaultRetryAfter = time.Second

// Problem is an error as RFC 9457 tells it. Code is for programs, Detail and
// Errors are for people.
type Problem struct { //nolint:errname // the name that the standard gives it
	Type   string       `json:"type" doc:"Always about:blank: code tells the kind." example:"about:blank"`
	Title  string       `json:"title" doc:"The name of the HTTP status." example:"Bad Request"`
	Status int          `json:"status" doc:"The HTTP status." example:"400"`
	Code   domain.Code  `json:"code" doc:"What kind of trouble it is." enum:"invalid,unauthorized,forbidden,not_found,conflict,too_large,rate_limited,unavailable,internal,method_not_allowed"`
	Detail string       `json:"detail,omitempty" doc:"What is wrong, for people." example:"name must be at most 255 characters"`
	Errors []FieldError `json:"errors,omitempty" doc:"The fields that are wrong, with the limit they break."`

	headers http.Header
}

// FieldError is one field that breaks a rule.
type FieldError struct {
	In      string `json:"in" doc:"Where the field is." enum:"body,query,path,header"`
	Field   string `json:"field,omitempty" doc:"The field's path; absent for the whole." example:"delivery.schedule[2]"`
	Message string `json:"message" doc:"The rule that it breaks." example:"must be at most 255 characters"`
}

// codeMethod is a code that only the transport knows.
const codeMethod domain.Code = "method_not_allowed"

// Error gives the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus gives the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders gives the headers that belong to the answer.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType marks JSON as a problem document.
func (p *Problem) ContentType(string) string { return problemType }

// statusOf maps every code to its HTTP status.
func statusOf(c domain.Code) int {
	switch c {
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
	case codeMethod:
		return http.StatusMethodNotAllowed
	default:
		return http.StatusInternalServerError
	}
}

// codeOf is the code of a status that the HTTP layer chose.
func codeOf(status int) domain.Code {
	switch status {
	case http.StatusUnauthorized:
		return domain.CodeUnauthorized
	case http.StatusForbidden:
		return domain.CodeForbidden
	case http.StatusNotFound:
		return domain.CodeNotFound
	case http.StatusMethodNotAllowed:
		return codeMethod
	case http.StatusConflict:
		return domain.CodeConflict
	case http.StatusRequestEntityTooLarge:
		return domain.CodeTooLarge
	case http.StatusTooManyRequests:
		return domain.CodeRateLimited
	case http.StatusServiceUnavailable:
		return domain.CodeUnavailable
	}
	if status >= 500 {
		return domain.CodeInternal
	}
	return domain.CodeInvalid
}

func newProblem(status int, code domain.Code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail, headers: http.Header{}}
}

// problemOf turns an error into its problem document. What is not a domain.Error
// is a fault of ours and says nothing to the caller.
func problemOf(err error) *Problem {
	if known, ok := errors.AsType[*Problem](err); ok {
		return known
	}
	var e *domain.Error
	if !errors.As(err, &e) {
		return newProblem(http.StatusInternalServerError, domain.CodeInternal, "Something went wrong inside; it has been logged.")
	}
	if e.Code == domain.CodeInternal {
		return newProblem(http.StatusInternalServerError, domain.CodeInternal, e.Message)
	}
	p := newProblem(statusOf(e.Code), e.Code, e.Error())
	if e.Field != "" {
		in := "body"
		if e.Field == "cursor" || e.Field == "limit" {
			in = "query"
		}
		p.Errors = []FieldError{{In: in, Field: e.Field, Message: e.Message}}
	}
	switch e.Code {
	case domain.CodeUnauthorized:
		p.headers.Set("WWW-Authenticate", `Bearer realm="parley"`)
	case domain.CodeRateLimited, domain.CodeUnavailable:
		p.headers.Set("Retry-After", retryAfter(e.RetryAfter))
	default: // the others need no header
	}
	return p
}

// retryAfter gives whole seconds, at least one.
func retryAfter(d time.Duration) string {
	if d <= 0 {
		d = defaultRetryAfter
	}
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}

// problemOfModel turns what huma says about a request into our problem document.
// Values are not repeated to the caller: they may be secrets. What breaks a rule by
// itself is 400, whatever the rule; 422 is left for what contradicts other things.
func problemOfModel(m *huma.ErrorModel) *Problem {
	status := plainStatus(m.Status)
	p := newProblem(status, codeOf(status), "")
	for _, d := range m.Errors {
		if d == nil {
			continue
		}
		in, field, _ := strings.Cut(d.Location, ".")
		if in == "" {
			in = "body"
		}
		p.Errors = append(p.Errors, FieldError{In: in, Field: field, Message: d.Message})
	}
	switch {
	case len(p.Errors) > 0:
		first := p.Errors[0]
		p.Detail = strings.TrimPrefix(first.Field+": "+first.Message, ": ")
	default:
		p.Detail = m.Detail
	}
	return p
}

// plainStatus folds huma's 422 into 400.
func plainStatus(status int) int {
	if status == http.StatusUnprocessableEntity {
		return http.StatusBadRequest
	}
	return status
}

// unmet is a request that is well-formed and says something that does not hold
// here: it names what is not there, or contradicts what is.
func unmet(field, format string, args ...any) *Problem {
	message := fmt.Sprintf(format, args...)
	p := newProblem(http.StatusUnprocessableEntity, domain.CodeInvalid, field+" "+message)
	p.Errors = []FieldError{{In: "body", Field: field, Message: message}}
	return p
}

// clash is a conflict about one field.
func clash(field, format string, args ...any) *domain.Error {
	return &domain.Error{Code: domain.CodeConflict, Field: field, Message: fmt.Sprintf(format, args...)}
}

// write answers with the problem.
func (p *Problem) write(w http.ResponseWriter) {
	h := w.Header()
	maps.Copy(h, p.headers)
	h.Set("Content-Type", problemType)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) //nolint:errchkjson // an error here is a caller who has gone
}

// badParameter is invalid input outside the body.
func badParameter(in, field, message string) *Problem {
	p := newProblem(http.StatusBadRequest, domain.CodeInvalid, field+" "+message)
	p.Errors = []FieldError{{In: in, Field: field, Message: message}}
	return p
}
