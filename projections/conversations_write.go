package projections

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

const (
	// A contact whose conversation is new may be there because of another one.
	insertContacts = `insert into contacts (id, account, channel_id, ref, profile, display_name, created_at, updated_at)
		select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[],
			$7::timestamptz[], $8::timestamptz[])
		on conflict (id) do nothing`

	updateContacts = `update contacts c set profile = n.profile, display_name = n.display_name, updated_at = n.updated_at
		from unnest($1::uuid[], $2::jsonb[], $3::text[], $4::timestamptz[]) n (id, profile, display_name, updated_at)
		where c.id = n.id`

	insertConversations = `insert into conversations (id, account, channel_id, contact_id, contact_ref, created_at,
			messages, last_message_id, last_text, last_message_at, updated_at,
			status, episode, handler, agent_id, opened_at, closed_at, close_reason)
		select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[],
			$7::int[], $8::uuid[], $9::text[], $10::timestamptz[], $11::timestamptz[],
			$12::text[], $13::int[], $14::text[], $15::text[], $16::timestamptz[], $17::timestamptz[], $18::text[])`

	updateConversations = `update conversations c set messages = n.messages, last_message_id = n.last_message_id,
			last_text = n.last_text, last_message_at = n.last_message_at, updated_at = n.updated_at,
			status = n.status, episode = n.episode, handler = n.handler, agent_id = n.agent_id,
			opened_at = n.opened_at, closed_at = n.closed_at, close_reason = n.close_reason
		from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[],
				$7::text[], $8::int[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::text[])
			n (id, messages, last_message_id, last_text, last_message_at, updated_at,
				status, episode, handler, agent_id, opened_at, closed_at, close_reason)
		where c.id = n.id`

	// The ordinary case: messages within an episode.
	continueConversations = `update conversations c set messages = n.messages, last_message_id = n.last_message_id,
			last_text = n.last_text, last_message_at = n.last_message_at, updated_at = n.updated_at
		from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
			n (id, messages, last_message_id, last_text, last_message_at, updated_at)
		where c.id = n.id`

	insertMessages = `insert into messages (id, conversation_id, account, channel_id, partition, "offset", direction, kind,
			content, author, sent_at, recorded_at, external_id, status, reason, status_history, sender)
		select id, conversation_id, account, channel_id, $1, "offset", direction, kind,
			content, author, sent_at, recorded_at, external_id, status, reason, status_history, nullif(sender, '')::jsonb
		from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::jsonb[],
				$10::text[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::text[], $15::text[], $16::jsonb[],
				$17::text[])
			n (id, conversation_id, account, channel_id, "offset", direction, kind,
				content, author, sent_at, recorded_at, external_id, status, reason, status_history, sender)`

	// The ordinary case: what a contact says has no fate.
	insertReceived = `insert into messages (id, conversation_id, account, channel_id, partition, "offset", direction, kind,
			content, author, sent_at, recorded_at, external_id, status, reason, status_history)
		select id, conversation_id, account, channel_id, $1, "offset", 'in', 'message',
			content, '', sent_at, recorded_at, external_id, 'delivered', '', '[]'
		from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::jsonb[],
				$8::timestamptz[], $9::timestamptz[], $10::text[])
			n (id, conversation_id, account, channel_id, "offset", content, sent_at, recorded_at, external_id)`

	updateMessages = `update messages m set external_id = n.external_id, status = n.status, reason = n.reason,
			status_history = n.status_history
		from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
			n (id, external_id, status, reason, status_history)
		where m.id = n.id`

	updateContents = `update messages m set content = n.content from unnest($1::uuid[], $2::jsonb[]) n (id, content) where m.id = n.id`

	deleteMessages = `delete from messages where id = any($1)`

	// A receipt that is told again waits anew.
	upsertEarly = `insert into early_receipts (id, conversation_id, external_id, value, reason, occurred_at, recorded_at,
			partition, "offset")
		select id, conversation_id, external_id, value, reason, occurred_at, recorded_at, $1, "offset"
		from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::bigint[])
			n (id, conversation_id, external_id, value, reason, occurred_at, recorded_at, "offset")
		on conflict (id) do update set reason = excluded.reason, recorded_at = excluded.recorded_at,
			"offset" = excluded."offset"`

	deleteEarly = `delete from early_receipts where id = any($1)`

	expireEarly = `delete from early_receipts where partition = $1 and recorded_at < $2`
)

// queueWrite puts what the batch changed into the rows. Keys are sorted, so that
// two writers would not wait for each other in a circle.
func (t *threadRows) queueWrite(b *pgx.Batch, partition int, expired time.Time) error {
	if err := t.writeContacts(b); err != nil {
		return err
	}
	t.writeConversations(b)
	if err := t.writeStates(b); err != nil {
		return err
	}
	if err := t.writeMessages(b, partition); err != nil {
		return err
	}
	t.writeEarly(b, partition)
	b.Queue(expireEarly, partition, expired)
	return nil
}

func (t *threadRows) writeContacts(b *pgx.Batch) error {
	type row = *domain.Contact
	id := func(c row) [16]byte { return c.ID }
	profile := func(c row) any { return c.Profile }
	updated := func(c row) time.Time { return c.UpdatedAt }

	added, changed := split(t, t.thread.DirtyContacts, t.thread.Contacts)
	if len(added) > 0 {
		profiles, err := encoded(added, profile)
		if err != nil {
			return fmt.Errorf("encode profiles: %w", err)
		}
		b.Queue(insertContacts,
			column(added, id),
			column(added, func(c row) string { return c.Account }),
			column(added, func(c row) string { return c.Channel }),
			column(added, func(c row) string { return c.Ref }),
			profiles,
			column(added, row.DisplayName),
			column(added, func(c row) time.Time { return c.CreatedAt }),
			column(added, updated))
	}
	if len(changed) > 0 {
		profiles, err := encoded(changed, profile)
		if err != nil {
			return fmt.Errorf("encode profiles: %w", err)
		}
		b.Queue(updateContacts,
			column(changed, id),
			profiles,
			column(changed, row.DisplayName),
			column(changed, updated))
	}
	return nil
}

// conversationTalk gives the columns that each message changes, in the order of
// the statements.
func conversationTalk(rows []*domain.Conversation) []any {
	type row = *domain.Conversation
	return []any{
		column(rows, func(c row) int32 { return int32(c.Messages) }),
		column(rows, func(c row) [16]byte { return c.LastMessage }),
		column(rows, func(c row) string { return c.LastText }),
		column(rows, func(c row) time.Time { return c.LastMessageAt }),
		column(rows, func(c row) time.Time { return c.UpdatedAt }),
	}
}

// conversationStand gives the columns that say where the conversation stands.
func conversationStand(rows []*domain.Conversation) []any {
	type row = *domain.Conversation
	return []any{
		column(rows, func(c row) string { return string(c.Status) }),
		column(rows, func(c row) int32 { return int32(c.Episode) }),
		column(rows, func(c row) string { return string(c.Handler) }),
		column(rows, func(c row) string { return c.AgentID }),
		column(rows, func(c row) time.Time { return c.OpenedAt }),
		column(rows, func(c row) *time.Time { return c.ClosedAt }),
		column(rows, func(c row) string { return string(c.CloseReason) }),
	}
}

func conversationKey(c *domain.Conversation) [16]byte { return c.ID }

// conversationIdentity gives the columns that a conversation begins with, but the id.
func conversationIdentity(rows []*domain.Conversation) []any {
	type row = *domain.Conversation
	return []any{
		column(rows, func(c row) string { return c.Account }),
		column(rows, func(c row) string { return c.Channel }),
		column(rows, func(c row) [16]byte { return c.ContactID }),
		column(rows, func(c row) string { return c.ContactRef }),
		column(rows, func(c row) time.Time { return c.CreatedAt }),
	}
}

// writeConversations writes those without a state; writeStates the others.
func (t *threadRows) writeConversations(b *pgx.Batch) {
	type row = *domain.Conversation
	stateful := func(c row) bool { return c.State != nil }
	added, stored := split(t, t.thread.DirtyConversations, t.thread.Conversations)
	added = slices.DeleteFunc(added, stateful)
	var continued, changed []row
	for _, c := range stored {
		switch {
		case c.State != nil:
		case episodeOf(c) == t.episodes[c.ID]:
			continued = append(continued, c)
		default:
			changed = append(changed, c)
		}
	}
	if len(added) > 0 {
		b.Queue(insertConversations, slices.Concat([]any{column(added, conversationKey)},
			conversationIdentity(added), conversationTalk(added), conversationStand(added))...)
	}
	if len(continued) > 0 {
		b.Queue(continueConversations, slices.Concat([]any{column(continued, conversationKey)}, conversationTalk(continued))...)
	}
	if len(changed) > 0 {
		b.Queue(updateConversations, slices.Concat([]any{column(changed, conversationKey)},
			conversationTalk(changed), conversationStand(changed))...)
	}
}

func (t *threadRows) writeMessages(b *pgx.Batch, partition int) error {
	type row = *domain.Message
	added, changed := split(t, t.thread.DirtyMessages, t.thread.Messages)
	var received, outgoing []row
	for _, m := range added {
		if m.Direction == domain.In {
			received = append(received, m)
		} else {
			outgoing = append(outgoing, m)
		}
	}
	id := func(m row) [16]byte { return m.ID }
	external := func(m row) string { return m.ExternalID }
	if len(received) > 0 {
		contents, err := encoded(received, func(m row) any { return m.Content })
		if err != nil {
			return fmt.Errorf("encode what messages say: %w", err)
		}
		b.Queue(insertReceived,
			partition,
			column(received, id),
			column(received, func(m row) [16]byte { return m.Conversation }),
			column(received, func(m row) string { return m.Account }),
			column(received, func(m row) string { return m.Channel }),
			column(received, func(m row) int64 { return m.Position.Offset }),
			contents,
			column(received, func(m row) time.Time { return m.SentAt }),
			column(received, func(m row) time.Time { return m.RecordedAt }),
			column(received, external))
	}
	if len(outgoing) > 0 {
		contents, err := encoded(outgoing, func(m row) any { return m.Content })
		if err != nil {
			return fmt.Errorf("encode what messages say: %w", err)
		}
		histories, err := encoded(outgoing, func(m row) any { return m.History })
		if err != nil {
			return fmt.Errorf("encode the history of messages: %w", err)
		}
		senders, err := sendersOf(outgoing)
		if err != nil {
			return err
		}
		b.Queue(insertMessages,
			partition,
			column(outgoing, id),
			column(outgoing, func(m row) [16]byte { return m.Conversation }),
			column(outgoing, func(m row) string { return m.Account }),
			column(outgoing, func(m row) string { return m.Channel }),
			column(outgoing, func(m row) int64 { return m.Position.Offset }),
			column(outgoing, func(m row) string { return string(m.Direction) }),
			column(outgoing, func(m row) string { return string(m.Kind) }),
			contents,
			column(outgoing, func(m row) string { return m.Author }),
			column(outgoing, func(m row) time.Time { return m.SentAt }),
			column(outgoing, func(m row) time.Time { return m.RecordedAt }),
			column(outgoing, external),
			column(outgoing, func(m row) string { return string(m.Status) }),
			column(outgoing, func(m row) string { return m.Reason }),
			histories,
			senders)
	}
	if len(changed) > 0 {
		histories, err := encoded(changed, func(m row) any { return m.History })
		if err != nil {
			return fmt.Errorf("encode the history of messages: %w", err)
		}
		b.Queue(updateMessages,
			column(changed, id),
			column(changed, external),
			column(changed, func(m row) string { return string(m.Status) }),
			column(changed, func(m row) string { return m.Reason }),
			histories)
	}
	if err := t.rewriteMessages(b); err != nil {
		return err
	}
	t.deleteMessages(b)
	return nil
}

// rewriteMessages writes what stored messages say now.
func (t *threadRows) rewriteMessages(b *pgx.Batch) error {
	_, rows := split(t, t.thread.DirtyContents, t.thread.Messages)
	if len(rows) == 0 {
		return nil
	}
	contents, err := encoded(rows, func(m *domain.Message) any { return m.Content })
	if err != nil {
		return fmt.Errorf("encode what messages say: %w", err)
	}
	b.Queue(updateContents, column(rows, func(m *domain.Message) [16]byte { return m.ID }), contents)
	return nil
}

// sendersOf gives who speaks as JSON texts, "" where the dialect does not tell.
func sendersOf(rows []*domain.Message) ([]string, error) {
	texts := make([]string, len(rows))
	for i, m := range rows {
		if m.Sender == nil {
			continue
		}
		text, err := json.Marshal(m.Sender)
		if err != nil {
			return nil, fmt.Errorf("encode the sender of message %s: %w", m.ID, err)
		}
		texts[i] = string(text)
	}
	return texts, nil
}

// deleteMessages removes echoes that turned out to be platform sends.
func (t *threadRows) deleteMessages(b *pgx.Batch) {
	gone := map[uuid.UUID]struct{}{}
	for id := range t.thread.DeletedMessages {
		if _, ok := t.stored[id]; ok { // else it came and went within the batch
			gone[id] = struct{}{}
		}
	}
	if len(gone) > 0 {
		b.Queue(deleteMessages, keysOf(gone))
	}
}

func (t *threadRows) writeEarly(b *pgx.Batch, partition int) {
	type row = domain.Receipt
	if len(t.thread.SpentReceipts) > 0 {
		b.Queue(deleteEarly, keysOf(t.thread.SpentReceipts))
	}
	if len(t.thread.DirtyReceipts) == 0 {
		return
	}
	rows := slices.SortedFunc(maps.Values(t.thread.DirtyReceipts), func(a, b row) int {
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	b.Queue(upsertEarly,
		partition,
		column(rows, func(r row) [16]byte { return r.ID }),
		column(rows, func(r row) [16]byte { return r.Conversation }),
		column(rows, func(r row) string { return r.ExternalID }),
		column(rows, func(r row) string { return string(r.Value) }),
		column(rows, func(r row) string { return r.Message }),
		column(rows, func(r row) time.Time { return r.Timestamp }),
		column(rows, func(r row) time.Time { return r.RecordedAt }),
		column(rows, func(r row) int64 { return r.Position.Offset }))
}

// split sorts what changed by id, and parts what has no row from what has one.
func split[T any](t *threadRows, dirty map[uuid.UUID]struct{}, all map[uuid.UUID]*T) (added, changed []*T) {
	for _, id := range sorted(dirty) {
		if _, ok := t.stored[id]; ok {
			changed = append(changed, all[id])
		} else {
			added = append(added, all[id])
		}
	}
	return added, changed
}
