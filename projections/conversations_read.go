package projections

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// conversationColumns are those that scanConversation reads.
const conversationColumns = `id, account, channel_id, contact_id, contact_ref, status, episode, handler, agent_id,
	messages, last_message_id, last_text, last_message_at, opened_at, closed_at, close_reason, created_at, updated_at`

// scanConversation reads conversationColumns, and what follows them into more.
func scanConversation(row pgx.CollectableRow, c *domain.Conversation, more ...any) error {
	err := row.Scan(append([]any{
		raw(&c.ID), &c.Account, &c.Channel, raw(&c.ContactID), &c.ContactRef, &c.Status, &c.Episode,
		&c.Handler, &c.AgentID, &c.Messages, raw(&c.LastMessage), &c.LastText, &c.LastMessageAt, &c.OpenedAt, &c.ClosedAt,
		&c.CloseReason, &c.CreatedAt, &c.UpdatedAt,
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
	return nil
}

// Conversations lists conversations, the one with the newest message first, and
// gives the cursor of the part that follows, "" at the end. A search may end
// a part early. A conversation that becomes active between two parts moves
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
	if p.After != "" {
		after, err := readPlace(conversationList, p.After)
		if err != nil {
			return nil, "", err
		}
		q.add(" and (last_message_at, id) < (?, ?)", after.at, raw(&after.id))
	}
	q.add(" order by last_message_at desc, id desc")
	if f.Search == "" {
		q.add(fmt.Sprintf(" limit %d), matched as (select *, true as matches from listed)", size+1))
	} else {
		q.add(fmt.Sprintf(" limit %d), matched as (select *, (last_text collate search_text ilike ? or contact_ref collate search_text ilike ?", searchScan), pattern(f.Search), pattern(f.Search))
		q.add(" or (select display_name from contacts where contacts.id = contact_id) collate search_text ilike ?) is true as matches from listed)", pattern(f.Search))
	}
	q.add(" select " + conversationColumns + ", last_message_at, id, matches from matched")
	q.add(fmt.Sprintf(" where matches or scanned = %d order by last_message_at desc, id desc limit %d", searchScan, size+1))
	found, next, err := page(ctx, r.pool, q, size, conversationList, scanConversation)
	if err != nil {
		return nil, "", fmt.Errorf("list conversations: %w", err)
	}
	return found, next, nil
}

// Conversation gives one conversation; CodeNotFound when the account has none of that id.
func (r *Reads) Conversation(ctx context.Context, account string, id uuid.UUID) (domain.Conversation, error) {
	return one(ctx, r.pool, "conversation", "select "+conversationColumns+byID("conversations"),
		scanConversation, raw(&id), account)
}
