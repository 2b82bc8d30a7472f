package projections

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// TicketNumber finds the number of a ticket by its id; CodeNotFound when the
// account has none of that id.
func (r *Reads) TicketNumber(ctx context.Context, account string, id uuid.UUID) (int64, error) {
	return one(ctx, r.pool, "conversation", "select number from tickets where account = $1 and id = $2 and not removed",
		func(row pgx.CollectableRow, number *int64, _ ...any) error { return row.Scan(number) }, account, raw(&id))
}

// TicketNumbers finds the numbers of tickets by their ids, in order; those that the
// account does not have are left out.
func (r *Reads) TicketNumbers(ctx context.Context, account string, ids []uuid.UUID) ([]int64, error) {
	rows, err := r.pool.Query(ctx, "select number from tickets where account = $1 and id = any($2::uuid[]) and not removed order by number", account, ids)
	if err != nil {
		return nil, fmt.Errorf("find the numbers of tickets: %w", err)
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("find the numbers of tickets: %w", err)
	}
	return numbers, nil
}
