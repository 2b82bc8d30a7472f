package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	// Commit and At are of the run that it is from.
	Commit string    `json:"commit,omitempty"`
	At     time.Time `json:"at"`
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

// Report is what a run of the suite came to.
type Report struct {
	Machine string    `json:"machine"`
	Commit  string    `json:"commit"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Seed    uint64    `json:"seed"`
	Results []Result  `json:"results"`
}

func (r *Report) finish(ctx context.Context, b *bench) {
	r.Started, r.Seconds, r.Seed = b.started.UTC().Truncate(time.Second), time.Since(b.started).Seconds(), b.cfg.seed
	r.Machine = fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if out, err := exec.CommandContext(context.WithoutCancel(ctx), "git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(out))
	}
	for i := range r.Results {
		r.Results[i].Commit, r.Results[i].At = r.Commit, r.Started
	}
}

// print writes the table.
func (r *Report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s, commit %s, %s, seed %d, %.0f s\n\n", r.Machine, r.Commit, r.Started.Format("2006-01-02 15:04 MST"), r.Seed, r.Seconds)
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

// join adds, from a result that was kept, the cases that were not run this time.
func (r *Report) join(file string) error {
	raw, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var before Report
	if err == nil {
		err = json.Unmarshal(raw, &before)
	}
	if err != nil {
		return fmt.Errorf("read the last result: %w", err)
	}
	var all []Result
	for _, f := range faults() {
		for _, log := range []string{onEmbedded, onKafka} {
			is := func(x Result) bool { return x.Case == f.name && x.Log == log }
			if i := slices.IndexFunc(r.Results, is); i >= 0 {
				all = append(all, r.Results[i])
			} else if i := slices.IndexFunc(before.Results, is); i >= 0 {
				all = append(all, before.Results[i])
			}
		}
	}
	r.Results = all
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
