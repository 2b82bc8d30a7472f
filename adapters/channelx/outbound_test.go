package channelx

import (
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// hooks are the webhooks of every account.
type hooks []domain.Webhook

func (h hooks) Webhooks(string) []domain.Webhook { return h }

// outboundAt is an Outbound whose clock is at a second that can be changed.
func outboundAt(at *int64, list ...domain.Webhook) Outbound {
	return NewOutbound(OutboundConfig{
		Webhooks: hooks(list), Minter: fixedToken("Qp3VnX8dLrT6yBz1KcWm5Hs9"), Now: func() time.Time { return time.Unix(*at, 5e8) },
	})
}

// sampleDelivery tells of the sample's reply.
func sampleDelivery() domain.Delivery {
	scene, reply := sampleScene(), sampleReply()
	return domain.Delivery{
		ID: uuid.MustParse("51e2c5a4-8a37-5c55-8d8b-3a0a3c9b7f10"), Account: domain.DefaultAccount, Channel: "620418000017",
		Dialect: domain.DialectChannelX, ContactRef: scene.Identity.Ref(), Kind: domain.DeliverNotice, Conversation: scene.Ticket.ID,
		Subject: domain.Subject{Notice: &domain.Notice{Name: domain.NoticeMessageCreated, Account: scene.Account, Scene: &scene, Post: &reply}},
	}
}

// headers gives the headers of a call by their names.
func headers(call domain.Call) map[string]string {
	m := map[string]string{}
	for _, h := range call.Headers {
		m[h.Name] = h.Value
	}
	return m
}

// Ensure every try of a delivery has the same body and id, and the time, signature
// and address that are its own.
func TestOutbound_Request(t *testing.T) {
	t.Parallel()
	at := int64(1765000140)
	o, ch, d := outboundAt(&at), sampleChannel(), sampleDelivery()
	first, err := o.Request(ch, d)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the body", first.Body, sampleMessageBody)
	if first.Method != http.MethodPost || first.URL != ch.CallbackURL || first.Timeout != 5*time.Second || first.SkipTLSVerify {
		t.Errorf("the call is %+v", first)
	}
	if got, want := headers(first), map[string]string{
		"Content-Type": "application/json", "Accept": "application/json", "X-Chatwoot-Delivery": d.ID.String(), "X-Chatwoot-Timestamp": "1765000140",
		"X-Chatwoot-Signature": signature(ch.Credentials.Secret, at, first.Body),
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("the headers are %v, want %v", got, want)
	}

	at += 5
	ch.Credentials.Secret, ch.CallbackURL, ch.SkipTLSVerify, d.Attempts = "another-secret", "https://us%20er:p%40ss@r2.example.com:8443/a%2Fb?key=s%20t&x", true, 1
	second, err := o.Request(ch, d)
	if err != nil {
		t.Fatal(err)
	}
	got := headers(second)
	if string(second.Body) != string(first.Body) || got["X-Chatwoot-Delivery"] != d.ID.String() || got["X-Chatwoot-Timestamp"] != "1765000145" ||
		got["X-Chatwoot-Signature"] != signature("another-secret", at, first.Body) || !second.SkipTLSVerify {
		t.Errorf("the second try is %v %s", got, second.Body)
	}
	if second.URL != "https://r2.example.com:8443/a%2Fb?key=s%20t&x" || got["Authorization"] != "Basic dXMgZXI6cEBzcw==" {
		t.Errorf("the second try goes to %s with %s", second.URL, got["Authorization"])
	}

	hook := domain.Webhook{Account: domain.DefaultAccount, Number: 7, URL: " https://hook@hooks.example.com ", Secret: "the-hook-secret"}
	third, err := o.Request(hook.Endpoint(), d)
	if err != nil || third.URL != "https://hooks.example.com" || headers(third)["X-Chatwoot-Signature"] != signature("the-hook-secret", at, first.Body) ||
		headers(third)["Authorization"] != "Basic aG9vazo=" {
		t.Errorf("a webhook is called as %+v, %v", third, err)
	}
}

// Ensure there is nobody to call where the callback is blank, and that what is no
// notice is an error.
func TestOutbound_NothingToDo(t *testing.T) {
	t.Parallel()
	at := int64(1765000140)
	o, ch := outboundAt(&at), sampleChannel()
	d := sampleDelivery()
	d.Subject.Notice = nil
	if call, err := o.Request(ch, d); err == nil {
		t.Errorf("a delivery without a notice is %+v", call)
	}
	d = sampleDelivery()
	d.Subject.Notice.Post = nil
	if call, err := o.Request(ch, d); err == nil {
		t.Errorf("a notice without its message is %+v", call)
	}
	for _, blank := range []string{"", " \t"} {
		ch.CallbackURL = blank
		if call, err := o.Request(ch, sampleDelivery()); err != nil || call.URL != "" {
			t.Errorf("a blank callback is called as %+v, %v", call, err)
		}
		if _, ok := o.Check(ch, 0, domain.Answer{}); ok {
			t.Error("a blank callback is tried")
		}
	}
}

// Ensure a test call is one, signed like the others.
func TestOutbound_Check(t *testing.T) {
	t.Parallel()
	at := int64(1765000140)
	o, ch := outboundAt(&at), sampleChannel()
	call, ok := o.Check(ch, 0, domain.Answer{})
	if !ok || call.URL != ch.CallbackURL || call.Method != http.MethodPost || headers(call)["X-Chatwoot-Signature"] != signature(ch.Credentials.Secret, at, call.Body) {
		t.Errorf("the test call is %+v %v", call, ok)
	}
	same(t, "its body", call.Body, `{"event":"channel_test","inbox":{"id":3,"name":"Mobile bridge"}}`)
	if _, ok := o.Check(ch, 1, domain.Answer{Status: 404}); ok {
		t.Error("there is a second test call")
	}
}

// Ensure each answer means what section 6.4 says.
func TestOutbound_Outcome(t *testing.T) {
	t.Parallel()
	now := time.Unix(1765000140, 0)
	for _, tt := range []struct {
		answer  domain.Answer
		verdict domain.Verdict
		reason  domain.Reason
		wait    time.Duration
		detail  string
	}{
		{domain.Answer{Status: 200, Body: []byte("whatever")}, domain.Delivered, domain.ReasonOK, 0, ""},
		{domain.Answer{Status: 204}, domain.Delivered, domain.ReasonOK, 0, ""},
		{domain.Answer{Status: 299}, domain.Delivered, domain.ReasonOK, 0, ""},
		{domain.Answer{Status: 302}, domain.Refused, domain.ReasonRejected, 0, "302 Found"},
		{domain.Answer{Status: 304}, domain.Refused, domain.ReasonRejected, 0, "304 Not Modified"},
		{domain.Answer{Status: 400}, domain.Refused, domain.ReasonRejected, 0, "400 Bad Request"},
		{domain.Answer{Status: 401, RetryAfter: "9"}, domain.Refused, domain.ReasonRejected, 0, "401 Unauthorized"},
		{domain.Answer{Status: 404}, domain.Refused, domain.ReasonRejected, 0, "404 Not Found"},
		{domain.Answer{Status: 408}, domain.Retry, domain.ReasonServerError, 0, "408 Request Timeout"},
		{domain.Answer{Status: 410}, domain.Refused, domain.ReasonRejected, 0, "410 Gone"},
		{domain.Answer{Status: 425}, domain.Retry, domain.ReasonServerError, 0, "425 Too Early"},
		{domain.Answer{Status: 429, RetryAfter: "30"}, domain.Retry, domain.ReasonRateLimited, 30 * time.Second, "429 Too Many Requests"},
		{domain.Answer{Status: 429, RetryAfter: "99999"}, domain.Retry, domain.ReasonRateLimited, 10 * time.Minute, "429 Too Many Requests"},
		{domain.Answer{Status: 500, Body: []byte("<html>")}, domain.Retry, domain.ReasonServerError, 0, "500 Internal Server Error"},
		{domain.Answer{Status: 503, RetryAfter: now.Add(time.Minute).UTC().Format(http.TimeFormat)}, domain.Retry, domain.ReasonServerError, time.Minute, "503 Service Unavailable"},
		{domain.Answer{Status: 503, RetryAfter: "soon"}, domain.Retry, domain.ReasonServerError, 0, "503 Service Unavailable"},
		{domain.Answer{Status: 599}, domain.Retry, domain.ReasonServerError, 0, "599"},
		{domain.Answer{Status: 600}, domain.Retry, domain.ReasonServerError, 0, "600"},
		{domain.Answer{Fault: domain.ReasonTimeout}, domain.Retry, domain.ReasonTimeout, 0, "Request Timeout"},
		{domain.Answer{Fault: domain.ReasonUnreachable, Detail: "connection refused"}, domain.Retry, domain.ReasonUnreachable, 0, "connection refused"},
		{domain.Answer{Fault: domain.ReasonUnreachable}, domain.Retry, domain.ReasonUnreachable, 0, "the callback could not be reached"},
		{domain.Answer{Fault: domain.ReasonAddressRefused, Detail: "10.0.0.1 is not allowed"}, domain.Refused, domain.ReasonAddressRefused, 0, "10.0.0.1 is not allowed"},
	} {
		o := Outbound{}.Outcome(domain.Delivery{}, tt.answer, now)
		if o.Verdict != tt.verdict || o.Reason != tt.reason || o.RetryAfter != tt.wait || o.Detail != tt.detail || o.Firm != (tt.wait > 0) || o.HTTPStatus != tt.answer.Status {
			t.Errorf("%+v comes to %+v", tt.answer, o)
		}
	}
}

// Ensure a message whose callback did not take it for good fails, once, and that
// those who are told of it are.
func TestOutbound_Replies(t *testing.T) {
	t.Parallel()
	at := int64(1765000140)
	now := time.Unix(1765000200, 0)
	o := outboundAt(&at,
		domain.Webhook{Account: domain.DefaultAccount, Number: 9}, domain.Webhook{Account: domain.DefaultAccount, Number: 2, Channel: "620418000017", Events: []string{"message_updated"}},
		domain.Webhook{Account: domain.DefaultAccount, Number: 3, Channel: "another"}, domain.Webhook{Account: domain.DefaultAccount, Number: 4, Events: []string{"message_created"}})
	d := sampleDelivery()
	events := o.Replies(sampleChannel(), d, domain.Answer{Status: 500}, domain.Outcome{Verdict: domain.Exhausted, Detail: "something else"}, now)
	if len(events) != 1 {
		t.Fatalf("%d events follow", len(events))
	}
	e := events[0]
	failed, ok := e.Data.(domain.MessageFailed)
	if !ok || e.Stream() != domain.StreamOf(d.Channel, d.ContactRef) || e.Account != d.Account || e.Dialect != domain.DialectChannelX || !e.Time.Equal(now) {
		t.Fatalf("the event is %+v", e)
	}
	reply, posted := sampleReply(), failed.Posted
	if failed.Error != "500 Internal Server Error" || failed.MessageID != reply.Message || failed.ConversationID != d.Conversation ||
		posted.Post.ID != reply.ID || posted.Post.Status != domain.StatusFailed || posted.Post.Revision != 2 || !posted.Post.UpdatedAt.Equal(now) ||
		posted.Post.Attributes["external_error"] != failed.Error || posted.Scene.Public.Status != domain.StatusFailed {
		t.Errorf("it tells %+v", failed)
	}
	if want := []string{"", "hook~default~2", "hook~default~9"}; !slices.Equal(posted.Targets, want) {
		t.Errorf("it tells %q, want %q", posted.Targets, want)
	}
	if before := d.Subject.Notice; before.Post.Status != domain.StatusSent || before.Scene.Public.Status != domain.StatusSent || before.Post.Attributes != nil {
		t.Errorf("the notice has changed: %+v", before.Post)
	}
	if again := o.Replies(sampleChannel(), d, domain.Answer{Status: 500}, domain.Outcome{Verdict: domain.Exhausted}, now.Add(time.Hour)); again[0].ID != e.ID {
		t.Error("the same try tells it under another id")
	}
	redriven := d
	redriven.Attempts = 3
	if later := o.Replies(sampleChannel(), redriven, domain.Answer{Status: 500}, domain.Outcome{Verdict: domain.Exhausted}, now); later[0].ID == e.ID {
		t.Error("another try tells it under the same id")
	}

	for name, tt := range map[string]struct {
		change func(*domain.Delivery, *domain.Channel)
		answer domain.Answer
		out    domain.Outcome
		want   string
	}{
		"taken":               {nil, domain.Answer{Status: 200}, domain.Outcome{Verdict: domain.Delivered}, ""},
		"rejected":            {nil, domain.Answer{Status: 404}, domain.Outcome{Verdict: domain.Refused, Detail: "404 Not Found"}, "404 Not Found"},
		"a timeout":           {nil, domain.Answer{Fault: domain.ReasonTimeout}, domain.Outcome{Verdict: domain.Exhausted, Detail: "Request Timeout"}, "Request Timeout"},
		"a zero character":    {nil, domain.Answer{Fault: domain.ReasonInternal}, domain.Outcome{Verdict: domain.Refused, Detail: "a\x00b"}, "ab"},
		"an update":           {func(d *domain.Delivery, _ *domain.Channel) { d.Subject.Notice.Name = domain.NoticeMessageUpdated }, domain.Answer{Status: 400}, domain.Outcome{Verdict: domain.Refused}, "400 Bad Request"},
		"told to a webhook":   {func(d *domain.Delivery, _ *domain.Channel) { d.Subject.Notice.Target = "hook~default~9" }, domain.Answer{Status: 400}, domain.Outcome{Verdict: domain.Refused}, ""},
		"of a conversation":   {func(d *domain.Delivery, _ *domain.Channel) { d.Subject.Notice.Post = nil }, domain.Answer{Status: 400}, domain.Outcome{Verdict: domain.Refused}, ""},
		"of a failure":        {func(d *domain.Delivery, _ *domain.Channel) { d.Subject.Notice.Post.Status = domain.StatusFailed }, domain.Answer{Status: 400}, domain.Outcome{Verdict: domain.Refused}, ""},
		"of no notice":        {func(d *domain.Delivery, _ *domain.Channel) { d.Subject.Notice = nil }, domain.Answer{Status: 400}, domain.Outcome{Verdict: domain.Refused}, ""},
		"a callback that was": {func(_ *domain.Delivery, ch *domain.Channel) { ch.CallbackURL = "" }, domain.Answer{Status: 400}, domain.Outcome{Verdict: domain.Refused}, "400 Bad Request"},
	} {
		d, ch := sampleDelivery(), sampleChannel()
		if tt.change != nil {
			tt.change(&d, &ch)
		}
		got, targets := "", []string(nil)
		for _, e := range o.Replies(ch, d, tt.answer, tt.out, now) {
			failed, _ := e.Data.(domain.MessageFailed)
			got, targets = failed.Error, failed.Posted.Targets
		}
		if got != tt.want || slices.Contains(targets, "") != (tt.want != "" && ch.CallbackURL != "") {
			t.Errorf("%s: fails with %q and tells %q, want %q", name, got, targets, tt.want)
		}
	}
}
