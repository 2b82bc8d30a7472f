package projections

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// planByIndex holds the planner to the indexes for the rest of the transaction.
// A plan is kept with its prepared statement, and one that was made while a
// table was small would read all of it when it has grown.
const planByIndex = `select set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
	set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)`

const (
	selectContacts = `select ` + contactColumns + ` from contacts where id = any($1)`

	// What can change, and so has to be known to be changed.
	selectConversations = `select id, status, episode, handler, agent_id, messages, last_message_id, last_text,
			last_message_at, opened_at, closed_at, close_reason, updated_at, created_at, state
		from conversations where id = any($1)`

	messageState = `m.id, m.conversation_id, m.partition, m."offset", m.direction, m.kind, m.external_id,
		m.status, m.reason, m.status_history, m.recorded_at`

	selectMessages = `select ` + messageState + ` from messages m where m.id = any($1)`

	// Each key is looked up by itself: a join that the planner may turn round would
	// read a whole index where it knows nothing of the table yet.
	selectExternal = `select ` + messageState + `
		from unnest($1::uuid[], $2::text[]) k (conversation, external)
		cross join lateral (
			select * from messages
			where conversation_id = k.conversation and external_id = k.external and direction = 'out' and external_id <> ''
			offset 0
		) m`

	selectEarly = `select r.id, r.conversation_id, r.external_id, r.value, r.reason, r.occurred_at, r.recorded_at,
			r.partition, r."offset"
		from unnest($1::uuid[], $2::text[]) k (conversation, external)
		cross join lateral (
			select * from early_receipts where conversation_id = k.conversation and external_id = k.external
			offset 0
		) r
		order by r.partition, r."offset"`
)

// loadThread reads what a batch touches, in one round trip.
func loadThread(ctx context.Context, tx pgx.Tx, n domain.Needs, tickets *ticketRun) (*threadRows, error) {
	rows := &threadRows{thread: domain.NewThread(), stored: map[uuid.UUID]struct{}{}, episodes: map[uuid.UUID]episode{}}
	b := &pgx.Batch{}
	b.Queue(planByIndex)
	if len(n.Contacts) > 0 {
		b.Queue(selectContacts, keysOf(n.Contacts)).Query(eachRow(rows.loadContact))
	}
	if len(n.Conversations) > 0 {
		b.Queue(selectConversations, keysOf(n.Conversations)).Query(eachRow(rows.loadConversation))
	}
	if len(n.Messages) > 0 {
		b.Queue(selectMessages, keysOf(n.Messages)).Query(eachRow(rows.loadMessage))
	}
	if len(n.External) > 0 {
		conversations, externals := pairsOf(n.External)
		b.Queue(selectExternal, conversations, externals).Query(eachRow(rows.loadMessage))
		b.Queue(selectEarly, conversations, externals).Query(eachRow(rows.loadEarly))
	}
	tickets.queueLoad(b)
	if err := sendBatch(ctx, tx, b); err != nil {
		return nil, err
	}
	return rows, nil
}

func eachRow(load func(pgx.CollectableRow) error) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			if err := load(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

func (t *threadRows) loadContact(row pgx.CollectableRow) error {
	c := &domain.Contact{}
	if err := scanContact(row, c); err != nil {
		return err
	}
	t.thread.Contacts[c.ID] = c
	t.stored[c.ID] = struct{}{}
	return nil
}

func (t *threadRows) loadConversation(row pgx.CollectableRow) error {
	c := &domain.Conversation{}
	var state []byte
	err := row.Scan(raw(&c.ID), &c.Status, &c.Episode, &c.Handler, &c.AgentID, &c.Messages, raw(&c.LastMessage), &c.LastText,
		&c.LastMessageAt, &c.OpenedAt, &c.ClosedAt, &c.CloseReason, &c.UpdatedAt, &c.CreatedAt, &state)
	if err != nil {
		return fmt.Errorf("read a conversation: %w", err)
	}
	if err := scanState(state, c); err != nil {
		return err
	}
	t.thread.Conversations[c.ID] = c
	t.stored[c.ID] = struct{}{}
	t.episodes[c.ID] = episodeOf(c)
	return nil
}

// loadMessage reads what can change about a message.
func (t *threadRows) loadMessage(row pgx.CollectableRow) error {
	m := &domain.Message{}
	var history []byte
	err := row.Scan(raw(&m.ID), raw(&m.Conversation), &m.Position.Partition, &m.Position.Offset, &m.Direction, &m.Kind,
		&m.ExternalID, &m.Status, &m.Reason, &history, &m.RecordedAt)
	if err != nil {
		return fmt.Errorf("read a message: %w", err)
	}
	if _, ok := t.stored[m.ID]; ok {
		return nil // named by its id and by its external id
	}
	if err := json.Unmarshal(history, &m.History); err != nil {
		return fmt.Errorf("read the history of message %s: %w", m.ID, err)
	}
	t.thread.LoadMessage(m)
	t.stored[m.ID] = struct{}{}
	return nil
}

func (t *threadRows) loadEarly(row pgx.CollectableRow) error {
	var r domain.Receipt
	err := row.Scan(raw(&r.ID), raw(&r.Conversation), &r.ExternalID, &r.Value, &r.Message, &r.Timestamp, &r.RecordedAt,
		&r.Position.Partition, &r.Position.Offset)
	if err != nil {
		return fmt.Errorf("read an early receipt: %w", err)
	}
	r.Timestamp, r.RecordedAt = r.Timestamp.UTC(), r.RecordedAt.UTC()
	t.thread.Early[r.ExternalKey] = append(t.thread.Early[r.ExternalKey], r)
	return nil
}

// raw lets pgx read an id without the detour over its text.
func raw(id *uuid.UUID) *[16]byte { return (*[16]byte)(id) }
