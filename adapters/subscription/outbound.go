package subscription

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Directory finds a subscription, deleted or not.
type Directory interface {
	Subscription(account, id string) (domain.Subscription, bool)
}

// Outbound makes the calls of subscriptions and says what their answers mean.
type Outbound struct {
	directory Directory
	now       func() time.Time
}

// New makes an Outbound. now is the clock of the signatures.
func New(directory Directory, now func() time.Time) Outbound {
	return Outbound{directory: directory, now: now}
}

// timeLayout is that of times in the log: RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// body is what is posted. Data is the event as one line of GET /v1/events.
type body struct {
	Type      string `json:"type"` // the stored name without its version
	Timestamp string `json:"timestamp"`
	Data      any    `json:"data"`
}

// line is an event as GET /v1/events gives it: a CloudEvents 1.0 document.
type line struct {
	SpecVersion string          `json:"specversion"`
	ID          uuid.UUID       `json:"id"`
	Type        string          `json:"type"`
	Source      string          `json:"source"`
	Subject     string          `json:"subject"`
	Time        string          `json:"time"`
	ContentType string          `json:"datacontenttype"`
	Dialect     domain.Dialect  `json:"parleydialect,omitempty"`
	Partition   int             `json:"partition"`
	Offset      int64           `json:"offset"`
	Data        json.RawMessage `json:"data"`
}

// Request makes the call for a delivery. Its id and its body are the same at every
// try; its time and signature are those of the try.
func (o Outbound) Request(ch domain.Channel, d domain.Delivery) (domain.Call, error) {
	told := d.Subject.Told
	s, ok := o.directory.Subscription(d.Account, d.Subject.Subscription)
	if !ok || told == nil {
		return domain.Call{}, fmt.Errorf("tell subscription %s of delivery %s: it is not known", d.Subject.Subscription, d.ID)
	}
	at := d.CreatedAt.UTC().Format(timeLayout)
	return o.call(s, ch.CallbackURL, WebhookID(told.Event, s.ID), body{
		Type: domain.EventName(told.Type), Timestamp: at, Data: line{
			SpecVersion: "1.0", ID: told.Event, Type: told.Type, Source: "/accounts/" + d.Account + "/channels/" + d.Channel,
			Subject: domain.StreamOf(d.Channel, d.ContactRef), Time: at, ContentType: "application/json", Dialect: d.Dialect,
			Partition: d.Position.Partition, Offset: d.Position.Offset, Data: told.Data,
		},
	})
}

// TestType is the type of test calls. No event has it.
const TestType = "subscription.test"

// Check makes a test call to a subscription's endpoint, one only.
func (o Outbound) Check(ch domain.Channel, nth int, _ domain.Answer) (domain.Call, bool) {
	if nth > 0 {
		return domain.Call{}, false
	}
	id, _ := domain.SubscriptionOf(ch.ID)
	s, ok := o.directory.Subscription(ch.Account, id)
	if !ok {
		return domain.Call{}, false
	}
	now := o.now()
	call, err := o.call(s, ch.CallbackURL, "test_"+uuid.NewString(), body{
		Type: TestType, Timestamp: now.UTC().Format(timeLayout), Data: map[string]string{"subscription_id": s.ID},
	})
	return call, err == nil
}

// call makes a signed call.
func (o Outbound) call(s domain.Subscription, url, id string, b body) (domain.Call, error) {
	raw, err := json.Marshal(b)
	if err != nil {
		return domain.Call{}, fmt.Errorf("encode %s: %w", id, err)
	}
	now := o.now()
	signature, err := sign(s.Signing(now), id, now, raw)
	if err != nil {
		return domain.Call{}, err
	}
	return domain.Call{Method: http.MethodPost, URL: url, Body: raw, Headers: []domain.Header{
		{Name: "Content-Type", Value: "application/json"},
		{Name: headerID, Value: id},
		{Name: headerTimestamp, Value: fmt.Sprint(now.Unix())},
		{Name: headerSignature, Value: signature},
	}}, nil
}

// WebhookID is the id of what a subscription is told of an event: the same at
// every try.
func WebhookID(event uuid.UUID, subscription string) string {
	return event.String() + "_" + subscription
}
