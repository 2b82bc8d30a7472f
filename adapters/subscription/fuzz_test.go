package subscription

import (
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// Whatever an endpoint answers, there is an outcome of the closed lists whose wait is
// bounded: only a 2xx is delivered, and what is neither seconds nor a date is as if
// there were no Retry-After.
func FuzzOutcome(f *testing.F) {
	for _, seed := range []struct {
		status int
		header string
	}{
		{200, ""}, {204, "9"}, {429, ""}, {429, "120"}, {429, "Wed, 21 Oct 2099 07:28:00 GMT"}, {503, "18446744073709551616"}, {500, "-5"}, {410, "1"}, {302, "1"}, {0, " 7 "}, {-1, "1e3"},
	} {
		f.Add(seed.status, seed.header, []byte("body"))
	}
	f.Fuzz(func(t *testing.T, status int, header string, body []byte) {
		for _, fault := range []domain.Reason{"", domain.ReasonTimeout, domain.ReasonUnreachable, domain.ReasonAddressRefused} {
			o := Outbound{}.Outcome(domain.Delivery{}, domain.Answer{Status: status, RetryAfter: header, Body: body, Fault: fault}, noon)
			taken := fault == "" && status >= 200 && status < 300
			if o.Reason == "" || (o.Verdict == domain.Delivered) != taken || o.RetryAfter < 0 || o.RetryAfter > longestRetryAfter {
				t.Fatalf("%d, %q, %q: %+v", status, header, fault, o)
			}
			if o.Verdict != domain.Retry && o.RetryAfter != 0 {
				t.Fatalf("%d, %q, %q waits: %+v", status, header, fault, o)
			}
		}
		if one, other := retryAfter(header, time.Second, noon), retryAfter(header, 2*time.Second, noon); one != other && (one != time.Second || other != 2*time.Second) {
			t.Fatalf("%q is %s, or %s", header, one, other)
		}
	})
}
