package domain

import "context"

type traceKey struct{}

// WithTrace keeps a W3C traceparent header with a request, so that the events it
// makes carry it in the log. One that is not of the form of version 00 is dropped.
func WithTrace(ctx context.Context, traceparent string) context.Context {
	if !validTrace(traceparent) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, traceparent)
}

// TraceOf gives the traceparent of a request, "" when it has none.
func TraceOf(ctx context.Context) string {
	t, _ := ctx.Value(traceKey{}).(string)
	return t
}

// validTrace tells whether s is 00-<32 hex>-<16 hex>-<2 hex> in small letters,
// with ids that are not all zero.
func validTrace(s string) bool {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return false
	}
	return isID(s[3:35]) && isID(s[36:52]) && isHex(s[53:])
}

func isID(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return isHex(s)
		}
	}
	return false
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
