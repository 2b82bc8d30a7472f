package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrBusy says that a lock was not had in time. It wraps what stood in the way.
var ErrBusy = errors.New("somebody else has the lock")

// Defaults of Locks.
const (
	DefaultLockWait = 5 * time.Second
	// lockRelease is how long letting go may take; then the connection is closed,
	// which lets go, too.
	lockRelease = 2 * time.Second
)

// LockPoolOptions are those of a pool for Locks: of its own, because each holder
// keeps a connection, and those who do the work inside a lock need others.
func LockPoolOptions(maxConns int32) Options {
	return Options{MaxConns: maxConns, ApplicationName: "parley locks"}
}

// Locks keeps others, on any node, from deciding about the same things. Within the
// process it is a mutex for each name, so that a connection is taken only by one
// who does not wait for a neighbour; between processes it is an advisory lock of a
// transaction, which ends when its process or its connection does.
type Locks struct {
	pool *pgxpool.Pool
	wait time.Duration

	mu   sync.Mutex
	held map[string]*keyed
}

// keyed is the mutex of a name.
type keyed struct {
	token chan struct{} // holds one when the name is free
	users int           // who has it or waits for it
}

// NewLocks makes Locks that wait at most so long for all names of a Hold; 0 is
// DefaultLockWait. The pool is to be of its own, see LockPoolOptions.
func NewLocks(pool *pgxpool.Pool, wait time.Duration) *Locks {
	if wait <= 0 {
		wait = DefaultLockWait
	}
	return &Locks{pool: pool, wait: wait, held: map[string]*keyed{}}
}

// Hold waits until it has all names, in an order that is the same for everybody.
// It gives up with ErrBusy after the wait, or with the context's error. release
// never fails and may be called more than once. The lock is lost when the
// connection dies, or when it was held for longer than idle transactions live.
func (l *Locks) Hold(ctx context.Context, names ...string) (release func(), err error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) == 0 {
		return func() {}, nil
	}
	waiting, cancel := context.WithTimeout(ctx, l.wait)
	defer cancel()
	if err := l.acquire(waiting, names); err != nil {
		return nil, l.because(ctx, err)
	}
	conn, err := l.pool.Acquire(waiting)
	if err != nil {
		l.release(names)
		return nil, l.because(ctx, err)
	}
	let := func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockRelease)
		defer cancel()
		_, _ = conn.Exec(end, "rollback") // it has changed nothing; a connection that fails here is closed
		conn.Release()                    // which closes it where the transaction still hangs on it
		l.release(names)
	}
	if err := lockAll(waiting, conn, names); err != nil {
		let()
		return nil, l.because(ctx, err)
	}
	var once sync.Once
	return func() { once.Do(let) }, nil
}

// lockAll begins a transaction and takes the advisory locks of names, in one round
// trip. Names whose hashes meet wait for each other: their order is that of the
// hashes, for everybody.
func lockAll(ctx context.Context, conn *pgxpool.Conn, names []string) error {
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue(`select pg_advisory_xact_lock(key) from (
		select distinct hashtextextended(name, 20261121) as key from unnest($1::text[]) name order by 1 offset 0) keys`, names)
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("taking advisory locks: %w", err)
	}
	return nil
}

// because says ErrBusy where the wait is over, unless the caller has gone.
func (l *Locks) because(ctx context.Context, err error) error {
	if gone := ctx.Err(); gone != nil {
		return gone
	}
	return fmt.Errorf("%w: not had within %s: %w", ErrBusy, l.wait, err)
}

// acquire takes the mutexes of sorted names, all or none.
func (l *Locks) acquire(ctx context.Context, names []string) error {
	for i, name := range names {
		select {
		case <-l.join(name).token:
		case <-ctx.Done():
			l.leave(name)
			l.release(names[:i])
			return ctx.Err()
		}
	}
	return nil
}

// release gives the mutexes of names back.
func (l *Locks) release(names []string) {
	for _, name := range names {
		l.mu.Lock()
		l.held[name].token <- struct{}{} // never waits: whoever calls has taken it
		l.mu.Unlock()
		l.leave(name)
	}
}

// join counts a user of a name in.
func (l *Locks) join(name string) *keyed {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.held[name]
	if k == nil {
		k = &keyed{token: make(chan struct{}, 1)}
		k.token <- struct{}{}
		l.held[name] = k
	}
	k.users++
	return k
}

// leave counts a user out; the last one takes the mutex away.
func (l *Locks) leave(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.held[name]
	if k.users--; k.users == 0 {
		delete(l.held, name)
	}
}
