package projections_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// partition is the one that the logs of these tests are in.
const partition = 3

// database gives an empty, migrated database.
func database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool, os.DirFS("migrations"), "public.schema_version"); err != nil {
		t.Fatal(err)
	}
	return pool
}

func project(ctx context.Context, pool *pgxpool.Pool, events []domain.Recorded) error {
	return projectAs(ctx, pool, projections.Conversations{}, events)
}

// projectAs applies events as one batch, fenced by the checkpoint as the runtime
// does it: records that the checkpoint has passed are left out.
func projectAs(ctx context.Context, pool *pgxpool.Pool, p projections.Projection, events []domain.Recorded) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var next int64
		err := tx.QueryRow(ctx, `insert into checkpoints (projection, partition, next) values ($1, $2, 0)
			on conflict (projection, partition) do update set next = checkpoints.next returning next`, p.Name(), partition).Scan(&next)
		if err != nil {
			return err
		}
		for len(events) > 0 && events[0].Position.Offset < next {
			events = events[1:]
		}
		if len(events) == 0 {
			return nil
		}
		_, err = tx.Exec(ctx, `update checkpoints set next = $2 where projection = $3 and partition = $1`,
			partition, events[len(events)-1].Position.Offset+1, p.Name())
		if err != nil {
			return err
		}
		return p.Apply(ctx, tx, partition, events)
	})
}

// mustProject is project for tests.
func mustProject(t rapidOrTest, pool *pgxpool.Pool, events ...domain.Recorded) {
	t.Helper()
	if err := project(context.Background(), pool, events); err != nil {
		t.Fatal(err)
	}
}

// dump reads all rows of the read model, ordered by key.
func dump(t rapidOrTest, pool *pgxpool.Pool) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, table := range []string{"contacts", "conversations", "messages", "early_receipts", "people", "identities", "tickets", "posts"} {
		rows, err := pool.Query(context.Background(), "select t::text from "+table+" t order by id")
		if err != nil {
			t.Fatal(err)
		}
		if out[table], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

type rapidOrTest interface {
	Helper()
	Fatal(args ...any)
}

// forget empties the read model, as before a rebuild.
func forget(t rapidOrTest, pool *pgxpool.Pool) {
	t.Helper()
	if _, err := pool.Exec(context.Background(), "delete from contacts; delete from conversations; delete from messages; delete from early_receipts; delete from people; delete from identities; delete from tickets; delete from posts; delete from checkpoints"); err != nil {
		t.Fatal(err)
	}
}

// Ensure that however a log is cut into batches, and whichever prefix is given
// again, the rows are those of a rebuild from nothing, one event at a time.
func TestConversations_rowsDoNotDependOnBatches(t *testing.T) {
	t.Parallel()
	pool := database(t)
	rapid.Check(t, func(t *rapid.T) {
		log := generated(t, 3*time.Minute)
		forget(t, pool)
		for _, r := range log {
			mustProject(t, pool, r)
		}
		want := dump(t, pool)

		forget(t, pool)
		mustProject(t, pool, log...)
		if diff := cmp.Diff(want, dump(t, pool)); diff != "" {
			t.Fatalf("a single batch gives other rows (-singly +one batch):\n%s", diff)
		}

		forget(t, pool)
		for rest, done := log, 0; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			again := rapid.IntRange(0, done).Draw(t, "given again")
			mustProject(t, pool, log[done-again:done+n]...)
			rest, done = rest[n:], done+n
		}
		if diff := cmp.Diff(want, dump(t, pool)); diff != "" {
			t.Fatalf("these batches give other rows (-singly +batches):\n%s", diff)
		}
	})
}

// Ensure that messages, receipts and outcomes that land in the log a second
// time, behind everything else, change no row.
func TestConversations_doubledRecordsChangeNothing(t *testing.T) {
	t.Parallel()
	pool := database(t)
	rapid.Check(t, func(t *rapid.T) {
		// No more than EarlyReceipt from end to end: a record lands twice within
		// moments. What comes later is told anew.
		log := generated(t, domain.EarlyReceipt/60)
		forget(t, pool)
		mustProject(t, pool, log...)
		want := dump(t, pool)

		w := &writer{t: t, log: log}
		for _, r := range log[:rapid.IntRange(0, len(log)).Draw(t, "doubled")] {
			switch r.Data.(type) {
			case domain.MessageReceived, domain.MessageEchoed, domain.MessageSent, domain.ReceiptRecorded,
				domain.DeliveryAttempted, domain.DeliveryRedriven:
				w.again(r)
			}
		}
		if rapid.Bool().Draw(t, "in a batch of their own") {
			mustProject(t, pool, w.log[len(log):]...)
		} else {
			forget(t, pool)
			mustProject(t, pool, w.log...)
		}
		got := dump(t, pool)
		delete(want, "early_receipts") // they wait by the place where they were told last
		delete(got, "early_receipts")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("doubled records changed rows (-once +twice):\n%s", diff)
		}
	})
}

// Ensure that early receipts go away when they can meet no message any more.
func TestConversations_earlyReceiptsExpire(t *testing.T) {
	t.Parallel()
	pool, ch := database(t), theChannels()[0]
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	at := func(offset int64, e domain.Event) domain.Recorded {
		return domain.Recorded{Event: e, Position: domain.Position{Partition: partition, Offset: offset}}
	}
	left := func() int { return len(dump(t, pool)["early_receipts"]) }

	mustProject(t, pool, at(0, ch.Receipt("+15550100", "x1", domain.StatusRead, "", now, now)))
	if n := left(); n != 1 {
		t.Fatalf("%d early receipts are kept, want 1", n)
	}
	now = now.Add(time.Hour)
	mustProject(t, pool, at(1, ch.Receipt("+15550101", "x1", domain.StatusRead, "", now, now)))
	if n := left(); n != 2 {
		t.Fatalf("%d early receipts are kept, want 2", n)
	}
	now = now.Add(time.Second)
	mustProject(t, pool, at(2, ch.Receipt("+15550101", "x2", domain.StatusRead, "", now, now)))
	if n := left(); n != 2 {
		t.Fatalf("%d early receipts are kept, want 2", n)
	}
	mustProject(t, pool, at(3, ch.Echo("+15550101", "x1", now, domain.Content{Type: domain.ContentText, Text: "yes"}, nil, now)))
	if n := left(); n != 1 {
		t.Fatalf("%d early receipts are kept after the message came, want 1", n)
	}
}

// Ensure that a contact keeps their profile when a further conversation of
// theirs begins and tells nothing about them.
func TestConversations_contactOfSeveral(t *testing.T) {
	t.Parallel()
	pool, ch := database(t), theChannels()[0]
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	content := domain.Content{Type: domain.ContentText, Text: "hello"}
	first := ch.Receive("+15550100", "m1", now, content, &domain.Profile{FirstName: "Ada"}, now)
	second := ch.Receive("+15550100", "m2", now, content, nil, now)
	said := second.Data.(domain.MessageReceived)
	said.ConversationID = domain.DeriveID("test", "another")
	second.Data = said

	mustProject(t, pool, domain.Recorded{Event: first, Position: domain.Position{Partition: partition, Offset: 0}})
	want := dump(t, pool)["contacts"]
	mustProject(t, pool, domain.Recorded{Event: second, Position: domain.Position{Partition: partition, Offset: 1}})
	got := dump(t, pool)
	if diff := cmp.Diff(want, got["contacts"]); diff != "" {
		t.Errorf("the contact (-before +after):\n%s", diff)
	}
	if n := len(got["conversations"]); n != 2 {
		t.Errorf("%d conversations, want 2", n)
	}
}

// Ensure that a transaction that is rolled back has left nothing behind.
func TestConversations_rolledBack(t *testing.T) {
	t.Parallel()
	pool, ch := database(t), theChannels()[0]
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	said := domain.Recorded{
		Event: ch.Receive("+15550100", "m1", now, domain.Content{Type: domain.ContentText, Text: "hello"}, nil, now),
	}
	died := errors.New("died")
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if err := (projections.Conversations{}).Apply(t.Context(), tx, partition, []domain.Recorded{said}); err != nil {
			return err
		}
		return died
	})
	if !errors.Is(err, died) {
		t.Fatal(err)
	}
	for table, rows := range dump(t, pool) {
		if len(rows) > 0 {
			t.Errorf("%s has %d rows", table, len(rows))
		}
	}
	mustProject(t, pool, said)
}
