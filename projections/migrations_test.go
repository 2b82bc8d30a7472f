package projections_test

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
	"github.com/parley-im/parley/projections"
)

// migrateTo applies the migrations up to a number.
func migrateTo(t *testing.T, pool *pgxpool.Pool, last string) {
	t.Helper()
	some := fstest.MapFS{}
	names, err := fs.Glob(projections.Migrations(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name[:4] > last {
			continue
		}
		text, err := fs.ReadFile(projections.Migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		some[name] = &fstest.MapFile{Data: text}
	}
	if err := postgres.Migrate(t.Context(), pool, some, "public.schema_version"); err != nil {
		t.Fatal(err)
	}
}

// Ensure that what was there before deliveries had targets is found by its target
// after the migration, and that the migration can be taken back and made again.
func TestMigrations_targetsOfOldDeliveries(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	migrateTo(t, pool, "0004")
	if _, err := pool.Exec(t.Context(), `
		insert into deliveries (id, partition, "offset", account, channel_id, lane, dialect, message_id, conversation_id, content,
			state, parked, blocks, head, attempts, tries, last_reason, last_detail, created_at, due)
		select id, 3, 1, 'default', '620418', '620418/a/b', 'respondio', id, gen_random_uuid(), '{"type": "text", "text": "hello"}',
			'pending', false, blocks, true, 0, 0, '', '', now(), now()
		from (select gen_random_uuid() as id, true as blocks) one`); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		p := projections.NewDeliveries(pool)
		targets, err := p.OpenTargets(t.Context(), partition)
		if err != nil || !slices.Equal(targets, []string{"620418"}) {
			t.Errorf("targets %v, %v", targets, err)
		}
		rows, err := p.LaneRows(t.Context(), []string{"620418/a/b"}, []int64{0}, 10)
		if err != nil || len(rows) != 1 || rows[0].Kind != "message" || rows[0].ContactRef != "a/b" {
			t.Errorf("rows %+v, %v", rows, err)
		}
	}
	migrateTo(t, pool, "0005")
	check()
	text, err := os.ReadFile("migrations/0005_episodes.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, down, _ := strings.Cut(string(text), "---- create above / drop below ----")
	for _, sql := range []string{down, up} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	check()
}

// Ensure that the tables of people and tickets can be taken back and made again.
func TestMigrations_ticketsThereAndBack(t *testing.T) {
	t.Parallel()
	pool := database(t)
	text, err := os.ReadFile("migrations/0009_tickets.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, down, _ := strings.Cut(string(text), "---- create above / drop below ----")
	for _, sql := range []string{down, up} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	o := newAgency()
	o.register("Ana", "c1")
	mustProject(t, pool, o.log...)
}
