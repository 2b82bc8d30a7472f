package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/tern/v2/migrate"
)

// ErrDatabaseNewer says that a newer Parley has migrated this database: run
// that one, or restore an older database.
var ErrDatabaseNewer = errors.New("the database is newer than this program")

// Migrate brings a schema up to date with the migrations in fsys, files named
// 001_what.sql, 002_what.sql and so on (the format of tern). The version is
// kept in versionTable, "schema.table"; the schema is created. Each migration is one
// transaction with its version, so a process that dies on any line leaves whole
// steps, and the next run goes on from there.
//
// Nodes may call it at once: one migrates, the others wait, for as long as ctx
// allows. It fails with ErrDatabaseNewer, and changes nothing, if the database
// has migrations that fsys does not know.
func Migrate(ctx context.Context, pool *pgxpool.Pool, fsys fs.FS, versionTable string) error {
	if err := migrateOnce(ctx, pool, fsys, versionTable); err != nil {
		return fmt.Errorf("postgres: migrating %s: %w", versionTable, err)
	}
	return nil
}

func migrateOnce(ctx context.Context, pool *pgxpool.Pool, fsys fs.FS, versionTable string) (err error) {
	if !regexp.MustCompile(`^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$`).MatchString(versionTable) {
		return errors.New(`the version table must be written "schema.table" in lower case`)
	}
	schema, _, _ := strings.Cut(versionTable, ".")

	// A connection of its own: the lock ends with it at the latest, and a
	// migration may take longer than a statement of daily business.
	config := pool.Config().ConnConfig.Copy()
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["client_min_messages"] = "warning"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() {
		if closeErr := conn.Close(context.WithoutCancel(ctx)); err == nil && closeErr != nil {
			err = fmt.Errorf("closing the connection: %w", closeErr)
		}
	}()
	if err := lockMigrations(ctx, conn, versionTable); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "create schema if not exists "+schema); err != nil {
		return fmt.Errorf("creating the schema: %w", err)
	}
	m, err := migrate.NewMigrator(ctx, conn, versionTable)
	if err != nil {
		return fmt.Errorf("preparing the version table: %w", err)
	}
	if err := m.LoadMigrations(fsys); err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	version, err := m.GetCurrentVersion(ctx)
	if err != nil {
		return fmt.Errorf("reading the version: %w", err)
	}
	if int(version) > len(m.Migrations) {
		return fmt.Errorf("%w: it is at version %d, this program knows %d", ErrDatabaseNewer, version, len(m.Migrations))
	}
	if err := m.Migrate(ctx); err != nil {
		var failed migrate.MigrationPgError
		if errors.As(err, &failed) && failed.Detail != "" {
			return fmt.Errorf("%w (%s)", err, failed.Detail)
		}
		return err
	}
	return nil
}

// lockMigrations takes the lock of this version table for the session. It asks
// again and again instead of waiting in the server: a session that waits there
// holds a snapshot, and "create index concurrently" would wait for it in turn.
func lockMigrations(ctx context.Context, conn *pgx.Conn, versionTable string) error {
	sum := fnv.New64a()
	fmt.Fprintf(sum, "parley migrations %s", versionTable)
	key := int64(sum.Sum64())
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var locked bool
		if err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", key).Scan(&locked); err != nil {
			return fmt.Errorf("taking the lock: %w", err)
		}
		if locked {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for another process that migrates: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
