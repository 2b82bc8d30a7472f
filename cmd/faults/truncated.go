package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// truncatedFaults are the cases in which the log has lost what it had acknowledged.
func truncatedFaults() []fault {
	return []fault{{
		name: "truncated-segment", promise: "what is gone is told, nothing goes on over it",
		breaks: "acknowledged records are cut off a file of the embedded log, and put back later from a copy",
		logs:   []string{onEmbedded}, rounds: 10, beside: true, play: truncatedSegment,
		without: "the stop of a partition whose records are gone: the node said that it was ready",
	}}
}

// truncatedWithin is how soon a node has to say that records are gone. It waits for
// those that may be about to come first.
const truncatedWithin = 15 * time.Second

// truncatedSegment cuts off the end of a file of the log. There is no telling what
// was in it, so the node says that it cannot go on, in words and in figures, and
// what it has projected stays. When the file is back, everything is.
func truncatedSegment(ctx context.Context, r *run) error {
	s, err := r.alone(ctx)
	if err != nil {
		return err
	}
	hooks, err := s.newReceiver(ctx, 0)
	if err != nil {
		return err
	}
	ch, err := s.makeChannel(ctx, hooks.url())
	if err != nil {
		return err
	}
	load := func(ctx context.Context, prefix string) error {
		t := s.begin(ctx, ch, hooks, prefix)
		err := t.reached(ctx, contacts*8)
		t.end()
		if err != nil {
			return err
		}
		return t.check(ctx)
	}
	var slowest time.Duration
	err = s.each(ctx, func(ctx context.Context, n int) error {
		if err := load(ctx, fmt.Sprintf("r%02d", n)); err != nil {
			return err
		}
		before, err := s.exported(ctx, ch.ID)
		if err != nil {
			return err
		}
		s.nodes[0].kill()
		folder, whole, err := s.cutOff()
		if err != nil {
			return err
		}
		took, err := s.standsStill(ctx, folder)
		s.nodes[0].kill()
		if err := errors.Join(err, whole.restore()); err != nil {
			return err
		}
		slowest = max(slowest, took)
		if err := s.nodes[0].start(ctx); err != nil {
			return err
		}
		after, err := s.exported(ctx, ch.ID)
		if err != nil {
			return err
		}
		if !slices.Equal(before, after) {
			r.result.problemf("the log has %d events with the file that was put back, and had %d", len(after), len(before))
		}
		return load(ctx, fmt.Sprintf("a%02d", n))
	})
	r.result.notef("the node said within %s that records were gone; with the file put back nothing was missing", slowest.Round(10*time.Millisecond))
	return err
}

// exported gives the events of a channel, a line each, sorted.
func (s *stand) exported(ctx context.Context, channel string) ([]string, error) {
	status, raw, err := call(ctx, s.nodes[0].url(), adminToken, http.MethodGet, "/v1/events?channel="+channel, "")
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("read the log: %d %w", status, err)
	}
	lines := strings.Split(string(raw), "\n")
	slices.Sort(lines)
	return lines, nil
}

// copies are what a folder had, by file.
type copies map[string][]byte

func (c copies) restore() error {
	for file, raw := range c {
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			return fmt.Errorf("put a file back: %w", err)
		}
	}
	return nil
}

// cutOff takes the last part of the largest file of events away. It gives the name of
// the partition's folder, and what was in there.
func (s *stand) cutOff() (folder string, whole copies, err error) {
	files, err := filepath.Glob(filepath.Join(s.data(), "log", "partitions", "*events-*", "*.dat"))
	if err != nil {
		return "", nil, fmt.Errorf("look for files of events: %w", err)
	}
	var largest string
	var size int64
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return "", nil, fmt.Errorf("look for files of events: %w", err)
		}
		if info.Size() > size {
			largest, size = file, info.Size()
		}
	}
	if largest == "" {
		return "", nil, errors.New("there are no files of events")
	}
	whole = copies{}
	folder = filepath.Dir(largest)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", nil, fmt.Errorf("copy a partition: %w", err)
	}
	for _, e := range entries {
		file := filepath.Join(folder, e.Name())
		if whole[file], err = os.ReadFile(file); err != nil {
			return "", nil, fmt.Errorf("copy a partition: %w", err)
		}
	}
	// Somewhere in the last half: as a rule in the middle of a record.
	if err := os.Truncate(largest, size/2+s.random.Int64N(size/2-size/10)); err != nil {
		return "", nil, fmt.Errorf("cut a file off: %w", err)
	}
	return folder, whole, nil
}

// standsStill starts the node and waits until it says, where balancers and people
// look, that records of a partition are gone. It tells how long that took.
func (s *stand) standsStill(ctx context.Context, folder string) (time.Duration, error) {
	n, began := s.nodes[0], time.Now()
	if err := n.launch(ctx); err != nil {
		return 0, err
	}
	_, partition, _ := strings.Cut(filepath.Base(folder), "events-")
	said := regexp.MustCompile(`partition ` + partition + ` of [a-z.]*events`)
	var last string
	err := until(ctx, truncatedWithin, 20*time.Millisecond, "the node says that records are gone", func() (bool, error) {
		status, raw, err := call(ctx, n.url(), "", http.MethodGet, "/readyz", "")
		last = fmt.Sprintf("%d %s %v", status, raw, err)
		return err == nil && status == http.StatusServiceUnavailable && said.Match(raw), nil
	})
	took := time.Since(began)
	if err != nil {
		return took, fmt.Errorf("%w: %s", err, last)
	}
	status, raw, err := call(ctx, n.url(), "", http.MethodGet, "/metrics", "")
	if err != nil || status != http.StatusOK {
		return took, fmt.Errorf("read metrics: %d %w", status, err)
	}
	if !regexp.MustCompile(`(?m)^parley_log_partitions_stopped\{.*\} [1-9]`).Match(raw) {
		s.result.problemf("no metric tells of a partition that stands still")
	}
	return took, nil
}
