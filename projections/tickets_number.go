package projections

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// TicketNumber finds the number of a ticket by its id; CodeNotFound when the
// account has none of that id.
func (r *Reads) TicketNumber(ctx context.Context, account string, id uuid.UUID) (int64, error) {
	return one(ctx, r.pool, "conversation", "select number from tickets where account = $1 and id = $2 and not removed",
		func(row pgx.CollectableRow, number *int64, _ ...any) error { return row.Scan(number) }, account, raw(&id))
}
