package domain

import "time"

// MaxResponseKept is how much of a callback's answer an attempt keeps, in bytes.
const MaxResponseKept = 64 << 10

// MaxDetail is how long a reason for people may be, in characters
// (respond-io.md 3.5 and 4.3).
const MaxDetail = 1000

// MaxCause is how long the cause of a missing answer may be, in characters.
const MaxCause = 200

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

// Outcome is what one call to a callback came to, as the dialect reads it.
// Verdict is Delivered, Retry or Refused; the schedule turns a last Retry into
// Exhausted.
type Outcome struct {
	Verdict    Verdict
	Reason     Reason
	HTTPStatus int
	Detail     string        // for people, as the dialect words it
	Cause      string        // why there was no answer, for operators, where Detail does not say it
	ExternalID string        // the id the integration gave the message
	RetryAfter time.Duration // not sooner than this, 0 = as planned
	Firm       bool          // RetryAfter holds whatever was planned, as with 429 and after a timeout; otherwise up to twice the plan
	Response   []byte
}
