package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/parley-im/parley/domain"
)

// write sends all changes in one batch.
func (run *deliveryRun) write(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	if ids, flags := run.heads(); len(ids) > 0 {
		batch.Queue(`
			update deliveries d set head = u.head
			from unnest($1::uuid[], $2::boolean[]) u(id, head) where d.id = u.id`, uuidArray(ids), flags)
	}
	if err := run.queueInserts(batch); err != nil {
		return err
	}
	run.queueUpdates(batch)
	run.queueAttempts(batch)
	run.queueDepth(batch)
	run.queueEndpoints(batch)
	run.writeRevisions(batch)
	if err := run.writeEpisodes(batch); err != nil {
		return err
	}
	if batch.Len() == 0 {
		return nil
	}
	return sendLast(ctx, tx, batch)
}

func (run *deliveryRun) queueInserts(batch *pgx.Batch) error {
	if len(run.order) == 0 {
		return nil
	}
	n := len(run.order)
	var c stateColumns
	offsets, accounts, channels := make([]int64, n), make([]string, n), make([]string, n)
	lanes, dialects, contents := make([]string, n), make([]string, n), make([]string, n)
	messages, conversations := make([]uuid.UUID, n), make([]uuid.UUID, n)
	created := make([]time.Time, n)
	kinds, subjects := make([]string, n), make([]string, n)
	for i, row := range run.order {
		content, err := json.Marshal(row.Content)
		if err != nil {
			return fmt.Errorf("encode the content of %s: %w", row.ID, err)
		}
		c.add(row)
		offsets[i], accounts[i], channels[i] = row.Position.Offset, row.Account, row.Channel
		lanes[i], dialects[i], contents[i] = row.lane, string(row.Dialect), string(content)
		messages[i], conversations[i], created[i] = row.MessageID, row.Conversation, row.CreatedAt
		if kinds[i] = string(row.Kind); row.Subject == (domain.Subject{}) {
			continue
		}
		subject, err := json.Marshal(row.Subject)
		if err != nil {
			return fmt.Errorf("encode the subject of %s: %w", row.ID, err)
		}
		subjects[i] = string(subject)
	}
	batch.Queue(`
		insert into deliveries (id, state, parked, blocks, head, attempts, tries, last_reason, last_detail, due,
			first_tried_at, next_attempt_at, settled_at,
			"offset", account, channel_id, lane, dialect, content, message_id, conversation_id, created_at, kind, subject, partition)
		select id, state, parked, blocks, head, attempts, tries, last_reason, last_detail, due,
			first_tried_at, next_attempt_at, settled_at,
			"offset", account, channel_id, lane, dialect, content, message_id, conversation_id, created_at, kind,
			nullif(subject, '')::json, $25
		from unnest($1::uuid[], $2::text[], $3::boolean[], $4::boolean[], $5::boolean[], $6::int[], $7::int[],
			$8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
			$14::bigint[], $15::text[], $16::text[], $17::text[], $18::text[], $19::json[], $20::uuid[], $21::uuid[],
			$22::timestamptz[], $23::text[], $24::text[])
			u(id, state, parked, blocks, head, attempts, tries, last_reason, last_detail, due,
				first_tried_at, next_attempt_at, settled_at,
				"offset", account, channel_id, lane, dialect, content, message_id, conversation_id, created_at, kind, subject)`,
		append(c.args(), offsets, accounts, channels, lanes, dialects, contents, uuidArray(messages), uuidArray(conversations), created,
			kinds, subjects, run.partition)...)
	return nil
}

func (run *deliveryRun) queueUpdates(batch *pgx.Batch) {
	var c stateColumns
	for _, row := range run.rows {
		if row.dirty && row.was != "" {
			c.add(row)
		}
	}
	if len(c.ids) == 0 {
		return
	}
	batch.Queue(`
		update deliveries d set state = u.state, parked = u.parked, blocks = u.blocks, head = u.head,
			attempts = u.attempts, tries = u.tries, last_reason = u.last_reason, last_detail = u.last_detail,
			due = u.due, first_tried_at = u.first_tried_at, next_attempt_at = u.next_attempt_at, settled_at = u.settled_at
		from unnest($1::uuid[], $2::text[], $3::boolean[], $4::boolean[], $5::boolean[], $6::int[], $7::int[],
			$8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[])
			u(id, state, parked, blocks, head, attempts, tries, last_reason, last_detail, due,
				first_tried_at, next_attempt_at, settled_at)
		where d.id = u.id`, c.args()...)
}

func (run *deliveryRun) queueAttempts(batch *pgx.Batch) {
	n := len(run.attempts)
	if n == 0 {
		return
	}
	ids, numbers, started := make([]uuid.UUID, n), make([]int, n), make([]time.Time, n)
	durations, statuses := make([]int64, n), make([]int, n)
	verdicts, reasons := make([]string, n), make([]string, n)
	details, responses := make([]string, n), make([]string, n)
	for i, a := range run.attempts {
		ids[i], numbers[i], started[i], durations[i] = a.delivery, a.Attempt, a.StartedAt, a.DurationMS
		verdicts[i], reasons[i], statuses[i] = string(a.Verdict), string(a.Reason), a.HTTPStatus
		details[i], responses[i] = domain.Storable(a.Explained()), domain.Storable(a.Response)
	}
	batch.Queue(`
		insert into delivery_attempts (delivery_id, number, started_at, duration_ms, verdict, reason, http_status, detail, response)
		select * from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::bigint[], $5::text[], $6::text[], $7::int[],
			$8::text[], $9::text[]) on conflict do nothing`,
		uuidArray(ids), numbers, started, durations, verdicts, reasons, statuses, details, responses)
}

// queueDepth moves the counts by what the run has changed.
func (run *deliveryRun) queueDepth(batch *pgx.Batch) {
	delta := map[domain.DeliveryState]int64{}
	for _, row := range run.rows {
		if row.was != row.State {
			delta[row.State]++
			delta[row.was]--
		}
	}
	delete(delta, "")
	var states []string
	var moves []int64
	for _, state := range domain.DeliveryStates {
		if delta[state] != 0 {
			states, moves = append(states, string(state)), append(moves, delta[state])
		}
	}
	if len(states) == 0 {
		return
	}
	batch.Queue(`
		insert into delivery_depth as c (partition, state, n)
		select $1, u.* from unnest($2::text[], $3::bigint[]) u
		on conflict (partition, state) do update set n = c.n + excluded.n`, run.partition, states, moves)
}

// stateColumns are the columns that change in the life of a row.
type stateColumns struct {
	ids                         []uuid.UUID
	states, reasons, details    []string
	parked, blocks, heads       []bool
	attempts, tries             []int
	due                         []time.Time
	firstTried, next, settledAt pgtype.FlatArray[pgtype.Timestamptz]
}

func (c *stateColumns) add(row *deliveryRow) {
	c.ids, c.states = append(c.ids, row.ID), append(c.states, string(row.State))
	c.parked, c.blocks, c.heads = append(c.parked, row.Parked), append(c.blocks, row.Blocks()), append(c.heads, row.head)
	c.attempts, c.tries = append(c.attempts, row.Attempts), append(c.tries, row.Tries)
	c.reasons, c.details = append(c.reasons, string(row.LastReason)), append(c.details, domain.Storable(row.LastDetail))
	due := row.CreatedAt
	if row.NextAttemptAt != nil {
		due = *row.NextAttemptAt
	}
	c.due = append(c.due, due)
	c.firstTried, c.next = append(c.firstTried, nullable(row.FirstTriedAt)), append(c.next, nullable(row.NextAttemptAt))
	c.settledAt = append(c.settledAt, nullable(row.SettledAt))
}

func (c *stateColumns) args() []any {
	return []any{
		uuidArray(c.ids), c.states, c.parked, c.blocks, c.heads, c.attempts, c.tries, c.reasons, c.details, c.due,
		c.firstTried, c.next, c.settledAt,
	}
}

// uuidArray and nullable give pgx what it encodes as it is: a []uuid.UUID or a
// []*time.Time costs it reflection, and ids a detour through text, which made up
// two thirds of the time of a run.
func uuidArray(ids []uuid.UUID) pgtype.FlatArray[pgtype.UUID] {
	array := make(pgtype.FlatArray[pgtype.UUID], len(ids))
	for i, id := range ids {
		array[i] = pgtype.UUID{Bytes: id, Valid: true}
	}
	return array
}

func nullable(t *time.Time) pgtype.Timestamptz {
	if t == nil {
		return pgtype.Timestamptz{}
	}
	return pgtype.Timestamptz{Time: *t, Valid: true}
}
