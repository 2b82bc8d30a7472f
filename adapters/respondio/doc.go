// Package respondio is the front door for integrations that were written for a
// respond.io custom channel, or for IS-Messenger, which is the same wire under
// another name: their paths, their login, their envelope, their errors and their
// callbacks.
//
// Inbound is a Door: it reads what an integration server posts (wire.go, event.go,
// content.go, profile.go), appends it to the log and only then answers. Outbound is
// two pure functions for the delivery worker: the call that a delivery needs
// (outbound.go) and what the answer to it means (answer.go).
//
// The sections named in comments are those of the protocol text, respond-io.md.
package respondio
