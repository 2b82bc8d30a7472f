package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// minMajor is the oldest Postgres the read models' SQL is written for.
const minMajor = 14

// ErrNoBinaries says that no usable Postgres server binaries are installed.
var ErrNoBinaries = errors.New("no Postgres server binaries found")

// binaries is one installed Postgres: the folder of initdb and postgres, and
// the major version that decides which data directories it can open.
type binaries struct {
	dir   string
	major int
}

func (b binaries) initdb() string   { return filepath.Join(b.dir, "initdb") }
func (b binaries) postgres() string { return filepath.Join(b.dir, "postgres") }

// searchPath lists the folders that may hold server binaries: PATH first, then
// the places distributions use without adding them to PATH.
type searchPath struct {
	path  string   // as in $PATH
	globs []string // folders of other majors; the newest of each comes first
}

func defaultSearchPath() searchPath {
	return searchPath{
		path: os.Getenv("PATH"),
		globs: []string{
			"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
			"/usr/pgsql-*/bin",                  // packages of postgresql.org for RHEL
			"/usr/libexec/postgresql*",          // Alpine
			"/usr/lib/postgresql*/bin",          // openSUSE
			"/opt/homebrew/opt/postgresql*/bin", // Homebrew on Apple silicon
			"/usr/local/opt/postgresql*/bin",    // Homebrew on Intel
			"/usr/local/pgsql/bin",              // built from source
		},
	}
}

// folders returns the existing folders that hold both initdb and postgres, each
// once, in order of preference.
func (s searchPath) folders() []string {
	var candidates []string
	for _, dir := range filepath.SplitList(s.path) {
		// A link in PATH leads to the folder where the rest of the
		// installation lies; initdb looks for postgres beside itself.
		if target, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			candidates = append(candidates, filepath.Dir(target))
		}
	}
	for _, glob := range s.globs {
		found, err := filepath.Glob(glob)
		if err != nil {
			continue // only a malformed pattern, and the patterns are ours
		}
		sort.Slice(found, func(i, j int) bool { return versionIn(found[i]) > versionIn(found[j]) })
		candidates = append(candidates, found...)
	}
	var dirs []string
	seen := map[string]bool{}
	for _, dir := range candidates {
		if seen[dir] || !executable(filepath.Join(dir, "initdb")) || !executable(filepath.Join(dir, "postgres")) {
			continue
		}
		seen[dir] = true
		dirs = append(dirs, dir)
	}
	return dirs
}

// find returns the preferred binaries. A wanted major of 0 takes the first
// usable ones; any other only that major.
func (s searchPath) find(ctx context.Context, wanted int) (binaries, error) {
	var others []string
	for _, dir := range s.folders() {
		b := binaries{dir: dir}
		major, err := majorOf(ctx, b.postgres())
		if ctx.Err() != nil { // says nothing about what is installed
			return binaries{}, fmt.Errorf("looking for Postgres: %w", ctx.Err())
		}
		if err != nil {
			others = append(others, fmt.Sprintf("%s (%v)", dir, err))
			continue
		}
		b.major = major
		if major >= minMajor && (wanted == 0 || wanted == major) {
			return b, nil
		}
		others = append(others, fmt.Sprintf("%s (version %d)", dir, major))
	}
	switch {
	case wanted != 0 && len(others) > 0:
		return binaries{}, fmt.Errorf("%w of version %d; there are %s", ErrNoBinaries, wanted, strings.Join(others, ", "))
	case wanted != 0:
		return binaries{}, fmt.Errorf("%w of version %d", ErrNoBinaries, wanted)
	case len(others) > 0:
		return binaries{}, fmt.Errorf("%w of version %d or newer; there are %s", ErrNoBinaries, minMajor, strings.Join(others, ", "))
	default:
		return binaries{}, ErrNoBinaries
	}
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// versionIn reads the last number in a folder's name, such as 15 in
// /usr/lib/postgresql/15/bin, to put the newest first.
func versionIn(dir string) float64 {
	numbers := regexp.MustCompile(`\d+(\.\d+)?`).FindAllString(dir, -1)
	if len(numbers) == 0 {
		return 0
	}
	v, err := strconv.ParseFloat(numbers[len(numbers)-1], 64)
	if err != nil {
		return 0
	}
	return v
}

// majorOf asks a postgres binary for its major version.
func majorOf(ctx context.Context, postgres string) (int, error) {
	out, err := exec.CommandContext(ctx, postgres, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("asking for its version: %w", err)
	}
	// "postgres (PostgreSQL) 15.18 (Debian 15.18-1)" or "... 19beta1"
	m := regexp.MustCompile(`\(PostgreSQL\) (\d+)`).FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("cannot read its version from %q", strings.TrimSpace(string(out)))
	}
	return strconv.Atoi(string(m[1]))
}
