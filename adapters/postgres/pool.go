package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options bound a pool. The zero value is good for a node of Parley.
type Options struct {
	// MaxConns is the size of the pool; 0 means 16. pool_max_conns in the URL
	// goes before both.
	MaxConns int32
	// Wait is how long Open waits for a server that is not there yet or still
	// starting; 0 means 30 s, negative asks once.
	Wait time.Duration
	// StatementTimeout ends a statement that takes longer; 0 means 30 s,
	// negative none. statement_timeout in the URL goes before it.
	StatementTimeout time.Duration
	// ApplicationName is shown in pg_stat_activity; empty means parley.
	ApplicationName string
}

const (
	defaultMaxConns         = 16
	defaultWait             = 30 * time.Second
	defaultStatementTimeout = 30 * time.Second
)

// Open opens a pool and returns when the server has answered. A server that
// refuses connections or is still starting is asked again for opts.Wait; a
// refused login, a missing database and a malformed URL fail at once. No error
// shows the password.
func Open(ctx context.Context, url string, opts Options) (*pgxpool.Pool, error) {
	pool, err := NewPool(ctx, url, opts)
	if err != nil {
		return nil, err
	}
	if err := ping(ctx, pool, opts.Wait); err != nil {
		pool.Close()
		return nil, fmt.Errorf("postgres: connecting to %s: %w", pool.Config().ConnConfig.Host, err)
	}
	return pool, nil
}

// NewPool makes a pool and asks no server: it fails only for a malformed URL. A
// node that takes in events has to start without the database, too.
func NewPool(ctx context.Context, url string, opts Options) (*pgxpool.Pool, error) {
	config, err := opts.config(url)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: making a pool: %w", err)
	}
	return pool, nil
}

func (o Options) config(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: reading the database URL: %w", err)
	}
	if !hasParameter(url, "pool_max_conns") {
		config.MaxConns = o.MaxConns
		if o.MaxConns <= 0 {
			config.MaxConns = defaultMaxConns
		}
	}
	config.MaxConnLifetime = time.Hour
	config.MaxConnLifetimeJitter = 5 * time.Minute
	config.MaxConnIdleTime = 5 * time.Minute
	config.HealthCheckPeriod = 30 * time.Second
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	params := config.ConnConfig.RuntimeParams
	setDefault(params, "application_name", o.ApplicationName)
	setDefault(params, "application_name", "parley")
	setDefault(params, "timezone", "UTC")
	if o.StatementTimeout == 0 {
		o.StatementTimeout = defaultStatementTimeout
	}
	if o.StatementTimeout > 0 {
		setDefault(params, "statement_timeout", strconv.FormatInt(o.StatementTimeout.Milliseconds(), 10))
	}
	// A process that stands still in a transaction holds its rows: another that takes
	// its work over waits for them no longer than for everything else of it.
	setDefault(params, "idle_in_transaction_session_timeout", "10000")
	return config, nil
}

func setDefault(params map[string]string, name, value string) {
	if _, ok := params[name]; !ok && value != "" {
		params[name] = value
	}
}

// ping asks until the server answers, at most for wait.
func ping(ctx context.Context, pool *pgxpool.Pool, wait time.Duration) error {
	if wait == 0 {
		wait = defaultWait
	}
	once := func() error {
		err := pool.Ping(ctx)
		if err == nil || worthWaiting(err) {
			return err
		}
		return backoff.Permanent(err)
	}
	if wait < 0 {
		return pool.Ping(ctx)
	}
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(time.Second),
		backoff.WithMaxElapsedTime(wait),
	)
	return backoff.Retry(once, backoff.WithContext(policy, ctx))
}

// worthWaiting says whether the server may answer otherwise in a moment. What
// the server itself said is final, unless it said that it is starting, ending
// or full.
func worthWaiting(err error) bool {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return true
	}
	switch said.Code {
	case "57P01", "57P02", "57P03", "53300":
		return true
	}
	return false
}

// hasParameter says whether a connection string sets a parameter itself, in
// either of its forms: a URL, or words of the kind name=value.
func hasParameter(conn, name string) bool {
	for _, before := range []string{"?", "&", " "} {
		if strings.Contains(conn, before+name+"=") {
			return true
		}
	}
	return strings.HasPrefix(conn, name+"=")
}
