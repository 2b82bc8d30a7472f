package postgres

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Ensure that a program started together with its database waits for it.
func TestOpen_waits(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	c := mustStart(t, dir)
	mustStop(t, c)

	type opened struct {
		pool *pgxpool.Pool
		err  error
	}
	result := make(chan opened, 1)
	go func() {
		pool, err := Open(t.Context(), c.URL(), Options{})
		result <- opened{pool, err}
	}()
	if pool, err := Open(t.Context(), c.URL(), Options{Wait: -1}); err == nil {
		pool.Close()
		t.Error("connected to a server that is not there")
	}
	mustStart(t, dir)
	got := <-result
	if got.err != nil {
		t.Fatal(got.err)
	}
	t.Cleanup(got.pool.Close)
	var timeout, name string
	if err := got.pool.QueryRow(t.Context(), "select current_setting('statement_timeout'), current_setting('application_name')").Scan(&timeout, &name); err != nil {
		t.Fatal(err)
	}
	if timeout != "30s" || name != "parley" {
		t.Errorf("statement_timeout %s, application_name %s", timeout, name)
	}
}

// Ensure that what waiting cannot change fails at once.
func TestOpen_final(t *testing.T) {
	t.Parallel()
	c := mustStart(t, openDir(t))
	began := time.Now()
	_, err := Open(t.Context(), strings.Replace(c.URL(), "/parley?", "/missing?", 1), Options{})
	if said := (*pgconn.PgError)(nil); !errors.As(err, &said) || said.Code != "3D000" {
		t.Errorf("error: %v", err)
	}
	if _, err := Open(t.Context(), "postgres://parley:s3cret@[broken/parley", Options{}); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Ensure that waiting is bounded, by the option and by ctx, and keeps the
// password to itself.
func TestOpen_bounded(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	url := "postgres://parley:s3cret@" + address + "/parley"
	_, err = Open(t.Context(), url, Options{Wait: 200 * time.Millisecond})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, url, Options{Wait: time.Hour}); err == nil {
		t.Error("connected to nothing")
	}
}

// Ensure that the URL goes before the options, and those before the defaults.
func TestOptions_config(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]int32{
		"postgres://h/d":                   7,
		"postgres://h/d?pool_max_conns=3":  3,
		"host=h dbname=d pool_max_conns=4": 4,
	} {
		config, err := Options{MaxConns: 7}.config(url)
		if err != nil || config.MaxConns != want {
			t.Errorf("%s: %d connections, %v", url, config.MaxConns, err)
		}
	}
	config, err := Options{}.config("postgres://h/d?statement_timeout=5")
	if err != nil || config.MaxConns != defaultMaxConns || config.ConnConfig.RuntimeParams["statement_timeout"] != "5" {
		t.Errorf("%+v, %v", config, err)
	}
	config, err = Options{StatementTimeout: -1}.config("postgres://h/d")
	if _, set := config.ConnConfig.RuntimeParams["statement_timeout"]; err != nil || set {
		t.Errorf("statement_timeout set: %v, %v", set, err)
	}
}

// Ensure that a pool's figures are those of the pool.
func TestRegisterPool(t *testing.T) {
	t.Parallel()
	c := mustStart(t, openDir(t))
	pool, err := Open(t.Context(), c.URL(), Options{MaxConns: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	reg := prometheus.NewPedanticRegistry()
	if err := RegisterPool(reg, "main", pool); err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	const want = `
# HELP parley_postgres_pool_connections Connections of the pool by state.
# TYPE parley_postgres_pool_connections gauge
parley_postgres_pool_connections{pool="main",state="acquired"} 1
parley_postgres_pool_connections{pool="main",state="idle"} 0
parley_postgres_pool_connections{pool="main",state="opening"} 0
# HELP parley_postgres_pool_connections_limit Most connections the pool opens.
# TYPE parley_postgres_pool_connections_limit gauge
parley_postgres_pool_connections_limit{pool="main"} 5
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "parley_postgres_pool_connections", "parley_postgres_pool_connections_limit"); err != nil {
		t.Error(err)
	}
	if err := RegisterPool(reg, "main", pool); err == nil {
		t.Error("registered twice")
	}
}
