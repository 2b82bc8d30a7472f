// Command parley is the broker: one process that does everything on one machine
// (parley dev), one node of a cluster (parley serve), and the tools to look into
// a running one.
package main
