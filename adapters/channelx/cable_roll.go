package channelx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/parley-im/parley/domain"
)

const (
	rollWrite  = time.Second     // between two writes of who was seen
	rollAge    = time.Second     // that an answer of the table is good for
	rollForget = time.Minute     // after which an account that nobody asks about is forgotten
	rollWithin = 2 * time.Second // one read or write of the table
)

// roll knows who is there. It stands before the table that all nodes share: who is
// seen here is written together with others, and an answer is good for everybody
// who asks within a second. Whoever is seen on this node is known at once.
type roll struct {
	store  presence
	now    func() time.Time
	logger *slog.Logger

	mu    sync.Mutex // guards pages
	pages map[rollKey]*rollPage
}

// rollKey names those of one kind in an account.
type rollKey struct {
	account string
	kind    domain.PresenceKind
}

// rollPage is what is known of them.
type rollPage struct {
	asked    time.Time           // by anybody, for anything
	unsaid   map[int64]struct{}  // seen here, not in the table yet
	here     map[int64]time.Time // seen here, until they do not stay any longer
	read     time.Time           // when the table was read
	listed   []int64             // what it said, sorted
	reading  chan struct{}       // closed when the read that is under way ends; nil when there is none
	readOnce bool
	wanted   bool // by somebody who did not wait for it
}

func newRoll(store presence, now func() time.Time, logger *slog.Logger) *roll {
	return &roll{store: store, now: now, logger: logger, pages: map[rollKey]*rollPage{}}
}

// stays is how long somebody is there who has been seen.
func stays(kind domain.PresenceKind) time.Duration {
	if kind == domain.PresentOperator {
		return operatorsStay
	}
	return contactsStay
}

// page gives what is known of a kind in an account. r.mu is held.
func (r *roll) page(account string, kind domain.PresenceKind) *rollPage {
	key := rollKey{account, kind}
	p := r.pages[key]
	if p == nil {
		p = &rollPage{unsaid: map[int64]struct{}{}, here: map[int64]time.Time{}}
		r.pages[key] = p
	}
	p.asked = r.now()
	return p
}

// note tells that somebody is there. The other nodes hear of it within a second
// or two; it is forgotten if this process dies before, or the table is away.
func (r *roll) note(account string, kind domain.PresenceKind, id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.page(account, kind)
	p.unsaid[id] = struct{}{}
	p.here[id] = r.now()
}

// Seen tells that some are there at a time.
func (r *roll) Seen(ctx context.Context, account string, kind domain.PresenceKind, ids ...int64) error {
	return r.store.Seen(ctx, account, kind, ids...)
}

// Present lists who was seen since a time: what the table said within the last
// second, and who is seen here. The list is the caller's.
func (r *roll) Present(ctx context.Context, account string, kind domain.PresenceKind, since time.Time) ([]int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.page(account, kind)
	for p.reading != nil { // one reads for all who ask
		reading := p.reading
		r.mu.Unlock()
		select {
		case <-reading:
			r.mu.Lock()
		case <-ctx.Done():
			r.mu.Lock()
			return nil, ctx.Err()
		}
	}
	if now := r.now(); !p.readOnce || now.Sub(p.read) >= rollAge || now.Before(p.read) {
		if err := r.read(ctx, p, rollKey{account, kind}, since); err != nil {
			return nil, err
		}
	}
	return p.present(since), nil
}

// lately is Present without waiting: what is known of the table is known from a
// second or two ago, and the first who asks knows only who is seen here.
func (r *roll) lately(account string, kind domain.PresenceKind) []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.page(account, kind)
	p.wanted = true
	return p.present(r.now().Add(-stays(kind)))
}

// read asks the table. r.mu is held, but while it answers.
func (r *roll) read(ctx context.Context, p *rollPage, key rollKey, since time.Time) error {
	reading := make(chan struct{})
	p.reading = reading
	r.mu.Unlock()
	at := r.now()
	asking, cancel := context.WithTimeout(ctx, rollWithin)
	listed, err := r.store.Present(asking, key.account, key.kind, since)
	cancel()
	r.mu.Lock()
	close(reading)
	p.reading = nil
	if err != nil {
		return fmt.Errorf("read who is there: %w", err)
	}
	p.readOnce, p.read, p.listed = true, at, slices.Sorted(slices.Values(listed))
	return nil
}

// present lists who is there, as far as the page knows.
func (p *rollPage) present(since time.Time) []int64 {
	all := slices.Clone(p.listed)
	for id, at := range p.here {
		if at.Before(since) {
			continue
		}
		if _, listed := slices.BinarySearch(p.listed, id); !listed {
			all = append(all, id)
		}
	}
	return all
}

// run shares who was seen with other nodes, until ctx ends.
func (r *roll) run(ctx context.Context) {
	ticker := time.NewTicker(rollWrite)
	defer ticker.Stop()
	away := false // whether the table did not answer the last time
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		err := errors.Join(r.write(ctx), r.refresh(ctx))
		if failed := err != nil; failed != away && ctx.Err() == nil {
			away = failed
			if failed {
				r.logger.Warn("presence.not_shared", "error", err, "next", "nodes do not see who is at others until it is")
			}
		}
	}
}

// write takes what waits to the table, and forgets who has gone.
func (r *roll) write(ctx context.Context) error {
	type share struct {
		key rollKey
		ids []int64
	}
	var shares []share
	r.mu.Lock()
	now := r.now()
	for key, p := range r.pages {
		if len(p.unsaid) > 0 {
			shares = append(shares, share{key, slices.Collect(maps.Keys(p.unsaid))})
			clear(p.unsaid)
		}
		maps.DeleteFunc(p.here, func(_ int64, at time.Time) bool { return now.Sub(at) > stays(key.kind) })
		if len(p.here) == 0 && p.reading == nil && now.Sub(p.asked) > rollForget {
			delete(r.pages, key)
		}
	}
	r.mu.Unlock()
	for _, s := range shares {
		writing, cancel := context.WithTimeout(ctx, rollWithin)
		err := r.store.Seen(writing, s.key.account, s.key.kind, s.ids...)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// refresh reads what somebody wanted who did not wait for it.
func (r *roll) refresh(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := map[rollKey]*rollPage{}
	for key, p := range r.pages {
		if p.wanted && p.reading == nil {
			p.wanted = false
			wanted[key] = p
		}
	}
	for key, p := range wanted {
		if p.reading != nil {
			continue // somebody reads it by now
		}
		if err := r.read(ctx, p, key, r.now().Add(-stays(key.kind))); err != nil {
			return err
		}
	}
	return nil
}
