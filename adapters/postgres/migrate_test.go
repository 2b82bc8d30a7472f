package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

func migrations(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i, text := range files {
		fsys["00"+string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// Ensure that nodes that start at once migrate once. The step is slow and would
// fail the second time.
func TestMigrate_concurrently(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	fsys := migrations("create table read.messages (id int)", "select pg_sleep(0.2); alter table read.messages add body text")
	var nodes errgroup.Group
	for range 4 {
		nodes.Go(func() error { return postgres.Migrate(t.Context(), pool, fsys, "read.version") })
	}
	if err := nodes.Wait(); err != nil {
		t.Fatal(err)
	}
	var version int
	if err := pool.QueryRow(t.Context(), "select version from read.version").Scan(&version); err != nil || version != 2 {
		t.Errorf("version %d, %v", version, err)
	}
}

// Ensure that an older program leaves a newer database alone and says so.
func TestMigrate_databaseNewer(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool, migrations("create table read.a ()", "create table read.b ()"), "read.version"); err != nil {
		t.Fatal(err)
	}
	err := postgres.Migrate(t.Context(), pool, migrations("create table read.a ()"), "read.version")
	if !errors.Is(err, postgres.ErrDatabaseNewer) || !strings.Contains(err.Error(), "version 2, this program knows 1") {
		t.Errorf("error: %v", err)
	}
}

// Ensure that a failing step leaves the database at the step before it, and
// that a mended one goes on from there.
func TestMigrate_failingStep(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	err := postgres.Migrate(t.Context(), pool, migrations("create table read.a ()", "create table read.b (); create table read.a ()"), "read.version")
	if err == nil || !strings.Contains(err.Error(), "002_step.sql") || !strings.Contains(err.Error(), "already exists") {
		t.Fatalf("error: %v", err)
	}
	if err := postgres.Migrate(t.Context(), pool, migrations("create table read.a ()", "create table read.b ()"), "read.version"); err != nil {
		t.Error(err)
	}
}

// Ensure that two schemas are migrated side by side.
func TestMigrate_twoSchemas(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	for _, schema := range []string{"one", "two"} {
		if err := postgres.Migrate(t.Context(), pool, migrations("create table "+schema+".a ()"), schema+".version"); err != nil {
			t.Error(err)
		}
	}
	if err := postgres.Migrate(t.Context(), pool, migrations("select 1"), "No Table"); err == nil {
		t.Error("a bad name was taken")
	}
}

// Ensure that waiting for another node ends with ctx.
func TestMigrate_bounded(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool, migrations("create table read.started ()"), "read.version"); err != nil {
		t.Fatal(err)
	}
	slow, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- postgres.Migrate(slow, pool, migrations("create table read.started ()", "select pg_sleep(60)"), "read.version")
	}()
	t.Cleanup(func() { <-ended })
	t.Cleanup(stop)
	waitFor(t, func() bool {
		var sleeping bool
		err := pool.QueryRow(t.Context(), "select exists (select from pg_stat_activity where query like '%pg_sleep(60)' and pid <> pg_backend_pid())").Scan(&sleeping)
		return err == nil && sleeping
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := postgres.Migrate(ctx, pool, migrations("create table read.started ()"), "read.version")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process that migrates") {
		t.Errorf("error: %v", err)
	}
}

// waitFor polls until the condition holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never came to that")
		}
	}
}
