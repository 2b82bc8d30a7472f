// Package postgres is everything Parley needs around a Postgres server that is
// not SQL of its own: a pool with sane limits (Open), migrations under a lock
// (Migrate), and, for one-command runs, a private server started from the
// installed binaries (StartCluster) which are installed first where they are
// missing (Install).
//
// A private cluster listens on a unix socket in a directory that only its own
// user can enter, never on TCP. It is the real Postgres with fsync on: what it
// has acknowledged survives kill -9 of Parley, of Postgres, and of both.
package postgres
