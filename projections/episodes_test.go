package projections_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// both are the two projections over one database.
type both struct {
	pool       *pgxpool.Pool
	deliveries *projections.Deliveries
}

func (b both) project(t rapidOrTest, events ...domain.Recorded) {
	t.Helper()
	mustProject(t, b.pool, events...)
	b.deliveries.Begin(partition)
	if err := projectAs(context.Background(), b.pool, b.deliveries, events); err != nil {
		t.Fatal(err)
	}
}

func (b both) forget(t rapidOrTest) {
	t.Helper()
	forget(t, b.pool)
	if _, err := b.pool.Exec(context.Background(), "delete from deliveries; delete from delivery_attempts; delete from delivery_depth; delete from delivery_episodes"); err != nil {
		t.Fatal(err)
	}
}

// dump reads all rows of both.
func (b both) dump(t rapidOrTest) map[string][]string {
	t.Helper()
	out := dump(t, b.pool)
	for table, key := range map[string]string{
		"deliveries": "id", "delivery_attempts": "delivery_id, number", "delivery_depth": "partition, state", "delivery_episodes": "conversation_id",
	} {
		// A count that has gone back to 0 is as good as none.
		rows, err := b.pool.Query(context.Background(), "select t::text from "+table+" t where t::text not like '%,0)' order by "+key)
		if err != nil {
			t.Fatal(err)
		}
		if out[table], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func (b both) ids(t rapidOrTest, sql string) []uuid.UUID {
	t.Helper()
	rows, err := b.pool.Query(context.Background(), sql)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func (b both) isOpen(t rapidOrTest, conversation uuid.UUID) (open bool) {
	t.Helper()
	err := b.pool.QueryRow(context.Background(), "select count(*) > 0 from conversations where id = $1 and status = 'open'", conversation).Scan(&open)
	if err != nil {
		t.Fatal(err)
	}
	return open
}

// Ensure that however a log with episodes is cut into batches, and whichever
// prefix is given again, the rows of both projections are those of a rebuild from
// nothing, one event at a time; that both know the same episodes; and that a close
// is told to the integration if and only if it has closed the conversation.
func TestEpisodes_projectionsAgree(t *testing.T) {
	t.Parallel()
	pool := database(t)
	b := both{pool, projections.NewDeliveries(pool)}
	rapid.Check(t, func(t *rapid.T) {
		w := newDeskWriter(t, rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 12 * time.Hour}).Draw(t, "longest pause"))
		log := w.write(rapid.IntRange(1, 70).Draw(t, "events"))

		b.forget(t)
		closes := map[uuid.UUID]bool{}
		var made []domain.Delivery
		for _, r := range log {
			_, closing := r.Data.(domain.ConversationClosed)
			closing = closing && r.Dialect.HasEpisodes()
			id := domain.ConversationID(r.Channel, r.ContactRef)
			open := closing && b.isOpen(t, id)
			b.project(t, r)
			made = append(made, b.deliveries.Made(partition, r.Position.Offset)...)
			if open && !b.isOpen(t, id) {
				closes[domain.DeliveryID(r.ID)] = true
			}
		}
		want := b.dump(t)
		b.compare(t, w, closes, made)

		b.forget(t)
		b.project(t, log...)
		if diff := cmp.Diff(want, b.dump(t)); diff != "" {
			t.Fatalf("a single batch gives other rows (-singly +one batch):\n%s", diff)
		}

		b.forget(t)
		for rest, done := log, 0; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			again := rapid.IntRange(0, done).Draw(t, "given again")
			b.project(t, log[done-again:done+n]...)
			rest, done = rest[n:], done+n
		}
		if diff := cmp.Diff(want, b.dump(t)); diff != "" {
			t.Fatalf("these batches give other rows (-singly +batches):\n%s", diff)
		}
	})
}

// compare holds the rows against each other and against the domain's own folds.
func (b both) compare(t *rapid.T, w *deskWriter, closes map[uuid.UUID]bool, made []domain.Delivery) {
	ctx := context.Background()
	told := b.ids(t, "select id from deliveries where kind = 'close'")
	for _, id := range told {
		if !closes[id] {
			t.Fatalf("a close is told that closed nothing: %s", id)
		}
	}
	if len(told) != len(closes) {
		t.Fatalf("%d closes are told, %d took effect", len(told), len(closes))
	}
	if odd := b.ids(t, `select coalesce(c.id, e.conversation_id) from (select * from conversations where state is not null) c
			full join delivery_episodes e on e.conversation_id = c.id
			where c.state is distinct from e.state::jsonb`); len(odd) > 0 {
		t.Fatalf("the projections know different episodes of %v", odd)
	}
	if odd := b.ids(t, `select (array_agg(id))[1] from deliveries where blocks or head group by lane
			having count(*) filter (where head) <> 1 or bool_or(head and not blocks)
				or min("offset") filter (where head) <> min("offset") filter (where blocks)`); len(odd) > 0 {
		t.Fatalf("lanes with another head than their first row, by one of their rows: %v", odd)
	}
	if len(made) != len(w.made) {
		t.Fatalf("%d deliveries were made, want %d", len(made), len(w.made))
	}
	for i, want := range w.made {
		if made[i].ID != want.ID || made[i].State != domain.StatePending {
			t.Fatalf("made %+v, want %+v", made[i], *want)
		}
		got, _, err := b.deliveries.Delivery(ctx, want.Account, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*want, got); diff != "" {
			t.Fatalf("row differs from the fold (-want +got):\n%s", diff)
		}
	}
	reads := projections.NewReads(b.pool)
	for id, want := range w.thread.Conversations {
		got, err := reads.ConversationByID(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*want, got); diff != "" {
			t.Fatalf("conversation differs from the fold (-want +got):\n%s", diff)
		}
	}
}

// Ensure that records that land a second time within a day, behind everything
// else, change no row of either projection, if they took effect the first time.
// (One that came too late then may be in time now.)
func TestEpisodes_doubledRecordsChangeNothing(t *testing.T) {
	t.Parallel()
	pool := database(t)
	b := both{pool, projections.NewDeliveries(pool)}
	rapid.Check(t, func(t *rapid.T) {
		w := newDeskWriter(t, time.Minute)
		log := w.write(rapid.IntRange(1, 60).Draw(t, "events"))
		b.forget(t)
		b.project(t, log...)
		want := b.dump(t)
		doubled := &writer{t: t, log: log}
		for _, r := range log[:rapid.IntRange(0, len(log)).Draw(t, "doubled")] {
			if w.took[r.Position.Offset] {
				doubled.again(r)
			}
		}
		if rapid.Bool().Draw(t, "in a batch of their own") {
			b.project(t, doubled.log[len(log):]...)
		} else {
			b.forget(t)
			b.project(t, doubled.log...)
		}
		if diff := cmp.Diff(want, b.dump(t)); diff != "" {
			t.Fatalf("doubled records changed rows (-once +twice):\n%s", diff)
		}
	})
}

// at numbers events as records, from an offset on.
func at(offset int, events ...domain.Event) []domain.Recorded {
	out := make([]domain.Recorded, len(events))
	for i, e := range events {
		out[i] = domain.Recorded{Event: e, Position: domain.Position{Partition: partition, Offset: int64(offset + i)}}
	}
	return out
}

// Ensure that a call queues behind what its function has been called for before,
// also when it is the run itself that gives the conversation to that function.
func TestDeliveries_laneOfAFunctionThatComesBack(t *testing.T) {
	t.Parallel()
	ch, now := deskChannels()[1], time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	asks := func(external string) domain.Event {
		now = now.Add(time.Second)
		return ch.Receive("una", external, now, domain.Content{Type: domain.ContentText, Text: "hello"}, nil, now)
	}
	c := domain.Conversation{
		ID: domain.ConversationID(ch.ID, "una"), ContactRef: "una", Status: domain.StatusOpen, State: &domain.Episode{},
	}
	to := func(function int64) domain.Event {
		e, err := c.Assign(ch, uuid.New(), domain.Assignment{To: domain.HandlerBot, Function: function}, "desk", now)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	closed := func() domain.Event {
		e := asks("")
		e.ID, e.Data = uuid.New(), domain.ConversationClosed{ConversationID: c.ID, Reason: domain.ClosedByUnknown}
		return e
	}
	tests := map[string]struct {
		stored, run []domain.Event
		target      string
	}{
		"as it is":  {[]domain.Event{asks("1")}, []domain.Event{asks("2")}, "#4"},
		"assigned":  {[]domain.Event{asks("1"), to(5), asks("2"), to(4)}, []domain.Event{to(5), asks("3")}, "#5"},
		"by itself": {[]domain.Event{asks("1"), to(5), closed()}, []domain.Event{asks("2")}, "#4"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := database(t)
			p := projections.NewDeliveries(pool)
			applyDeliveries(t, pool, p, partition, at(0, test.stored...))
			applyDeliveries(t, pool, p, partition, at(len(test.stored), test.run...))
			heads, err := p.OpenHeads(t.Context(), partition, ch.ID+test.target, time.Time{}, 10, 10, 10, nil)
			if err != nil {
				t.Fatal(err)
			}
			var n int
			err = pool.QueryRow(t.Context(), "select count(*) from deliveries where head and target = $1", ch.ID+test.target).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			if n != 1 || len(heads) != 2 || heads[0].Position.Offset > heads[1].Position.Offset {
				t.Errorf("%d heads; the lane is %+v", n, heads)
			}
		})
	}
}

// Ensure that a message whose sender used its ids again, and whose record lands
// once more after it has been forgotten, is there once and calls nobody again.
func TestEpisodes_forgottenRecordLandsAgain(t *testing.T) {
	t.Parallel()
	pool := database(t)
	b := both{pool, projections.NewDeliveries(pool)}
	ch, now := deskChannels()[1], time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	asks := func(external string) domain.Event {
		return ch.Receive("una", external, now, domain.Content{Type: domain.ContentText, Text: "hello"}, nil, now)
	}
	log := []domain.Event{asks("m")}
	now = now.Add(25 * time.Hour)
	log = append(log, asks("m"))
	for i := range domain.MaxHeard + 1 {
		log = append(log, asks(strconv.Itoa(i)))
	}
	b.project(t, at(0, log...)...)
	b.project(t, at(len(log), log[1])...)
	for table, want := range map[string]int{"messages": len(log), "deliveries": len(log)} {
		var n int
		if err := pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != want {
			t.Errorf("%d %s, want %d", n, table, want)
		}
	}
}

// Ensure that Made knows all runs of a transaction, and nothing of the one before.
func TestDeliveries_madeInSeveralRuns(t *testing.T) {
	t.Parallel()
	pool := database(t)
	p := projections.NewDeliveries(pool)
	ch, now := deskChannels()[0], time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	made := func() (offsets []int) {
		for offset := range 5 {
			for _, d := range p.Made(partition, int64(offset)) {
				offsets = append(offsets, int(d.Position.Offset))
			}
		}
		return offsets
	}
	for offset := range 5 {
		if offset%3 == 0 {
			p.Begin(partition)
		}
		e := ch.SendAs(domain.BotSender(), "una", uuid.New(), domain.Content{Type: domain.ContentText, Text: "hello"}, "", now)
		applyDeliveries(t, pool, p, partition, at(offset, e))
		if want := [][]int{{0}, {0, 1}, {0, 1, 2}, {3}, {3, 4}}[offset]; !slices.Equal(made(), want) {
			t.Fatalf("made %v, want %v", made(), want)
		}
	}
}
