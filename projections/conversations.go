package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// earlyKept is after how long an early receipt is removed that can meet no
// message any more. It is far above domain.EarlyReceipt, so that removing it is
// never seen in a row, even if the nodes' clocks differ by most of the difference.
const earlyKept = time.Hour

// Conversations is the read model of contacts, conversations and messages with
// their status history, and in dialects that have tickets of people, tickets and
// posts (tickets.go). The rows are the fold of the streams (domain.Thread):
// they are the same whatever the batches were, and when a record of a message
// or a receipt has landed twice.
//
// A batch costs two round trips, one that reads what the events touch and one
// that writes what they changed, each of a few set-based statements.
type Conversations struct{}

var _ Projection = Conversations{}

// Name is the key of the checkpoints.
func (Conversations) Name() string { return "conversations" }

// Apply folds a run of events of one partition into the rows. It works within
// tx alone: if the process dies, or the transaction is rolled back, nothing has
// happened.
func (Conversations) Apply(ctx context.Context, tx pgx.Tx, partition int, events []domain.Recorded) error {
	for len(events) > 0 {
		part := uptoRemoval(events)
		events = events[len(part):]
		if err := applyPart(ctx, tx, partition, part, len(events) == 0); err != nil {
			return err
		}
	}
	return nil
}

// uptoRemoval cuts a run behind its first event that removes rows which nobody has
// in memory: what follows has to be read after it.
func uptoRemoval(events []domain.Recorded) []domain.Recorded {
	for i, r := range events {
		if _, removes := r.Data.(domain.ContactRemoved); removes {
			return events[:i+1]
		}
	}
	return events
}

func applyPart(ctx context.Context, tx pgx.Tx, partition int, events []domain.Recorded, last bool) error {
	tickets := newTicketRun(events)
	rows, err := loadThread(ctx, tx, domain.NeedsOf(events), tickets)
	if err != nil {
		return fmt.Errorf("load what %d events of partition %d touch: %w", len(events), partition, err)
	}
	newest := events[0].Time
	for _, r := range events {
		if tickets.apply(r) {
			rows.thread.Apply(r)
		}
		if r.Time.After(newest) {
			newest = r.Time
		}
	}
	b := &pgx.Batch{}
	err = rows.queueWrite(b, partition, newest.Add(-earlyKept))
	if err == nil {
		err = tickets.queueWrite(b)
	}
	if err == nil {
		tickets.queueErase(b)
		send := sendBatch
		if last {
			send = sendLast
		}
		err = send(ctx, tx, b)
	}
	if err != nil {
		return fmt.Errorf("write what %d events of partition %d changed: %w", len(events), partition, err)
	}
	return nil
}

// threadRows is the state of a batch, and which of it has a row.
type threadRows struct {
	thread *domain.Thread
	stored map[uuid.UUID]struct{} // ids of contacts, conversations and messages; they never meet
	// episodes are what the conversations' rows say that most messages leave as it is.
	episodes map[uuid.UUID]episode
}

// episode is what changes about a conversation when it is opened, assigned or closed.
type episode struct {
	number  int
	status  domain.ConversationStatus
	handler domain.Handler
	agent   string
}

func episodeOf(c *domain.Conversation) episode {
	return episode{c.Episode, c.Status, c.Handler, c.AgentID}
}

// sendBatch runs the statements that were queued, if any, in one round trip.
func sendBatch(ctx context.Context, tx pgx.Tx, b *pgx.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, b).Close()
}
