package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// installBound is the longest an installation may take, download included.
const installBound = 10 * time.Minute

// debianConf is read by Debian's packages before they create and start a
// cluster of their own on port 5432, which nobody asked for here.
const debianConf = "/etc/postgresql-common/createcluster.d/parley.conf"

// Install installs the Postgres server with the system's package manager
// (apt-get, apk or dnf), as root or through sudo without a password. On Debian
// the package's own default cluster is neither created nor started. Where that
// is not possible the error says what to run.
func Install(ctx context.Context, progress io.Writer) error {
	if progress == nil {
		progress = io.Discard
	}
	ctx, cancel := context.WithTimeout(ctx, installBound)
	defer cancel()
	in := installer{root: os.Geteuid() == 0, debianConf: debianConf, progress: progress}
	if err := in.install(ctx); err != nil {
		return fmt.Errorf("installing Postgres: %w", err)
	}
	return nil
}

type installer struct {
	root       bool
	debianConf string
	progress   io.Writer
}

// packageManager is one way to get a server.
type packageManager struct {
	name     string
	commands [][]string
	// required says that a failure of the command of that index is final; a
	// list that cannot be refreshed may still be good enough.
	required int
}

func packageManagers() []packageManager {
	return []packageManager{
		{
			name: "apt-get",
			commands: [][]string{
				{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "update"},
				{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", "install", "--no-install-recommends", "postgresql"},
			},
			required: 1,
		},
		{name: "apk", commands: [][]string{{"apk", "add", "--no-cache", "postgresql"}}},
		{name: "dnf", commands: [][]string{{"dnf", "install", "-y", "postgresql-server"}}},
	}
}

const installAdvice = `install the Postgres server, version 14 or newer, and start again:
  Debian, Ubuntu   sudo apt-get install postgresql
  Fedora, RHEL     sudo dnf install postgresql-server
  Alpine           sudo apk add postgresql
  macOS            brew install postgresql@17
or name a server that runs already in PARLEY_DATABASE_URL`

func (in installer) install(ctx context.Context) error {
	for _, pm := range packageManagers() {
		if _, err := exec.LookPath(pm.name); err != nil {
			continue
		}
		if err := in.with(ctx, pm); err != nil {
			return fmt.Errorf("%w\n%s", err, installAdvice)
		}
		return nil
	}
	return errors.New("there is no package manager that Parley knows here\n" + installAdvice)
}

func (in installer) with(ctx context.Context, pm packageManager) error {
	if !in.root {
		if out, err := exec.CommandContext(ctx, "sudo", "-n", "true").CombinedOutput(); err != nil {
			return fmt.Errorf("%s needs root, and sudo without a password says: %w: %s", pm.name, err, strings.TrimSpace(string(out)))
		}
	}
	fmt.Fprintf(in.progress, "There is no Postgres on this machine: installing it with %s\n", pm.name)
	if pm.name == "apt-get" {
		undo, err := in.withoutMainCluster(ctx)
		if err != nil {
			return err
		}
		defer undo()
	}
	for i, command := range pm.commands {
		err := in.run(ctx, command...)
		if err == nil {
			continue
		}
		err = fmt.Errorf("%s: %w", strings.Join(command, " "), err)
		if i >= pm.required {
			return err
		}
		fmt.Fprintf(in.progress, "%v; going on with what is known here\n", err)
	}
	return nil
}

// withoutMainCluster tells Debian's packages to create no cluster while we
// install, and returns what takes that back. If the process dies in between,
// the file stays and says in its own words what it does.
func (in installer) withoutMainCluster(ctx context.Context) (undo func(), err error) {
	file, err := os.CreateTemp("", "parley-createcluster-*.conf")
	if err != nil {
		return nil, fmt.Errorf("preparing the installation: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString("# Written by parley while it installed postgresql for a private cluster.\n# Remove it to have Debian create a cluster \"main\" with each new version.\ncreate_main_cluster = false\n")
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("preparing the installation: %w", err)
	}
	if err := in.run(ctx, "mkdir", "-p", filepath.Dir(in.debianConf)); err != nil {
		return nil, fmt.Errorf("preparing the installation: %w", err)
	}
	if err := in.run(ctx, "cp", file.Name(), in.debianConf); err != nil {
		return nil, fmt.Errorf("preparing the installation: %w", err)
	}
	if err := in.run(ctx, "chmod", "0644", in.debianConf); err != nil {
		return nil, fmt.Errorf("preparing the installation: %w", err)
	}
	return func() {
		if err := in.run(context.WithoutCancel(ctx), "rm", "-f", in.debianConf); err != nil {
			fmt.Fprintf(in.progress, "%s could not be removed: %v\n", in.debianConf, err)
		}
	}, nil
}

// run runs one command as root, its output shown as it comes.
func (in installer) run(ctx context.Context, command ...string) error {
	if !in.root {
		command = append([]string{"sudo", "-n"}, command...)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout = in.progress
	cmd.Stderr = in.progress
	cmd.WaitDelay = 5 * time.Second
	return cmd.Run()
}
