package projections

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
)

// presenceKept is how long a presence is kept that is not told again; it is far
// above what anybody asks for.
const presenceKept = 24 * time.Hour

// Presence knows who is there, on any node. It is no read model: what is lost in a
// crash of the database is told again within moments.
type Presence struct {
	pool *pgxpool.Pool
	now  func() time.Time

	mu    sync.Mutex
	swept time.Time
}

// NewPresence makes a Presence.
func NewPresence(pool *pgxpool.Pool, now func() time.Time) *Presence {
	return &Presence{pool: pool, now: now}
}

// Seen tells that some are there now.
func (p *Presence) Seen(ctx context.Context, account string, kind domain.PresenceKind, ids ...int64) error {
	if len(ids) == 0 {
		return nil
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	now := p.now()
	_, err := p.pool.Exec(ctx, `insert into presence as p (account, kind, id, seen_at)
		select $1, $2, id, $4 from unnest($3::bigint[]) id
		on conflict (account, kind, id) do update set seen_at = greatest(p.seen_at, excluded.seen_at)`, account, string(kind), ids, now)
	if err != nil {
		return fmt.Errorf("note who is there: %w", err)
	}
	if !p.due(now) {
		return nil
	}
	if _, err := p.pool.Exec(ctx, "delete from presence where seen_at < $1", now.Add(-presenceKept)); err != nil {
		return fmt.Errorf("forget who was there: %w", err)
	}
	return nil
}

// due tells, once an hour, that old presences are to go.
func (p *Presence) due(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.swept) < time.Hour {
		return false
	}
	p.swept = now
	return true
}

// Present lists who was seen at a time or later, by id.
func (p *Presence) Present(ctx context.Context, account string, kind domain.PresenceKind, since time.Time) ([]int64, error) {
	rows, err := p.pool.Query(ctx, "select id from presence where account = $1 and kind = $2 and seen_at >= $3 order by id",
		account, string(kind), since)
	if err != nil {
		return nil, fmt.Errorf("read who is there: %w", err)
	}
	ids := []int64{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read who is there: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
