package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/postgres"
)

type devCommand struct {
	settings

	Data string `help:"Folder that keeps everything." default:".parley" placeholder:"DIR"`
}

// stopGrace is how long a stop may take: Ctrl-C ends within 5 s.
const stopGrace = 4500 * time.Millisecond

// Run runs everything in one process until ctx ends.
func (c *devCommand) Run(ctx context.Context, s streams, cli *commands) error {
	dev, err := startDev(ctx, c.settings, c.Data, cli.logger(s.err), s.err)
	if err != nil {
		return err
	}
	banner(s.out, dev.node.cfg.publicURL, dev.node.cfg.AdminToken, dev.dir, dev.databaseDir, dev.log != nil, dev.cluster != nil)
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.err, "stopping …")
		return dev.stop(ctx)
	case err := <-dev.node.failed:
		return errors.Join(err, dev.stop(ctx))
	case <-dev.databaseEnded():
		return errors.Join(errors.New("the private Postgres ended by itself; start again, it recovers"), dev.stop(ctx))
	}
}

// dev is everything in one process.
type dev struct {
	dir         string
	databaseDir string // set when it is not inside dir
	lock        *os.File
	log         *embedded.Log
	cluster     *postgres.Cluster
	node        *node
}

// startDev starts what the settings do not name: the log, the database, the
// secrets. What was started is stopped again when a later part fails.
func startDev(ctx context.Context, s settings, data string, logger *slog.Logger, progress io.Writer) (_ *dev, err error) {
	dir, err := filepath.Abs(data)
	if err != nil {
		return nil, fmt.Errorf("find folder %s: %w", data, err)
	}
	// Others may pass through, so that the database's own user reaches its folder;
	// what is secret in here is closed by itself.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	d := &dev{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stop(ctx))
		}
	}()
	if d.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s (PARLEY_ADDR chooses another address): %w", s.Addr, err)
	}
	defer func() {
		if err != nil {
			_ = listener.Close() // the error that ended the start is the one to tell
		}
	}()
	s.Addr = listener.Addr().String()
	if err := s.fillSecrets(dir); err != nil {
		return nil, err
	}
	if len(s.CallbackAllow) == 0 {
		s.CallbackAllow = []string{"127.0.0.0/8", "::1/128"}
	}
	if s.FilesDir == "" {
		s.FilesDir = filepath.Join(dir, "files")
	}
	cfg, err := s.check()
	if err != nil {
		return nil, err
	}
	cfg.logger = logger
	if len(cfg.KafkaBrokers) == 0 {
		if d.log, err = embedded.Start(ctx, embedded.Config{Dir: filepath.Join(dir, "log"), Logger: logger}); err != nil {
			return nil, fmt.Errorf("start the embedded log: %w", err)
		}
		cfg.KafkaBrokers, cfg.sync, cfg.embedded = d.log.Brokers(), d.log.Sync, true
	}
	if cfg.DatabaseURL == "" {
		inside := filepath.Join(dir, "postgres")
		d.cluster, err = postgres.StartCluster(ctx, postgres.ClusterConfig{Dir: inside, Logger: logger, Progress: progress})
		if err != nil {
			return nil, fmt.Errorf("start the private Postgres: %w", err)
		}
		cfg.DatabaseURL = d.cluster.URL()
		if d.cluster.Dir() != inside {
			d.databaseDir = d.cluster.Dir()
		}
	}
	if d.node, err = startNode(ctx, cfg, listener); err != nil {
		return nil, err
	}
	return d, nil
}

// databaseEnded is closed when the private Postgres ends; never without one.
func (d *dev) databaseEnded() <-chan struct{} {
	if d.cluster == nil {
		return nil
	}
	return d.cluster.Done()
}

// stop stops what was started, newest first.
func (d *dev) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	var errs []error
	if d.node != nil {
		errs = append(errs, d.node.stop(ctx))
	}
	if d.cluster != nil {
		errs = append(errs, d.cluster.Stop(ctx))
	}
	if d.log != nil {
		errs = append(errs, d.log.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

// lockDir makes sure that one process has the folder. The kernel frees the lock
// when the process dies, however it dies.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		pid, _ := io.ReadAll(io.LimitReader(f, 20)) // only makes the message better
		_ = f.Close()
		return nil, fmt.Errorf("parley is already running on %s (process %s); stop it, or choose another folder with --data",
			dir, strings.TrimSpace(string(pid)))
	}
	if err := f.Truncate(0); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return f, nil
}

// fillSecrets generates the admin token and the sealing key that the settings do
// not give, and keeps them in the data folder.
func (s *settings) fillSecrets(dir string) error {
	if s.AdminToken == "" {
		token, err := keep(filepath.Join(dir, "admin-token"), 24, base64.RawURLEncoding)
		if err != nil {
			return err
		}
		s.AdminToken = token
	}
	if s.SecretKey == "" {
		key, err := keep(filepath.Join(dir, "secret-key"), 32, base64.StdEncoding)
		if err != nil {
			return err
		}
		s.SecretKey = key
	}
	return nil
}

// keep reads a secret from a file, or makes one of n random bytes there. The file
// appears whole or not at all: a half-written key would lock everything sealed away.
func keep(path string, n int, enc *base64.Encoding) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	raw := make([]byte, n)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	secret := enc.EncodeToString(raw)
	half := path + ".new"
	f, err := os.OpenFile(half, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", fmt.Errorf("keep a secret: %w", err)
	}
	_, err = fmt.Fprintln(f, secret)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(half, path)
	}
	if err != nil {
		return "", fmt.Errorf("keep a secret in %s: %w", path, err)
	}
	return secret, nil
}
