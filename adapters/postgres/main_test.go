package postgres

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// childDir, if set, makes this test binary a program that runs the cluster in
// that folder, for tests that kill it.
const childDir = "PARLEY_TEST_CLUSTER_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := runChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runChild runs a cluster, prints "url <url>" and then "row <n>" for each row
// that Postgres has acknowledged, until SIGTERM.
func runChild(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := StartCluster(ctx, ClusterConfig{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "url", c.URL())
	conn, err := pgx.Connect(ctx, c.URL())
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "create table if not exists acked (n serial primary key)"); err != nil {
		return err
	}
	for ctx.Err() == nil {
		var n int
		if err := conn.QueryRow(ctx, "insert into acked default values returning n").Scan(&n); err != nil {
			break
		}
		fmt.Fprintln(os.Stdout, "row", n)
	}
	stopCtx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return c.Stop(stopCtx)
}

// openDir returns a folder that the server's unprivileged user can enter, also
// when the tests run as root, whose temporary folders are closed to others.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "parley-postgres-") //nolint:usetesting // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "pg")
}

// quick are settings for tests that do not pull the plug.
func quick() map[string]string {
	return map[string]string{"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
}

// mustStart starts a cluster that ends with the test.
func mustStart(t *testing.T, dir string) *Cluster {
	t.Helper()
	c, err := StartCluster(t.Context(), ClusterConfig{Dir: dir, Settings: quick()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustStop(t, c) })
	return c
}

func mustStop(t *testing.T, c *Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func mustConnect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx) // it may be cut already
	})
	return conn
}
