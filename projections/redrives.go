package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
)

// Redrives keeps jobs of redriving in the table redrive_jobs, beside the
// deliveries that they choose from. It is no projection: what a job has done is in
// the log, the job itself is not.
type Redrives struct {
	pool *pgxpool.Pool
}

// NewRedrives makes Redrives.
func NewRedrives(pool *pgxpool.Pool) *Redrives { return &Redrives{pool: pool} }

const (
	redriveList = "r1"
	// redrivesKept is how long a job is shown after its end.
	redrivesKept = 90 * 24 * time.Hour
	// redrivesPurge is how many old jobs a new one removes.
	redrivesPurge = 100
)

// redriveColumns are those that scanRedrive reads.
const redriveColumns = `id, account, channel_id, from_at, to_at, reason, kind, state, total, redriven, skipped, by, error,
	created_at, updated_at, finished_at`

// scanRedrive reads redriveColumns, and what follows them into more.
func scanRedrive(row pgx.CollectableRow, r *domain.Redrive, more ...any) error {
	var from, to *time.Time
	f := &r.Filter
	err := row.Scan(append([]any{
		raw(&r.ID), &f.Account, &f.Channel, &from, &to, &f.Reason, &f.Kind, &r.State, &r.Total, &r.Redriven, &r.Skipped, &r.By,
		&r.Error, &r.CreatedAt, &r.UpdatedAt, &r.FinishedAt,
	}, more...)...)
	if err != nil {
		return fmt.Errorf("read a redrive: %w", err)
	}
	if from != nil {
		f.From = from.UTC()
	}
	if to != nil {
		f.To = to.UTC()
	}
	r.CreatedAt, r.UpdatedAt = r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	if r.FinishedAt != nil {
		at := r.FinishedAt.UTC()
		r.FinishedAt = &at
	}
	return nil
}

// chosen adds the conditions of a filter on the table deliveries, named d: dead
// letters that died by asOf.
func (q *query) chosen(f domain.RedriveFilter, asOf time.Time) {
	q.add(" d.account = ? and d.state = 'dead' and d.settled_at <= ?", f.Account, asOf)
	if f.Channel != "" {
		q.add(" and d.channel_id = ?", f.Channel)
	}
	if !f.From.IsZero() {
		q.add(" and d.created_at >= ?", f.From)
	}
	if !f.To.IsZero() {
		q.add(" and d.created_at < ?", f.To)
	}
	if f.Reason != "" {
		q.add(" and d.last_reason = ?", string(f.Reason))
	}
	if f.Kind != "" {
		q.add(" and d.kind = ?", string(f.Kind))
	}
}

// CountDead counts the dead letters that a filter chooses and that died by asOf.
func (r *Redrives) CountDead(ctx context.Context, f domain.RedriveFilter, asOf time.Time) (int64, error) {
	q := &query{}
	q.add("select count(*) from deliveries d where")
	q.chosen(f, asOf)
	var n int64
	if err := r.pool.QueryRow(ctx, q.sql.String(), q.args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return n, nil
}

// CreateRedrive makes a job of the dead letters that its filter chooses as of its
// CreatedAt, counted; one of its id that is there already is given instead.
// CodeConflict says how many there are when that has to be confirmed and was not.
// A job of nothing is done at once.
func (r *Redrives) CreateRedrive(ctx context.Context, job domain.Redrive, confirm *int64) (domain.Redrive, error) {
	made, err := r.Redrive(ctx, job.Filter.Account, job.ID)
	if err == nil || domain.CodeOf(err) != domain.CodeNotFound {
		return made, err
	}
	names, totals, err := r.targets(ctx, job)
	if err != nil {
		return job, err
	}
	job.State, job.Total, job.UpdatedAt = domain.RedriveRunning, 0, job.CreatedAt
	for _, n := range totals {
		job.Total += n
	}
	if err := job.Filter.Confirmed(job.Total, confirm); err != nil {
		return job, err
	}
	if job.Total == 0 {
		job.State, job.FinishedAt = domain.RedriveDone, &job.CreatedAt
	}
	f := job.Filter
	batch := &pgx.Batch{} // without a transaction around it, it is one
	batch.Queue(`delete from redrive_jobs where id in (
		select id from redrive_jobs where account = $1 and finished_at < $2 limit $3)`, f.Account, job.CreatedAt.Add(-redrivesKept), redrivesPurge)
	batch.Queue(`insert into redrive_jobs (id, account, channel_id, from_at, to_at, reason, kind, state, total, by, created_at, updated_at, finished_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)`, job.ID, f.Account, f.Channel, orNull(f.From), orNull(f.To),
		string(f.Reason), string(f.Kind), string(job.State), job.Total, job.By, job.CreatedAt, job.FinishedAt)
	batch.Queue(`insert into redrive_targets (job, target, total) select $1, t.target, t.total from unnest($2::text[], $3::bigint[]) t(target, total)`,
		job.ID, names, totals)
	if err := r.pool.SendBatch(ctx, batch).Close(); err != nil {
		return job, fmt.Errorf("make a redrive: %w", err)
	}
	return job, nil
}

// targets counts what a new job is about.
func (r *Redrives) targets(ctx context.Context, job domain.Redrive) (names []string, totals []int64, err error) {
	q := &query{}
	q.add("select d.target, count(*) from deliveries d where")
	q.chosen(job.Filter, job.CreatedAt)
	q.add(" group by d.target")
	rows, err := r.pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("count dead letters: %w", err)
	}
	var name string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error {
		names, totals = append(names, name), append(totals, n)
		return nil
	}); err != nil {
		return nil, nil, fmt.Errorf("count dead letters: %w", err)
	}
	return names, totals, nil
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Redrives lists the jobs of an account, newest first, and gives the cursor of the
// part after, "" at the end. A cursor that it did not give is CodeInvalid.
func (r *Redrives) Redrives(ctx context.Context, account string, p domain.Page) ([]domain.Redrive, string, error) {
	size, q := pageSize(p), &query{}
	q.add("select "+redriveColumns+", created_at, id, true from redrive_jobs where account = ?", account)
	if p.After != "" {
		at, err := readPlace(redriveList, p.After)
		if err != nil {
			return nil, "", err
		}
		q.add(" and (created_at, id) < (?, ?)", at.at, at.id)
	}
	q.add(" order by created_at desc, id desc limit ?", size+1)
	list, next, err := page(ctx, r.pool, q, size, redriveList, scanRedrive)
	if err != nil {
		return nil, "", fmt.Errorf("list redrives: %w", err)
	}
	return list, next, nil
}

// Redrive gives one job of an account; CodeNotFound when it has none of that id.
func (r *Redrives) Redrive(ctx context.Context, account string, id uuid.UUID) (domain.Redrive, error) {
	return one(ctx, r.pool, "redrive", "select "+redriveColumns+byID("redrive_jobs"), scanRedrive, id, account)
}

// CancelRedrive ends a job; the page that is being appended is its last. One that
// was cancelled before is given as it is, one that ended otherwise is CodeConflict.
func (r *Redrives) CancelRedrive(ctx context.Context, account string, id uuid.UUID, now time.Time) (domain.Redrive, error) {
	_, err := r.pool.Exec(ctx, `update redrive_jobs set state = 'cancelled', updated_at = $3, finished_at = $3, error = ''
		where id = $1 and account = $2 and state = 'running'`, id, account, now)
	if err != nil {
		return domain.Redrive{}, fmt.Errorf("cancel a redrive: %w", err)
	}
	job, err := r.Redrive(ctx, account, id)
	if err == nil && job.State != domain.RedriveCancelled {
		err = domain.Errorf(domain.CodeConflict, "The redrive is %s already.", job.State)
	}
	return job, err
}

// CountRedrives counts the jobs of the installation by state.
func (r *Redrives) CountRedrives(ctx context.Context) (map[domain.RedriveState]int64, error) {
	rows, err := r.pool.Query(ctx, "select state, count(*) from redrive_jobs group by state")
	if err != nil {
		return nil, fmt.Errorf("count redrives: %w", err)
	}
	counted := map[domain.RedriveState]int64{}
	var state domain.RedriveState
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		counted[state] = n
		return nil
	}); err != nil {
		return nil, fmt.Errorf("count redrives: %w", err)
	}
	return counted, nil
}

// ClaimRedrive takes the job that was left alone for longest among those that
// nobody has, for lease by the database's clock; ok is false when there is none.
// With steal a lease that is running counts for nothing: its owner is known to be
// gone. If the process dies, the lease runs out by itself.
func (r *Redrives) ClaimRedrive(ctx context.Context, owner string, lease time.Duration, steal bool) (c domain.RedriveClaim, ok bool, err error) {
	rows, err := r.pool.Query(ctx, `
		update redrive_jobs set owner = $1, epoch = epoch + 1, lease_until = now() + $2::interval, turn_at = now()
		where id = (
			select id from redrive_jobs where (state = 'running' or plan is not null) and (lease_until <= now() or (owner <> $1 and $3))
			order by turn_at limit 1 for update skip locked
		) returning `+redriveColumns+`, epoch, plan`, owner, lease, steal)
	if err == nil {
		c, err = pgx.CollectExactlyOneRow(rows, scanClaim)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("claim a redrive: %w", err)
	}
	return c, true, nil
}

func scanClaim(row pgx.CollectableRow) (c domain.RedriveClaim, err error) {
	var plan []byte
	if err := scanRedrive(row, &c.Redrive, &c.Epoch, &plan); err != nil {
		return c, err
	}
	if plan == nil {
		return c, nil
	}
	c.Plan = &domain.RedrivePlan{}
	if err := json.Unmarshal(plan, c.Plan); err != nil {
		return c, fmt.Errorf("read the plan of redrive %s: %w", c.ID, err)
	}
	return c, nil
}

// ReleaseRedrive gives a claim back; trouble, unless empty, is shown until the job
// goes on.
func (r *Redrives) ReleaseRedrive(ctx context.Context, c domain.RedriveClaim, trouble string) error {
	_, err := r.pool.Exec(ctx, `update redrive_jobs set lease_until = '-infinity',
			error = case when $3 = '' or state <> 'running' then error else $3 end
		where id = $1 and epoch = $2`, c.ID, c.Epoch, trouble)
	if err != nil {
		return fmt.Errorf("release redrive %s: %w", c.ID, err)
	}
	return nil
}

// FailRedrive ends a job that cannot go on.
func (r *Redrives) FailRedrive(ctx context.Context, c domain.RedriveClaim, now time.Time, why string) error {
	_, err := r.pool.Exec(ctx, `update redrive_jobs set state = 'failed', error = $3, plan = null, updated_at = $4, finished_at = $4,
			lease_until = '-infinity'
		where id = $1 and epoch = $2 and state = 'running'`, c.ID, c.Epoch, why, now)
	if err != nil {
		return fmt.Errorf("fail redrive %s: %w", c.ID, err)
	}
	return nil
}
