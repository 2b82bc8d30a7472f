package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-im/parley/domain"
)

// longestID bounds what is kept of a record's id, in characters. Ids of events are
// shorter; a record that somebody else wrote may have any.
const longestID = 200

// ErrRegrown tells that the log is not the one that the rows were built from: it was
// cut, by the loss of a file or of brokers, and new records have taken the offsets of
// those that are gone. To go on would leave them out without a word. No repetition
// changes it.
var ErrRegrown = errors.New("the log was cut and has grown again; put the copy of the log back, or drop the database and let it be built again")

// checkpoint is where a projection stands in a partition.
type checkpoint struct {
	next int64   // first offset that is not applied
	last *string // id of the record before it, as keptID gives it; nil = not known
}

// keptID is the form of a record's id in the checkpoint.
func keptID(id string) string { return domain.Cut(domain.Storable(id), longestID) }

// checkpoint reads where a partition stands, and makes its row the first time.
func (r *Runtime) checkpoint(ctx context.Context, number int) (checkpoint, error) {
	var c checkpoint
	err := r.cfg.Pool.QueryRow(ctx, `
		insert into checkpoints (projection, partition, next) values ($1, $2, 0)
		on conflict (projection, partition) do update set next = checkpoints.next
		returning next, case when last_offset = next - 1 then last_id end`,
		r.cfg.Projection.Name(), number).Scan(&c.next, &c.last)
	if err != nil {
		return checkpoint{}, fmt.Errorf("read checkpoint of %s in partition %d: %w", r.cfg.Projection.Name(), number, err)
	}
	return c, nil
}

// compare looks whether the log still holds the record that the checkpoint was moved
// over last: ErrRegrown when it holds another there. One that is not kept any more
// says nothing. An error of the log is one to try again after.
func (r *Runtime) compare(ctx context.Context, number int, c checkpoint) error {
	if c.next == 0 || c.last == nil || r.cfg.IDAt == nil {
		return nil
	}
	found, ok, err := r.cfg.IDAt(ctx, number, c.next-1)
	if err != nil {
		return fmt.Errorf("look at the record before the checkpoint of %s in partition %d: %w", r.cfg.Projection.Name(), number, err)
	}
	if found = keptID(found); ok && found != *c.last {
		return fmt.Errorf("the log holds another event at %d:%d (%q) than the rows were built from (%q): %w",
			number, c.next-1, found, *c.last, ErrRegrown)
	}
	return nil
}

// fence queues the move of the checkpoint from where this process has left it.
func (r *Runtime) fence(number int, from int64, run run) func(*pgx.Batch) {
	var last *time.Time
	if !run.last.IsZero() {
		last = &run.last
	}
	return func(b *pgx.Batch) {
		b.Queue(`
			update checkpoints set next = $4, event_time = coalesce($5, event_time), moved_at = now(), last_offset = $6, last_id = $7
			where projection = $1 and partition = $2 and next = $3`,
			r.cfg.Projection.Name(), number, from, run.next, last, run.next-1, keptID(run.id)).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() == 0 {
				return errFenced
			}
			return nil
		})
	}
}
