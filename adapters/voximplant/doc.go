// Package voximplant is the front door for integrations that were written for the
// custom channel of Voximplant Kit: their logins, their envelope, their errors and
// their callbacks, and the functions of an account that answer instead of an
// operator.
//
// Inbound is a Door. It logs integrations in (login.go, form.go, limiter.go,
// token.go, known.go, keyring.go), reads what they post (inbound.go, event.go,
// payload.go, profile.go, wire.go), appends it to the log and only then answers;
// none of that waits for a database. Functions that answer later do so through
// response.go, by a UUID that veil.go makes.
//
// Outbound is for the delivery worker: the call that a delivery needs
// (outbound.go, payloadout.go, function.go), what the answer to it means
// (outcome.go), and what a function's reply asks for (reply.go, commands.go).
//
// The sections named in comments are those of the protocol text, voximplant-kit.md.
package voximplant
