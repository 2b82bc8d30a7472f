package projections_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// benchPartitions are written at once, each by a connection of its own.
const benchPartitions = 2

// benchConversations is how many conversations a partition has.
const benchConversations = 5000

// ordinary makes n events of contacts who write, of one partition.
func ordinary(partition, n int) []domain.Recorded {
	ch := domain.Channel{ID: fmt.Sprintf("62041%d", partition), Account: "default", Dialect: domain.DialectRespondIO}
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	log := make([]domain.Recorded, n)
	for i := range log {
		now = now.Add(time.Millisecond)
		ref := fmt.Sprintf("+1555%07d", (i*7919)%benchConversations)
		var profile *domain.Profile
		if i < benchConversations {
			profile = &domain.Profile{FirstName: "Ada", LastName: "Example", Locale: "en_US"}
		}
		content := domain.Content{Type: domain.ContentText, Text: "Good morning, is the blue one still there? I would come by on Saturday before noon."}
		log[i] = domain.Recorded{
			Event:    ch.Receive(ref, fmt.Sprintf("prov-%08d", i), now, content, profile, now),
			Position: domain.Position{Partition: partition, Offset: int64(i)},
		}
	}
	return log
}

// BenchmarkConversations tells how many ordinary events a second go through the
// projection, and through its ceiling: the same rows written by plain set-based
// statements that read and fold nothing. The two take turns, so that what else
// the machine does falls on both.
func BenchmarkConversations(b *testing.B) {
	const turns, perTurn = 25, 4000
	logs := make([][]domain.Recorded, benchPartitions)
	for p := range logs {
		logs[p] = ordinary(p, turns*perTurn)
	}
	for _, size := range []int{100, 1000} {
		b.Run(fmt.Sprint(size, "/tx"), func(b *testing.B) {
			var projection, ceiling time.Duration
			for b.Loop() {
				projected, plain := benchDatabase(b), benchDatabase(b)
				writers := [benchPartitions]plainWriter{}
				for p := range writers {
					writers[p].known = map[[16]byte]int32{}
				}
				for turn := range turns {
					at := turn * perTurn
					projection += take(b, projected, logs, at, at+perTurn, size, func(int) applier { return projections.Conversations{}.Apply })
					ceiling += take(b, plain, logs, at, at+perTurn, size, func(p int) applier { return writers[p].write })
				}
			}
			events := float64(b.N * benchPartitions * turns * perTurn)
			b.ReportMetric(events/projection.Seconds(), "events/s")
			b.ReportMetric(events/ceiling.Seconds(), "ceiling-events/s")
			b.ReportMetric(ceiling.Seconds()/projection.Seconds(), "of-ceiling")
			b.ReportMetric(0, "ns/op")
		})
	}
}

type applier func(ctx context.Context, tx pgx.Tx, partition int, events []domain.Recorded) error

func benchDatabase(b *testing.B) *pgxpool.Pool {
	b.Helper()
	pool := database(b)
	_, err := pool.Exec(b.Context(), `insert into checkpoints (projection, partition, next)
		select 'conversations', p, 0 from generate_series(0, $1::int - 1) p`, benchPartitions)
	if err != nil {
		b.Fatal(err)
	}
	return pool
}

// take applies a piece of all logs at once, in transactions of that many events,
// and tells how long it took. A checkpoint moves with each, as in the runtime.
func take(b *testing.B, pool *pgxpool.Pool, logs [][]domain.Recorded, from, to, size int, of func(partition int) applier) time.Duration {
	b.Helper()
	started := time.Now()
	var g errgroup.Group
	for p, log := range logs {
		apply := of(p)
		g.Go(func() error { return applyAll(b.Context(), pool, p, log[from:to], size, apply) })
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(started)
}

func applyAll(ctx context.Context, pool *pgxpool.Pool, partition int, log []domain.Recorded, size int, apply applier) error {
	for len(log) > 0 {
		batch := log[:min(size, len(log))]
		log = log[len(batch):]
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "update checkpoints set next = $3 where projection = 'conversations' and partition = $1 and next = $2",
				partition, batch[0].Position.Offset, batch[len(batch)-1].Position.Offset+1)
			if err != nil {
				return err
			}
			return apply(ctx, tx, partition, batch)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// plainWriter writes what the events make of contacts, conversations and
// messages without reading anything: it remembers which conversations there are.
type plainWriter struct {
	known map[[16]byte]int32 // conversations, and how many messages each has
}

func (w *plainWriter) write(ctx context.Context, tx pgx.Tx, partition int, events []domain.Recorded) error {
	n := len(events)
	ids, threads, offsets := make([][16]byte, n), make([][16]byte, n), make([]int64, n)
	contents, externals, times := make([]json.RawMessage, n), make([]string, n), make([]time.Time, n)
	added, changed := plainConversations{}, plainConversations{}
	row := map[[16]byte]int{}
	for i, r := range events {
		e := r.Data.(domain.MessageReceived)
		content, err := json.Marshal(e.Content)
		if err != nil {
			return err
		}
		ids[i], threads[i], offsets[i] = e.MessageID, e.ConversationID, r.Position.Offset
		contents[i], externals[i], times[i] = content, e.ExternalID, r.Time

		of := &changed
		if r.Position.Offset < benchConversations { // each comes once before any comes again
			of = &added
		}
		at, ok := row[e.ConversationID]
		if !ok {
			at = of.add(r, e)
			row[e.ConversationID] = at
		}
		w.known[e.ConversationID]++
		of.messages[at], of.texts[at], of.times[at], of.counts[at] = e.MessageID, e.Content.Text, r.Time, w.known[e.ConversationID]
	}
	account, channel := events[0].Account, events[0].Channel
	batch := &pgx.Batch{}
	if len(added.ids) > 0 {
		batch.Queue(`insert into contacts (id, account, channel_id, ref, profile, display_name, created_at, updated_at)
			select id, $1, $2, ref, '{"locale":"en_US","last_name":"Example","first_name":"Ada"}', 'Ada Example', at, at
			from unnest($3::uuid[], $4::text[], $5::timestamptz[]) n (id, ref, at)`,
			account, channel, added.contacts, added.refs, added.times)
		batch.Queue(`insert into conversations (id, account, channel_id, contact_id, contact_ref, status, episode, handler, agent_id,
				messages, last_message_id, last_text, last_message_at, opened_at, close_reason, created_at, updated_at)
			select id, $1, $2, contact, ref, 'open', 1, 'unassigned', '', messages, message, text, n.at, at, '', n.at, at
			from unnest($3::uuid[], $4::uuid[], $5::text[], $6::int[], $7::uuid[], $8::text[], $9::timestamptz[])
				n (id, contact, ref, messages, message, text, at)`,
			account, channel, added.ids, added.contacts, added.refs, added.counts, added.messages, added.texts, added.times)
	}
	if len(changed.ids) > 0 {
		batch.Queue(`update conversations c set messages = n.messages, last_message_id = n.message, last_text = n.text,
				last_message_at = n.at, updated_at = n.at
			from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::timestamptz[]) n (id, messages, message, text, at)
			where c.id = n.id`, changed.ids, changed.counts, changed.messages, changed.texts, changed.times)
	}
	batch.Queue(`insert into messages (id, conversation_id, account, channel_id, partition, "offset", direction, kind, content,
			external_id, status, reason, status_history, author, sent_at, recorded_at)
		select id, conversation, $1, $2, $3, "offset", 'in', 'message', content, external, 'delivered', '', '[]', '', at, at
		from unnest($4::uuid[], $5::uuid[], $6::bigint[], $7::jsonb[], $8::text[], $9::timestamptz[])
			n (id, conversation, "offset", content, external, at)`,
		account, channel, partition, ids, threads, offsets, contents, externals, times)
	return tx.SendBatch(ctx, batch).Close()
}

type plainConversations struct {
	ids, contacts, messages [][16]byte
	refs, texts             []string
	times                   []time.Time
	counts                  []int32
}

func (c *plainConversations) add(r domain.Recorded, e domain.MessageReceived) int {
	c.ids, c.contacts, c.messages = append(c.ids, e.ConversationID), append(c.contacts, e.ContactID), append(c.messages, e.MessageID)
	c.refs, c.texts = append(c.refs, r.ContactRef), append(c.texts, "")
	c.times, c.counts = append(c.times, r.Time), append(c.counts, 0)
	return len(c.ids) - 1
}
