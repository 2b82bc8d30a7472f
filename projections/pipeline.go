package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pipeline is a transaction in two round trips instead of five: its beginning,
// with the fence, travels with the first batch, and its end with the last one. A
// small transaction costs mostly its round trips.
//
// When the fence does not hold, the first batch has been in vain: it may only
// have read. So the end never travels with the fence, but for a transaction that
// holds nothing else.
type pipeline struct {
	pgx.Tx // what a projection has no business with, nil

	conn  *pgxpool.Conn
	fence func(*pgx.Batch) // queues the fence
	begun bool
	ended bool
}

// inPipeline runs f in a transaction. After an error nothing of it is there; an
// error of the end leaves it open whether it is.
func inPipeline(ctx context.Context, pool *pgxpool.Pool, fence func(*pgx.Batch), f func(pgx.Tx) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer conn.Release() // closes the connection when the transaction still hangs on it
	p := &pipeline{conn: conn, fence: fence}
	err = f(p)
	if err == nil && !p.ended {
		err = p.last(ctx, &pgx.Batch{})
	}
	if err != nil && p.begun {
		// Where it cannot be rolled back the connection is closed, which does it too.
		_, _ = conn.Exec(context.WithoutCancel(ctx), "rollback")
	}
	return err
}

// SendBatch sends a batch; the first one begins the transaction.
func (p *pipeline) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return p.conn.SendBatch(ctx, p.behindFence(b))
}

// Exec runs one statement.
func (p *pipeline) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := p.begin(ctx); err != nil {
		return pgconn.CommandTag{}, err
	}
	return p.conn.Exec(ctx, sql, args...)
}

// Query runs one statement that gives rows.
func (p *pipeline) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	return p.conn.Query(ctx, sql, args...)
}

func (p *pipeline) begin(ctx context.Context) error {
	if p.begun {
		return nil
	}
	return p.SendBatch(ctx, &pgx.Batch{}).Close()
}

// behindFence puts what begins the transaction before its first batch.
func (p *pipeline) behindFence(b *pgx.Batch) *pgx.Batch {
	if p.begun {
		return b
	}
	p.begun = true
	whole := &pgx.Batch{}
	whole.Queue("begin")
	p.fence(whole)
	whole.QueuedQueries = append(whole.QueuedQueries, b.QueuedQueries...)
	return whole
}

// last sends a batch with the end of the transaction behind it.
func (p *pipeline) last(ctx context.Context, b *pgx.Batch) error {
	if b.Len() > 0 {
		if err := p.begin(ctx); err != nil {
			return err
		}
	}
	whole := &pgx.Batch{QueuedQueries: p.behindFence(b).QueuedQueries}
	whole.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" { // the database ends a failed transaction its own way
			return pgx.ErrTxCommitRollback
		}
		return nil
	})
	p.ended = true
	return p.conn.SendBatch(ctx, whole).Close()
}

// sendLast runs the statements that were queued, the last of the transaction.
// A transaction of another kind is ended by whoever began it.
func sendLast(ctx context.Context, tx pgx.Tx, b *pgx.Batch) error {
	if p, ok := tx.(*pipeline); ok {
		return p.last(ctx, b)
	}
	return sendBatch(ctx, tx, b)
}
