package domain

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// MaxResponseKept is how much of a callback's answer an attempt keeps, in bytes.
const MaxResponseKept = 64 << 10

// MaxDetail is how long a reason for people may be, in characters
// (respond-io.md 3.5 and 4.3).
const MaxDetail = 1000

// MaxExternalID is how much of an id that the integration gives a message is
// kept, in characters (respond-io.md 4.3).
const MaxExternalID = 255

// Verdict is what an attempt means for its delivery. It is a label of metrics.
type Verdict string

// The verdicts.
const (
	Delivered Verdict = "delivered"
	Retry     Verdict = "retry"     // the far side, or the road to it, may recover; NextAttemptAt says when
	Refused   Verdict = "refused"   // it will never accept this message: the lane goes on
	Exhausted Verdict = "exhausted" // it might have recovered, but the schedule is used up
)

// Verdicts is the closed set.
var Verdicts = []Verdict{Delivered, Retry, Refused, Exhausted}

// Reason is the class of an outcome. It is a label of metrics.
type Reason string

// The reasons.
const (
	ReasonOK             Reason = "ok"
	ReasonRejected       Reason = "rejected"        // a final 4xx or 3xx
	ReasonBadAnswer      Reason = "bad_answer"      // success without what the protocol asks for
	ReasonServerError    Reason = "server_error"    // 5xx, 408, 425
	ReasonRateLimited    Reason = "rate_limited"    // 429
	ReasonTimeout        Reason = "timeout"         // no complete answer in time
	ReasonUnreachable    Reason = "unreachable"     // DNS, connect, TLS, reset
	ReasonAddressRefused Reason = "address_refused" // the address is not one the operator allows
	ReasonChannelDeleted Reason = "channel_deleted" // there is no such channel any more
	ReasonUnsubscribed   Reason = "unsubscribed"    // the subscription is deleted or disabled
	ReasonExpired        Reason = "expired"         // its age was used up while its endpoint was not called; no call was made
	ReasonInternal       Reason = "internal"        // a fault of ours; never charged to the endpoint
)

// Reasons is the closed set.
var Reasons = []Reason{
	ReasonOK, ReasonRejected, ReasonBadAnswer, ReasonServerError, ReasonRateLimited, ReasonTimeout,
	ReasonUnreachable, ReasonAddressRefused, ReasonChannelDeleted, ReasonUnsubscribed, ReasonExpired, ReasonInternal,
}

// DeliveryState is where a delivery stands.
type DeliveryState string

// The states. A dead delivery is a dead letter: it can be redriven or dropped.
const (
	StatePending   DeliveryState = "pending"  // not tried yet, or redriven
	StateRetrying  DeliveryState = "retrying" // tried, and due again at NextAttemptAt
	StateDelivered DeliveryState = "delivered"
	StateDead      DeliveryState = "dead"    // refused or exhausted
	StateDropped   DeliveryState = "dropped" // a dead letter that somebody gave up
)

// DeliveryStates is the closed set.
var DeliveryStates = []DeliveryState{
	StatePending, StateRetrying, StateDelivered, StateDead, StateDropped,
}

// DeliveryKind is what a delivery tells. It is a label of metrics.
type DeliveryKind string

// The kinds.
const (
	DeliverMessage  DeliveryKind = "message"  // to the channel's callback
	DeliverClose    DeliveryKind = "close"    // to the channel's callback: the episode has ended
	DeliverFunction DeliveryKind = "function" // to a function of the account: the contact has written

	DeliverSubscription DeliveryKind = "subscription" // to a subscription of the account: an event
	DeliverNotice       DeliveryKind = "notice"       // to the channel's callback or a webhook of the account, where the dialect has tickets
)

// DeliveryKinds is the closed set.
var DeliveryKinds = []DeliveryKind{DeliverMessage, DeliverClose, DeliverFunction, DeliverSubscription, DeliverNotice}

// Subject is what a delivery is about besides its content. Which fields are set
// depends on the kind.
type Subject struct {
	Sender   *Sender     `json:"sender,omitempty"`   // of a message or a close
	Reason   CloseReason `json:"reason,omitempty"`   // of a close
	Function int64       `json:"function,omitempty"` // who is called
	Inbound  uuid.UUID   `json:"inbound,omitzero"`   // the contact's message that a function is called for
	Episode  *Episode    `json:"episode,omitempty"`  // as it was then, for a function

	Subscription string `json:"subscription,omitempty"` // who is told
	Told         *Told  `json:"told,omitempty"`         // the event, for a subscription

	Notice *Notice `json:"notice,omitempty"` // what is told, for a notice
}

// Delivery is one outbound event on its way to its channel's callback or to a
// function, or any event on its way to a subscription.
type Delivery struct {
	ID            uuid.UUID
	Account       string
	Channel       string
	Dialect       Dialect
	ContactRef    string
	MessageID     uuid.UUID
	Conversation  uuid.UUID
	Position      Position // of the outbound event: orders the lane
	Kind          DeliveryKind
	Content       Content
	Subject       Subject
	State         DeliveryState
	Parked        bool // dead, and its followers wait
	Attempts      int  // all of them
	Tries         int  // those since it was made or last redriven: where its schedule stands
	LastReason    Reason
	LastDetail    string
	CreatedAt     time.Time
	FirstTriedAt  *time.Time
	NextAttemptAt *time.Time
	SettledAt     *time.Time // when it left pending and retrying
}

// Target names the endpoint that the delivery goes to: its channel, whose
// callback it is, "<channel>#<number>" for a function, or "sub~<id>" for a
// subscription. A function that hangs takes nothing from callbacks, nor the other
// way round.
func (d Delivery) Target() string {
	switch d.Kind {
	case DeliverFunction:
		return FunctionTarget(d.Channel, d.Subject.Function)
	case DeliverSubscription:
		return SubscriptionTarget(d.Subject.Subscription)
	case DeliverNotice:
		return cmp.Or(d.noticeTarget(), d.Channel)
	default:
		return d.Channel
	}
}

func (d Delivery) noticeTarget() string {
	if d.Subject.Notice == nil {
		return ""
	}
	return d.Subject.Notice.Target
}

// FunctionTarget names a function as the endpoint of a channel.
func FunctionTarget(channel string, function int64) string {
	return channel + "#" + strconv.FormatInt(function, 10)
}

// ChannelOf gives the channel that a target belongs to; a subscription belongs to
// none and gives the target.
func ChannelOf(target string) string {
	channel, _, _ := strings.Cut(target, "#")
	return channel
}

// Lane names what keeps its order: the conversation at its target.
func (d Delivery) Lane() string { return LaneAt(d.Target(), d.Channel, d.ContactRef) }

// LaneAt names the lane of a contact's conversation at a target. It begins with
// the target and a slash. Channels that one subscription hears of have lanes of
// their own, whatever they call their contacts.
func LaneAt(target, channel, ref string) string {
	if hearsMany(target) {
		return StreamOf(target, StreamOf(channel, ref))
	}
	return StreamOf(target, ref)
}

// RefOfLane gives the contact reference that a lane was named with.
func RefOfLane(lane string) string {
	target, ref, _ := SplitStream(lane)
	if hearsMany(target) {
		_, ref, _ = SplitStream(ref)
	}
	return ref
}

// hearsMany tells whether a target is told of more than one channel.
func hearsMany(target string) bool {
	_, subscribed := SubscriptionOf(target)
	return subscribed || strings.HasPrefix(target, webhookTarget)
}

// TargetOf gives the target of the delivery that an event is about.
func (e Event) TargetOf() string {
	target := ""
	switch d := e.Data.(type) {
	case DeliveryAttempted:
		target = d.Target
	case DeliveryRedriven:
		target = d.Target
	case DeliveryDropped:
		target = d.Target
	}
	if target == "" {
		return e.Channel
	}
	return target
}

// LaneOf gives the lane of the delivery that an event is about.
func (e Event) LaneOf() string { return LaneAt(e.TargetOf(), e.Channel, e.ContactRef) }

// DeliveryOf makes the delivery that an event asks for; ok is false for events
// that are nobody's business outside. episode is that of the conversation after
// the event, and took whether the event took effect on it; dialects without
// episodes need neither.
func DeliveryOf(r Recorded, episode *Episode, took bool) (d Delivery, ok bool) {
	d = Delivery{
		ID: DeliveryID(r.ID), Account: r.Account, Channel: r.Channel, Dialect: r.Dialect, ContactRef: r.ContactRef,
		Position: r.Position, State: StatePending, CreatedAt: r.Time,
	}
	switch e := r.Data.(type) {
	case MessageSent:
		if r.Dialect.HasTickets() {
			return Delivery{}, false // NoticesOf
		}
		d.Kind, d.MessageID, d.Conversation, d.Content, d.Subject.Sender = DeliverMessage, e.MessageID, e.ConversationID, e.Content, e.Sender
		return d, true
	case ConversationClosed:
		d.Kind, d.Conversation, d.Subject = DeliverClose, e.ConversationID, Subject{Sender: e.Sender, Reason: e.Reason}
		return d, took && r.Dialect.HasEpisodes()
	case MessageReceived:
		if !took || episode == nil || !episode.Open || episode.Handler != HandlerBot {
			return Delivery{}, false
		}
		then := *episode
		then.Heard = nil
		d.ID = FunctionCallID(r)
		d.Kind, d.Conversation, d.Content = DeliverFunction, e.ConversationID, e.Content
		d.Subject = Subject{Function: episode.Function, Inbound: r.ID, Episode: &then}
		return d, true
	default:
		return Delivery{}, false
	}
}

// FunctionCallID is the id of the delivery to a function that a contact's message
// makes, if it makes one. An integration may use its ids again, on another day.
func FunctionCallID(r Recorded) uuid.UUID {
	return DeriveID("function-call", r.ID.String(), r.Time.Format(time.RFC3339Nano))
}

// Open tells whether the delivery still has to be tried.
func (d Delivery) Open() bool { return d.State == StatePending || d.State == StateRetrying }

// Blocks tells whether followers in the lane must wait for this delivery.
func (d Delivery) Blocks() bool { return d.Open() || d.Parked }

// Apply folds one event into the delivery. An attempt that is not newer than
// the last one applied is a repeat and changes nothing.
func (d *Delivery) Apply(r Recorded) {
	switch e := r.Data.(type) {
	case DeliveryAttempted:
		d.applyAttempt(e, r.Time)
	case DeliveryRedriven:
		if d.State == StateDead && (e.Attempt == 0 || e.Attempt == d.Attempts) {
			d.State, d.Parked, d.Tries = StatePending, false, 0
			d.NextAttemptAt, d.SettledAt, d.FirstTriedAt = nil, nil, nil
		}
	case DeliveryDropped:
		if d.State == StateDead {
			d.State, d.Parked = StateDropped, false
		}
	}
}

func (d *Delivery) applyAttempt(e DeliveryAttempted, at time.Time) {
	if e.Attempt <= d.Attempts || !d.Open() {
		return
	}
	d.Attempts, d.Tries, d.LastReason, d.LastDetail = e.Attempt, d.Tries+1, e.Reason, e.Detail
	if d.FirstTriedAt == nil {
		started := e.StartedAt
		d.FirstTriedAt = &started
	}
	d.NextAttemptAt = e.NextAttemptAt
	switch e.Verdict {
	case Delivered:
		d.State, d.SettledAt = StateDelivered, &at
	case Retry:
		d.State = StateRetrying
	case Refused, Exhausted:
		d.State, d.SettledAt, d.Parked = StateDead, &at, e.Parks
	}
}

// Outcome is what one call to a callback came to, as the dialect reads it.
// Verdict is Delivered, Retry or Refused; the schedule turns a last Retry into
// Exhausted.
type Outcome struct {
	Verdict    Verdict
	Reason     Reason
	HTTPStatus int
	Detail     string        // for people
	ExternalID string        // the id the integration gave the message
	RetryAfter time.Duration // not sooner than this, 0 = as planned
	Firm       bool          // RetryAfter holds whatever was planned, as with 429 and after a timeout; otherwise up to twice the plan
	Response   []byte
}

// Attempted tells the outcome of a call that started at started and ended now.
// wait is the pause before the next try; without more the schedule is used up.
func (d Delivery) Attempted(o Outcome, policy DeliveryPolicy, wait time.Duration, more bool, started, now time.Time) Event {
	a := DeliveryAttempted{
		DeliveryID: d.ID, MessageID: d.MessageID, Conversation: d.Conversation, Target: d.target(), Attempt: d.Attempts + 1,
		StartedAt: Stamp(started), DurationMS: now.Sub(started).Milliseconds(),
		Verdict: o.Verdict, Reason: o.Reason, HTTPStatus: o.HTTPStatus, Detail: Cut(storable(o.Detail), MaxDetail),
		ExternalID: Cut(storable(o.ExternalID), MaxExternalID),
	}
	if o.Verdict == Retry {
		if more {
			next := Stamp(now.Add(wait))
			a.NextAttemptAt = &next
		} else {
			// A function that failed holds nothing back: its question is of its moment.
			a.Verdict, a.Parks = Exhausted, policy.ParksExhausted() && d.Kind != DeliverFunction
		}
	}
	if o.Verdict != Delivered {
		a.Response = capText(o.Response, MaxResponseKept)
	}
	e := Event{Account: d.Account, Channel: d.Channel, Dialect: d.Dialect, ContactRef: d.ContactRef, Time: Stamp(now), Data: a}
	// Derived from the try, so that an outcome that landed twice is one outcome.
	e.ID = DeriveID("attempt", d.ID.String(), fmt.Sprint(a.Attempt), a.StartedAt.Format(time.RFC3339Nano))
	return e
}

// target is what events say of the target: nothing when it is the channel.
func (d Delivery) target() string {
	if target := d.Target(); target != d.Channel {
		return target
	}
	return ""
}

// Redrive asks for a dead letter to be sent after all; CodeConflict when it is not one.
func (d Delivery) Redrive(by string, now time.Time) (Event, error) {
	if d.State != StateDead {
		return Event{}, Errorf(CodeConflict, "delivery is %s; only a dead one can be redriven", d.State)
	}
	return d.decided("redrive", DeliveryRedriven{
		DeliveryID: d.ID, MessageID: d.MessageID, Conversation: d.Conversation, Target: d.target(), By: by, Attempt: d.Attempts,
	}, now), nil
}

// Drop gives a dead letter up; CodeConflict when it is not one.
func (d Delivery) Drop(by string, now time.Time) (Event, error) {
	if d.State != StateDead {
		return Event{}, Errorf(CodeConflict, "delivery is %s; only a dead one can be dropped", d.State)
	}
	return d.decided("drop", DeliveryDropped{DeliveryID: d.ID, MessageID: d.MessageID, Conversation: d.Conversation, Target: d.target(), By: by}, now), nil
}

// decided makes the event of a decision about a dead letter; deciding twice
// after the same last attempt is one decision.
func (d Delivery) decided(what string, data Data, now time.Time) Event {
	return Event{
		ID:      DeriveID(what, d.ID.String(), fmt.Sprint(d.Attempts)),
		Account: d.Account, Channel: d.Channel, Dialect: d.Dialect, ContactRef: d.ContactRef, Time: Stamp(now), Data: data,
	}
}

// Cut shortens s to at most limit characters.
func Cut(s string, limit int) string {
	n := 0
	for i := range s {
		if n == limit {
			return s[:i]
		}
		n++
	}
	return s
}

// capText makes bytes of unknown origin fit to be stored.
func capText(b []byte, limit int) string {
	if len(b) > limit {
		b = b[:limit]
	}
	return storable(string(b))
}

// storable makes a text of unknown origin valid UTF-8 without the zero
// character, which no store of ours can keep.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
