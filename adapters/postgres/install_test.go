package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// tools makes a folder with shell scripts to be found in PATH. Each call of one
// is a line in the returned file.
func tools(t *testing.T, scripts map[string]string) (dir, calls string) {
	t.Helper()
	dir = t.TempDir()
	calls = filepath.Join(dir, "calls")
	for name, body := range scripts {
		text := "#!/bin/sh\necho \"" + name + " $*\" >> " + calls + "\n" + body + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir, calls
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// Ensure that apt-get is asked in order, without Debian's own cluster, and that
// the machine's later behaviour is as before.
func TestInstall_debian(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "createcluster.d", "parley.conf")
	seen := filepath.Join(t.TempDir(), "seen")
	dir, calls := tools(t, map[string]string{
		"apt-get": `case "$*" in *install*) [ "$DEBIAN_FRONTEND" = noninteractive ] && cp ` + conf + " " + seen + `;; *) echo no network; exit 100;; esac`,
	})
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	var said strings.Builder
	if err := (installer{root: true, debianConf: conf, progress: &said}).install(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := lines(t, calls)
	if len(got) != 2 || !strings.HasSuffix(got[0], " update") || !strings.HasSuffix(got[1], " install --no-install-recommends postgresql") {
		t.Errorf("calls: %q", got)
	}
	if text, err := os.ReadFile(seen); err != nil || !strings.Contains(string(text), "\ncreate_main_cluster = false\n") {
		t.Errorf("while installing: %q, %v", text, err)
	}
	if _, err := os.Stat(conf); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the setting stayed: %v", err)
	}
	for _, want := range []string{"installing it with apt-get", "no network", "going on"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("progress lacks %q:\n%s", want, said.String())
		}
	}
}

// Ensure that an ordinary user goes through sudo, never asked for a password.
func TestInstall_sudo(t *testing.T) {
	dir, calls := tools(t, map[string]string{"apk": "", "sudo": `shift; exec "$@"`})
	t.Setenv("PATH", dir)
	if err := (installer{progress: &strings.Builder{}}).install(t.Context()); err == nil {
		t.Error("true is not in PATH, and yet") // sudo -n true fails: no such program
	}
	if err := os.Symlink("/bin/true", filepath.Join(dir, "true")); err != nil {
		t.Fatal(err)
	}
	if err := (installer{progress: &strings.Builder{}}).install(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := lines(t, calls)
	if last := got[len(got)-1]; last != "apk add --no-cache postgresql" || got[len(got)-2] != "sudo -n "+last {
		t.Errorf("calls: %q", got)
	}
}

// Ensure that each way of failing tells a person what to run.
func TestInstall_cannot(t *testing.T) {
	for name, c := range map[string]struct {
		scripts map[string]string
		root    bool
		want    string
	}{
		"no package manager": {root: true, want: "no package manager"},
		"no sudo":            {scripts: map[string]string{"dnf": ""}, want: "sudo"},
		"sudo asks":          {scripts: map[string]string{"dnf": "", "sudo": "echo a password is required; exit 1"}, want: "a password is required"},
		"install fails":      {scripts: map[string]string{"dnf": "exit 3"}, root: true, want: "dnf install -y postgresql-server: exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := tools(t, c.scripts)
			t.Setenv("PATH", dir)
			err := installer{root: c.root, progress: &strings.Builder{}}.install(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "sudo apt-get install postgresql") {
				t.Errorf("error: %v", err)
			}
		})
	}
}

// Ensure that the search takes PATH first, then the newest, then nothing.
func TestSearchPath_find(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for version, says := range map[string]string{"9.6": "9.6.24", "14": "14.2", "16": "16.1 (Debian)", "18": "18beta1"} {
		dir := filepath.Join(root, version, "bin")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"initdb", "postgres"} {
			script := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + says + "'\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	inPath := filepath.Join(root, "path")
	if err := os.Mkdir(inPath, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "14", "bin", "postgres"), filepath.Join(inPath, "postgres")); err != nil {
		t.Fatal(err)
	}
	glob := []string{filepath.Join(root, "*", "bin")}

	for name, c := range map[string]struct {
		search searchPath
		wanted int
		major  int // 0: ErrNoBinaries
	}{
		"nothing there":            {search: searchPath{path: t.TempDir()}},
		"newest":                   {search: searchPath{globs: glob}, major: 18},
		"the one in PATH":          {search: searchPath{path: inPath, globs: glob}, major: 14},
		"the cluster's version":    {search: searchPath{path: inPath, globs: glob}, wanted: 16, major: 16},
		"the cluster's is missing": {search: searchPath{path: inPath, globs: glob}, wanted: 17},
		"too old":                  {search: searchPath{globs: []string{filepath.Join(root, "9.6", "bin")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := c.search.find(t.Context(), c.wanted)
			if c.major == 0 {
				if !errors.Is(err, ErrNoBinaries) {
					t.Errorf("found %+v, %v", b, err)
				}
				return
			}
			if err != nil || b.major != c.major || b.dir != filepath.Join(root, strconv.Itoa(c.major), "bin") {
				t.Errorf("found %+v, %v", b, err)
			}
		})
	}
}
