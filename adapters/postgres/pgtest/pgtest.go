// Package pgtest gives each test an empty database of a real Postgres.
//
// The server is the one named by PARLEY_TEST_DATABASE_URL, whose user must be
// allowed to create databases. Without it the first test of a process starts a
// private cluster in a temporary folder, with fsync off, and all tests of the
// process share it. It ends with the process, however that ends, and its files
// are removed then: no TestMain is needed.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sys/unix"

	"github.com/parley-im/parley/adapters/postgres"
)

// patience bounds every single step of a test's set-up and clean-up.
const patience = 30 * time.Second

// server is the process's server, started by the first who asks.
var server = sync.OnceValues(start)

// running is a server that tests can use.
type running struct {
	url string
	// createOptions end a "create database".
	createOptions string
	// remover is kept for as long as the process lives: its closed input is
	// what tells the remover that we are gone.
	remover io.WriteCloser
}

// New returns a pool on a fresh, empty database. Both end with the test.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), URL(t), postgres.Options{MaxConns: 8})
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() { closePool(t, pool) })
	return pool
}

// URL returns the URL of a fresh, empty database that ends with the test.
func URL(t testing.TB) string {
	t.Helper()
	admin, err := server()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := databaseName()
	if err := exec1(admin.url, "create database "+name+admin.createOptions); err != nil {
		t.Fatalf("pgtest: creating a database: %v", err)
	}
	t.Cleanup(func() {
		if err := exec1(admin.url, "drop database "+name+" with (force)"); err != nil {
			t.Errorf("pgtest: dropping the test's database: %v", err)
		}
	})
	own, err := withDatabase(admin.url, name)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return own
}

// Dir returns a temporary folder for a test that runs a private cluster of its
// own. Unlike t.TempDir it can be entered by the server's user when the tests
// run as root, so the database stays in it and is removed with it, instead of
// being moved to /var/lib/parley.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := openDir("parley-test-")
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("pgtest: removing the test's folder: %v", err)
		}
	})
	return dir
}

func openDir(prefix string) (string, error) {
	dir, err := os.MkdirTemp(tempRoot(), prefix)
	if err != nil {
		return "", fmt.Errorf("making a folder for the test: %w", err)
	}
	// Run as root, the server's own user has to pass through.
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("opening the test's folder: %w", err)
	}
	return dir, nil
}

// start returns the named server, or starts a private one.
func start() (running, error) {
	if named := os.Getenv("PARLEY_TEST_DATABASE_URL"); named != "" {
		return running{url: named}, nil
	}
	dir, err := openDir("parley-pgtest-")
	if err != nil {
		return running{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cluster, err := postgres.StartCluster(ctx, postgres.ClusterConfig{
		Dir:      dir,
		Progress: os.Stderr,
		Settings: map[string]string{
			"fsync":              "off",
			"synchronous_commit": "off",
			"full_page_writes":   "off",
			"shared_buffers":     "64MB",
			"min_wal_size":       "64MB",
			"max_wal_size":       "512MB",
			"max_connections":    "300",
			"wal_level":          "minimal",
			"max_wal_senders":    "0",
			"autovacuum":         "on",
		},
	})
	if err != nil {
		return running{}, err
	}
	remover, err := removeAfterwards(cluster.Dir(), dir)
	if err != nil {
		return running{}, err
	}
	r := running{url: cluster.URL(), remover: remover}
	if cluster.Major() >= 15 {
		// Copying the template's files beats writing them through the log,
		// the default since 15, several times over when nothing is flushed.
		r.createOptions = " strategy file_copy"
	}
	return r, nil
}

// roomInMemory is what /dev/shm must have free to hold test databases, in
// bytes. Containers often have 64 MiB there.
const roomInMemory = 2 << 30

// tempRoot is TMPDIR if set, else memory if there is enough, else the usual
// temporary folder. A database is 300 files: on disk creating one takes ten times as long.
func tempRoot() string {
	const memory = "/dev/shm"
	if os.Getenv("TMPDIR") != "" {
		return ""
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(memory, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < roomInMemory || unix.Access(memory, unix.W_OK) != nil {
		return ""
	}
	return memory
}

// removeAfterwards starts a small shell that waits for the end of this process,
// which it notices by the end of its input, then for the end of the server,
// and removes the files; the first folder is the server's. It needs no goodwill of ours: kill -9 is fine.
func removeAfterwards(dirs ...string) (io.WriteCloser, error) {
	pid, err := postmaster(dirs[0])
	if err != nil {
		return nil, err
	}
	// A clean end removes postmaster.pid; a killed server is gone from the
	// process table, or a zombie that nobody reaps, hence the bound of 10 s.
	const script = `cat >/dev/null
i=0
while kill -0 "$0" 2>/dev/null && [ -e "$1/data/postmaster.pid" ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
rm -rf -- "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, pid}, dirs...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Dir = "/"
	// Its output goes nowhere: go test waits for whoever holds its own.
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("preparing the removal of the test database: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("preparing the removal of the test database: %w", err)
	}
	return alive, nil
}

// postmaster reads the pid of the server in dir.
func postmaster(dir string) (string, error) {
	text, err := os.ReadFile(dir + "/data/postmaster.pid")
	if err != nil {
		return "", fmt.Errorf("reading the pid of the test database: %w", err)
	}
	pid, _, _ := strings.Cut(string(text), "\n")
	if _, err := strconv.Atoi(pid); err != nil {
		return "", fmt.Errorf("reading the pid of the test database: %w", err)
	}
	return pid, nil
}

func databaseName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return "parley_test_" + hex.EncodeToString(b[:])
}

// withDatabase returns a server's URL with another database.
func withDatabase(server, database string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("PARLEY_TEST_DATABASE_URL must be a URL (postgres://...): %w", err)
	}
	u.Path = "/" + database
	return u.String(), nil
}

// exec1 runs one statement on a connection of its own. It outlives the test's
// context, which is over when clean-ups run.
func exec1(url, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// closePool closes the pool and fails the test if a connection was never given
// back, instead of waiting for it for ever.
func closePool(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pool.Close()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Errorf("pgtest: %d connections were not given back to the pool", pool.Stat().AcquiredConns())
	}
}
