package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// diskFaults are the cases in which the disk below the embedded log fails.
func diskFaults() []fault {
	embedded := []string{onEmbedded}
	return []fault{{
		name: "torn-segments", promise: "accepted means kept", breaks: "kill -9 of parley dev, and half a record behind the end of every file of the log",
		logs: embedded, rounds: 50, play: tornSegments,
		without: "the last whole records cut away instead: the channel was gone, its posts answered 401",
	}, {
		name: "power-cut", promise: "accepted means kept", breaks: "the disk below parley dev loses all that was not synced",
		logs: embedded, rounds: 50, needs: mayMount, play: powerCut,
		without: "no sync before the answer: the channel was gone, its posts answered 401",
	}, {
		name: "disk-full", promise: "a clear refusal, nothing half stored", breaks: "no space for the embedded log, then space again, then kill -9",
		logs: embedded, rounds: 50, beside: true, needs: mayMount, play: diskFull,
		without: "a refused append taken for a good one: with a full disk the answer was 200",
	}}
}

// tornSegments leaves behind what a write leaves that was cut: the first part of a
// batch of records. It was never acknowledged.
func tornSegments(ctx context.Context, r *run) error {
	s, err := r.alone(ctx)
	if err != nil {
		return err
	}
	torn := 0
	err = s.underLoad(ctx, func(ctx context.Context, _ *traffic) error {
		s.nodes[0].kill()
		n, err := s.tear(filepath.Join(s.data(), "log"))
		if err != nil {
			return err
		}
		torn += n
		return s.nodes[0].start(ctx)
	})
	r.result.notef("%d files had a torn end", torn)
	return err
}

// tear appends to each file of records the beginning of its own first batch, and to
// the files of entries some bytes that are none.
func (s *stand) tear(log string) (files int, err error) {
	err = filepath.WalkDir(log, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch {
		case strings.HasSuffix(path, ".dat"), strings.HasSuffix(path, ".log"):
		default:
			return nil
		}
		raw, err := os.ReadFile(path) //nolint:gosec // a folder of ours
		if err != nil || len(raw) == 0 {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0) //nolint:gosec // a folder of ours
		if err != nil {
			return err
		}
		files++
		_, err = f.Write(raw[:min(len(raw), 1+s.random.IntN(90))])
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return files, fmt.Errorf("tear files: %w", err)
	}
	return files, nil
}

// powerCut runs parley dev on a file system of its own and has that stop dead:
// what was not synced is gone, as after a power cut. The journal is replayed by the
// mount that follows.
func powerCut(ctx context.Context, r *run) error {
	d := &disk{image: filepath.Join(r.dir, "disk.img"), at: filepath.Join(r.dir, "data")}
	if err := d.make(ctx); err != nil {
		return err
	}
	r.onEnd(func() error { return d.unmount(context.WithoutCancel(ctx)) })
	s, err := r.alone(ctx)
	if err != nil {
		return err
	}
	return s.underLoad(ctx, func(ctx context.Context, _ *traffic) error {
		// With the power gone nobody answers any more. A system call that is under way
		// when the file system stops may well end without an error: the kernel takes
		// the transaction that it gave up for one that is done.
		if err := s.nodes[0].freeze(ctx); err != nil {
			return err
		}
		signalAll(d.at, syscall.SIGSTOP)
		if err := d.cut(); err != nil {
			return err
		}
		s.nodes[0].kill()
		signalAll(d.at, syscall.SIGKILL)
		if err := d.unmount(ctx); err != nil {
			return err
		}
		if err := d.mount(ctx); err != nil {
			return err
		}
		return s.nodes[0].start(ctx)
	})
}

// signalAll tells the processes that work in a folder something: those of a Postgres
// are each in a group of their own.
func signalAll(folder string, sig syscall.Signal) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return // no Linux, no power cut
	}
	for _, link := range links {
		cwd, err := os.Readlink(link)
		pid, errPid := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err == nil && errPid == nil && strings.HasPrefix(cwd, folder+"/") {
			_ = syscall.Kill(pid, sig) // it may have ended by itself
		}
	}
}

// postmaster reads the process id of a Postgres.
func postmaster(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("find the database's process: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0, fmt.Errorf("find the database's process: %w", err)
	}
	return pid, nil
}

// room is what a full disk has left at the start of a round, in bytes.
const room = 300 << 10

// diskFull has the log's disk fill up under load. Posts are refused with 503 and a
// time to come back, and accepted again, without a restart, when there is space.
// What was accepted outlives a kill -9 after that.
func diskFull(ctx context.Context, r *run) error {
	m := &memory{at: filepath.Join(r.dir, "data", "log")}
	if err := m.make(ctx, room); err != nil {
		return err
	}
	r.onEnd(func() error { return m.unmount(context.WithoutCancel(ctx)) })
	s, err := r.alone(ctx)
	if err != nil {
		return err
	}
	return s.underLoad(ctx, func(ctx context.Context, t *traffic) error {
		if err := m.leave(ctx, room); err != nil {
			return err
		}
		if err := t.refusedForSpace(ctx); err != nil {
			return err
		}
		if err := m.leave(ctx, 64<<20); err != nil {
			return err
		}
		if err := t.reached(ctx, contacts*2); err != nil {
			return fmt.Errorf("when there is space again: %w", err)
		}
		s.nodes[0].kill()
		return s.nodes[0].start(ctx)
	})
}

// refusedForSpace waits until posts are refused, and looks at how. What is small may
// still find a place when more was refused.
func (t *traffic) refusedForSpace(ctx context.Context) error {
	var status int
	var header http.Header
	var raw []byte
	err := until(ctx, postPatience, 10*time.Millisecond, "the disk is full", func() (bool, error) {
		if t.refusals() < contacts {
			return false, nil
		}
		var err error
		status, header, raw, err = ask(ctx, t.stand.nodes[0].url(), t.channel.Token, http.MethodPost, webhookPath, t.body("full_c00", "full"))
		return status != http.StatusOK, err
	})
	if err != nil {
		return err
	}
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(string(raw), `"code":503`) {
		return fmt.Errorf("with a full disk the answer is %d, Retry-After %q: %s", status, header.Get("Retry-After"), raw)
	}
	return nil
}
