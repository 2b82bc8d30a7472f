package subscription

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Ensure the signature is that of the vector which the libraries of Standard
// Webhooks are tested with.
func TestSign_PublishedVector(t *testing.T) {
	t.Parallel()
	got, err := sign([]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "msg_p5jXN8AQM9LWM0D4loKWxJek",
		time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want || err != nil {
		t.Errorf("signed %s, want %s: %v", got, want, err)
	}
}

type known map[string]domain.Subscription

func (k known) Subscription(account, id string) (domain.Subscription, bool) {
	s, ok := k[id]
	return s, ok && s.Account == account
}

func aSubscription() domain.Subscription {
	return domain.Subscription{
		ID: "s1", Account: "acme", URL: "https://desk.example.com/parley?x=1", Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		Revisions: []domain.Revision{{Since: noon}},
	}
}

func header(c domain.Call, name string) string {
	for _, h := range c.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Ensure every try has the same id and body, and a time and signature of its own.
func TestRequest(t *testing.T) {
	t.Parallel()
	s := aSubscription()
	now := noon
	out := New(known{"s1": s}, func() time.Time { return now })
	ch := domain.Channel{ID: "c1", Account: "acme", Dialect: domain.DialectRespondIO}
	e := ch.Receive("anna", "m1", noon, domain.Content{Type: domain.ContentText, Text: "<b>hello</b>"}, nil, noon)
	d := domain.Tell(domain.Recorded{Event: e, Position: domain.Position{Partition: 3, Offset: 7}}, "s1")
	first, err := out.Request(s.Endpoint(), d)
	if err != nil {
		t.Fatal(err)
	}
	now = noon.Add(time.Minute)
	again, err := out.Request(s.Endpoint(), d)
	if err != nil || string(first.Body) != string(again.Body) || header(first, headerID) != e.ID.String()+"_s1" || header(first, headerID) != header(again, headerID) ||
		header(again, headerTimestamp) != "1772366460" || header(first, headerSignature) == header(again, headerSignature) || first.URL != s.URL {
		t.Errorf("%v\n%v: %v", first, again, err)
	}
	var got struct {
		Type      string         `json:"type"`
		Timestamp string         `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}
	if err := json.Unmarshal(first.Body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "message.received" || got.Timestamp != "2026-03-01T12:00:00.000Z" || got.Data["type"] != "message.received.v1" ||
		got.Data["subject"] != "c1/anna" || got.Data["source"] != "/accounts/acme/channels/c1" || got.Data["offset"] != 7.0 || got.Data["partition"] != 3.0 {
		t.Errorf("told %s", first.Body)
	}
	d.Account = "umbra"
	if _, err := out.Request(s.Endpoint(), d); err == nil {
		t.Error("another account's subscription signs")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := aSubscription()
	s.Rotate("whsec_"+strings.Repeat("A", 32), noon)
	out := New(known{"s1": s}, func() time.Time { return noon })
	call, more := out.Check(s.Endpoint(), 0, domain.Answer{})
	if !more || !strings.Contains(string(call.Body), `"type":"subscription.test"`) || len(strings.Fields(header(call, headerSignature))) != 2 {
		t.Errorf("checked with %+v", call)
	}
	if _, more := out.Check(s.Endpoint(), 1, domain.Answer{}); more {
		t.Error("checked twice")
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  domain.Answer
		verdict domain.Verdict
		reason  domain.Reason
		wait    time.Duration
		firm    bool
	}{
		"200":            {domain.Answer{Status: 200}, domain.Delivered, domain.ReasonOK, 0, false},
		"204":            {domain.Answer{Status: 204}, domain.Delivered, domain.ReasonOK, 0, false},
		"301":            {domain.Answer{Status: 301}, domain.Refused, domain.ReasonRejected, 0, false},
		"400":            {domain.Answer{Status: 400}, domain.Refused, domain.ReasonRejected, 0, false},
		"410":            {domain.Answer{Status: 410}, domain.Refused, domain.ReasonRejected, 0, false},
		"408":            {domain.Answer{Status: 408}, domain.Retry, domain.ReasonServerError, 0, false},
		"425":            {domain.Answer{Status: 425}, domain.Retry, domain.ReasonServerError, 0, false},
		"503 with wait":  {domain.Answer{Status: 503, RetryAfter: "7"}, domain.Retry, domain.ReasonServerError, 7 * time.Second, false},
		"429":            {domain.Answer{Status: 429}, domain.Retry, domain.ReasonRateLimited, time.Second, true},
		"429 until date": {domain.Answer{Status: 429, RetryAfter: noon.Add(time.Minute).Format(http.TimeFormat)}, domain.Retry, domain.ReasonRateLimited, time.Minute, true},
		"429 for ever":   {domain.Answer{Status: 429, RetryAfter: "2000000000"}, domain.Retry, domain.ReasonRateLimited, longestRetryAfter, true},
		"timeout":        {domain.Answer{Fault: domain.ReasonTimeout}, domain.Retry, domain.ReasonTimeout, time.Second, true},
		"unreachable":    {domain.Answer{Fault: domain.ReasonUnreachable}, domain.Retry, domain.ReasonUnreachable, 0, false},
		"not allowed":    {domain.Answer{Fault: domain.ReasonAddressRefused}, domain.Refused, domain.ReasonAddressRefused, 0, false},
	} {
		o := Outbound{}.Outcome(domain.Delivery{}, c.answer, noon)
		if o.Verdict != c.verdict || o.Reason != c.reason || o.RetryAfter != c.wait || o.Firm != c.firm {
			t.Errorf("%s is %+v", name, o)
		}
	}
}
