package channelx

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// FuzzOutcome: whatever a callback answers, there is an outcome of the closed lists
// whose wait is bounded, and what is told of a failure can be kept.
func FuzzOutcome(f *testing.F) {
	for _, seed := range []struct {
		status int
		header string
		detail string
	}{
		{200, "", ""}, {299, "5", ""}, {429, "120", ""}, {429, "Wed, 21 Oct 2099 07:28:00 GMT", ""}, {503, "18446744073709551616", ""}, {500, "-5", ""}, {404, "", ""},
		{302, "1", ""}, {0, " 7 ", "connection refused\x00"}, {-1, "٣", "\xff\xfe"}, {1 << 31, "Thu Jan  1 00:00:00 1970", "a\u0000b"},
	} {
		f.Add(seed.status, seed.header, seed.detail, []byte("body"))
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, status int, header, detail string, body []byte) {
		for _, fault := range []domain.Reason{"", domain.ReasonTimeout, domain.ReasonUnreachable, domain.ReasonAddressRefused} {
			a := domain.Answer{Status: status, RetryAfter: header, Body: body, Fault: fault, Detail: detail}
			o := Outbound{}.Outcome(domain.Delivery{}, a, now)
			taken := fault == "" && status >= 200 && status < 300
			if o.Reason == "" || (o.Verdict == domain.Delivered) != taken || !taken && o.Detail == "" {
				t.Fatalf("%d, %q: %+v", status, fault, o)
			}
			if o.Verdict != domain.Delivered && o.Verdict != domain.Retry && o.Verdict != domain.Refused {
				t.Fatalf("%d, %q: %+v", status, fault, o)
			}
			if o.RetryAfter < 0 || o.RetryAfter > longestRetryAfter || o.Firm != (o.RetryAfter > 0) || o.RetryAfter > 0 && o.Verdict != domain.Retry {
				t.Fatalf("%d, %q: %+v", status, header, o)
			}
			if fault == "" && !sound(o.Detail) {
				t.Fatalf("%q cannot be kept", o.Detail)
			}
			if told := domain.Cut(clean(o.Detail), domain.MaxDetail); !sound(told) || utf8.RuneCountInString(told) > domain.MaxDetail {
				t.Fatalf("%q cannot be told", told)
			}
		}
	})
}
