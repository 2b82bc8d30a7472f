package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// clusterName is the name of the superuser and of the database of a private
// cluster.
const clusterName = "parley"

// Bounds of a cluster's life. A start may have to replay the write-ahead log
// of a crash, up to max_wal_size of it.
const (
	startBound = 5 * time.Minute
	stopBound  = 15 * time.Second
)

// ClusterConfig says where a private cluster lives and how it runs.
type ClusterConfig struct {
	// Dir is the cluster's own folder; it is created, and holds a cluster
	// after the first start.
	Dir string
	// Logger gets one line per start and stop, and the server's own log at
	// debug level. Nil discards.
	Logger *slog.Logger
	// Settings are server settings by name, over those of DefaultSettings.
	Settings map[string]string
	// Progress gets lines for a person who waits: a first start creates the
	// cluster, or installs Postgres before. Nil discards.
	Progress io.Writer
}

// DefaultSettings returns the server settings of a private cluster: durable,
// for an SSD, and modest in memory.
func DefaultSettings() map[string]string {
	return map[string]string{
		"fsync":                        "on",
		"full_page_writes":             "on",
		"synchronous_commit":           "on",
		"max_connections":              "100",
		"shared_buffers":               "256MB",
		"work_mem":                     "16MB",
		"maintenance_work_mem":         "128MB",
		"wal_buffers":                  "16MB",
		"max_wal_size":                 "2GB",
		"min_wal_size":                 "256MB",
		"wal_compression":              "on",
		"checkpoint_timeout":           "15min",
		"checkpoint_completion_target": "0.9",
		"random_page_cost":             "1.1",
		"jit":                          "off", // short queries: compiling costs more than it saves
		"timezone":                     "UTC",
		"log_timezone":                 "UTC",
		// Our own statements' errors come back to us; the log is for the
		// server's own troubles.
		"log_min_messages":  "log",
		"log_checkpoints":   "off",
		"logging_collector": "off",
	}
}

// Cluster is a running private Postgres, started and owned by this process.
type Cluster struct {
	place     place
	socketDir string
	lock      *dirLock
	server    *server
	major     int
	logger    *slog.Logger

	stopOnce sync.Once
	stopErr  error
}

// StartCluster starts the cluster in cfg.Dir and returns when it answers. The
// first start creates it; where no server binaries are installed it installs
// them first (see Install). As root the server runs as an unprivileged user,
// and if that user cannot enter cfg.Dir the files are kept in
// /var/lib/parley/<hash of the path>, which Dir then returns.
//
// It fails with ErrInUse, naming folder and process, if another process runs
// this cluster. A Postgres left over by a killed process is stopped first. A
// cluster of a major version whose binaries are missing is left as it is.
//
// ctx bounds the start only.
func StartCluster(ctx context.Context, cfg ClusterConfig) (*Cluster, error) {
	return startCluster(ctx, cfg, sharedRoot)
}

func startCluster(ctx context.Context, cfg ClusterConfig, shared string) (*Cluster, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	p, err := choosePlace(ctx, cfg.Dir, shared)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	lock, err := lockDir(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	c := &Cluster{place: p, lock: lock, logger: cfg.Logger}
	b, created, err := c.start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", errors.Join(err, lock.release()))
	}
	c.major = b.major
	c.logger.Info("private Postgres started", "dir", p.dir, "version", b.major, "pid", c.server.pid,
		"created", created, "uid", p.owner.uid, "took", time.Since(began).Round(time.Millisecond))
	return c, nil
}

// start does the work of StartCluster below the lock. On error nothing runs.
func (c *Cluster) start(ctx context.Context, cfg ClusterConfig) (binaries, bool, error) {
	if abs := c.place.dir; !sameDir(abs, cfg.Dir) {
		fmt.Fprintf(cfg.Progress, "The database's own user cannot enter %s; its files are in %s\n", cfg.Dir, abs)
	}
	existing, err := c.place.major()
	if err != nil {
		return binaries{}, false, err
	}
	b, err := findOrInstall(ctx, existing, cfg.Progress)
	if err != nil {
		return binaries{}, false, err
	}
	if c.socketDir, err = c.place.socketDir(); err != nil {
		return b, false, err
	}
	if existing == 0 {
		fmt.Fprintf(cfg.Progress, "Creating a private Postgres %d in %s\n", b.major, c.place.dir)
		if err := initdb(ctx, b, c.place, cfg.Settings["fsync"] != "off"); err != nil {
			return b, false, err
		}
	} else if err := clearOrphans(ctx, c.place, c.socketDir, c.logger); err != nil {
		return b, false, err
	}
	settings := DefaultSettings()
	maps.Copy(settings, cfg.Settings)
	settings["listen_addresses"] = ""
	settings["port"] = socketPort
	settings["unix_socket_directories"] = c.socketDir
	settings["unix_socket_permissions"] = "0700"
	if c.server, err = startServer(b, c.place, settings, c.logger); err != nil { //nolint:contextcheck // the server outlives its start
		return b, false, err
	}
	if err := c.ready(ctx); err != nil {
		return b, false, errors.Join(err, c.server.stop(ctx, stopBound))
	}
	return b, existing == 0, nil
}

// findOrInstall returns binaries for an existing cluster's major version, or
// for a new cluster (0) any. It installs them only where there are none at all:
// a machine with another version has it on purpose, and the missing one is for
// a person to bring back.
func findOrInstall(ctx context.Context, major int, progress io.Writer) (binaries, error) {
	b, err := defaultSearchPath().find(ctx, major)
	if errors.Is(err, ErrNoBinaries) && len(defaultSearchPath().folders()) == 0 {
		if err := Install(ctx, progress); err != nil {
			return binaries{}, err
		}
		b, err = defaultSearchPath().find(ctx, major)
	}
	if err != nil && major != 0 {
		return binaries{}, fmt.Errorf("the cluster was made by Postgres %d: %w", major, err)
	}
	return b, err
}

// initdb creates the cluster under another name and renames it when it is
// whole: a process that dies here leaves data.init, which the next start
// removes, and never a half-made data.
func initdb(ctx context.Context, b binaries, p place, sync bool) error {
	if err := os.RemoveAll(p.initData()); err != nil {
		return fmt.Errorf("removing an unfinished cluster: %w", err)
	}
	if err := p.privateDir(p.initData()); err != nil {
		return err
	}
	args := []string{
		"--pgdata", p.initData(), "--username", clusterName, "--encoding", "UTF8", "--locale", "C",
		// Whoever can enter the socket's folder is the owner or root.
		"--auth", "trust",
		"--data-checksums",
	}
	if !sync {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, b.initdb(), args...)
	cmd.Dir = p.initData()
	cmd.Env = serverEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner.credential()}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("creating the cluster with %s: %w\n%s", b.initdb(), err, lastLines(string(out), keptLogLines))
	}
	if err := os.Rename(p.initData(), p.data()); err != nil {
		return fmt.Errorf("putting the new cluster in place: %w", err)
	}
	if !sync {
		return nil
	}
	return syncDir(p.dir)
}

// syncDir makes a rename in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("flushing %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("flushing %s: %w", dir, err)
	}
	return nil
}

// serverEnv keeps the caller's PG* variables, meant for clients, and its
// language out of the server. HOME is not one the server's user can read.
func serverEnv() []string {
	env := []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	if tz, ok := os.LookupEnv("TZ"); ok {
		env = append(env, "TZ="+tz)
	}
	return env
}

// ready waits until the server answers and sees that our database exists.
func (c *Cluster) ready(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.ensureDatabase(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.server.done:
			return fmt.Errorf("the server ended while starting: %w\n%s", c.server.err, c.server.log.tail())
		case <-ctx.Done():
			return fmt.Errorf("waiting for the server: %w (last: %w)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// ensureDatabase creates the database parley if a first start died before it.
func (c *Cluster) ensureDatabase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.urlOf("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", clusterName).Scan(&exists); err != nil {
		return err
	}
	if exists {
		return nil
	}
	_, err = conn.Exec(ctx, "create database "+clusterName)
	return err
}

// URL names the cluster's database for pgx, psql and every other client.
func (c *Cluster) URL() string { return c.urlOf(clusterName) }

func (c *Cluster) urlOf(database string) string {
	query := url.Values{"host": {c.socketDir}, "port": {socketPort}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User(clusterName), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}

// Dir is the folder that holds the cluster's files. It is another than the one
// asked for when the server's unprivileged user could not enter that.
func (c *Cluster) Dir() string { return c.place.dir }

// Major is the server's major version, such as 15.
func (c *Cluster) Major() int { return c.major }

// Done is closed when the server has ended, asked to or not.
func (c *Cluster) Done() <-chan struct{} { return c.server.done }

// Stop ends the server and frees the folder. Open connections are cut, their
// transactions rolled back. When ctx ends or 15 s are over it stops waiting for
// an orderly end and shuts down at once, which loses nothing acknowledged and
// makes the next start recover. Calling it again returns the same result.
func (c *Cluster) Stop(ctx context.Context) error {
	c.stopOnce.Do(func() {
		began := time.Now()
		if err := c.server.stop(ctx, stopBound); err != nil {
			// The folder stays locked: the server still runs on it.
			c.stopErr = fmt.Errorf("stopping the private Postgres in %s: %w", c.place.dir, err)
			return
		}
		if err := c.lock.release(); err != nil {
			c.stopErr = fmt.Errorf("freeing %s: %w", c.place.dir, err)
		}
		c.logger.Info("private Postgres stopped", "dir", c.place.dir, "took", time.Since(began).Round(time.Millisecond))
	})
	return c.stopErr
}

// sameDir compares an absolute folder with one as the caller wrote it.
func sameDir(abs, dir string) bool {
	a, errA := os.Stat(abs)
	b, errB := os.Stat(dir)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
