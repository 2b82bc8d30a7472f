// Package redrive works on redrives: it appends delivery.redriven.v1 for the dead
// letters that a job is about, page by page, until none is left.
//
// A Runner takes one job at a time under a claim with a lease, works on it for a
// turn, and gives it back, so that jobs of several accounts go on side by side and
// another node goes on with what a dead one has left. A page is planned before it is appended and counted
// afterwards: who finds a plan appends its events again, with the same ids, which
// the fold takes for what they are. So nothing is redriven twice by one job, and
// its numbers are right whatever dies (page.go).
//
// What is redriven takes the places of live traffic only to a degree: a node
// redrives at most Config.Rate deliveries a second, and never puts more before an
// endpoint than that takes within half a second (window.go).
package redrive
