package projections

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Checkpoints gives the next offset of each partition that a projection has
// begun. A partition that is not there stands at its beginning.
func Checkpoints(ctx context.Context, pool *pgxpool.Pool, projection string) (map[int]int64, error) {
	rows, err := pool.Query(ctx, "select partition, next from checkpoints where projection = $1", projection)
	if err != nil {
		return nil, fmt.Errorf("read checkpoints of %s: %w", projection, err)
	}
	next := map[int]int64{}
	var partition int
	var offset int64
	if _, err := pgx.ForEachRow(rows, []any{&partition, &offset}, func() error {
		next[partition] = offset
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read checkpoints of %s: %w", projection, err)
	}
	return next, nil
}

// How often checkpoints are read while somebody waits for a partition that
// another process projects.
const (
	firstPoll = 20 * time.Millisecond
	lastPoll  = 200 * time.Millisecond
)

// Waiter lets a reader wait until a projection has passed a position, so that it
// reads what it wrote. It hears of this process's own commits at once (Moved)
// and reads the checkpoints of other processes from Postgres, however many wait.
type Waiter struct {
	pool *pgxpool.Pool

	mu          sync.Mutex
	projections map[string]*progressOf
}

// progressOf is what a Waiter knows of one projection; Waiter.mu guards it.
type progressOf struct {
	next    map[int]int64
	moved   chan struct{} // closed and made anew at each news
	polled  time.Time
	polling bool
}

// NewWaiter makes a Waiter.
func NewWaiter(pool *pgxpool.Pool) *Waiter {
	return &Waiter{pool: pool, projections: map[string]*progressOf{}}
}

// Moved tells that a projection has committed a checkpoint, and wakes those who
// wait for it.
func (w *Waiter) Moved(projection string, partition int, next int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.of(projection)
	p.next[partition] = next
	p.wake()
}

// Wait returns when the projection's checkpoint is at or behind each of the
// given offsets: positions holds, by partition, the first offset that need not
// have been applied. It fails when ctx ends before, and when Postgres cannot
// be asked.
func (w *Waiter) Wait(ctx context.Context, projection string, positions map[int]int64) error {
	pause := firstPoll
	if w.check(projection, positions) == nil {
		return nil
	}
	if err := w.poll(ctx, projection, firstPoll/2); err != nil {
		return err
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		moved := w.check(projection, positions)
		if moved == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for projection %s: %w", projection, ctx.Err())
		case <-moved:
		case <-timer.C:
			if err := w.poll(ctx, projection, pause/2); err != nil {
				return err
			}
			pause = min(pause*3/2, lastPoll)
			timer.Reset(pause)
		}
	}
}

// check gives nil when the positions are passed, and else what is closed at the
// next news.
func (w *Waiter) check(projection string, positions map[int]int64) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.of(projection)
	for partition, wanted := range positions {
		if p.next[partition] < wanted {
			return p.moved
		}
	}
	return nil
}

// poll reads the checkpoints, unless somebody does so now or has within fresh.
func (w *Waiter) poll(ctx context.Context, projection string, fresh time.Duration) error {
	w.mu.Lock()
	p := w.of(projection)
	if p.polling || time.Since(p.polled) < fresh {
		w.mu.Unlock()
		return nil
	}
	p.polling = true
	w.mu.Unlock()

	next, err := Checkpoints(ctx, w.pool, projection)

	w.mu.Lock()
	defer w.mu.Unlock()
	p.polling, p.polled = false, time.Now()
	if err != nil {
		return err
	}
	for partition, offset := range next {
		// A commit of ours that was told while we asked may be ahead of the answer.
		p.next[partition] = max(p.next[partition], offset)
	}
	p.wake()
	return nil
}

// of gives what is known of a projection. The caller holds mu.
func (w *Waiter) of(projection string) *progressOf {
	p := w.projections[projection]
	if p == nil {
		p = &progressOf{next: map[int]int64{}, moved: make(chan struct{})}
		w.projections[projection] = p
	}
	return p
}

// wake lets everybody who waits look again. The caller holds Waiter.mu.
func (p *progressOf) wake() {
	close(p.moved)
	p.moved = make(chan struct{})
}
