package projections

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// conversationColumns are those that scanConversation reads.
const conversationColumns = `id, account, channel_id, contact_id, contact_ref, status, episode, handler, agent_id,
	messages, last_message_id, last_text, last_message_at, opened_at, closed_at, close_reason, created_at, updated_at, state`

// scanConversation reads conversationColumns, and what follows them into more.
func scanConversation(row pgx.CollectableRow, c *domain.Conversation, more ...any) error {
	var state []byte
	err := row.Scan(append([]any{
		raw(&c.ID), &c.Account, &c.Channel, raw(&c.ContactID), &c.ContactRef, &c.Status, &c.Episode,
		&c.Handler, &c.AgentID, &c.Messages, raw(&c.LastMessage), &c.LastText, &c.LastMessageAt, &c.OpenedAt, &c.ClosedAt,
		&c.CloseReason, &c.CreatedAt, &c.UpdatedAt, &state,
	}, more...)...)
	if err != nil {
		return fmt.Errorf("read a conversation: %w", err)
	}
	c.LastMessageAt, c.OpenedAt = c.LastMessageAt.UTC(), c.OpenedAt.UTC()
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	if c.ClosedAt != nil {
		at := c.ClosedAt.UTC()
		c.ClosedAt = &at
	}
	return scanState(state, c)
}

// scanState reads the episode, where there is one.
func scanState(state []byte, c *domain.Conversation) error {
	if state == nil {
		return nil
	}
	c.State = &domain.Episode{}
	if err := json.Unmarshal(state, c.State); err != nil {
		return fmt.Errorf("read the episode of conversation %s: %w", c.ID, err)
	}
	return nil
}

// Conversations lists conversations, the one with the newest message first, and
// gives the cursor of the part that follows, "" at the end. A search, and a
// filter by handler, agent or tag, may end a part early. A conversation that becomes active between two parts moves
// to the front: it is missed in neither list, and may be in both. A cursor that
// this list did not give is CodeInvalid.
func (r *Reads) Conversations(ctx context.Context, f domain.ConversationFilter, p domain.Page) ([]domain.Conversation, string, error) {
	size, q := pageSize(p), &query{}
	q.add("with listed as (select *, row_number() over (order by last_message_at desc, id desc) as scanned from conversations where account = ?", f.Account)
	if f.Channel != "" {
		q.add(" and channel_id = ?", f.Channel)
	}
	if f.Contact != "" {
		q.add(" and contact_id in (select id from contacts where account = ? and ref = ?", f.Account, f.Contact)
		if id, err := uuid.Parse(f.Contact); err == nil {
			q.add(" union all select ?::uuid", raw(&id))
		}
		q.add(")")
	}
	switch f.Status {
	case "":
	case domain.StatusOpen:
		q.add(" and status = 'open'") // names the partial index
	default:
		q.add(" and status = ?", string(f.Status))
	}
	if f.Queue != 0 {
		q.add(" and queue_id = ?", f.Queue)
	}
	if p.After != "" {
		after, err := readPlace(conversationList, p.After)
		if err != nil {
			return nil, "", err
		}
		q.add(" and (last_message_at, id) < (?, ?)", after.at, raw(&after.id))
	}
	q.add(" order by last_message_at desc, id desc")
	also := conversationMatch(f)
	if len(also) == 0 {
		q.add(fmt.Sprintf(" limit %d), matched as (select *, true as matches from listed)", size+1))
	} else {
		q.add(fmt.Sprintf(" limit %d), matched as (select *, (true", searchScan))
		for _, m := range also {
			q.add(" and "+m.sql, m.args...)
		}
		q.add(") is true as matches from listed)")
	}
	q.add(" select " + conversationColumns + ", last_message_at, id, matches from matched")
	q.add(fmt.Sprintf(" where matches or scanned = %d order by last_message_at desc, id desc limit %d", searchScan, size+1))
	found, next, err := page(ctx, r.pool, q, size, conversationList, scanConversation)
	if err != nil {
		return nil, "", fmt.Errorf("list conversations: %w", err)
	}
	return found, next, nil
}

// condition is a piece of SQL and its parameters.
type condition struct {
	sql  string
	args []any
}

// conversationMatch lists what is looked for in rows that are read in the order
// of the list, because there is no index that has it in that order.
func conversationMatch(f domain.ConversationFilter) []condition {
	var all []condition
	if f.Handler != "" {
		all = append(all, condition{"handler = ?", []any{string(f.Handler)}})
	}
	if f.Agent != "" {
		all = append(all, condition{"handler = 'agent' and agent_id = ?", []any{f.Agent}})
	}
	if f.Tag != 0 {
		all = append(all, condition{"tags @> array[?::bigint]", []any{f.Tag}})
	}
	if f.Search != "" {
		p := pattern(f.Search)
		all = append(all, condition{`(last_text collate search_text ilike ? or contact_ref collate search_text ilike ?
			or (select display_name from contacts where contacts.id = contact_id) collate search_text ilike ?)`, []any{p, p, p}})
	}
	return all
}

// ConversationByID gives one conversation, whosever it is; CodeNotFound when there is none of that id.
func (r *Reads) ConversationByID(ctx context.Context, id uuid.UUID) (domain.Conversation, error) {
	return one(ctx, r.pool, "conversation", "select "+conversationColumns+" from conversations where id = $1", scanConversation, raw(&id))
}

// Conversation gives one conversation; CodeNotFound when the account has none of that id.
func (r *Reads) Conversation(ctx context.Context, account string, id uuid.UUID) (domain.Conversation, error) {
	return one(ctx, r.pool, "conversation", "select "+conversationColumns+byID("conversations"),
		scanConversation, raw(&id), account)
}
