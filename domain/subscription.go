package domain

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// DialectSubscription is the wire on which subscriptions are told: Standard
// Webhooks. No channel has it.
const DialectSubscription Dialect = "subscription"

// Bounds of subscriptions.
const (
	// SubscriptionLead is how long after a change was asked for it counts, so that
	// every node has it by then.
	SubscriptionLead = 2 * time.Second
	// SecretOverlap is how long a secret that was replaced signs beside the new one.
	SecretOverlap = 24 * time.Hour
	// MostSubscriptions bounds those of an account that are not deleted.
	MostSubscriptions = 100
	// MostRevisions bounds the changes of what a subscription is told: all are kept.
	MostRevisions = 1000
	// MostSubscribed bounds the names in the list of one subscription.
	MostSubscribed = 50
	// MostFormerSecrets bounds the secrets that sign beside the newest.
	MostFormerSecrets = 3
	// MinSigningSecret is the least that a signing secret holds, in bytes, as Standard
	// Webhooks has it.
	MinSigningSecret = 24
	// MaxSigningSecret is the most.
	MaxSigningSecret = 64
)

// signingPrefix begins the text of a signing secret.
const signingPrefix = "whsec_"

// Subscription is a wish of an account to be told of its events, at a URL of its
// own. What it is told is a matter of its history: an event belongs to the
// revision that counted at the event's own time, so that the deliveries of a log
// are the same whenever and wherever they are made.
type Subscription struct {
	ID        string
	Account   string
	Name      string
	URL       string
	Delivery  DeliveryPolicy
	Secret    string         // clear text; never logged; "" = deleted
	Former    []FormerSecret // that sign, too, newest first
	Revisions []Revision     // in the order of their times, at least one
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt *time.Time // the record stays, for its revisions
}

// FormerSecret is a signing secret that was replaced.
type FormerSecret struct {
	Secret string    `json:"secret"`
	Until  time.Time `json:"until"` // it signs before
}

// Revision is what a subscription is told from a moment on.
type Revision struct {
	Since   time.Time `json:"since"`
	Events  []string  `json:"events,omitempty"`     // stored names without version, or prefixes with ".*"; none is all but delivery.*
	Channel string    `json:"channel_id,omitempty"` // "" is all of the account
	Off     bool      `json:"off,omitempty"`        // disabled or deleted: nothing
}

// Now gives the newest revision, whether it counts already or is about to.
func (s Subscription) Now() Revision { return s.Revisions[len(s.Revisions)-1] }

// At gives the revision that counts at a time; false before the first one.
func (s Subscription) At(t time.Time) (Revision, bool) {
	for _, r := range slices.Backward(s.Revisions) {
		if !r.Since.After(t) {
			return r, true
		}
	}
	return Revision{}, false
}

// Revise lets another revision count from SubscriptionLead after now. One that
// says the same as the newest changes nothing.
func (s *Subscription) Revise(r Revision, now time.Time) error {
	r.Since = Stamp(now).Add(SubscriptionLead)
	if n := len(s.Revisions); n > 0 {
		last := s.Revisions[n-1]
		if r.Off == last.Off && r.Channel == last.Channel && slices.Equal(r.Events, last.Events) {
			return nil
		}
		// What counts already, or is known to be going to, is never rewritten.
		if !r.Since.After(last.Since) {
			r.Since = last.Since.Add(time.Millisecond)
		}
		if n >= MostRevisions && !r.Off {
			return Errorf(CodeConflict, "what a subscription is told can be changed %d times; make a new one", MostRevisions)
		}
	}
	s.Revisions = append(slices.Clip(s.Revisions), r)
	return nil
}

// Rotate puts a secret in the place of the one that is there, which signs for
// SecretOverlap more.
func (s *Subscription) Rotate(secret string, now time.Time) {
	former := []FormerSecret{{Secret: s.Secret, Until: Stamp(now).Add(SecretOverlap)}}
	for _, f := range s.Former {
		if f.Until.After(now) && len(former) < MostFormerSecrets {
			former = append(former, f)
		}
	}
	s.Secret, s.Former = secret, former
}

// Signing lists the secrets that sign at a time, the newest first.
func (s Subscription) Signing(now time.Time) []string {
	secrets := []string{s.Secret}
	for _, f := range s.Former {
		if f.Until.After(now) {
			secrets = append(secrets, f.Secret)
		}
	}
	return secrets
}

// Deleted tells whether there is only history left.
func (s Subscription) Deleted() bool { return s.DeletedAt != nil }

// Wants tells whether an event is to be delivered. It looks at nothing but the
// event and the history.
func (s Subscription) Wants(e Event) bool {
	r, ok := s.At(e.Time)
	if !ok || r.Off || e.Account != s.Account || (r.Channel != "" && r.Channel != e.Channel) {
		return false
	}
	if _, loop := SubscriptionOf(e.TargetOf()); loop {
		return false // telling of a subscription's own deliveries would never end
	}
	name := EventName(e.Type())
	if len(r.Events) == 0 {
		return !strings.HasPrefix(name, "delivery.")
	}
	return slices.ContainsFunc(r.Events, func(pattern string) bool { return namedBy(pattern, name) })
}

// namedBy tells whether an entry of a subscription's list names an event.
func namedBy(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == pattern
}

// EventName is a stored name without its version.
func EventName(stored string) string {
	name, version, ok := cutLast(stored, ".v")
	if !ok || version == "" || strings.Trim(version, digitSet) != "" {
		return stored
	}
	return name
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Validate checks a subscription as a person entered it.
func (s Subscription) Validate() error {
	if s.Name != "" {
		if err := length("name", s.Name, 1, MaxNumberedName); err != nil {
			return err
		}
	}
	if err := ValidateURL("url", s.URL, MaxCallbackURL); err != nil {
		return err
	}
	if err := validateSubscribed(s.Now().Events); err != nil {
		return err
	}
	if err := s.Delivery.Validate(); err != nil {
		return err
	}
	_, err := SigningKey(s.Secret)
	return err
}

// validateSubscribed checks a list of names: one that names no event is a slip.
func validateSubscribed(patterns []string) error {
	if len(patterns) > MostSubscribed {
		return Invalid("events", "must hold at most %d names", MostSubscribed)
	}
	for i, pattern := range patterns {
		field := fmt.Sprintf("events[%d]", i)
		if strings.Contains(pattern, "*") && (!strings.HasSuffix(pattern, ".*") || strings.Count(pattern, "*") > 1) {
			return Invalid(field, `must be the name of an event such as message.received, or a prefix such as conversation.*`)
		}
		if slices.Index(patterns, pattern) < i {
			return Invalid(field, "is in the list already")
		}
		if !slices.ContainsFunc(EventTypes(), func(stored string) bool { return namedBy(pattern, EventName(stored)) }) {
			return Invalid(field, "names no event; a stored name is written without its version, such as message.received")
		}
	}
	return nil
}

// NewSigningSecret makes a signing secret: "whsec_" and 32 random bytes in base64.
func NewSigningSecret(random io.Reader) (string, error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(random, key); err != nil {
		return "", fmt.Errorf("make signing secret: %w", err)
	}
	return signingPrefix + base64.StdEncoding.EncodeToString(key), nil
}

// SigningKey gives the bytes that a signing secret stands for.
func SigningKey(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, signingPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < MinSigningSecret || len(key) > MaxSigningSecret {
		return nil, Invalid("secret", `must be "whsec_" and %d to %d bytes in base64`, MinSigningSecret, MaxSigningSecret)
	}
	return key, nil
}

// subscriptionTarget begins the targets of subscriptions. No channel's id holds
// the character, and no target a slash: lanes begin with it.
const subscriptionTarget = "sub~"

// SubscriptionTarget names a subscription as an endpoint.
func SubscriptionTarget(id string) string { return subscriptionTarget + id }

// SubscriptionOf gives the subscription that a target is; false when it is none.
func SubscriptionOf(target string) (id string, ok bool) {
	return strings.CutPrefix(target, subscriptionTarget)
}

// Endpoint shows the subscription as what a delivery needs of a channel: where it
// goes and how it is repeated. While it is disabled, nothing goes there.
func (s Subscription) Endpoint() Channel {
	return Channel{
		ID: SubscriptionTarget(s.ID), Account: s.Account, Dialect: DialectSubscription, Name: s.Name,
		CallbackURL: s.URL, Delivery: s.Delivery, Disabled: s.Now().Off,
	}
}

// Told is an event as a subscription is told of it.
type Told struct {
	Event uuid.UUID       `json:"id"`
	Type  string          `json:"type"` // stored name
	Data  json.RawMessage `json:"data"`
}

// Tell makes the delivery of an event to a subscription. Its id follows from the
// two: an event that landed twice is told once.
func Tell(r Recorded, subscription string) Delivery {
	return Delivery{
		ID: SubscriptionDeliveryID(r.ID, subscription), Account: r.Account, Channel: r.Channel, Dialect: r.Dialect,
		ContactRef: r.ContactRef, Conversation: r.conversation(), Position: r.Position, Kind: DeliverSubscription,
		Subject: Subject{Subscription: subscription, Told: &Told{Event: r.ID, Type: r.Type(), Data: dataOf(r.Data)}},
		State:   StatePending, CreatedAt: r.Time,
	}
}

// SubscriptionDeliveryID is the id of the delivery of an event to a subscription.
func SubscriptionDeliveryID(event uuid.UUID, subscription string) uuid.UUID {
	return DeriveID("delivery", event.String(), "subscription", subscription)
}

// dataOf gives what an event tells as JSON; what is not JSON, of somebody else,
// comes as a text.
func dataOf(d Data) json.RawMessage {
	raw, err := json.Marshal(d)
	if u, ok := d.(Unknown); ok && (err != nil || !utf8.Valid(raw)) {
		raw, err = json.Marshal(strings.ToValidUTF8(string(u.Raw), "\uFFFD"))
	}
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}

// conversation names the conversation that an event belongs to.
func (e Event) conversation() uuid.UUID {
	switch d := e.Data.(type) {
	case DeliveryAttempted:
		return d.Conversation
	case DeliveryRedriven:
		return d.Conversation
	case DeliveryDropped:
		return d.Conversation
	default:
		return ConversationID(e.Channel, e.ContactRef)
	}
}
