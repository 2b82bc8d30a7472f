package respondio

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// Whatever an integration answers, there is an outcome of the closed lists whose
// texts can be kept and whose waits are bounded.
func FuzzOutcome(f *testing.F) {
	for _, seed := range []struct {
		status int
		header string
		body   string
	}{
		{200, "", `{"mId":"m-1"}`}, {200, "", `{"mId":12345678901234567890123}`}, {200, "", `{"mId":null,"mld":"x"}`}, {201, "", `{"mId":"\u0000"}`},
		{429, "120", `{"error":{"message":"slow down"}}`}, {429, "Wed, 21 Oct 2099 07:28:00 GMT", "x"}, {503, "99999999999999999999", "<html>"},
		{500, "-5", "\xff\x00"}, {400, "", `{"message":"\ud800"}`}, {302, "1", ""}, {0, " 7 ", "["},
	} {
		f.Add(seed.status, seed.header, []byte(seed.body), false)
	}
	f.Fuzz(func(t *testing.T, status int, header string, body []byte, truncated bool) {
		o := Outbound{}.Outcome(domain.Delivery{}, domain.Answer{Status: status, RetryAfter: header, Body: body, Truncated: truncated}, noon)
		switch o.Verdict {
		case domain.Delivered:
			if o.ExternalID == "" || status/100 != 2 {
				t.Fatalf("delivered: %+v", o)
			}
		case domain.Retry, domain.Refused:
			if o.ExternalID != "" || o.Detail == "" {
				t.Fatalf("%+v", o)
			}
		default:
			t.Fatalf("verdict %v", o.Verdict)
		}
		if o.RetryAfter < 0 || o.RetryAfter > longestRetryAfter || o.Reason == "" {
			t.Fatalf("%+v", o)
		}
		for _, s := range []string{o.ExternalID, o.Detail} {
			if !utf8.ValidString(s) {
				t.Fatalf("%q cannot be kept", s)
			}
		}
		if utf8.RuneCountInString(o.ExternalID) > domain.MaxExternalID || utf8.RuneCountInString(o.Detail) > domain.MaxDetail {
			t.Fatalf("%+v", o)
		}
	})
}

// A Retry-After is a wait from nothing to the longest that is believed, however
// it is written; what is neither seconds nor a date is as if it were not there.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "1", " 30 ", "86401", "18446744073709551616", "-1", "1.5", "Wed, 21 Oct 2099 07:28:00 GMT", "Thu Jan  1 00:00:00 1970", "1e3", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		d := retryAfter(header, time.Second, noon)
		if d < 0 || d > longestRetryAfter {
			t.Fatalf("%q is %s", header, d)
		}
		if other := retryAfter(header, 2*time.Second, noon); d != other && (d != time.Second || other != 2*time.Second) {
			t.Fatalf("%q is %s, or %s", header, d, other)
		}
	})
}
