package domain

import (
	"errors"
	"fmt"
	"time"
)

// Code says what kind of trouble an Error is. The set is closed: every door maps
// all of it to its own answers.
type Code string

// The codes, and what a caller can do about each.
const (
	CodeInvalid      Code = "invalid"      // the request breaks a rule: change it
	CodeUnauthorized Code = "unauthorized" // no credential, or none that is known
	CodeForbidden    Code = "forbidden"    // the credential does not reach this
	CodeNotFound     Code = "not_found"    // there is no such thing, or not for this caller
	CodeConflict     Code = "conflict"     // it contradicts what is there
	CodeTooLarge     Code = "too_large"    // above a size limit
	CodeRateLimited  Code = "rate_limited" // repeat after RetryAfter
	CodeUnavailable  Code = "unavailable"  // nothing is known to be stored: repeat, with the same ids, after RetryAfter
	CodeInternal     Code = "internal"     // a fault of ours; the text says nothing more
)

// Error is trouble with a request, told to people. Message names the field and
// the limit and never contains a secret.
type Error struct {
	Code       Code
	Field      string        // path of the offending field in the caller's own spelling, or ""
	Message    string        // a sentence without the field's name when Field is set
	RetryAfter time.Duration // for rate_limited and unavailable; 0 = the door's default
	Err        error         // the cause, for logs only
}

// Error gives the field and the message.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + " " + e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a code without a field.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes a CodeInvalid error about one field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// CodeOf gives the code of err: that of the first *Error in its chain, and
// CodeInternal for everything else. CodeOf(nil) is "".
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
