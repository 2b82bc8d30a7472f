package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// messageColumns are those that scanMessage reads.
const messageColumns = `id, conversation_id, account, channel_id, partition, "offset", direction, kind, content,
	external_id, status, reason, status_history, author, sent_at, recorded_at, sender`

// scanMessage reads messageColumns, and what follows them into more.
func scanMessage(row pgx.CollectableRow, m *domain.Message, more ...any) error {
	var content, history, sender []byte
	err := row.Scan(append([]any{
		raw(&m.ID), raw(&m.Conversation), &m.Account, &m.Channel, &m.Position.Partition, &m.Position.Offset,
		&m.Direction, &m.Kind, &content, &m.ExternalID, &m.Status, &m.Reason, &history, &m.Author, &m.SentAt, &m.RecordedAt, &sender,
	}, more...)...)
	if err != nil {
		return fmt.Errorf("read a message: %w", err)
	}
	if err := json.Unmarshal(content, &m.Content); err != nil {
		return fmt.Errorf("read the content of message %s: %w", m.ID, err)
	}
	if err := json.Unmarshal(history, &m.History); err != nil {
		return fmt.Errorf("read the history of message %s: %w", m.ID, err)
	}
	if sender != nil {
		if err := json.Unmarshal(sender, &m.Sender); err != nil {
			return fmt.Errorf("read the sender of message %s: %w", m.ID, err)
		}
	}
	m.SentAt, m.RecordedAt = m.SentAt.UTC(), m.RecordedAt.UTC()
	return nil
}

// Messages lists the messages of a conversation, oldest first by their place in
// the log, and gives the cursor of the part that follows, "" at the end. It is
// CodeNotFound when the account has no such conversation, and CodeInvalid for a
// cursor that this list did not give.
func (r *Reads) Messages(ctx context.Context, account string, conversation uuid.UUID, p domain.Page) ([]domain.Message, string, error) {
	size, q := pageSize(p), &query{}
	q.add("select "+messageColumns+" from messages where conversation_id = ? and account = ?", raw(&conversation), account)
	if p.After != "" {
		after, err := readMessagePlace(p.After)
		if err != nil {
			return nil, "", err
		}
		q.add(` and (partition, "offset") > (?, ?)`, after.Partition, after.Offset)
	}
	q.add(fmt.Sprintf(` order by partition, "offset" limit %d`, size+1))
	rows, err := r.pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list messages: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m domain.Message, err error) {
		return m, scanMessage(row, &m)
	})
	if err != nil {
		return nil, "", fmt.Errorf("list messages: %w", err)
	}
	if len(found) == 0 {
		_, err := r.Conversation(ctx, account, conversation)
		return found, "", err
	}
	if len(found) <= size {
		return found, "", nil
	}
	found = found[:size]
	last := found[size-1].Position
	return found, encodeCursor(messageList, strconv.Itoa(last.Partition), strconv.FormatInt(last.Offset, 10)), nil
}

func readMessagePlace(cursor string) (domain.Position, error) {
	keys, err := decodeCursor(messageList, cursor, 2)
	if err != nil {
		return domain.Position{}, err
	}
	partition, errPartition := strconv.ParseInt(keys[0], 10, 32)
	offset, errOffset := strconv.ParseInt(keys[1], 10, 64)
	if err := errors.Join(errPartition, errOffset); err != nil {
		return domain.Position{}, badCursor(err)
	}
	return domain.Position{Partition: int(partition), Offset: offset}, nil
}

// Message gives one message; CodeNotFound when the account has none of that id.
func (r *Reads) Message(ctx context.Context, account string, id uuid.UUID) (domain.Message, error) {
	return one(ctx, r.pool, "message", "select "+messageColumns+byID("messages"), scanMessage, raw(&id), account)
}
