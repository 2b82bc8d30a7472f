package projections

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// Conversations of dialects that have episodes are written whole, with the state
// and with what is asked of it.
const (
	insertStates = `insert into conversations (id, account, channel_id, contact_id, contact_ref, created_at,
			messages, last_message_id, last_text, last_message_at, updated_at,
			status, episode, handler, agent_id, opened_at, closed_at, close_reason,
			state, queue_id, priority, waiting_since, wait_until, timer, timer_at, close_at, tags)
		select id, account, channel_id, contact_id, contact_ref, created_at,
			messages, last_message_id, last_text, last_message_at, updated_at,
			status, episode, handler, agent_id, opened_at, closed_at, close_reason,
			state, queue_id, priority, waiting_since, wait_until, timer, timer_at, close_at, tags::bigint[]
		from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[],
				$7::int[], $8::uuid[], $9::text[], $10::timestamptz[], $11::timestamptz[],
				$12::text[], $13::int[], $14::text[], $15::text[], $16::timestamptz[], $17::timestamptz[], $18::text[],
				$19::jsonb[], $20::bigint[], $21::int[], $22::timestamptz[], $23::timestamptz[],
				$24::text[], $25::timestamptz[], $26::timestamptz[], $27::text[])
			n (id, account, channel_id, contact_id, contact_ref, created_at,
				messages, last_message_id, last_text, last_message_at, updated_at,
				status, episode, handler, agent_id, opened_at, closed_at, close_reason,
				state, queue_id, priority, waiting_since, wait_until, timer, timer_at, close_at, tags)`

	updateStates = `update conversations c set messages = n.messages, last_message_id = n.last_message_id,
			last_text = n.last_text, last_message_at = n.last_message_at, updated_at = n.updated_at,
			status = n.status, episode = n.episode, handler = n.handler, agent_id = n.agent_id,
			opened_at = n.opened_at, closed_at = n.closed_at, close_reason = n.close_reason,
			state = n.state, queue_id = n.queue_id, priority = n.priority, waiting_since = n.waiting_since,
			wait_until = n.wait_until, timer = n.timer, timer_at = n.timer_at, close_at = n.close_at, tags = n.tags::bigint[]
		from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[],
				$7::text[], $8::int[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::text[],
				$14::jsonb[], $15::bigint[], $16::int[], $17::timestamptz[], $18::timestamptz[],
				$19::text[], $20::timestamptz[], $21::timestamptz[], $22::text[])
			n (id, messages, last_message_id, last_text, last_message_at, updated_at,
				status, episode, handler, agent_id, opened_at, closed_at, close_reason,
				state, queue_id, priority, waiting_since, wait_until, timer, timer_at, close_at, tags)
		where c.id = n.id`
)

// writeStates writes the conversations that have a state.
func (t *threadRows) writeStates(b *pgx.Batch) error {
	stateless := func(c *domain.Conversation) bool { return c.State == nil }
	added, changed := split(t, t.thread.DirtyConversations, t.thread.Conversations)
	added, changed = slices.DeleteFunc(added, stateless), slices.DeleteFunc(changed, stateless)
	if len(added) > 0 {
		states, err := conversationStates(added)
		if err != nil {
			return err
		}
		b.Queue(insertStates, slices.Concat([]any{column(added, conversationKey)},
			conversationIdentity(added), conversationTalk(added), conversationStand(added), states)...)
	}
	if len(changed) > 0 {
		states, err := conversationStates(changed)
		if err != nil {
			return err
		}
		b.Queue(updateStates, slices.Concat([]any{column(changed, conversationKey)},
			conversationTalk(changed), conversationStand(changed), states)...)
	}
	return nil
}

// conversationStates gives the columns of the state.
func conversationStates(rows []*domain.Conversation) ([]any, error) {
	states, err := encoded(rows, func(c *domain.Conversation) any { return c.State })
	if err != nil {
		return nil, fmt.Errorf("encode episodes: %w", err)
	}
	asked := column(rows, func(c *domain.Conversation) askedState { return askedOf(c.State) })
	return []any{
		states,
		column(asked, func(a askedState) *int64 { return a.queue }),
		column(asked, func(a askedState) *int32 { return a.priority }),
		column(asked, func(a askedState) *time.Time { return a.waitingSince }),
		column(asked, func(a askedState) *time.Time { return a.waitUntil }),
		column(asked, func(a askedState) string { return string(a.timer) }),
		column(asked, func(a askedState) *time.Time { return a.timerAt }),
		column(asked, func(a askedState) *time.Time { return a.closeAt }),
		column(asked, func(a askedState) string { return a.tags }),
	}, nil
}

// askedState is what queries ask of an episode.
type askedState struct {
	queue                   *int64 // nil when it does not wait
	priority                *int32
	waitingSince, waitUntil *time.Time
	timer                   domain.Timer
	timerAt, closeAt        *time.Time // nil when no timer runs
	tags                    string     // as an array's text
}

func askedOf(e *domain.Episode) askedState {
	a := askedState{tags: arrayText(e.Tags), waitUntil: e.WaitsUntil()}
	if e.Open && e.Handler == domain.HandlerQueue {
		priority := int32(e.Priority)
		a.queue, a.priority, a.waitingSince = &e.Queue, &priority, &e.HandlingAt
	}
	timer, since, after := e.Closing()
	if timer != domain.TimerNone {
		end := since.Add(after)
		a.timer, a.timerAt, a.closeAt = timer, &since, &end
	}
	return a
}

// arrayText writes numbers as an array literal: arrays of arrays must not be ragged.
func arrayText(numbers []int64) string {
	text := []byte{'{'}
	for i, n := range numbers {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	return string(append(text, '}'))
}
