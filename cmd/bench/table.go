package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// Figure is one line of the table: a figure beside its ceiling.
type Figure struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	Unit  string `json:"unit"`
	// Value is the median of Rounds.
	Value  float64   `json:"value"`
	Rounds []float64 `json:"rounds"`
	// Ceiling says what it is held against; empty = nothing.
	Ceiling       string    `json:"ceiling,omitempty"`
	CeilingValue  float64   `json:"ceiling_value,omitempty"`
	CeilingRounds []float64 `json:"ceiling_rounds,omitempty"`
	// Ratio is the median over the rounds of figure to ceiling.
	Ratio float64 `json:"ratio,omitempty"`
	// Less tells that less is better: a time or a cost.
	Less bool `json:"less_is_better,omitempty"`
	// Aim is what the ratio should reach, or not exceed where less is better; 0 =
	// none. Where AimValue is set it is for the value instead.
	Aim      float64 `json:"aim,omitempty"`
	AimValue float64 `json:"aim_value,omitempty"`
	// Met tells whether the aim was reached, as information.
	Met *bool `json:"met,omitempty"`
}

// Machine is what the run was made on.
type Machine struct {
	Cores    int    `json:"cores"`
	CPU      string `json:"cpu"`
	OS       string `json:"os"`
	Go       string `json:"go"`
	Postgres string `json:"postgres"`
	Commit   string `json:"commit"`
	Folder   string `json:"folder"`
	Load     string `json:"load_average"`
}

type report struct {
	Machine    Machine   `json:"machine"`
	Started    time.Time `json:"started"`
	Seconds    float64   `json:"seconds"`
	Quick      bool      `json:"quick"`
	Rounds     int       `json:"rounds"`
	Partitions int       `json:"partitions"` // of the embedded log
	Figures    []Figure  `json:"figures"`
}

// add completes a figure and puts it at the end of the table.
func (r *report) add(f Figure) {
	f.Value, f.CeilingValue = median(f.Rounds), median(f.CeilingRounds)
	var ratios []float64
	for i := range min(len(f.Rounds), len(f.CeilingRounds)) {
		if f.CeilingRounds[i] > 0 {
			ratios = append(ratios, f.Rounds[i]/f.CeilingRounds[i])
		}
	}
	f.Ratio = median(ratios)
	if f.Aim > 0 || f.AimValue > 0 {
		value, aim := f.Ratio, f.Aim
		if f.AimValue > 0 {
			value, aim = f.Value, f.AimValue
		}
		met := value >= aim
		if f.Less {
			met = value <= aim
		}
		f.Met = &met
	}
	r.Figures = append(r.Figures, f)
}

func (r *report) finish(started time.Time) {
	r.Started, r.Seconds = started.UTC(), time.Since(started).Seconds()
}

// print writes the table.
func (r *report) print(w io.Writer) error {
	m := r.Machine
	fmt.Fprintf(w, "%d cores (%s), %s, %s, Postgres %s, commit %s, load average %s, %d partitions, %d round(s), %.0f s\n\n",
		m.Cores, m.CPU, m.OS, m.Go, m.Postgres, m.Commit, m.Load, r.Partitions, r.Rounds, r.Seconds)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "figure\t\tvalue\tceiling\t\tratio\taim\t")
	for _, f := range r.Figures {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Group, f.Name, amount(f.Value, f.Unit), f.Ceiling,
			f.when(f.Ceiling != "" && f.CeilingValue > 0, amount(f.CeilingValue, f.Unit)),
			f.when(f.Ratio > 0, fmt.Sprintf("%.2f", f.Ratio)), f.aim(), f.verdict())
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

func (f Figure) when(ok bool, text string) string {
	if !ok {
		return ""
	}
	return text
}

func (f Figure) aim() string {
	sign := "≥"
	if f.Less {
		sign = "≤"
	}
	switch {
	case f.AimValue > 0:
		return sign + " " + amount(f.AimValue, f.Unit)
	case f.Aim > 0:
		return fmt.Sprintf("%s %.2f", sign, f.Aim)
	default:
		return ""
	}
}

func (f Figure) verdict() string {
	switch {
	case f.Met == nil:
		return ""
	case *f.Met:
		return "met"
	default:
		return "missed"
	}
}

// amount writes a value with as many digits as it deserves.
func amount(v float64, unit string) string {
	digits := 0
	switch {
	case v < 1:
		digits = 3
	case v < 10:
		digits = 2
	case v < 100:
		digits = 1
	}
	text := fmt.Sprintf("%.*f", digits, v)
	if unit == "1/s" {
		return text + "/s"
	}
	return text + " " + unit
}

// write keeps the report with all rounds.
func (r *report) write(file string) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("keep the result: %w", err)
	}
	return nil
}

// thisMachine tells what can be told of the machine; what cannot stays empty.
func thisMachine(ctx context.Context, folder string) Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Folder: filepath.Dir(folder)}
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(raw))[:3], " ")
	}
	m.Postgres = postgresVersion(ctx)
	if out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
	}
	return m
}

// postgresVersion is that of the newest server that is installed.
func postgresVersion(ctx context.Context) string {
	programs, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(programs) == 0 {
		programs = []string{"postgres"}
	}
	out, err := exec.CommandContext(ctx, programs[len(programs)-1], "--version").Output()
	if err != nil {
		return ""
	}
	version := strings.TrimPrefix(strings.TrimSpace(string(out)), "postgres (PostgreSQL) ")
	version, _, _ = strings.Cut(version, " ")
	return version
}
