package postgres

import (
	"context"
	"fmt"
)

// Block takes a block of n numbers of a kind of things, all greater than above: the
// highest that the caller knows to be taken. It gives the first of them, and whether
// the table knew nothing of the kind before, as when it is new or was lost.
func (n *Numbers) Block(ctx context.Context, account, kind string, size, above int64) (first int64, fresh bool, err error) {
	var last int64
	err = n.pool.QueryRow(ctx, `
		insert into numbers as n (account, kind, last) values ($1, $2, $4::bigint + $3::bigint)
		on conflict (account, kind) do update set last = greatest(n.last, $4) + $3
		returning last, xmax = 0`, account, kind, size, above).Scan(&last, &fresh)
	if err != nil {
		return 0, false, fmt.Errorf("take a block of numbers of a %s: %w", kind, err)
	}
	return last - size + 1, fresh, nil
}
