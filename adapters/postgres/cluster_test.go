package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ensure that a cluster comes back with its rows, on the same URL, and that a
// first start is the only one that creates it.
func TestStartCluster_again(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	var said strings.Builder
	first, err := StartCluster(t.Context(), ClusterConfig{Dir: dir, Settings: quick(), Progress: &said})
	if err != nil {
		t.Fatal(err)
	}
	if first.Dir() != dir {
		t.Errorf("files in %s, want %s", first.Dir(), dir)
	}
	if !strings.Contains(said.String(), "Creating a private Postgres") {
		t.Errorf("progress said %q", said.String())
	}
	conn := mustConnect(t, first.URL())
	if _, err := conn.Exec(t.Context(), "create table kept as select 42 as answer"); err != nil {
		t.Fatal(err)
	}
	mustStop(t, first)

	second := mustStart(t, dir)
	if second.URL() != first.URL() {
		t.Errorf("URL %s became %s", first.URL(), second.URL())
	}
	var answer int
	if err := mustConnect(t, second.URL()).QueryRow(t.Context(), "select answer from kept").Scan(&answer); err != nil || answer != 42 {
		t.Errorf("row: %d, %v", answer, err)
	}
}

// Ensure that durability is on unless somebody says otherwise, and that nothing
// listens on TCP.
func TestStartCluster_settings(t *testing.T) {
	t.Parallel()
	c, err := StartCluster(t.Context(), ClusterConfig{Dir: openDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustStop(t, c) })
	conn := mustConnect(t, c.URL())
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "listen_addresses": "",
		"max_connections": "100", "server_encoding": "UTF8", "data_checksums": "on", "TimeZone": "UTC",
	} {
		var got string
		if err := conn.QueryRow(t.Context(), "select current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
	info, err := os.Stat(c.socketDir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder has mode %v", info.Mode())
	}
}

// Ensure that a second supervisor is refused, and told by whom.
func TestStartCluster_secondInstance(t *testing.T) {
	t.Parallel()
	c := mustStart(t, openDir(t))
	_, err := StartCluster(t.Context(), ClusterConfig{Dir: c.Dir(), Settings: quick()})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("second start: %v", err)
	}
	if want := fmt.Sprintf("process %d", os.Getpid()); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), c.Dir()) {
		t.Errorf("error %q names not both %q and %q", err, c.Dir(), want)
	}
	if err := mustConnect(t, c.URL()).Ping(t.Context()); err != nil {
		t.Errorf("the first one suffered: %v", err)
	}
}

// Ensure that stopping does not wait for clients, and is safe to repeat.
func TestCluster_Stop_openConnections(t *testing.T) {
	t.Parallel()
	c := mustStart(t, openDir(t))
	for range 5 {
		if _, err := mustConnect(t, c.URL()).Exec(t.Context(), "begin; create temp table open (id int)"); err != nil {
			t.Fatal(err)
		}
	}
	busy := mustConnect(t, c.URL())
	ended := make(chan error, 1)
	go func() {
		_, err := busy.Exec(t.Context(), "select pg_sleep(60)")
		ended <- err
	}()
	began := time.Now()
	mustStop(t, c)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if err := <-ended; err == nil {
		t.Error("a running statement was not cut")
	}
	mustStop(t, c)
	select {
	case <-c.Done():
	default:
		t.Error("Done is open after Stop")
	}
}

// Ensure that the death of the server is noticed.
func TestCluster_Done(t *testing.T) {
	t.Parallel()
	c := mustStart(t, openDir(t))
	if err := syscall.Kill(c.server.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("Done stays open")
	}
}

// Ensure that whatever a killed server left in postmaster.pid does not stop the
// next start.
func TestStartCluster_leftPidFile(t *testing.T) { //nolint:tparallel // the cases share one cluster
	t.Parallel()
	dir := openDir(t)
	c := mustStart(t, dir)
	owner := c.place.owner
	whole, err := os.ReadFile(filepath.Join(c.place.data(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	mustStop(t, c)

	// A dead child that nobody reaps: a signal still reaches it.
	zombie := exec.Command("/bin/sh", "-c", "exit 0")
	zombie.SysProcAttr = &syscall.SysProcAttr{Credential: owner.credential()}
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = zombie.Wait() })
	_, rest, _ := strings.Cut(string(whole), "\n")

	for name, text := range map[string]string{
		"empty":   "",
		"torn":    string(whole[:2]),
		"garbage": "\x00\x00\x00",
		"zombie":  fmt.Sprintf("%d\n%s", zombie.Process.Pid, rest),
		"foreign": fmt.Sprintf("%d\n%s", os.Getpid(), rest),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(c.place.data(), "postmaster.pid")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := owner.chown(file); err != nil {
				t.Fatal(err)
			}
			again, err := StartCluster(t.Context(), ClusterConfig{Dir: dir, Settings: quick()})
			if err != nil {
				t.Fatal(err)
			}
			mustStop(t, again)
		})
	}
}

// Ensure that a server that outlived its supervisor is stopped, not doubled.
func TestStartCluster_liveOrphan(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	orphaned, err := StartCluster(t.Context(), ClusterConfig{Dir: dir, Settings: quick()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mustConnect(t, orphaned.URL()).Exec(t.Context(), "create table kept ()"); err != nil {
		t.Fatal(err)
	}
	if err := orphaned.lock.release(); err != nil { // as the kernel does for a dead process
		t.Fatal(err)
	}
	c := mustStart(t, dir)
	select {
	case <-orphaned.Done():
	default:
		t.Fatal("two servers on one folder")
	}
	if _, err := mustConnect(t, c.URL()).Exec(t.Context(), "table kept"); err != nil {
		t.Error(err)
	}
}

// Ensure that a start that died within initdb is begun anew.
func TestStartCluster_halfCreated(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.init", "base"), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	mustStart(t, dir)
}

// Ensure that a cluster of a version that is not installed is left alone.
func TestStartCluster_otherMajor(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	c := mustStart(t, dir)
	mustStop(t, c)
	version := filepath.Join(c.place.data(), "PG_VERSION")
	if err := os.WriteFile(version, []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := StartCluster(t.Context(), ClusterConfig{Dir: dir, Settings: quick()})
	if err == nil || !strings.Contains(err.Error(), "the cluster was made by Postgres 9") {
		t.Fatalf("start: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.place.data(), "global", "pg_control")); err != nil {
		t.Error(err)
	}
}

// Ensure that a start that fails says why in the server's own words, and frees
// the folder.
func TestStartCluster_badSetting(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	_, err := StartCluster(t.Context(), ClusterConfig{Dir: dir, Settings: map[string]string{"fsync": "off", "shared_buffers": "a lot"}})
	if err == nil || !strings.Contains(err.Error(), "shared_buffers") {
		t.Fatalf("start: %v", err)
	}
	mustStart(t, dir)
}

// Ensure that a path too long for a socket is no obstacle.
func TestStartCluster_longPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), strings.Repeat("long/", 30))
	c := mustStart(t, dir)
	t.Cleanup(func() {
		if err := os.RemoveAll(c.socketDir); err != nil {
			t.Error(err)
		}
	})
	if c.Dir() != dir {
		t.Errorf("files in %s", c.Dir())
	}
	if len(c.socketDir) > 60 {
		t.Errorf("socket in %s", c.socketDir)
	}
}

// Ensure that ctx bounds the start.
func TestStartCluster_cancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := openDir(t)
	if _, err := StartCluster(ctx, ClusterConfig{Dir: dir, Settings: quick()}); !errors.Is(err, context.Canceled) {
		t.Fatalf("start: %v", err)
	}
	mustStart(t, dir)
}
