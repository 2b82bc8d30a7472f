package domain

import "time"

// Header is one header of a call. A list and not a map, so that the same
// delivery makes the same bytes.
type Header struct{ Name, Value string }

// Call is what a dialect wants sent for a delivery. One without a URL is none:
// there is nobody any more who wants to be told, and the delivery is done.
type Call struct {
	Method  string
	URL     string
	Headers []Header
	Body    []byte

	Timeout       time.Duration // of the whole call; 0 = the operator's setting, which bounds it in any case
	SkipTLSVerify bool          // take any certificate
}

// Answer is what came back of a Call. Fault is "" when there is an answer, and
// says otherwise, from ReasonTimeout, ReasonUnreachable and ReasonAddressRefused,
// why there is none.
type Answer struct {
	Fault      Reason
	Detail     string // what the fault was, for people
	Cause      string // what made it, in the words of the network; without addresses and secrets
	Status     int
	RetryAfter string // the header as it came
	Body       []byte // decompressed; what is no text is a description in brackets
	Truncated  bool   // Body stops at the limit of what is read
}
