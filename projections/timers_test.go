package projections_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// office is a log of conversations with episodes, a second between two events.
type office struct {
	t        *testing.T
	pool     *pgxpool.Pool
	timers   *projections.Timers
	now      time.Time
	thread   *domain.Thread
	log      []domain.Recorded
	projects int // events that are in the rows
}

func newOffice(t *testing.T) *office {
	t.Helper()
	pool := database(t)
	return &office{
		t: t, pool: pool, timers: projections.NewTimers(pool), thread: domain.NewThread(),
		now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
	}
}

func (o *office) add(e domain.Event, err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
	r := domain.Recorded{Event: e, Position: domain.Position{Partition: partition, Offset: int64(len(o.log))}}
	o.log = append(o.log, r)
	o.thread.Apply(r)
	o.now = o.now.Add(time.Second)
}

func (o *office) asks(ch domain.Channel, ref string) {
	o.t.Helper()
	o.add(ch.Receive(ref, uuid.NewString(), o.now, domain.Content{Type: domain.ContentText, Text: "hello"}, nil, o.now), nil)
}

func (o *office) says(ch domain.Channel, ref string, sender *domain.Sender) {
	o.t.Helper()
	o.add(ch.SendAs(sender, ref, uuid.New(), domain.Content{Type: domain.ContentText, Text: "yes"}, "", o.now), nil)
}

func (o *office) of(ch domain.Channel, ref string) domain.Conversation {
	return *o.thread.Conversations[domain.ConversationID(ch.ID, ref)]
}

func (o *office) assign(ch domain.Channel, ref string, a domain.Assignment) {
	o.t.Helper()
	o.add(o.of(ch, ref).Assign(ch, uuid.New(), a, "desk", o.now))
}

// rows puts what was added into the rows.
func (o *office) rows() {
	o.t.Helper()
	mustProject(o.t, o.pool, o.log[o.projects:]...)
	o.projects = len(o.log)
}

func (o *office) due(after time.Duration, limit int, terms ...domain.ClosingTerm) []string {
	o.t.Helper()
	list, err := o.timers.Due(o.t.Context(), o.log[0].Time.Add(after), terms, limit)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, c := range list {
		if diff := cmp.Diff(*o.thread.Conversations[c.ID], c); diff != "" {
			o.t.Errorf("conversation differs from the fold (-want +got):\n%s", diff)
		}
	}
	return refs(list)
}

func equal[T comparable](t *testing.T, what string, got []T, want ...T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// Ensure that Due gives what has run out, by the times that were told and by
// shorter ones of today, the first one first, and nothing that moved on.
func TestTimers_due(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	chs := deskChannels()
	desk, bot := chs[0], chs[1] // an hour, and 10 minutes after a bot's message
	o.asks(desk, "waits")       // second 0
	o.asks(desk, "answered")    // 1
	o.asks(bot, "silent bot")   // 2
	o.asks(bot, "bot")          // 3
	o.says(bot, "bot", domain.BotSender())
	o.asks(desk, "closed") // 5
	o.add(o.of(desk, "closed").Close(desk, domain.Closing{}, o.now))
	o.asks(chs[2], "other dialect")
	o.says(desk, "answered", domain.SenderOf("acme", "petra")) // 8
	o.rows()

	equal(t, "at once", o.due(0, 10))
	equal(t, "before the bot's", o.due(604*time.Second-time.Millisecond, 10))
	equal(t, "the bot's", o.due(604*time.Second, 10), "bot")
	equal(t, "before the desk's", o.due(time.Hour-time.Millisecond, 10), "bot")
	equal(t, "the desk's", o.due(time.Hour, 10), "bot", "waits")
	equal(t, "all", o.due(2*time.Hour, 10), "bot", "waits", "answered")
	equal(t, "limited", o.due(2*time.Hour, 2), "bot", "waits")

	short := domain.ClosingTerm{Channel: desk.ID, CloseAfter: 60}
	equal(t, "shorter, before", o.due(60*time.Second-time.Millisecond, 10, short))
	equal(t, "shorter", o.due(60*time.Second, 10, short), "waits")
	equal(t, "shorter, both", o.due(68*time.Second, 10, short), "waits", "answered")
	equal(t, "shorter, limited", o.due(68*time.Second, 1, short), "waits")
	equal(t, "shorter, sooner than the bot's", o.due(2*time.Hour, 10, short), "waits", "answered", "bot")
	equal(t, "shorter for bots", o.due(64*time.Second, 10, domain.ClosingTerm{Channel: bot.ID, BotClose: 60, CloseAfter: 60}), "bot")
	equal(t, "of another channel", o.due(68*time.Second, 10, domain.ClosingTerm{Channel: bot.ID, CloseAfter: 60}))
	equal(t, "longer", o.due(2*time.Hour, 10, domain.ClosingTerm{Channel: desk.ID, CloseAfter: 604_800}), "bot", "waits", "answered")

	o.asks(bot, "bot") // stops the timer
	e, ok := o.of(desk, "waits").Expire(desk, o.now.Add(time.Hour))
	if !ok {
		t.Fatal("does not expire")
	}
	o.add(e, nil)
	o.rows()
	equal(t, "moved on", o.due(2*time.Hour, 10, short), "answered")
}

// Ensure that waits are found when they end, those who wait by their wait, and
// that a queue that nobody serves does not hide the others.
func TestTimers_queues(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, desk := t.Context(), deskChannels()[0]
	other := desk
	other.ID, other.Account, other.Desk.Wait = "other", "umbra", 0
	for i := range 5 {
		o.asks(desk, fmt.Sprint("w", i)) // seconds 0 to 4, for 300
	}
	o.asks(other, "patient") // 5, for ever
	o.asks(desk, "urgent")   // 6
	o.assign(desk, "urgent", domain.Assignment{To: domain.HandlerQueue, Queue: 7, Wait: 10, Priority: 9})
	o.asks(desk, "taken")
	o.says(desk, "taken", domain.SenderOf("acme", "petra"))
	o.rows()
	overdue := func(after time.Duration, limit int) []string {
		t.Helper()
		list, err := o.timers.Overdue(ctx, o.log[0].Time.Add(after), limit)
		if err != nil {
			t.Fatal(err)
		}
		return refs(list)
	}
	waiting := func(limit int) []string {
		t.Helper()
		list, err := o.timers.Waiting(ctx, limit)
		if err != nil {
			t.Fatal(err)
		}
		return refs(list)
	}
	equal(t, "overdue, before", overdue(17*time.Second-time.Millisecond, 10))
	equal(t, "overdue", overdue(17*time.Second, 10), "urgent")
	equal(t, "overdue at 5 minutes", overdue(301*time.Second, 10), "urgent", "w0", "w1")
	equal(t, "overdue, limited", overdue(time.Hour, 3), "urgent", "w0", "w1")
	equal(t, "waiting", waiting(10), "w0", "w1", "w2", "w3", "w4", "patient", "urgent")
	equal(t, "waiting, limited", waiting(3), "w0", "patient", "urgent")
	equal(t, "waiting, one", waiting(1), "patient") // the first of its queue, as urgent is, and earlier
	e, ok := o.of(desk, "w0").GiveUpWaiting(desk, o.now.Add(time.Hour))
	if !ok {
		t.Fatal("waits on")
	}
	o.add(e, nil)
	o.rows()
	equal(t, "waiting, one less", waiting(10), "w1", "w2", "w3", "w4", "patient", "urgent")
}

// Ensure that agents are as busy as they have open conversations, and that a
// channel's open conversations are found, both without other dialects.
func TestTimers_agentsAndChannels(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, chs := t.Context(), deskChannels()
	desk, bot, plain := chs[0], chs[1], chs[2]
	plain.Account = "acme"
	for i := range 4 {
		o.asks(desk, fmt.Sprint("d", i))
		o.asks(bot, fmt.Sprint("b", i))
		o.asks(plain, fmt.Sprint("p", i))
		o.assign(plain, fmt.Sprint("p", i), domain.Assignment{To: domain.HandlerAgent, AgentID: "31"})
	}
	for i, agent := range []string{"31", "31", "32"} {
		o.assign(desk, fmt.Sprint("d", i), domain.Assignment{To: domain.HandlerAgent, AgentID: agent})
	}
	o.assign(bot, "b0", domain.Assignment{To: domain.HandlerAgent, AgentID: "31"})
	o.add(o.of(desk, "d1").Close(desk, domain.Closing{}, o.now))
	o.rows()
	busy, err := o.timers.Busy(ctx, "acme")
	if err != nil || !maps.Equal(busy, map[string]int{"31": 2, "32": 1}) {
		t.Errorf("busy: %v, %v", busy, err)
	}
	if busy, err := o.timers.Busy(ctx, "umbra"); err != nil || len(busy) > 0 {
		t.Errorf("busy elsewhere: %v, %v", busy, err)
	}
	open := func(ch domain.Channel, limit int) []string {
		t.Helper()
		list, err := o.timers.OpenOf(ctx, ch.ID, limit)
		if err != nil {
			t.Fatal(err)
		}
		return refs(list)
	}
	equal(t, "open", open(desk, 10), "d0", "d2", "d3")
	equal(t, "open, with a bot", open(bot, 10), "b0", "b1", "b2", "b3")
	if n := len(open(bot, 3)); n != 3 {
		t.Errorf("%d are open at most", n)
	}
	equal(t, "open, of another dialect", open(plain, 10))

	reads := projections.NewReads(o.pool)
	list := func(f domain.ConversationFilter) []string {
		t.Helper()
		f.Account = "acme"
		found := refs(walk(t, 2, func(p domain.Page) ([]domain.Conversation, string, error) { return reads.Conversations(ctx, f, p) }))
		slices.Sort(found)
		return found
	}
	equal(t, "list of an agent", list(domain.ConversationFilter{Agent: "31", Status: domain.StatusOpen}), "b0", "d0", "p0", "p1", "p2", "p3")
	equal(t, "list of those that wait", list(domain.ConversationFilter{Handler: domain.HandlerQueue}), "d3")
	equal(t, "list of a queue", list(domain.ConversationFilter{Queue: 7}), "d3")
	equal(t, "list of another queue", list(domain.ConversationFilter{Queue: 8}))
	topic := int64(1)
	o.add(o.of(bot, "b1").Mark(bot, uuid.New(), domain.Marks{Tags: []int64{3, 5}, Topic: &topic}, "desk", o.now))
	o.rows()
	equal(t, "list of a tag", list(domain.ConversationFilter{Tag: 5}), "b1")
	equal(t, "list of a tag on another channel", list(domain.ConversationFilter{Tag: 5, Channel: desk.ID}))
}

// Ensure that an id is claimed by exactly one of many, and again after the lease,
// and that old claims go away.
func TestTimers_claims(t *testing.T) {
	t.Parallel()
	pool := database(t)
	timers := projections.NewTimers(pool)
	ids := make([]uuid.UUID, 300)
	for i := range ids {
		ids[i] = uuid.New()
	}
	const lease = 400 * time.Millisecond
	var mu sync.Mutex
	taken := map[uuid.UUID]int{}
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			mine := slices.Clone(ids)
			if g%2 == 1 {
				slices.Reverse(mine)
			}
			for part := range slices.Chunk(mine, 100) {
				free, err := timers.Claim(t.Context(), part, time.Minute)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, id := range free {
					taken[id]++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for _, id := range ids {
		if taken[id] != 1 {
			t.Fatalf("%s was claimed %d times", id, taken[id])
		}
	}

	again := uuid.New()
	free, err := timers.Claim(t.Context(), []uuid.UUID{again, ids[0], again}, lease)
	if err != nil || !slices.Equal(free, []uuid.UUID{again}) {
		t.Fatalf("claimed %v: %v", free, err)
	}
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(free) == 1 && time.Since(began) < 10*time.Second {
		<-tick.C
		next, err := timers.Claim(t.Context(), []uuid.UUID{again}, lease)
		if err != nil {
			t.Fatal(err)
		}
		if len(next) == 1 {
			break
		}
	}
	if passed := time.Since(began); passed < lease/2 || passed > 10*time.Second {
		t.Errorf("claimed again after %s", passed)
	}

	if _, err := pool.Exec(t.Context(), "update timer_claims set until = now() - interval '1 second'"); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := timers.Claim(t.Context(), []uuid.UUID{uuid.New()}, lease); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	if err := pool.QueryRow(t.Context(), "select count(*) from timer_claims").Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left > 4 {
		t.Errorf("%d claims are kept", left)
	}
}

// Ensure that what nobody asks for costs nothing: with many conversations that
// are open and not due, and many of other dialects, each statement touches a few
// blocks, whether or not the planner has learned of them.
func TestTimers_readFewBlocks(t *testing.T) {
	t.Parallel()
	pool := database(t)
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	_, err := pool.Exec(t.Context(), `
		insert into conversations (id, account, channel_id, contact_id, contact_ref, status, episode, handler, agent_id, messages,
			last_message_id, last_text, last_message_at, opened_at, close_reason, created_at, updated_at,
			state, queue_id, priority, waiting_since, wait_until, timer, timer_at, close_at)
		select gen_random_uuid(), 'acme', 'c' || i % 20, gen_random_uuid(), '', 'open', 1,
			case when has and i % 3 = 0 then 'queue' else 'bot' end, '', 1, gen_random_uuid(), '', $1, $1, '', $1, $1,
			case when has then '{"number": 1}'::jsonb end,
			case when has and i % 3 = 0 then i % 7 end, case when has and i % 3 = 0 then 0 end,
			case when has and i % 3 = 0 then $1::timestamptz end,
			case when has and i % 3 = 0 then $1::timestamptz + interval '1 hour' end,
			case when has and i % 3 = 0 then 'agent' when has then '' end, case when has and i % 3 = 0 then $1::timestamptz end,
			case when has and i % 3 = 0 then $1::timestamptz + interval '1 day' end
		from (select i, i % 2 = 0 as has from generate_series(1, 40000) i) s`, now)
	if err != nil {
		t.Fatal(err)
	}
	term := func(name string) []any {
		switch name {
		case "due":
			return []any{now.Add(time.Minute), 10, []string{"c0", "c2"}, []string{"agent", "bot"}, []int64{3600, 3600}}
		case "overdue":
			return []any{now.Add(time.Minute), 10}
		case "waiting":
			return []any{10}
		case "open of":
			return []any{"c0", 10}
		default:
			return []any{"acme"}
		}
	}
	for _, learned := range []string{"select", "analyze conversations"} {
		if _, err := pool.Exec(t.Context(), learned); err != nil {
			t.Fatal(err)
		}
		for name, statement := range projections.TimerStatements() {
			plan := explain(t, pool, statement, term(name))
			blocks := 0
			if m := regexp.MustCompile(`Buffers: shared hit=(\d+)(?: read=(\d+))?`).FindStringSubmatch(plan); m != nil {
				blocks, _ = strconv.Atoi(m[1])
				read, _ := strconv.Atoi(m[2])
				blocks += read
			}
			// Seven queues of ten rows, each looked up by its id, are the most.
			if blocks == 0 || blocks > 500 || strings.Contains(plan, "Seq Scan on conversations") {
				t.Errorf("%s, after %q, touches %d blocks:\n%s", name, learned, blocks, plan)
			}
		}
	}
}

func explain(t *testing.T, pool *pgxpool.Pool, statement string, args []any) string {
	t.Helper()
	var lines []string
	b := &pgx.Batch{}
	b.Queue(projections.PlanByIndex)
	b.Queue("explain (analyze, buffers, costs off, timing off) "+statement, args...).Query(func(rows pgx.Rows) (err error) {
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err := pool.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
