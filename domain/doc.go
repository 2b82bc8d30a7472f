// Package domain is the vocabulary of Parley and its rules, as pure functions:
// a request and the clock go in, events or an *Error come out. Nothing here
// reads a clock, a socket or a file.
//
// An account is a business on this installation. It owns channels; a channel is
// one configured custom channel of one dialect. A contact is a person as one
// channel knows them. A conversation is the thread between a contact and the
// business on a channel; it outlives its closes: a message after a close opens
// the next episode. A message is one thing said, in or out; an echo is an
// outgoing one that was said elsewhere. A receipt tells what became of an
// outgoing message. A delivery is one outbound event on its way to a callback.
//
// What happened is told in events (event.go). All events of one contact on one
// channel form a stream, and a stream keeps its order in the log. The state of a
// conversation is the fold of its stream (thread.go), that of a delivery the
// fold of its attempts (delivery.go).
package domain
