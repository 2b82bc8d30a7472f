package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is the path that everything of ours begins with.
const module = "github.com/parley-im/parley/"

// arrows says for each room of the house which other rooms its packages may
// import. Imports run downwards only: cmd, projections, eventstore, domain; and
// an adapter knows at most the domain, never another adapter. A room imports
// itself freely. A room that is not listed is a mistake: give it a line here.
var arrows = map[string][]string{
	"cmd":         {"*"},
	"projections": {"eventstore", "domain"},
	"eventstore":  {"domain"},
	"domain":      {},

	"adapters/callback":     {"domain"},
	"adapters/channelx":     {"domain"},
	"adapters/console":      {"domain"},
	"adapters/httpapi":      {"domain"},
	"adapters/redrive":      {"domain"},
	"adapters/respondio":    {"domain"},
	"adapters/subscription": {"domain"},
	"adapters/timers":       {"domain"},
	"adapters/voximplant":   {"domain"},

	"adapters/embedded": {},
	"adapters/files":    {},
	"adapters/kafka":    {},
	"adapters/postgres": {},
}

// domainMayUse is what the domain imports besides the standard library.
var domainMayUse = []string{"github.com/google/uuid"}

// listed is what go list tells of a package. Imports are those of its
// non-test files.
type listed struct {
	ImportPath string   `json:"ImportPath"`
	Standard   bool     `json:"Standard"`
	Imports    []string `json:"Imports"`
}

// Ensure no package of the module imports against the arrows, whether it is
// built for the embedded log or for the tests on a real Kafka.
func TestImportArrows(t *testing.T) {
	t.Parallel()
	for _, tags := range []string{"", "kafka"} {
		t.Run("tags="+tags, func(t *testing.T) {
			t.Parallel()
			all := list(t, tags)
			standard := make(map[string]bool, len(all))
			ours := 0
			for _, p := range all {
				standard[p.ImportPath] = p.Standard
			}
			for _, p := range all {
				path, found := strings.CutPrefix(p.ImportPath, module)
				if !found {
					continue
				}
				ours++
				for _, imported := range p.Imports {
					if err := mayImport(path, imported, standard[imported]); err != nil {
						t.Error(err)
					}
				}
			}
			if ours < 3 {
				t.Fatalf("go list named %d packages of ours among %d: this test looked at nothing", ours, len(all))
			}
		})
	}
}

// Ensure the judge of the arrows sees each kind of break, and lets through what
// the arrows allow.
func TestImportArrowsAreSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		standard bool
		want     string // part of the complaint, empty when allowed
	}{
		{from: "cmd/parley", to: module + "adapters/kafka"},
		{from: "cmd/bench", to: module + "adapters/postgres/pgtest"},
		{from: "projections", to: module + "eventstore"},
		{from: "projections", to: module + "domain"},
		{from: "eventstore", to: module + "domain"},
		{from: "eventstore/storetest", to: module + "eventstore"},
		{from: "adapters/respondio", to: module + "domain"},
		{from: "adapters/kafka/kafkatest", to: module + "adapters/kafka"},
		{from: "adapters/kafka", to: "github.com/segmentio/kafka-go"},
		{from: "domain", to: "strings", standard: true},
		{from: "domain", to: "github.com/google/uuid"},

		{from: "domain", to: module + "eventstore", want: "domain may not import eventstore"},
		{from: "domain", to: "github.com/jackc/pgx/v5", want: "domain may not import github.com/jackc/pgx/v5"},
		{from: "eventstore", to: module + "projections", want: "eventstore may not import projections"},
		{from: "eventstore", to: module + "adapters/kafka", want: "eventstore may not import adapters/kafka"},
		{from: "projections", to: module + "adapters/postgres", want: "projections may not import adapters/postgres"},
		{from: "adapters/callback", to: module + "eventstore", want: "adapters/callback may not import eventstore"},
		{from: "adapters/respondio", to: module + "adapters/httpapi", want: "adapters/respondio may not import adapters/httpapi"},
		{from: "adapters/kafka", to: module + "domain", want: "adapters/kafka may not import domain"},
		{from: "adapters/embedded", to: module + "adapters/kafka", want: "adapters/embedded may not import adapters/kafka"},
		{from: "projections", to: module + "cmd/parley", want: "projections may not import cmd/parley"},
		{from: "eventstore", to: module + "eventstore/storetest", want: "eventstore/storetest is for tests"},
		{from: "helpers", to: module + "domain", want: "helpers has no line"},
		{from: "adapters/newcomer", to: module + "domain", want: "adapters/newcomer has no line"},
	} {
		err := mayImport(c.from, c.to, c.standard)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s -> %s: want it allowed, got: %v", c.from, c.to, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s -> %s: want a complaint with %q, got: %v", c.from, c.to, c.want, err)
		}
	}
}

// mayImport judges one import of the package at path, a path inside the module.
func mayImport(path, imported string, standard bool) error {
	from := room(path)
	allowed, found := arrows[from]
	if !found {
		return fmt.Errorf("%s has no line in the arrows of cmd/parley/imports_test.go", from)
	}
	to, ours := strings.CutPrefix(imported, module)
	if !ours {
		if from == "domain" && !standard && !slices.Contains(domainMayUse, imported) {
			return fmt.Errorf("%s may not import %s: the domain stands on the standard library", path, imported)
		}
		return nil
	}
	if !slices.Contains(allowed, "*") && forTests(to) && !forTests(path) {
		return fmt.Errorf("%s imports %s, but %s is for tests", path, to, to)
	}
	if room(to) == from || slices.Contains(allowed, room(to)) || slices.Contains(allowed, "*") {
		return nil
	}
	return fmt.Errorf("%s may not import %s", path, to)
}

// forTests says whether a package, or one it lies in, is there for tests alone:
// pgtest, kafkatest, storetest.
func forTests(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(element string) bool {
		return strings.HasSuffix(element, "test")
	})
}

// room is the part of the house a package belongs to: the first element of its
// path, or the first two below adapters.
func room(path string) string {
	parts := strings.SplitN(path, "/", 3)
	if parts[0] == "adapters" && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

// list asks the go command for all packages of the module and all they import.
func list(t *testing.T, tags string) []listed {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags="+tags,
		"-json=ImportPath,Standard,Imports", module+"...")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("read the answer of go list: %v", err)
		}
		all = append(all, p)
	}
}
