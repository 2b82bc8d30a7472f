// Package callback delivers outbound events to the callbacks of their channels,
// and what contacts write to the functions that answer them.
//
// A Worker follows the deliveries projection: whoever projects a partition of
// the log also sends that partition's callbacks. It sends nothing for a
// partition until it holds the partition's lease and the projection has then
// reached the log's end (tenure.go), so what has an outcome in the log is never
// sent again: after a restart, a rebuild or a rebalance only calls that were in
// flight can be repeated, and those carry the same ids.
//
// Deliveries stand in lanes, one a conversation and target (lane.go). The head of
// a lane is called, followers wait. An outcome is appended to the log like any
// other event, together with what a function replied; when the append is
// acknowledged the lane goes on, and the row follows when the event comes back
// through the projection. Lanes are plain state under the worker's lock; a
// goroutine exists only for a call.
//
// Calls wait for a slot of their endpoint, one of the process and, where the
// channel has one, for its rate (endpoint.go). What does not fit into memory
// stays in the database and is fetched lane by lane (fetch.go).
package callback
