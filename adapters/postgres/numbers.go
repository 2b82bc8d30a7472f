package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Numbers gives out the numbers that name an account's things, in the table
// numbers. A number is given once, whether or not anything comes of it.
type Numbers struct {
	pool *pgxpool.Pool
}

// NewNumbers makes a Numbers.
func NewNumbers(pool *pgxpool.Pool) *Numbers { return &Numbers{pool: pool} }

// Next gives the account's next number of a kind of things, greater than above:
// the highest that the caller knows to be taken. So numbers stay unique when the
// table is lost.
func (n *Numbers) Next(ctx context.Context, account, kind string, above int64) (int64, error) {
	var number int64
	err := n.pool.QueryRow(ctx, `
		insert into numbers as n (account, kind, last) values ($1, $2, $3::bigint + 1)
		on conflict (account, kind) do update set last = greatest(n.last, $3) + 1
		returning last`, account, kind, above).Scan(&number)
	if err != nil {
		return 0, fmt.Errorf("number a %s of account %s: %w", kind, account, err)
	}
	return number, nil
}
