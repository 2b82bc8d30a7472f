package projections_test

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// overheard keeps the statements that a pool sends.
type overheard struct {
	mu         sync.Mutex
	statements []pgx.TraceQueryStartData
}

func (o *overheard) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	o.note(d)
	return ctx
}

func (*overheard) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (*overheard) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (o *overheard) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	o.note(pgx.TraceQueryStartData{SQL: d.SQL, Args: d.Args})
}

func (*overheard) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (o *overheard) note(d pgx.TraceQueryStartData) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.statements = append(o.statements, d)
}

func (o *overheard) take() []pgx.TraceQueryStartData {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.statements
	o.statements = nil
	return taken
}

// crowded is a database with 50,000 tickets and 200,000 posts of 20,000 people, in
// two accounts.
func crowded(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := database(t)
	for _, sql := range []string{
		`alter table people set (autovacuum_enabled = false)`, `alter table identities set (autovacuum_enabled = false)`,
		`alter table tickets set (autovacuum_enabled = false)`, `alter table posts set (autovacuum_enabled = false)`,
		`insert into people (id, account, revision, name, email, phone, identifier, labels, created_at, last_activity_at, state)
		select i, case when i % 10 = 0 then 'umbra' else 'acme' end, 1, 'Person ' || i, 'p' || i || '@example.com', '+1555' || i, 'crm-' || i,
			case when i % 50 = 0 then '{vip}'::text[] else '{}' end, now() - i * interval '1 minute', now() - i * interval '1 second',
			jsonb_build_object('id', i, 'revision', 1, 'name', 'Person ' || i, 'created_at', '2026-03-01T09:00:00Z', 'updated_at', '2026-03-01T09:00:00Z')
		from generate_series(1, 20000) i`,
		`insert into identities (id, account, channel_id, person_id, revision, source_id, verified, claimed, token_hash, created_at, updated_at)
		select i, case when i % 10 = 0 then 'umbra' else 'acme' end, 'c' || i % 10, i, 1, 'source-' || i, i = 0, i < 0, 'hash-' || i, now(), now()
		from generate_series(1, 20000) i`,
		`insert into tickets (id, account, number, channel_id, identity_id, revision, status, priority, assignee, team, labels, unread,
			created_at, updated_at, last_activity_at, last_post, last_said, last_public, state)
		select md5('t' || i)::uuid, case when i % 10 = 0 then 'umbra' else 'acme' end, i, 'c' || i / 11 % 10, 1 + i % 20000, 1,
			(array['open', 'resolved', 'resolved', 'resolved', 'pending', 'snoozed'])[1 + i / 7 % 6], i % 5, i / 3 % 4, i % 3, '{}', i % 10,
			now(), now() - i * interval '1 second', now() - i * interval '1 second', 4 * i, 4 * i, 4 * i,
			jsonb_build_object('id', md5('t' || i)::uuid, 'number', i, 'revision', 1, 'identity_id', 1 + i % 20000, 'status', 'open',
				'last_activity_at', '2026-03-01T09:00:00Z', 'created_at', '2026-03-01T09:00:00Z', 'updated_at', '2026-03-01T09:00:00Z')
		from generate_series(1, 50000) i`,
		`insert into posts (id, ticket, message, revision, type, private, status, source_id, key, file, created_at, state)
		select i, md5('t' || (1 + (i - 1) / 4))::uuid, gen_random_uuid(), 1, i % 2, false, case when i % 7 = 0 then 'read' else 'sent' end,
			'source-' || i, 'key-' || i, i + 0, now(),
			jsonb_build_object('id', i, 'message', gen_random_uuid(), 'ticket', md5('t' || (1 + (i - 1) / 4))::uuid, 'content', 'post ' || i,
				'created_at', '2026-03-01T09:00:00Z', 'updated_at', '2026-03-01T09:00:00Z')
		from generate_series(1, 200000) i`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	// One ticket that is found by its derived id, with many posts.
	id := domain.TicketID("acme", 12345)
	if _, err := pool.Exec(t.Context(), `update tickets set id = $1 where number = 12345`, id); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `update posts set ticket = $1 where id % 50 = 0`, id); err != nil {
		t.Fatal(err)
	}
	return pool
}

// Ensure that what is asked for with every request touches a few blocks, however
// many others there are, whether or not the planner has learned of them.
func TestReads_ofManyTicketsReadFewBlocks(t *testing.T) {
	t.Parallel()
	pool := crowded(t)
	heard := &overheard{}
	config := pool.Config()
	config.ConnConfig.Tracer = heard
	listening, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(listening.Close)
	reads := projections.NewReads(listening)
	ctx, open := t.Context(), []domain.TicketStatus{domain.TicketOpen}
	hot := map[string]func() error{
		"person": func() error { _, err := reads.Person(ctx, "acme", 7); return err },
		"by e-mail": func() error {
			_, err := reads.PersonBy(ctx, "acme", domain.PersonKey{Email: "p77@example.com"})
			return err
		},
		"by phone": func() error { _, err := reads.PersonBy(ctx, "acme", domain.PersonKey{Phone: "+155577"}); return err },
		"by identifier": func() error {
			_, err := reads.PersonBy(ctx, "acme", domain.PersonKey{Identifier: "crm-77"})
			return err
		},
		"identity":         func() error { _, err := reads.Identity(ctx, "c7", "source-77"); return err },
		"by source":        func() error { _, err := reads.IdentitiesBySource(ctx, "acme", "source-77"); return err },
		"by token":         func() error { _, _, _, err := reads.IdentityByToken(ctx, "hash-77"); return err },
		"by identity's id": func() error { _, err := reads.IdentityByID(ctx, 77); return err },
		"ticket":           func() error { _, err := reads.Ticket(ctx, "acme", 12345); return err },
		"latest":           func() error { _, err := reads.LatestTicket(ctx, 77); return err },
		"open tickets": func() error {
			_, err := reads.Tickets(ctx, domain.TicketQuery{Account: "acme", Statuses: open, Limit: 25})
			return err
		},
		"all tickets": func() error {
			_, err := reads.Tickets(ctx, domain.TicketQuery{Account: "acme", Limit: 25, Offset: 25})
			return err
		},
		"some inboxes": func() error {
			_, err := reads.Tickets(ctx, domain.TicketQuery{Account: "acme", Statuses: open, Channels: []string{"c1", "c3"}, Limit: 25})
			return err
		},
		"mine": func() error {
			_, err := reads.Tickets(ctx, domain.TicketQuery{Account: "acme", Statuses: open, Assignee: 3, Limit: 25})
			return err
		},
		"a person's": func() error {
			_, err := reads.Tickets(ctx, domain.TicketQuery{Account: "acme", Person: 77, Limit: 20})
			return err
		},
		"a source's": func() error {
			_, err := reads.Tickets(ctx, domain.TicketQuery{Account: "acme", SourceID: "source-77", Limit: 20})
			return err
		},
		"newest posts": func() error {
			_, err := reads.Posts(ctx, domain.PostQuery{Account: "acme", Number: 12345, Newest: true, Limit: 20})
			return err
		},
		"posts before": func() error {
			_, err := reads.Posts(ctx, domain.PostQuery{Account: "acme", Number: 12345, Before: 150_000, Newest: true, Limit: 20})
			return err
		},
		"posts after": func() error {
			_, err := reads.Posts(ctx, domain.PostQuery{Account: "acme", Number: 12345, After: 150_000, Limit: 100})
			return err
		},
		"post":           func() error { _, err := reads.Post(ctx, "acme", 12345, 50); return err },
		"post by source": func() error { _, err := reads.PostBySource(ctx, "acme", 12345, "source-50"); return err },
		"post by key":    func() error { _, err := reads.PostByKey(ctx, "acme", 12345, "key-50"); return err },
		"unread": func() error {
			_, err := reads.UnreadPosts(ctx, "acme", 12345, time.Now().Add(time.Hour), 20)
			return err
		},
		"posts since": func() error {
			_, err := reads.PostsSince(ctx, "acme", 12345, time.Now().Add(-time.Hour), 200)
			return err
		},
	}
	for _, learned := range []string{"select", "analyze people, identities, tickets, posts"} {
		if _, err := pool.Exec(ctx, learned); err != nil {
			t.Fatal(err)
		}
		for name, ask := range hot {
			_ = heard.take()
			if err := ask(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, asked := range heard.take() {
				checkBlocks(t, pool, name, learned, asked)
			}
		}
	}
}

func checkBlocks(t *testing.T, pool *pgxpool.Pool, name, learned string, asked pgx.TraceQueryStartData) {
	t.Helper()
	var lines []string
	rows, err := pool.Query(t.Context(), "explain (analyze, buffers, costs off, timing off) "+asked.SQL, asked.Args...)
	if err == nil {
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	plan, blocks := strings.Join(lines, "\n"), 0
	if m := regexp.MustCompile(`Buffers: shared hit=(\d+)(?: read=(\d+))?`).FindStringSubmatch(plan); m != nil {
		blocks, _ = strconv.Atoi(m[1])
		read, _ := strconv.Atoi(m[2])
		blocks += read
	}
	// A list of 25 looks up three posts, a person and an identity of each.
	if blocks == 0 || blocks > 1000 || regexp.MustCompile(`Seq Scan on (people|identities|tickets|posts)`).MatchString(plan) {
		t.Errorf("%s, after %q, touches %d blocks:\n%s\n%s", name, learned, blocks, asked.SQL, plan)
	}
}
