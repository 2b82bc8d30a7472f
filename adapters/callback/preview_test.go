package callback

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// telling is a dialect that makes the same call of everything.
type telling struct {
	plain

	call domain.Call
	err  error
}

func (d telling) Request(domain.Channel, domain.Delivery) (domain.Call, error) {
	if d.call.Method == "panic" {
		panic("no such thing")
	}
	return d.call, d.err
}

// Ensure that what is shown of a call is what is sent, but for what is secret: a
// header that nobody has said to be harmless is taken for a credential.
func TestPreview(t *testing.T) {
	t.Parallel()
	body := `{"contact_inbox":{"pubsub_token": "s3cret-pub","x":1},"access_token":"s3cret\"-acc","text":"my \"token\": \"mine\""}`
	call := domain.Call{
		Method: http.MethodPost, URL: "https://user:s3cret-pw@example.com/a%2Fb/message?key=s3cret-q&s3cret-flag#s3cret-f", Body: []byte(body),
		Headers: []domain.Header{
			{Name: "Authorization", Value: "Bearer s3cret"}, {Name: "x-kit-access-token", Value: "s3cret"}, {Name: "webhook-signature", Value: "v1,s3cret"},
			{Name: "X-Chatwoot-Signature", Value: "s3cret"}, {Name: "X-Of-Tomorrow", Value: "s3cret"},
			{Name: "Content-Type", Value: "application/json"}, {Name: "Idempotency-Key", Value: "m1"}, {Name: "webhook-id", Value: "e1_s1"},
		},
	}
	channels := &registry{list: map[string]domain.Channel{}}
	channels.put(domain.Channel{ID: "c1"})
	p := Previewer{Channels: channels, Dialects: map[domain.Dialect]Dialect{domain.DialectRespondIO: telling{call: call}}, UserAgent: "Parley/1.2"}
	d := domain.Delivery{ID: uuid.New(), Channel: "c1", Kind: domain.DeliverMessage}
	got, cut, missing := p.Preview(d)
	want := domain.Call{
		Method: http.MethodPost, URL: "https://…@example.com/a%2Fb/message?key=…&…",
		Body: []byte(`{"contact_inbox":{"pubsub_token": "…","x":1},"access_token":"…","text":"my \"token\": \"mine\""}`),
		Headers: []domain.Header{
			{Name: "Authorization", Value: "…"}, {Name: "Content-Type", Value: "application/json"}, {Name: "Idempotency-key", Value: "m1"},
			{Name: "User-Agent", Value: "Parley/1.2"}, {Name: "Webhook-Id", Value: "e1_s1"}, {Name: "Webhook-Signature", Value: "…"},
			{Name: "X-Chatwoot-Signature", Value: "…"}, {Name: "X-Kit-Access-Token", Value: "…"}, {Name: "X-Of-Tomorrow", Value: "…"},
		},
	}
	if cut || missing != "" || got.Method != want.Method || got.URL != want.URL || string(got.Body) != string(want.Body) {
		t.Errorf("cut %v, missing %q, %s %s\n%s", cut, missing, got.Method, got.URL, got.Body)
	}
	if len(got.Headers) != len(want.Headers) {
		t.Fatalf("headers: %v", got.Headers)
	}
	for i, h := range want.Headers {
		if got.Headers[i] != h {
			t.Errorf("header %v, want %v", got.Headers[i], h)
		}
	}
	if string(call.Body) != body || !strings.Contains(call.URL, "s3cret-pw") {
		t.Error("the dialect's own call was changed")
	}
}

// Ensure that a long body is cut, and that what is not sent says why.
func TestPreview_ofWhatIsNotSent(t *testing.T) {
	t.Parallel()
	channels := &registry{list: map[string]domain.Channel{}}
	channels.put(domain.Channel{ID: "c1"})
	show := func(k telling, d domain.Delivery) (domain.Call, bool, string) {
		return Previewer{Channels: channels, Dialects: map[domain.Dialect]Dialect{domain.DialectRespondIO: k}}.Preview(d)
	}
	d := domain.Delivery{ID: uuid.New(), Channel: "c1", Kind: domain.DeliverMessage}
	long := domain.Call{Method: http.MethodPost, URL: "http://example.com/", Body: []byte(strings.Repeat("x", MaxShownBody-1) + "é")}
	if got, cut, missing := show(telling{call: long}, d); !cut || missing != "" || len(got.Body) > MaxShownBody+2 || got.URL != long.URL {
		t.Errorf("cut %v, missing %q, %d bytes, %s", cut, missing, len(got.Body), got.URL)
	}
	gone, told := d, d
	gone.Channel = "c2"
	told.Kind, told.Subject.Subscription = domain.DeliverSubscription, "s9"
	for name, c := range map[string]struct {
		dialect telling
		d       domain.Delivery
		want    string
	}{
		"deleted":      {telling{call: long}, gone, "the channel was deleted"},
		"unsubscribed": {telling{call: long}, told, "the subscription is deleted or disabled"},
		"nobody":       {telling{}, d, "there is no callback: nobody is called"},
		"no form":      {telling{err: errors.New("no form for it")}, d, "no form for it"},
		"no URL":       {telling{err: &url.Error{Op: "parse", URL: "http://s3cret", Err: errors.New("bad")}}, d, "the address is no URL: bad"},
		"a panic":      {telling{call: domain.Call{Method: "panic"}}, d, "the call could not be made up: no such thing"},
	} {
		if got, _, missing := show(c.dialect, c.d); missing != c.want || got.URL != "" {
			t.Errorf("%s: %q, %+v", name, missing, got)
		}
	}
}
