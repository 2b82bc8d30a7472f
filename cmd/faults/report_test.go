package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMerge: of each case and log the newest line is taken, one that was not run
// takes the place of none that was, and the documentation gets all of it.
func TestMerge(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	morning := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	line := func(name, log string, rounds int, at time.Time) Result {
		return Result{Case: name, Log: log, Rounds: rounds, At: at, Commit: "c" + at.Format("15"), Pass: true, Seconds: 60}
	}
	notRun := line("power-cut", onEmbedded, 0, morning.Add(3*time.Hour))
	notRun.NotRun, notRun.Pass = "no root", false
	reports := map[string]Report{
		"a.json": {Results: []Result{line("burst", onKafka, 3, morning), line("power-cut", onEmbedded, 50, morning)}},
		"b.json": {Results: []Result{line("burst", onKafka, 2, morning.Add(-time.Hour)), line("kill-api", onKafka, 50, morning.Add(time.Hour)), notRun}},
		"docs/reliability.json": {Results: []Result{
			line("kill-api", onKafka, 1, morning.Add(-time.Hour)), line("kill-api", onEmbedded, 4, morning.Add(-time.Hour)), line("gone", onKafka, 1, morning),
		}},
	}
	if err := os.Mkdir("docs", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, r := range reports {
		if err := r.keep(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("docs/reliability.md", []byte("before\n"+markBegin+markEnd+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := suite(t.Context(), []string{"-merge", "b.json,a.json"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"before\n", "after\n", "3 commits", "2026-01-01 08:00 to 10:00 UTC, 4m0s of cases",
		"  kill-api   embedded  4 ", "  kill-api   kafka     50 ", "  power-cut  embedded  50 ", "  burst      kafka     3 ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "gone") || strings.Contains(string(text), "not run") {
		t.Errorf("%s", text)
	}
	kept, err := readReport("docs/reliability.json")
	if err != nil || len(kept.Results) != 4 || kept.Commit != "c10" {
		t.Errorf("kept %+v: %v", kept, err)
	}
}
