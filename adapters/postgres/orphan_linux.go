package postgres

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// processesOn lists the living processes that work on a data folder. Every
// process of Postgres has it as working directory; where we may not see that
// (root in a container without CAP_SYS_PTRACE) the postmaster is known by its
// arguments, and Postgres' own check of the shared memory guards against
// backends without a postmaster.
func processesOn(data string) ([]int, error) {
	want, err := os.Stat(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		if !runsPostgres(dir) {
			continue
		}
		cwd, err := os.Stat(filepath.Join(dir, "cwd"))
		switch {
		case err == nil && os.SameFile(cwd, want):
			pids = append(pids, pid)
		case errors.Is(err, fs.ErrPermission) && namesFolder(dir, data):
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// runsPostgres tells a living postgres from everything else, zombies included:
// a zombie has no open files, holds no lock and only waits to be reaped.
func runsPostgres(proc string) bool {
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return false // gone meanwhile
	}
	// pid (comm) state ...: comm may hold spaces and parentheses itself.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open || end+2 >= len(stat) {
		return false
	}
	state := stat[end+2]
	return string(stat[open+1:end]) == "postgres" && state != 'Z' && state != 'X'
}

// namesFolder says whether the process was started with -D data.
func namesFolder(proc, data string) bool {
	cmdline, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if err != nil {
		return false
	}
	args := bytes.Split(cmdline, []byte{0})
	for i := 1; i < len(args); i++ {
		if string(args[i-1]) == "-D" && string(args[i]) == data {
			return true
		}
	}
	return false
}
