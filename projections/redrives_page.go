package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// mostWaitingCounted bounds the count of what waits for a target.
const mostWaitingCounted = 1024

// RedriveTargets gives targets that a job has not ended with, at most limit of
// them, drawn by lot so that none is passed over for ever. Waiting is how much of
// what was redriven has not been tried since, whoever redrove it.
func (r *Redrives) RedriveTargets(ctx context.Context, c domain.RedriveClaim, limit int) ([]domain.RedriveTarget, error) {
	rows, err := r.pool.Query(ctx, `
		select t.target, (select count(*) from (
			select 1 from deliveries d where d.account = $2 and d.target = t.target and d.state = 'pending' and d.attempts > 0 limit $4) w)
		from (select target from redrive_targets where job = $1 and not done order by random() limit $3) t`,
		c.ID, c.Filter.Account, limit, mostWaitingCounted)
	if err != nil {
		return nil, fmt.Errorf("list targets of redrive %s: %w", c.ID, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t domain.RedriveTarget, err error) {
		return t, row.Scan(&t.Name, &t.Waiting)
	})
	if err != nil {
		return nil, fmt.Errorf("list targets of redrive %s: %w", c.ID, err)
	}
	return list, nil
}

// RedrivePage gives the dead letters that come next, of each target at most as
// many as it has Room, each conversation's in the order of the log.
func (r *Redrives) RedrivePage(ctx context.Context, c domain.RedriveClaim, targets []domain.RedriveTarget) ([]domain.Delivery, error) {
	names, room := make([]string, len(targets)), make([]int64, len(targets))
	for i, t := range targets {
		names[i], room[i] = t.Name, int64(t.Room)
	}
	q := &query{}
	q.add("select "+deliveryColumns+` from unnest(?::text[], ?::bigint[]) q(target, n)
		join redrive_targets t on t.job = ? and t.target = q.target
		cross join lateral (
			select * from deliveries d where d.target = t.target and (d."offset", d.partition) > (t."offset", t.partition) and`, names, room, c.ID)
	q.chosen(c.Filter, c.CreatedAt)
	q.add(` order by d."offset", d.partition limit q.n) d order by d.target, d."offset", d.partition`)
	rows, err := r.pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("read a page of redrive %s: %w", c.ID, err)
	}
	list, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return nil, fmt.Errorf("read a page of redrive %s: %w", c.ID, err)
	}
	return list, nil
}

// PlannedDeliveries gives the deliveries that a plan names, as they are now.
func (r *Redrives) PlannedDeliveries(ctx context.Context, c domain.RedriveClaim) ([]domain.Delivery, error) {
	ids := make([]uuid.UUID, len(c.Plan.Items))
	for i, item := range c.Plan.Items {
		ids[i] = item.ID
	}
	rows, err := r.pool.Query(ctx, "select "+deliveryColumns+" from deliveries d where d.id = any($1) and d.account = $2", uuidArray(ids), c.Filter.Account)
	if err != nil {
		return nil, fmt.Errorf("read the plan of redrive %s: %w", c.ID, err)
	}
	list, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return nil, fmt.Errorf("read the plan of redrive %s: %w", c.ID, err)
	}
	return list, nil
}

// PlanRedrive keeps what is about to be appended, and lets the claim run for
// another lease. ok is false, and nothing must be appended, when the job has been
// cancelled or is somebody else's by now. If the process dies after it, whoever
// goes on finds the plan.
func (r *Redrives) PlanRedrive(ctx context.Context, c domain.RedriveClaim, plan domain.RedrivePlan, lease time.Duration) (ok bool, err error) {
	text, err := json.Marshal(plan)
	if err != nil {
		return false, fmt.Errorf("write the plan of redrive %s: %w", c.ID, err)
	}
	tag, err := r.pool.Exec(ctx, `update redrive_jobs set plan = $3, lease_until = now() + $4::interval
		where id = $1 and epoch = $2 and state = 'running'`, c.ID, c.Epoch, text, lease)
	if err != nil {
		return false, fmt.Errorf("keep the plan of redrive %s: %w", c.ID, err)
	}
	return tag.RowsAffected() == 1, nil
}

// AdvanceRedrive counts what was appended, forgets the plan, and ends the job when
// no target is left. It gives the job as it is then; ok is false when it is
// somebody else's by now, who counts instead. A job that was cancelled meanwhile
// counts its last page, too.
func (r *Redrives) AdvanceRedrive(
	ctx context.Context, c domain.RedriveClaim, steps []domain.RedriveStep, now time.Time, lease time.Duration,
) (job domain.Redrive, ok bool, err error) {
	names, counts, done := make([]string, len(steps)), make([]int64, len(steps)), make([]bool, len(steps))
	offsets, partitions := make([]int64, len(steps)), make([]int64, len(steps))
	for i, s := range steps {
		names[i], counts[i], done[i] = s.Target, int64(s.Redriven), s.Done
		offsets[i], partitions[i] = s.Last.Offset, int64(s.Last.Partition)
	}
	err = pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update redrive_jobs set plan = null, error = '', lease_until = now() + $3::interval
			where id = $1 and epoch = $2`, c.ID, c.Epoch, lease)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		ok = true
		if _, err := tx.Exec(ctx, `
			update redrive_targets t set redriven = t.redriven + s.n, done = s.done,
				"offset" = case when s.n = 0 then t."offset" else s.last end, partition = case when s.n = 0 then t.partition else s.part end
			from unnest($2::text[], $3::bigint[], $4::boolean[], $5::bigint[], $6::bigint[]) s(target, n, done, last, part)
			where t.job = $1 and t.target = s.target`, c.ID, names, counts, done, offsets, partitions); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			update redrive_jobs j set redriven = s.redriven, skipped = s.skipped, updated_at = $2,
				state = case when s.ended and state = 'running' then 'done' else state end,
				finished_at = case when s.ended and state = 'running' then $2 else finished_at end
			from (select sum(redriven) as redriven, coalesce(sum(greatest(total - redriven, 0)) filter (where done), 0) as skipped,
				bool_and(done) as ended from redrive_targets where job = $1) s
			where j.id = $1
			returning j.id, account, channel_id, from_at, to_at, reason, kind, state, total, j.redriven, j.skipped, by, error,
				created_at, updated_at, finished_at`, c.ID, now)
		if err != nil {
			return err
		}
		job, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (job domain.Redrive, err error) {
			return job, scanRedrive(row, &job)
		})
		return err
	})
	if err != nil {
		return job, false, fmt.Errorf("count a page of redrive %s: %w", c.ID, err)
	}
	return job, ok, nil
}
