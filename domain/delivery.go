package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

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
	d.Attempts, d.Tries, d.LastReason, d.LastDetail = e.Attempt, d.Tries+1, e.Reason, e.Explained()
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

// Attempted tells the outcome of a call that started at started and ended now.
// wait is the pause before the next try; without more the schedule is used up.
func (d Delivery) Attempted(o Outcome, policy DeliveryPolicy, wait time.Duration, more bool, started, now time.Time) Event {
	a := DeliveryAttempted{
		DeliveryID: d.ID, MessageID: d.MessageID, Conversation: d.Conversation, Target: d.target(), Attempt: d.Attempts + 1,
		StartedAt: Stamp(started), DurationMS: now.Sub(started).Milliseconds(),
		Verdict: o.Verdict, Reason: o.Reason, HTTPStatus: o.HTTPStatus, Detail: Cut(Storable(o.Detail), MaxDetail),
		Cause: Cut(Storable(o.Cause), MaxCause), ExternalID: Cut(Storable(o.ExternalID), MaxExternalID),
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

// Explained is what the attempt came to with its cause, for operators. What
// others are shown of it is Detail alone.
func (a DeliveryAttempted) Explained() string {
	switch {
	case a.Cause == "":
		return a.Detail
	case a.Detail == "":
		return a.Cause
	default:
		return Cut(a.Detail+": "+a.Cause, MaxDetail+MaxCause)
	}
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
