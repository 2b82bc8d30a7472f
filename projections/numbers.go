package projections

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
)

// blockSize is how many ids a node takes at a time. Those that it does not use are
// lost when it ends: ids have gaps.
const blockSize = 100

// lostBlocks is how many blocks may be in use while the table of numbers is lost.
const lostBlocks = 100

// counters give out numbers that are never given twice while their table is there.
type counters interface {
	// Next gives an account's next number of a kind, greater than above.
	Next(ctx context.Context, account, kind string, above int64) (int64, error)
	// Block takes a block of numbers, all greater than above, and tells its first, and
	// whether nothing was known of the kind before.
	Block(ctx context.Context, account, kind string, size, above int64) (first int64, fresh bool, err error)
}

// Numbers gives out the ids of people, identities, posts and files, which are
// those of the installation, and the numbers of an account's tickets. They are
// unique whatever becomes of the database: what the rows hold is never given
// again.
type Numbers struct {
	pool     *pgxpool.Pool
	counters counters
	fresh    func(ctx context.Context) error

	mu    sync.Mutex
	kinds map[string]*block
}

// block is what is left of a kind's block.
type block struct {
	mu         sync.Mutex
	next, last int64 // next > last: none is left
	compared   bool  // with all rows, by this process
}

// NewNumbers makes Numbers. fresh waits until the rows of Conversations have all
// that the log holds: an id is taken by whatever the log knows.
func NewNumbers(pool *pgxpool.Pool, c counters, fresh func(ctx context.Context) error) *Numbers {
	return &Numbers{pool: pool, counters: c, fresh: fresh, kinds: map[string]*block{}}
}

// highest are the statements that find the highest id of a kind in the rows.
var highest = map[string]string{
	"person":   "select coalesce(max(id), 0) from people",
	"identity": "select coalesce(max(id), 0) from identities",
	"post":     "select coalesce(max(id), 0) from posts",
	"file":     "select coalesce(max(file), 0) from posts where file > 0",
	"inbox":    "select 0::bigint", // the registry of channels knows them: whoever asks passes the highest
}

// ID gives the next id of a kind (person, identity, post, file, inbox), above a
// number that the caller knows to be taken. Ids of one kind grow on one node; those
// of another node may lie between them.
func (n *Numbers) ID(ctx context.Context, kind string, above int64) (int64, error) {
	sql, ok := highest[kind]
	if !ok {
		return 0, domain.Errorf(domain.CodeInternal, "there are no ids of a %s", kind)
	}
	b := n.block(kind)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = max(b.next, min(above, b.last)+1)
	if b.next > b.last || b.next <= above {
		if err := n.refill(ctx, b, kind, sql, above); err != nil {
			return 0, err
		}
	}
	b.next++
	return b.next - 1, nil
}

func (n *Numbers) block(kind string) *block {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.kinds[kind]
	if b == nil {
		b = &block{next: 1}
		n.kinds[kind] = b
	}
	return b
}

// refill takes the next block. The table alone is enough for one that knew it
// before; a table that is new, and one that this process meets for the first
// time, may be behind the log, so the rows are caught up with it and asked.
func (n *Numbers) refill(ctx context.Context, b *block, kind, sql string, above int64) error {
	compared := b.compared
	if !compared {
		taken, err := n.taken(ctx, kind, sql)
		if err != nil {
			return err
		}
		above = max(above, taken)
	}
	first, fresh, err := n.counters.Block(ctx, "", kind, blockSize, above)
	if err == nil && fresh && compared {
		var taken int64
		if taken, err = n.taken(ctx, kind, sql); err == nil {
			above = max(above, taken)
		}
	}
	if err == nil && fresh && above > 0 {
		// The table was lost: what is left of the blocks that it had given is out there.
		first, _, err = n.counters.Block(ctx, "", kind, blockSize, above+lostBlocks*blockSize)
	}
	if err != nil {
		b.compared = false
		return err
	}
	b.compared, b.next, b.last = true, first, first+blockSize-1
	return nil
}

// taken gives the highest id of a kind that the log knows.
func (n *Numbers) taken(ctx context.Context, kind, sql string) (int64, error) {
	if err := n.fresh(ctx); err != nil {
		return 0, fmt.Errorf("wait for the ids of a %s that are taken: %w", kind, err)
	}
	var taken int64
	if err := n.pool.QueryRow(ctx, sql).Scan(&taken); err != nil {
		return 0, fmt.Errorf("find the ids of a %s that are taken: %w", kind, err)
	}
	return taken, nil
}

// Ticket gives the next number of an account's tickets. The rows are to have all
// that the log holds of the account, as they have where a lock of its tickets is
// held and they were waited for. A number that nothing came of is not given again.
func (n *Numbers) Ticket(ctx context.Context, account string) (int64, error) {
	var taken int64
	if err := n.pool.QueryRow(ctx, "select coalesce(max(number), 0) from tickets where account = $1", account).Scan(&taken); err != nil {
		return 0, fmt.Errorf("find the newest ticket of account %s: %w", account, err)
	}
	return n.counters.Next(ctx, account, "ticket", taken)
}

// Webhook gives the next number of an account's webhooks, above the highest that
// the caller knows to be taken.
func (n *Numbers) Webhook(ctx context.Context, account string, above int64) (int64, error) {
	return n.counters.Next(ctx, account, "webhook", above)
}
