package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// maxProblems is how many problems of a case are kept in words.
const maxProblems = 20

// Result is what a case came to on one log.
type Result struct {
	Promise string `json:"promise"`
	Case    string `json:"case"`
	Breaks  string `json:"breaks"`
	Log     string `json:"log"`
	Rounds  int    `json:"rounds"`
	// Accepted posts were answered 2xx; each is looked for in the log, the rows and,
	// if it is a reply, at the receiver.
	Accepted int `json:"accepted"`
	// Messages in the log: the accepted ones, and those whose answer was lost.
	Messages int `json:"messages"`
	// Lost messages are missing at one of the places.
	Lost int `json:"lost"`
	// Duplicated calls repeat one that had landed.
	Duplicated int `json:"duplicated"`
	// Reordered messages were told, stored or kept before one that precedes them.
	Reordered int `json:"reordered"`
	// Refused posts were answered 503 or 429, and repeated by the sender if they were
	// webhooks.
	Refused int `json:"refused"`
	// Unanswered posts were cut.
	Unanswered int `json:"unanswered"`
	// Notes are figures of the case's own.
	Notes    []string `json:"notes,omitempty"`
	Problems []string `json:"problems,omitempty"`
	Seconds  float64  `json:"seconds"`
	Pass     bool     `json:"pass"`
	// Commit, At, Seed and Machine are of the run that it is from.
	Commit  string    `json:"commit,omitempty"`
	At      time.Time `json:"at"`
	Seed    uint64    `json:"seed,omitempty"`
	Machine string    `json:"machine,omitempty"`
	// NotRun tells what this machine lacks to run the case.
	NotRun string `json:"not_run,omitempty"`
	// Without tells how the case fails when its protection is taken out.
	Without string `json:"without,omitempty"`
}

// problemf notes what must not be.
func (r *Result) problemf(format string, args ...any) {
	if len(r.Problems) <= maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// notef adds a figure of the case's own.
func (r *Result) notef(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Result) failed() bool { return len(r.Problems) > 0 }

func (r *Result) judge() {
	r.Pass = !r.failed() && r.Lost == 0 && r.Reordered == 0 && r.Rounds > 0
}

func (r *Result) line() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %d rounds, accepted %d, lost %d, duplicated %d, reordered %d, refused %d, unanswered %d, %.0f s",
		r.verdict(), r.Rounds, r.Accepted, r.Lost, r.Duplicated, r.Reordered, r.Refused, r.Unanswered, r.Seconds)
	for _, p := range r.Problems {
		text.WriteString("\n      " + p)
	}
	return text.String()
}

func (r *Result) verdict() string {
	switch {
	case r.NotRun != "":
		return "not run"
	case r.Pass:
		return "pass"
	default:
		return "FAIL"
	}
}

// Report is what a run of the suite came to, or several.
type Report struct {
	Machine string    `json:"machine"`
	Commit  string    `json:"commit"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"` // of all cases, also of those that ran beside each other
	Seed    uint64    `json:"seed,omitempty"`
	Results []Result  `json:"results"`
}

func (r *Report) finish(ctx context.Context, b *bench) {
	r.Started, r.Seed = b.started.UTC().Truncate(time.Second), b.cfg.seed
	r.Machine = fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if out, err := exec.CommandContext(context.WithoutCancel(ctx), "git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(out))
	}
	for i := range r.Results {
		r.Results[i].Commit, r.Results[i].At, r.Results[i].Seed, r.Results[i].Machine = r.Commit, r.Started, r.Seed, r.Machine
		r.Seconds += r.Results[i].Seconds
	}
}

// heading tells where, of what and when the lines of the table were made.
func (r *Report) heading() string {
	machines, commits, seeds := map[string]bool{}, map[string]bool{}, map[uint64]bool{}
	var first, last time.Time
	for _, x := range r.Results {
		if x.Machine != "" {
			machines[x.Machine] = true
		}
		commits[x.Commit], seeds[x.Seed] = true, true
		if first.IsZero() || x.At.Before(first) {
			first = x.At
		}
		if x.At.After(last) {
			last = x.At
		}
	}
	machine := r.Machine
	if len(machines) > 0 {
		machine = strings.Join(slices.Sorted(maps.Keys(machines)), "; ")
	}
	const day, minute = "2006-01-02", "2006-01-02 15:04"
	spent := (time.Duration(r.Seconds) * time.Second).String()
	if len(commits) <= 1 && first.Equal(last) {
		return fmt.Sprintf("%s, commit %s, %s UTC, seed %d, %s of cases", machine, r.Commit, first.UTC().Format(minute), r.Seed, spent)
	}
	until := last.UTC().Format(minute)
	if first.UTC().Format(day) == last.UTC().Format(day) {
		until = last.UTC().Format("15:04")
	}
	return fmt.Sprintf("%s, %s, begun %s to %s UTC, %s of cases; the seed of each line is in the JSON", machine, many(commits), first.UTC().Format(minute), until, spent)
}

// many names one commit, and counts several.
func many(commits map[string]bool) string {
	if len(commits) > 1 {
		return fmt.Sprintf("%d commits (that of each line is in the JSON)", len(commits))
	}
	return "commit " + strings.Join(slices.Collect(maps.Keys(commits)), "")
}

// print writes the table.
func (r *Report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n\n", r.heading())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "promise\tcase\tlog\trounds\taccepted\tlost\tduplicated\treordered\trefused\tresult")
	for _, x := range r.Results {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
			x.Promise, x.Case, x.Log, x.Rounds, x.Accepted, x.Lost, x.Duplicated, x.Reordered, x.Refused, x.verdict())
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	for _, x := range r.Results {
		if x.NotRun != "" {
			fmt.Fprintf(w, "%s (%s) was not run: %s\n", x.Case, x.Log, x.NotRun)
		}
		for _, note := range x.Notes {
			fmt.Fprintf(w, "%s (%s): %s\n", x.Case, x.Log, note)
		}
		for _, p := range x.Problems {
			fmt.Fprintf(w, "%s (%s) FAILED: %s\n", x.Case, x.Log, p)
		}
	}
	return nil
}

// written keeps the result where the command line wants it, and gives the verdict.
func (r *Report) written(cfg config) error {
	if cfg.json != "" {
		if err := r.keep(cfg.json); err != nil {
			return err
		}
	}
	if cfg.write || len(cfg.merge) > 0 {
		if err := r.document(); err != nil {
			return err
		}
	}
	return r.verdict()
}

// keep writes the result as JSON.
func (r *Report) keep(file string) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	//nolint:gosec // it is for everybody to read
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("keep the result: %w", err)
	}
	return nil
}

// Where the result stands between in docs/reliability.md.
const (
	markBegin = "<!-- result: written by the suite -->\n"
	markEnd   = "<!-- end of result -->\n"
)

// document puts the result into the documentation of the repository that it runs in.
func (r *Report) document() error {
	file, kept := filepath.Join("docs", "reliability.md"), filepath.Join("docs", "reliability.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the documentation: %w", err)
	}
	if err := r.join(kept); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := r.print(&out); err != nil {
		return err
	}
	text, err := between(string(raw), "```\n"+out.String()+"```\n")
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	//nolint:gosec // it is for everybody to read
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the documentation: %w", err)
	}
	return r.keep(kept)
}

// mergeFiles puts the results of several runs into the documentation.
func mergeFiles(cfg config, stdout io.Writer) error {
	var report Report
	for _, file := range cfg.merge {
		one, err := readReport(file)
		if err != nil {
			return err
		}
		report.merge(one)
	}
	report.order()
	if err := report.print(stdout); err != nil {
		return err
	}
	return report.written(cfg)
}

func readReport(file string) (Report, error) {
	var r Report
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read the result of %s: %w", file, err)
	}
	for i := range r.Results {
		if r.Results[i].Machine == "" {
			r.Results[i].Machine = r.Machine
		}
	}
	return r, nil
}

// merge takes over the lines of another run that are newer than those of the same
// case and log, or new. One that was not run takes the place of none that was.
func (r *Report) merge(other Report) {
	for _, x := range other.Results {
		i := slices.IndexFunc(r.Results, func(y Result) bool { return y.Case == x.Case && y.Log == x.Log })
		switch {
		case i < 0:
			r.Results = append(r.Results, x)
		case x.NotRun != "" && r.Results[i].NotRun == "":
		case x.At.After(r.Results[i].At), x.NotRun == "" && r.Results[i].NotRun != "":
			r.Results[i] = x
		}
	}
}

// order puts the lines in the order of the cases, leaves out what is no case any
// more, and counts anew what belongs to all lines.
func (r *Report) order() {
	var all []Result
	for _, f := range faults() {
		for _, log := range []string{onEmbedded, onKafka} {
			for _, x := range r.Results {
				if x.Case == f.name && x.Log == log {
					all = append(all, x)
				}
			}
		}
	}
	r.Results, r.Seconds, r.Started = all, 0, time.Time{}
	for _, x := range all {
		r.Seconds += x.Seconds
		if !x.At.Before(r.Started) {
			r.Started, r.Commit, r.Seed, r.Machine = x.At, x.Commit, x.Seed, x.Machine
		}
	}
}

// join adds, from a result that was kept, the lines that this one does not have.
func (r *Report) join(file string) error {
	before, err := readReport(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	r.merge(before)
	r.order()
	return nil
}

// between replaces what stands between the marks.
func between(text, with string) (string, error) {
	before, rest, ok := strings.Cut(text, markBegin)
	_, after, closed := strings.Cut(rest, markEnd)
	if !ok || !closed {
		return "", errors.New("the marks of the result are not there")
	}
	return before + markBegin + with + markEnd + after, nil
}

// verdict is an error that names the cases that have failed.
func (r *Report) verdict() error {
	var names []string
	for _, x := range r.Results {
		if !x.Pass && x.NotRun == "" {
			names = append(names, x.Case+" on "+x.Log)
		}
	}
	switch {
	case len(r.Results) == 0:
		return errors.New("no case was run")
	case len(names) > 0:
		return fmt.Errorf("failed: %s", strings.Join(names, ", "))
	default:
		return nil
	}
}
