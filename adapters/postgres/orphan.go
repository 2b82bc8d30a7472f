package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clearOrphans makes the data folder startable. The caller holds the folder's
// lock, so no living supervisor is behind anything found here. It stops a
// postmaster that outlived its supervisor, waits for backends that outlived
// their postmaster, and removes the lock files of those that are gone: Postgres
// takes a dead postmaster that nobody has reaped yet, or a pid given to another
// process since, for a living one, and a torn postmaster.pid for damage.
func clearOrphans(ctx context.Context, p place, socketDir string, logger *slog.Logger) error {
	pids, err := processesOn(p.data())
	if err != nil {
		return fmt.Errorf("looking for processes left on %s: %w", p.data(), err)
	}
	if len(pids) > 0 {
		logger.Info("stopping a Postgres that outlived its parent", "dir", p.data(), "pids", pids)
	}
	postmaster, known := postmasterPID(p.data())
	for _, step := range []struct {
		signal syscall.Signal
		bound  time.Duration
	}{{syscall.SIGINT, 15 * time.Second}, {syscall.SIGQUIT, 8 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			// A living postmaster directs its children itself. Without one
			// each backend is on its own, and leaves on either signal.
			if known && slices.Contains(pids, postmaster) && pid != postmaster && step.signal != syscall.SIGKILL {
				continue
			}
			if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stopping the orphaned Postgres %d on %s: %w", pid, p.data(), err)
			}
		}
		if pids, err = waitGone(ctx, p.data(), step.bound); err != nil {
			return err
		}
	}
	if len(pids) > 0 {
		return fmt.Errorf("processes %v are still on %s: stop them first", pids, p.data())
	}
	for _, file := range []string{
		filepath.Join(p.data(), "postmaster.pid"),
		filepath.Join(socketDir, ".s.PGSQL."+socketPort+".lock"),
		filepath.Join(socketDir, ".s.PGSQL."+socketPort),
	} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing what a killed Postgres left: %w", err)
		}
	}
	return nil
}

// waitGone polls until no process is left on the data folder, and returns those
// that are when the bound is over.
func waitGone(ctx context.Context, data string, bound time.Duration) ([]int, error) {
	deadline := time.NewTimer(bound)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := processesOn(data)
		if err != nil || len(pids) == 0 {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return pids, fmt.Errorf("waiting for the orphaned Postgres %v: %w", pids, ctx.Err())
		case <-deadline.C:
			return pids, nil
		case <-tick.C:
		}
	}
}

// postmasterPID reads the first line of postmaster.pid. It may be torn.
func postmasterPID(data string) (int, bool) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	return pid, err == nil && pid > 1
}
