package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// fault is a case: something that breaks, and the promise that holds all the same.
type fault struct {
	name    string
	promise string   // in a few words
	breaks  string   // what is done to the installation
	without string   // the protection that was taken out to see the case fail, and what it said
	logs    []string // that it runs on
	rounds  int      // of the full form
	short   int      // of the short form; 0 is 1
	slow    bool     // left out of the tests: it builds the program a second time
	beside  bool     // mostly waits: in the tests it runs beside others
	// breaksKafka tells that other cases on the same brokers would suffer.
	breaksKafka bool
	needs       func() error // tells why it cannot be run here; nil = it always can
	play        func(context.Context, *run) error
}

// faults are all cases, in the order of the table.
func faults() []fault {
	return slices.Concat(killFaults(), timerFaults(), outageFaults(), rollingFaults(), diskFaults(), truncatedFaults(), clockFaults(),
		networkFaults(), awayFaults(), receiverFaults(), poisonFaults(), loadFaults())
}

func listFaults(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "case\tpromise\twhat is broken\tlogs\trounds")
	for _, f := range faults() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\n", f.name, f.promise, f.breaks, strings.Join(f.logs, ", "), f.rounds)
	}
	return table.Flush()
}

// run is one case on one log, with what it came to so far.
type run struct {
	*bench

	fault  fault
	log    string
	rounds int
	dir    string // of this case alone
	random *rand.Rand
	began  time.Time // when it had all that it shares with others
	result Result
	undo   []func() error
}

// run plays a case. Nothing that goes wrong in it ends the suite.
func (b *bench) run(ctx context.Context, f fault, log string, rounds int) Result {
	r := &run{bench: b, fault: f, log: log, rounds: rounds, random: b.randomOf(f.name + log)}
	r.result = Result{Case: f.name, Promise: f.promise, Breaks: f.breaks, Log: log, Without: f.without}
	if f.needs != nil {
		if err := f.needs(); err != nil {
			r.result.NotRun = err.Error()
			r.sayf("not run: %v", err)
			return r.result
		}
	}
	switch {
	case log != onKafka:
	case f.breaksKafka:
		b.whole.Lock()
		defer b.whole.Unlock()
	default:
		b.whole.RLock()
		defer b.whole.RUnlock()
	}
	r.began = time.Now()
	r.sayf("%s", f.breaks)
	err := r.play(ctx)
	r.result.Seconds = time.Since(r.began).Seconds()
	if err != nil {
		r.result.problemf("%v", err)
	}
	r.result.judge()
	r.sayf("%s", r.result.line())
	return r.result
}

// randomOf gives each case its own moments, whichever others are run.
func (b *bench) randomOf(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))                        // never fails
	return rand.New(rand.NewPCG(b.cfg.seed, h.Sum64())) //nolint:gosec // moments, not secrets
}

func (r *run) play(ctx context.Context) (err error) {
	if r.dir, err = os.MkdirTemp(r.bench.dir, r.fault.name+"-"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Chmod(r.dir, 0o711); err != nil {
		return fmt.Errorf("open a folder: %w", err)
	}
	defer func() {
		for _, undo := range slices.Backward(r.undo) {
			if failed := undo(); failed != nil {
				r.sayf("clean up: %v", failed)
			}
		}
		if !r.result.failed() && err == nil {
			_ = os.RemoveAll(r.dir) // the whole folder goes in the end
		}
	}()
	err = r.fault.play(ctx, r)
	if err != nil || r.result.failed() {
		r.keepOutput()
	}
	return err
}

// onEnd has something undone when the case is over, newest first.
func (r *run) onEnd(undo func() error) { r.undo = append(r.undo, undo) }

// each plays the rounds, as many as there is time for in this case.
func (r *run) each(ctx context.Context, round func(ctx context.Context, n int) error) error {
	for n := range r.rounds {
		if limit := r.cfg.limit; n > 0 && limit > 0 && time.Since(r.began) > limit {
			r.result.notef("%d of %d rounds in the time there was", n, r.rounds)
			return nil
		}
		if err := round(ctx, n); err != nil {
			return fmt.Errorf("round %d: %w", n+1, err)
		}
		r.result.Rounds++
		if len(r.result.Problems) > maxProblems {
			return nil
		}
	}
	return nil
}

// full tells that this is not the short form.
func (r *run) full() bool { return !r.cfg.short }

// moment is a random time within bounds.
func (r *run) moment(least, most time.Duration) time.Duration {
	return least + time.Duration(r.random.Int64N(int64(most-least)))
}

func (r *run) sayf(format string, args ...any) {
	r.bench.sayf("%-9s %-24s %s", r.log, r.fault.name, fmt.Sprintf(format, args...))
}

// keepOutput shows where the nodes of a failed case said what.
func (r *run) keepOutput() {
	files, err := filepath.Glob(filepath.Join(r.dir, "*.out"))
	if err != nil {
		return
	}
	for _, file := range files {
		r.sayf("last output of %s:\n%s", filepath.Base(file), tail(file))
	}
}

// tail is the end of a file.
func tail(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-4000):])
}
