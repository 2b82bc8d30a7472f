package projections

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/parley-im/parley/domain"
)

// endpointRun is how the attempts of a run at one target have gone.
type endpointRun struct {
	account string
	health  domain.EndpointHealth
}

// charge notes what an attempt tells of its endpoint. What was not called, or was
// our fault, is not charged to it.
func (run *deliveryRun) charge(r domain.Recorded, e domain.DeliveryAttempted) {
	switch e.Reason {
	case domain.ReasonInternal, domain.ReasonChannelDeleted, domain.ReasonExpired, domain.ReasonAddressRefused, domain.ReasonUnsubscribed:
		return
	default:
	}
	target := r.TargetOf()
	if run.endpoints == nil {
		run.endpoints = map[string]*endpointRun{}
	}
	at := run.endpoints[target]
	if at == nil {
		at = &endpointRun{account: r.Account}
		run.endpoints[target] = at
	}
	h := &at.health
	if e.Verdict == domain.Delivered {
		*h = domain.EndpointHealth{SucceededAt: r.Time}
		return
	}
	if h.FailingSince.IsZero() {
		h.FailingSince = r.Time
	}
	h.FailedAt, h.LastReason = r.Time, e.Reason
	h.Failures++
	if e.HTTPStatus == http.StatusGone {
		h.GoneAt = r.Time
	}
}

// queueEndpoints moves the health of the targets that the run has attempts at, one
// statement for all of them.
func (run *deliveryRun) queueEndpoints(batch *pgx.Batch) {
	if len(run.endpoints) == 0 {
		return
	}
	var targets, accounts, reasons []string
	var failures []int64
	var since, failed, succeeded, gone pgtype.FlatArray[pgtype.Timestamptz]
	for target := range run.endpoints {
		targets = append(targets, target)
	}
	slices.Sort(targets) // rows are locked in one order
	for _, target := range targets {
		h := run.endpoints[target].health
		accounts, reasons, failures = append(accounts, run.endpoints[target].account), append(reasons, string(h.LastReason)), append(failures, h.Failures)
		since, failed = append(since, stampOf(h.FailingSince)), append(failed, stampOf(h.FailedAt))
		succeeded, gone = append(succeeded, stampOf(h.SucceededAt)), append(gone, stampOf(h.GoneAt))
	}
	batch.Queue(`
		insert into delivery_endpoints as t
			(partition, target, account, failing_since, failed_at, failures, last_reason, succeeded_at, gone_at)
		select $1, u.* from unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::text[],
			$8::timestamptz[], $9::timestamptz[]) u
		on conflict (partition, target) do update set
			failing_since = case when excluded.succeeded_at is null
				then coalesce(t.failing_since, excluded.failing_since) else excluded.failing_since end,
			failures = excluded.failures + case when excluded.succeeded_at is null then t.failures else 0 end,
			gone_at = case when excluded.succeeded_at is null
				then coalesce(excluded.gone_at, t.gone_at) else excluded.gone_at end,
			failed_at = coalesce(excluded.failed_at, t.failed_at),
			last_reason = case when excluded.failed_at is null then t.last_reason else excluded.last_reason end,
			succeeded_at = coalesce(excluded.succeeded_at, t.succeeded_at)`,
		run.partition, targets, accounts, since, failed, failures, reasons, succeeded, gone)
}

func stampOf(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

// endpointHealth brings the partitions of targets together: the last success is
// that of any partition, and what failed before it does not count.
const endpointHealth = `
	select target, min(account), min(greatest(failing_since, last_success)) filter (where failing), max(failed_at),
		max(succeeded_at), max(gone_at) filter (where last_success is null or gone_at > last_success),
		coalesce(sum(failures) filter (where failing), 0)::bigint,
		coalesce((array_agg(last_reason order by failed_at desc nulls last))[1], '')
	from (
		select *, failing_since is not null and (last_success is null or failed_at > last_success) as failing
		from (select *, max(succeeded_at) over (partition by target) as last_success from delivery_endpoints where %s) e
	) e group by target order by target`

// Ailing gives the health of targets at which something may have to be decided:
// those whose attempts have all failed, in some partition, over least or longer,
// those that have answered 410, and those that are named.
func (p *Deliveries) Ailing(ctx context.Context, least time.Duration, named []string) ([]domain.EndpointHealth, error) {
	if named == nil {
		named = []string{}
	}
	// Whether a target's failures are long enough is told by all of its partitions:
	// what fails in one now and then may have failed in another before.
	return p.health(ctx, `target = any($1::text[]) or target in (
		select target from delivery_endpoints where failing_since is not null
		group by target having max(failed_at) - min(failing_since) >= $2::interval or max(gone_at) is not null)`, named, least)
}

// EndpointHealth gives how the attempts at some targets of an account have gone, at
// all of them when none is named. Targets that nothing was sent to are left out.
func (p *Deliveries) EndpointHealth(ctx context.Context, account string, targets []string) ([]domain.EndpointHealth, error) {
	if targets == nil {
		return p.health(ctx, "account = $1", account)
	}
	return p.health(ctx, "account = $1 and target = any($2::text[])", account, targets)
}

func (p *Deliveries) health(ctx context.Context, which string, args ...any) ([]domain.EndpointHealth, error) {
	rows, err := p.pool.Query(ctx, fmt.Sprintf(endpointHealth, which), args...)
	if err != nil {
		return nil, fmt.Errorf("read the health of endpoints: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h domain.EndpointHealth, err error) {
		var since, failed, succeeded, gone *time.Time
		err = row.Scan(&h.Target, &h.Account, &since, &failed, &succeeded, &gone, &h.Failures, &h.LastReason)
		for from, to := range map[*time.Time]*time.Time{since: &h.FailingSince, failed: &h.FailedAt, succeeded: &h.SucceededAt, gone: &h.GoneAt} {
			if from != nil {
				*to = from.UTC()
			}
		}
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the health of endpoints: %w", err)
	}
	return list, nil
}
