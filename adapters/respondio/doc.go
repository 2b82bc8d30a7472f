// Package respondio is the front door of respond.io custom channels and of their
// re-brands, IS-Messenger among them, which share one wire: what an integration
// server posts (inbound.go), what it is called with (outbound.go) and what its
// answers mean (answer.go). Section numbers in comments are those of the
// protocol, respond-io.md.
package respondio
