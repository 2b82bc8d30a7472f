package projections

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
)

// claimsPurge is how many old claims each Claim removes at most, besides as many
// as it makes.
const claimsPurge = 100

// Timers answers, from the read model of Conversations, what time has made of
// conversations that have a state: which timers have run out, who waits, and who
// is busy. All of it is found through indexes that hold open conversations of
// such dialects only. What it gives is as new as the projection: the caller
// decides by the state that it is given, and the event it appends says so.
type Timers struct {
	pool *pgxpool.Pool
}

// NewTimers makes Timers.
func NewTimers(pool *pgxpool.Pool) *Timers { return &Timers{pool: pool} }

const (
	// The rows of ids that were found, each looked up by itself, in the order found.
	foundConversations = `
		select ` + conversationColumns + ` from found f
		cross join lateral (select * from conversations where id = f.found offset 0) c order by f.at, f.found`

	dueConversations = `
		with due as (
			(select id, close_at as at from conversations where close_at <= $1 order by close_at limit $2)
			union all
			select s.id, s.at from unnest($3::text[], $4::text[], $5::bigint[]) t(channel, timer, after)
			cross join lateral (
				select id, timer_at + t.after * interval '1 second' as at from conversations
				where channel_id = t.channel and timer = t.timer and timer_at <= $1 - t.after * interval '1 second'
					and status = 'open' and state is not null
				order by timer_at limit $2
			) s
		), found as (
			select id as found, min(at) as at from due group by id order by min(at), id limit $2
		)` + foundConversations

	overdueConversations = `
		with found as (
			select id as found, wait_until as at from conversations where wait_until <= $1 order by wait_until limit $2
		)` + foundConversations

	// A step from queue to queue through the index. Of each queue the first ones in
	// turn: one that nobody serves must not hide the others.
	waitingConversations = `
		with recursive q(account, queue) as (
			(select account, queue_id from conversations where queue_id is not null order by account, queue_id limit 1)
			union all
			select n.account, n.queue_id from q cross join lateral (
				select account, queue_id from conversations
				where queue_id is not null and (account, queue_id) > (q.account, q.queue)
				order by account, queue_id limit 1
			) n
		), ranked as (
			select w.id as found, w.waiting_since as at, w.rank from q cross join lateral (
				select id, waiting_since, row_number() over (order by priority desc, waiting_since) as rank from (
					select id, waiting_since, priority from conversations
					where account = q.account and queue_id = q.queue
					order by priority desc, waiting_since limit $1
				) first
			) w
		), found as (
			select found, at from ranked order by rank, at limit $1
		)` + foundConversations

	openConversations = `
		with found as (
			select id as found, opened_at as at from conversations
			where channel_id = $1 and status = 'open' and state is not null limit $2
		)` + foundConversations

	busyAgents = `
		select agent_id, count(*) from conversations
		where account = $1 and status = 'open' and handler = 'agent' and state is not null group by agent_id`
)

// Due lists open conversations whose closing timer has run out at now, the one
// that ran out first first, at most limit. A timer runs as long as it was when it
// was started, or as shorter says of its channel if that is sooner
// (voximplant-kit.md 8.5); name those channels whose times have become shorter,
// or all of them.
func (t *Timers) Due(ctx context.Context, now time.Time, shorter []domain.ClosingTerm, limit int) ([]domain.Conversation, error) {
	var channels, timers []string
	var after []int64
	for _, s := range shorter {
		for timer, seconds := range map[domain.Timer]int64{domain.TimerAgent: s.CloseAfter, domain.TimerBot: s.BotClose} {
			if seconds > 0 {
				channels, timers, after = append(channels, s.Channel), append(timers, string(timer)), append(after, seconds)
			}
		}
	}
	list, err := t.list(ctx, dueConversations, now, limit, channels, timers, after)
	if err != nil {
		return nil, fmt.Errorf("list conversations to close: %w", err)
	}
	return list, nil
}

// Overdue lists conversations whose longest wait in their queue has ended at now,
// the one that ended first first, at most limit.
func (t *Timers) Overdue(ctx context.Context, now time.Time, limit int) ([]domain.Conversation, error) {
	list, err := t.list(ctx, overdueConversations, now, limit)
	if err != nil {
		return nil, fmt.Errorf("list conversations that wait too long: %w", err)
	}
	return list, nil
}

// Waiting lists conversations that wait in queues, of all accounts, the one that
// has waited longest first, at most limit. When more wait than that, each queue
// gives its first ones, by priority and wait.
func (t *Timers) Waiting(ctx context.Context, limit int) ([]domain.Conversation, error) {
	list, err := t.list(ctx, waitingConversations, limit)
	if err != nil {
		return nil, fmt.Errorf("list conversations that wait: %w", err)
	}
	return list, nil
}

// OpenOf lists open conversations of a channel, at most limit.
func (t *Timers) OpenOf(ctx context.Context, channel string, limit int) ([]domain.Conversation, error) {
	list, err := t.list(ctx, openConversations, channel, limit)
	if err != nil {
		return nil, fmt.Errorf("list open conversations of channel %s: %w", channel, err)
	}
	return list, nil
}

// Busy counts the open conversations of each agent of an account, by the agent's
// id. Agents who have none are not in it.
func (t *Timers) Busy(ctx context.Context, account string) (map[string]int, error) {
	open := map[string]int{}
	err := t.read(ctx, func(rows pgx.Rows) error {
		var agent string
		var n int
		_, err := pgx.ForEachRow(rows, []any{&agent, &n}, func() error {
			open[agent] = n
			return nil
		})
		return err
	}, busyAgents, account)
	if err != nil {
		return nil, fmt.Errorf("count open conversations of agents: %w", err)
	}
	return open, nil
}

func (t *Timers) list(ctx context.Context, sql string, args ...any) ([]domain.Conversation, error) {
	var list []domain.Conversation
	err := t.read(ctx, eachRow(func(row pgx.CollectableRow) error {
		var c domain.Conversation
		err := scanConversation(row, &c)
		list = append(list, c)
		return err
	}), sql, args...)
	return list, err
}

// read runs a statement that is planned by index whatever the planner knows of
// the table, in one round trip.
func (t *Timers) read(ctx context.Context, rows func(pgx.Rows) error, sql string, args ...any) error {
	b := &pgx.Batch{} // without a transaction around it, it is one
	b.Queue(planByIndex)
	b.Queue(sql, args...).Query(rows)
	return t.pool.SendBatch(ctx, b).Close()
}

// Claim takes the right to append the events of these ids, for lease by the
// database's clock, and returns those that were free. Of several callers at once
// exactly one gets an id. If it dies, others may claim after the lease.
func (t *Timers) Claim(ctx context.Context, ids []uuid.UUID, lease time.Duration) ([]uuid.UUID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	// In one order, so that two callers would not wait for each other in a circle.
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	// By itself and first: what it locks is waited for by nobody who holds something.
	_, err := t.pool.Exec(ctx, `
		delete from timer_claims where id in (
			select id from timer_claims where until <= now() order by until limit $1 for update skip locked
		)`, len(ids)+claimsPurge)
	if err != nil {
		return nil, fmt.Errorf("remove old claims: %w", err)
	}
	rows, err := t.pool.Query(ctx, `
		insert into timer_claims as c (id, until) select id, now() + $2 from unnest($1::uuid[]) with ordinality n(id, nth) order by nth
		on conflict (id) do update set until = excluded.until where c.until <= now()
		returning id`, uuidArray(ids), lease)
	if err != nil {
		return nil, fmt.Errorf("claim %d events: %w", len(ids), err)
	}
	free, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (id uuid.UUID, err error) {
		return id, row.Scan(raw(&id))
	})
	if err != nil {
		return nil, fmt.Errorf("claim %d events: %w", len(ids), err)
	}
	return free, nil
}
