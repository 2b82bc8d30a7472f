package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

func scanPost(row pgx.CollectableRow, p *domain.Post, more ...any) error {
	var state []byte
	if err := row.Scan(append([]any{&state}, more...)...); err != nil {
		return fmt.Errorf("read a post: %w", err)
	}
	if err := json.Unmarshal(state, p); err != nil {
		return fmt.Errorf("read what a post says: %w", err)
	}
	return nil
}

// postsPublic is what the contact sees.
const postsPublic = " and not private and type <> 2"

// Posts lists posts of a ticket, oldest first. A ticket that is not there has none.
func (r *Reads) Posts(ctx context.Context, asked domain.PostQuery) ([]domain.Post, error) {
	ticket, q := domain.TicketID(asked.Account, asked.Number), &query{}
	q.add("select state from posts where ticket = ? and not removed", raw(&ticket))
	switch {
	case asked.Before != 0 && asked.After != 0:
		q.add(" and id >= ? and id < ?", asked.After, asked.Before)
	case asked.Before != 0:
		q.add(" and id < ?", asked.Before)
	case asked.After != 0:
		q.add(" and id > ?", asked.After)
	}
	if asked.PublicOnly {
		q.add(postsPublic)
	}
	direction := "asc"
	if asked.Newest {
		direction = "desc"
	}
	q.add(fmt.Sprintf(" order by id %s limit %d", direction, part(asked.Limit)))
	found, err := r.posts(ctx, q.sql.String(), q.args...)
	if asked.Newest {
		slices.Reverse(found)
	}
	return found, err
}

func (r *Reads) posts(ctx context.Context, sql string, args ...any) ([]domain.Post, error) {
	rows, err := r.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list posts: %w", err)
	}
	found, err := collected(rows, scanPost)
	if err != nil {
		return nil, fmt.Errorf("list posts: %w", err)
	}
	return found, nil
}

// Post gives a post of a ticket; CodeNotFound where there is none.
func (r *Reads) Post(ctx context.Context, account string, number, id int64) (domain.Post, error) {
	ticket := domain.TicketID(account, number)
	return one(ctx, r.pool, "message", "select state from (select * from posts where id = $1 offset 0) p where ticket = $2 and not removed",
		scanPost, id, raw(&ticket))
}

// PostBySource finds the newest post of a ticket that has a source id;
// CodeNotFound where there is none.
func (r *Reads) PostBySource(ctx context.Context, account string, number int64, sourceID string) (domain.Post, error) {
	ticket := domain.TicketID(account, number)
	return one(ctx, r.pool, "message", "select state from posts where ticket = $1 and "+byHash("source_id", "$2")+
		" and source_id = $2 and not removed order by id desc limit 1", scanPost, raw(&ticket), domain.Storable(sourceID))
}

// PostByKey finds the post of a ticket that came with an idempotency key;
// CodeNotFound where there is none.
func (r *Reads) PostByKey(ctx context.Context, account string, number int64, key string) (domain.Post, error) {
	ticket := domain.TicketID(account, number)
	return one(ctx, r.pool, "message", "select state from posts where ticket = $1 and "+byHash("key", "$2")+
		" and key = $2 and not removed order by id limit 1", scanPost, raw(&ticket), domain.Storable(key))
}

// UnreadPosts lists what the contact has not read: public, not incoming, sent or
// delivered, created at or before a time; oldest first, at most limit.
func (r *Reads) UnreadPosts(ctx context.Context, account string, number int64, until time.Time, limit int) ([]domain.Post, error) {
	ticket := domain.TicketID(account, number)
	return r.posts(ctx, `select state from posts
		where ticket = $1 and type in (1, 3) and not private and status in ('sent', 'delivered') and not removed and created_at <= $2
		order by id limit $3`, raw(&ticket), until, part(limit))
}

// PostsSince counts the posts of a ticket since a time, up to most.
func (r *Reads) PostsSince(ctx context.Context, account string, number int64, since time.Time, most int) (int, error) {
	ticket, n := domain.TicketID(account, number), 0
	err := r.pool.QueryRow(ctx, `select count(*) from (
		select from posts where ticket = $1 and created_at >= $2 and not removed limit $3) found`, raw(&ticket), since, most).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count posts: %w", err)
	}
	return n, nil
}
