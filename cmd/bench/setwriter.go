package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

const (
	setBatch = 1000 // events that one transaction of the ceiling takes
	setConns = 4    // connections that write; a conversation stays with one
)

// setWriter writes the rows that the projection makes of a log, without reading
// the log or any row and without folding: the rows of each transaction are there
// as arrays before the clock starts. It has a Postgres of its own with the
// settings of the product's, and the same tables and indexes.
type setWriter struct {
	cluster *postgres.Cluster
	pool    *pgxpool.Pool
	events  int
	batches [setConns][]*setRows
}

// setRows are the parameters of one transaction.
type setRows struct {
	contacts, conversations, messages []any
	next                              int64
}

func newSetWriter(ctx context.Context, dir string, n int, event func(int) domain.Event) (_ *setWriter, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the ceiling's folder: %w", err)
	}
	w := &setWriter{events: n}
	if w.cluster, err = postgres.StartCluster(ctx, postgres.ClusterConfig{Dir: dir}); err != nil {
		return nil, err
	}
	if err := w.open(ctx); err != nil {
		return nil, errors.Join(err, w.close(ctx))
	}
	if err := w.prepare(n, event); err != nil {
		return nil, errors.Join(err, w.close(ctx))
	}
	return w, nil
}

func (w *setWriter) open(ctx context.Context) (err error) {
	if w.pool, err = postgres.Open(ctx, w.cluster.URL(), postgres.Options{}); err != nil {
		return err
	}
	return postgres.Migrate(ctx, w.pool, projections.Migrations(), "public.parley_schema")
}

func (w *setWriter) close(ctx context.Context) error {
	if w.pool != nil {
		w.pool.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return w.cluster.Stop(ctx)
}

// prepare folds the events as the projection does, and keeps what each
// transaction would write.
func (w *setWriter) prepare(n int, event func(int) domain.Event) error {
	var events [setConns][]domain.Recorded
	for i := range n {
		e := event(i)
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(e.Stream()))
		p := int(sum.Sum32() % setConns)
		events[p] = append(events[p], domain.Recorded{Event: e, Position: domain.Position{Partition: p, Offset: int64(len(events[p]))}})
	}
	for p, list := range events {
		known := domain.NewThread()
		for len(list) > 0 {
			batch := list[:min(setBatch, len(list))]
			list = list[len(batch):]
			rows, err := rowsOf(p, batch, known)
			if err != nil {
				return err
			}
			w.batches[p] = append(w.batches[p], rows)
		}
	}
	return nil
}

// rowsOf gives what one transaction writes; thread is the state of the partition
// before it and, afterwards, behind it.
func rowsOf(partition int, batch []domain.Recorded, thread *domain.Thread) (*setRows, error) {
	var (
		cID                                     [][16]byte
		cAccount, cChannel, cRef, cName         []string
		cProfile                                []json.RawMessage
		cAt                                     []time.Time
		vID, vContact, vLast                    [][16]byte
		vAccount, vChannel, vRef, vState, vText []string
		vBy, vNone                              []string
		vEpisode, vMessages                     []int32
		vAt, vCreated                           []time.Time
		vClosed                                 []*time.Time
		mID, mConversation                      [][16]byte
		mAccount, mChannel, mExternal           []string
		mOffset                                 []int64
		mContent                                []json.RawMessage
		mAt, mSent                              []time.Time
		mIn, mKind, mState, mNone               []string
		mHistory                                []json.RawMessage
	)
	clear(thread.DirtyContacts)
	clear(thread.DirtyConversations)
	clear(thread.DirtyMessages)
	clear(thread.Messages)
	for _, r := range batch {
		thread.Apply(r)
	}
	for _, id := range inOrder(thread.DirtyContacts) {
		c := thread.Contacts[id]
		profile, err := json.Marshal(c.Profile)
		if err != nil {
			return nil, fmt.Errorf("encode a profile: %w", err)
		}
		cID, cAccount, cChannel, cRef = append(cID, id), append(cAccount, c.Account), append(cChannel, c.Channel), append(cRef, c.Ref)
		cProfile, cName, cAt = append(cProfile, profile), append(cName, c.DisplayName()), append(cAt, c.CreatedAt)
	}
	for _, id := range inOrder(thread.DirtyConversations) {
		v := thread.Conversations[id]
		vID, vContact, vLast = append(vID, id), append(vContact, v.ContactID), append(vLast, v.LastMessage)
		vAccount, vChannel, vRef = append(vAccount, v.Account), append(vChannel, v.Channel), append(vRef, v.ContactRef)
		vState, vText, vBy, vNone = append(vState, string(v.Status)), append(vText, v.LastText), append(vBy, string(v.Handler)), append(vNone, "")
		vEpisode, vMessages = append(vEpisode, int32(v.Episode)), append(vMessages, int32(v.Messages))
		vAt, vCreated, vClosed = append(vAt, v.LastMessageAt), append(vCreated, v.CreatedAt), append(vClosed, nil)
	}
	for _, id := range inOrder(thread.DirtyMessages) {
		m := thread.Messages[id]
		content, err := json.Marshal(m.Content)
		if err != nil {
			return nil, fmt.Errorf("encode a message: %w", err)
		}
		mID, mConversation = append(mID, id), append(mConversation, m.Conversation)
		mAccount, mChannel, mExternal = append(mAccount, m.Account), append(mChannel, m.Channel), append(mExternal, m.ExternalID)
		mOffset, mContent = append(mOffset, m.Position.Offset), append(mContent, content)
		mAt, mSent, mIn, mKind = append(mAt, m.RecordedAt), append(mSent, m.SentAt), append(mIn, string(m.Direction)), append(mKind, string(m.Kind))
		mState, mNone, mHistory = append(mState, string(m.Status)), append(mNone, ""), append(mHistory, json.RawMessage("[]"))
	}
	rows := &setRows{next: batch[len(batch)-1].Position.Offset + 1}
	if len(cID) > 0 {
		rows.contacts = []any{cID, cAccount, cChannel, cRef, cProfile, cName, cAt, cAt}
	}
	rows.conversations = []any{
		vID, vAccount, vChannel, vContact, vRef, vState, vEpisode, vBy, vNone, vMessages, vLast, vText, vAt, vCreated, vClosed, vNone, vCreated, vAt,
	}
	rows.messages = []any{
		partition, mID, mConversation, mAccount, mChannel, mOffset, mIn, mKind, mContent, mExternal, mState, mNone, mHistory, mNone, mSent, mAt,
	}
	return rows, nil
}

// inOrder sorts as the projection does: neighbours in an index are written together.
func inOrder(ids map[uuid.UUID]struct{}) []uuid.UUID {
	return slices.SortedFunc(maps.Keys(ids), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
}

const (
	setContacts = `insert into contacts (id, account, channel_id, ref, profile, display_name, created_at, updated_at)
		select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::timestamptz[], $8::timestamptz[])
		on conflict (id) do update set profile = excluded.profile, display_name = excluded.display_name, updated_at = excluded.updated_at`

	setConversations = `insert into conversations (id, account, channel_id, contact_id, contact_ref, status, episode, handler, agent_id,
			messages, last_message_id, last_text, last_message_at, opened_at, closed_at, close_reason, created_at, updated_at)
		select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::int[], $8::text[], $9::text[],
			$10::int[], $11::uuid[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::text[],
			$17::timestamptz[], $18::timestamptz[])
		on conflict (id) do update set status = excluded.status, episode = excluded.episode, handler = excluded.handler,
			agent_id = excluded.agent_id, messages = excluded.messages, last_message_id = excluded.last_message_id,
			last_text = excluded.last_text, last_message_at = excluded.last_message_at, opened_at = excluded.opened_at,
			closed_at = excluded.closed_at, close_reason = excluded.close_reason, updated_at = excluded.updated_at`

	setMessages = `insert into messages (partition, id, conversation_id, account, channel_id, "offset", direction, kind, content,
			external_id, status, reason, status_history, author, sent_at, recorded_at)
		select $1, * from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::jsonb[],
			$10::text[], $11::text[], $12::text[], $13::jsonb[], $14::text[], $15::timestamptz[], $16::timestamptz[])
		on conflict (id) do nothing`

	setCheckpoint = `insert into checkpoints (projection, partition, next) values ('ceiling', $1, $2)
		on conflict (projection, partition) do update set next = excluded.next`
)

// write writes all rows into empty tables and gives the rate of events.
func (w *setWriter) write(ctx context.Context) (float64, error) {
	if _, err := w.pool.Exec(ctx, "truncate contacts, conversations, messages, checkpoints"); err != nil {
		return 0, fmt.Errorf("empty the ceiling's tables: %w", err)
	}
	started := time.Now()
	all, ctx := errgroup.WithContext(ctx)
	for p := range setConns {
		all.Go(func() error {
			conn, err := w.pool.Acquire(ctx)
			if err != nil {
				return fmt.Errorf("connect: %w", err)
			}
			defer conn.Release()
			for _, rows := range w.batches[p] {
				b := &pgx.Batch{}
				if rows.contacts != nil {
					b.Queue(setContacts, rows.contacts...)
				}
				b.Queue(setConversations, rows.conversations...)
				b.Queue(setMessages, rows.messages...)
				b.Queue(setCheckpoint, p, rows.next)
				if err := conn.SendBatch(ctx, b).Close(); err != nil { // one transaction, one round trip
					return fmt.Errorf("write the ceiling's rows: %w", err)
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return 0, err
	}
	return float64(w.events) / time.Since(started).Seconds(), nil
}
