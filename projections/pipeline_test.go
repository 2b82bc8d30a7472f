package projections

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// Ensure that a transaction is whole or not there, wherever it ends, and that its
// connection serves the next one.
func TestPipeline(t *testing.T) {
	t.Parallel()
	const insert = "insert into kept (n) values ($1)"
	queued := func(n int) *pgx.Batch {
		b := &pgx.Batch{}
		b.Queue(insert, n)
		return b
	}
	errStop := errors.New("stop")
	for _, tt := range []struct {
		name   string
		fenced bool
		f      func(ctx context.Context, tx pgx.Tx) error
		want   error
		rows   int
	}{
		{"nothing but the fence", false, func(context.Context, pgx.Tx) error { return nil }, nil, 0},
		{"one batch, the last", false, func(ctx context.Context, tx pgx.Tx) error { return sendLast(ctx, tx, queued(1)) }, nil, 1},
		{"a batch and no last one", false, func(ctx context.Context, tx pgx.Tx) error { return sendBatch(ctx, tx, queued(1)) }, nil, 1},
		{"a batch and a last one", false, func(ctx context.Context, tx pgx.Tx) error {
			return errors.Join(sendBatch(ctx, tx, queued(1)), sendLast(ctx, tx, queued(2)))
		}, nil, 2},
		{"statements", false, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, insert, 1)
			if err != nil {
				return err
			}
			rows, err := tx.Query(ctx, "select n from kept")
			if err != nil {
				return err
			}
			defer rows.Close()
			if !rows.Next() {
				return errors.New("does not see its own row")
			}
			return nil
		}, nil, 1},
		{"an error after a batch", false, func(ctx context.Context, tx pgx.Tx) error {
			return errors.Join(sendBatch(ctx, tx, queued(1)), errStop)
		}, errStop, 0},
		{"an error before everything", false, func(context.Context, pgx.Tx) error { return errStop }, errStop, 0},
		{"a statement that is refused", false, func(ctx context.Context, tx pgx.Tx) error {
			return errors.Join(sendBatch(ctx, tx, queued(1)), sendLast(ctx, tx, queued(1)))
		}, new(pgconn.PgError), 0},
		{"a refused statement that is passed over", false, func(ctx context.Context, tx pgx.Tx) error {
			_, _ = tx.Exec(ctx, "select 1/0")
			return nil
		}, pgx.ErrTxCommitRollback, 0},
		{"a fence that does not hold", true, func(ctx context.Context, tx pgx.Tx) error { return sendLast(ctx, tx, queued(1)) }, errFenced, 0},
		{"a fence that does not hold, and nothing else", true, func(context.Context, pgx.Tx) error { return nil }, errFenced, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, pool := t.Context(), pgtest.New(t)
			if _, err := pool.Exec(ctx, "create table kept (n int primary key); create table fence (n int); insert into fence values (0)"); err != nil {
				t.Fatal(err)
			}
			fence := func(b *pgx.Batch) {
				b.Queue("update fence set n = 1 where n = $1", map[bool]int{false: 0, true: 7}[tt.fenced]).Exec(func(tag pgconn.CommandTag) error {
					if tag.RowsAffected() == 0 {
						return errFenced
					}
					return nil
				})
			}
			err := inPipeline(ctx, pool, fence, func(tx pgx.Tx) error { return tt.f(ctx, tx) })
			if refused := (*pgconn.PgError)(nil); errors.As(tt.want, &refused) {
				if !errors.As(err, &refused) {
					t.Errorf("ended with %v, want an error of the database", err)
				}
			} else if !errors.Is(err, tt.want) {
				t.Errorf("ended with %v, want %v", err, tt.want)
			}
			var rows, moved int
			if err := pool.QueryRow(ctx, "select (select count(*) from kept), (select n from fence)").Scan(&rows, &moved); err != nil {
				t.Fatal(err)
			}
			if rows != tt.rows || moved == 1 != (tt.want == nil) {
				t.Errorf("left %d rows, want %d; the fence moved: %v", rows, tt.rows, moved == 1)
			}
			if idle := pool.Stat().IdleConns(); idle != pool.Stat().TotalConns() {
				t.Errorf("%d of %d connections are idle", idle, pool.Stat().TotalConns())
			}
		})
	}
}
