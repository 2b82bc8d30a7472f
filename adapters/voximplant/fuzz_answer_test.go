package voximplant

import (
	"testing"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// Whatever an integration or a function answers, there is an outcome whose texts
// can be kept and whose waits are bounded; a function is asked once.
func FuzzOutcome(f *testing.F) {
	for _, seed := range []struct {
		status int
		header string
		body   string
	}{
		{200, "", "OK"}, {200, "", `{"text":"hi","payload":[]}`}, {429, "120", "slow down"}, {503, "Wed, 21 Oct 2099 07:28:00 GMT", "\xff"},
		{503, "99999999999999999999", "<html>"}, {302, "-1", "x\x00y"}, {404, "", `{"message":"\ud800"}`}, {0, " 7 ", "["},
	} {
		f.Add(seed.status, seed.header, []byte(seed.body), false)
	}
	f.Fuzz(func(t *testing.T, status int, header string, body []byte, truncated bool) {
		for _, kind := range []domain.DeliveryKind{domain.DeliverMessage, domain.DeliverFunction} {
			o := Outbound{}.Outcome(domain.Delivery{Kind: kind}, domain.Answer{Status: status, RetryAfter: header, Body: body, Truncated: truncated}, noon)
			if o.Verdict == domain.Delivered && status/100 != 2 || o.Verdict == domain.Retry && kind == domain.DeliverFunction {
				t.Fatalf("%s, %d: %+v", kind, status, o)
			}
			if o.Verdict != domain.Delivered && o.Detail == "" || o.Reason == "" || o.RetryAfter < 0 || o.RetryAfter > longestRetryAfter || o.Firm != (o.RetryAfter > 0) {
				t.Fatalf("%s, %d: %+v", kind, status, o)
			}
			if !utf8.ValidString(o.Detail) || !utf8.ValidString(o.ExternalID) {
				t.Fatalf("%q cannot be kept", o.Detail)
			}
		}
	})
}
