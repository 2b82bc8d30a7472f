// Package timers decides what becomes of conversations by time and by whose turn
// it is: the process of role timers (voximplant-kit.md 6.1 to 6.3 and 8.5).
//
// A Keeper looks, several times a second, at the rows that the conversations
// projection keeps (Store): which closing timers have run out, which waits in a
// queue have ended, which conversations wait for an agent, and which are open on
// channels that are switched off. What is due is asked of the domain, and what the
// domain says is appended to the log (keeper.go, closing.go, distribution.go).
// The Keeper has no memory that matters: rows and log are all there is, so timers
// survive a restart, and those that ran out meanwhile fire at the start.
//
// Any number of nodes do the same at the same time. Three things keep them from
// saying everything twice (decision.go). Rows are asked again once they have caught
// up with the log, as soon as there is something to decide. Events are claimed by
// their ids, for a moment, before they are appended: a node that dies in between
// lets the claim run out, and another node appends. And a node remembers what it
// has appended. Where all that fails an event is told twice, under the same id,
// and the fold takes it once.
//
// Likewise a decision that was made on old rows is void in the fold: each one says
// what it has seen of the conversation. A message that is stored before the close
// wins, one that is stored after it opens the next episode.
package timers
