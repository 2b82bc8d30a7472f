package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// Lease takes or takes back the right to send a partition's callbacks for ttl,
// by the database's clock. A lease that is running belongs to its owner, unless
// steal says that its owner is known to be gone. epoch is 0 when another owner
// has it; wait is then how long it runs.
//
// If the process dies after the commit, the lease runs out by itself.
func (p *Deliveries) Lease(ctx context.Context, partition int, owner string, ttl time.Duration, steal bool) (epoch int64, wait time.Duration, err error) {
	err = p.pool.QueryRow(ctx, `
		insert into delivery_leases as l (partition, owner, epoch, until) values ($1, $2, 1, now() + $3)
		on conflict (partition) do update set owner = excluded.owner, epoch = l.epoch + 1, until = excluded.until
		where l.until <= now() or l.owner = excluded.owner or $4
		returning epoch`, partition, owner, ttl, steal).Scan(&epoch)
	if err == nil {
		return epoch, 0, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, fmt.Errorf("lease partition %d: %w", partition, err)
	}
	err = p.pool.QueryRow(ctx, `
		select greatest(until - now(), interval '0') from delivery_leases where partition = $1`, partition).Scan(&wait)
	if err != nil {
		return 0, 0, fmt.Errorf("read the lease of partition %d: %w", partition, err)
	}
	return 0, wait, nil
}

// Renew lets a lease run for another ttl from now; false when another owner has
// taken it, or the same owner anew. A lease that ended but that nobody took is
// renewed.
func (p *Deliveries) Renew(ctx context.Context, partition int, owner string, epoch int64, ttl time.Duration) (bool, error) {
	tag, err := p.pool.Exec(ctx, `
		update delivery_leases set until = now() + $4 where partition = $1 and owner = $2 and epoch = $3`,
		partition, owner, epoch, ttl)
	if err != nil {
		return false, fmt.Errorf("renew the lease of partition %d: %w", partition, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Release ends a lease, if it is still this one.
func (p *Deliveries) Release(ctx context.Context, partition int, owner string, epoch int64) error {
	_, err := p.pool.Exec(ctx, `
		update delivery_leases set until = now() where partition = $1 and owner = $2 and epoch = $3`,
		partition, owner, epoch)
	if err != nil {
		return fmt.Errorf("release the lease of partition %d: %w", partition, err)
	}
	return nil
}

// OpenTargets lists the targets that have something open or parked in a partition.
func (p *Deliveries) OpenTargets(ctx context.Context, partition int) ([]string, error) {
	// A step from target to target through the index, not over all heads.
	rows, err := p.pool.Query(ctx, `
		with recursive t(name) as (
			(select target from deliveries where partition = $1 and head order by target limit 1)
			union all
			select (select target from deliveries
				where partition = $1 and head and target > t.name order by target limit 1)
			from t where t.name is not null
		) select name from t where name is not null`, partition)
	if err != nil {
		return nil, fmt.Errorf("list targets with open deliveries: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list targets with open deliveries: %w", err)
	}
	return list, nil
}

// OpenHeads reads a target's lanes of a partition that may be sent: those whose
// head was never tried since it was made or redriven (at most fresh lanes), and
// those whose head waits for another try (at most retried), each the earliest
// due first. Lanes in known are left out, and unless due is zero those that are
// due later. A lane comes as its first rows in order, at most depth of them.
func (p *Deliveries) OpenHeads(ctx context.Context, partition int, target string, due time.Time, fresh, retried, depth int, known []string) ([]domain.Delivery, error) {
	if known == nil {
		known = []string{} // "<> all" of no array is never true
	}
	var bound any = "infinity"
	if !due.IsZero() {
		bound = due
	}
	rows, err := p.pool.Query(ctx, `
		select `+deliveryColumns+` from (
			(select lane, due from deliveries where partition = $1 and target = $2 and state = 'pending' and head
				and due <= $3::timestamptz and lane <> all($7::text[]) order by due limit $4)
			union all
			(select lane, due from deliveries where partition = $1 and target = $2 and state = 'retrying' and head
				and due <= $3::timestamptz and lane <> all($7::text[]) order by due limit $5)
		) h cross join lateral (
			select * from deliveries where lane = h.lane and blocks order by "offset" limit $6
		) d
		order by h.due, d.lane, d."offset"`, partition, target, bound, fresh, retried, depth, known)
	if err != nil {
		return nil, fmt.Errorf("read lanes of target %s: %w", target, err)
	}
	list, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return nil, fmt.Errorf("read lanes of target %s: %w", target, err)
	}
	return list, nil
}

// ParkedLanes lists a target's lanes of a partition that are parked, at most limit.
func (p *Deliveries) ParkedLanes(ctx context.Context, partition int, target string, limit int) ([]string, error) {
	rows, err := p.pool.Query(ctx, `
		select lane from deliveries where partition = $1 and target = $2 and state = 'dead' and head limit $3`,
		partition, target, limit)
	if err != nil {
		return nil, fmt.Errorf("list parked lanes of target %s: %w", target, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list parked lanes of target %s: %w", target, err)
	}
	return list, nil
}

// LaneRows reads what is open or parked in some lanes, of each what comes after
// an offset, in order, at most limit rows.
func (p *Deliveries) LaneRows(ctx context.Context, lanes []string, after []int64, limit int) ([]domain.Delivery, error) {
	rows, err := p.pool.Query(ctx, `
		select `+deliveryColumns+`
		from unnest($1::text[], $2::bigint[]) t(lane, after) cross join lateral (
			select * from deliveries where lane = t.lane and blocks and "offset" > t.after order by "offset" limit $3
		) d
		order by d.lane, d."offset"`, lanes, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read lanes: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return nil, fmt.Errorf("read lanes: %w", err)
	}
	return list, nil
}
