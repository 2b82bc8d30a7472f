package postgres

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// child is this test binary as a program that runs a cluster.
type child struct {
	cmd  *exec.Cmd
	rows *bufio.Scanner
}

// startChild runs the program on dir, as another user if given one.
func startChild(t *testing.T, binary, dir string, as *syscall.Credential) *child {
	t.Helper()
	cmd := exec.Command(binary, "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &child{cmd: cmd, rows: bufio.NewScanner(out)}
}

// readRows reads until at least n rows are acknowledged and returns the last.
func (c *child) readRows(t *testing.T, n int) int {
	t.Helper()
	last := 0
	for last < n && c.rows.Scan() {
		last = max(last, row(c.rows.Text()))
	}
	if last < n {
		t.Fatalf("the child ended after %d rows", last)
	}
	return last
}

// drain reads what the dead child had still written.
func (c *child) drain(last int) int {
	for c.rows.Scan() {
		last = max(last, row(c.rows.Text()))
	}
	return last
}

func row(line string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(line, "row "))
	if err != nil {
		return 0
	}
	return n
}

// Ensure that kill -9 of the program, alone or together with its postmaster,
// loses no acknowledged row, and that the cluster is found again.
func TestCluster_killed(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"supervisor", "postmaster and supervisor"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			dir := openDir(t)
			want := 0
			for range 3 {
				c := startChild(t, os.Args[0], dir, nil)
				last := c.readRows(t, want+50)
				if victim != "supervisor" {
					pid, ok := postmasterPID(filepath.Join(dir, "data"))
					if !ok {
						t.Fatal("no postmaster")
					}
					if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				// No pause: the next round meets the dying server.
				want = c.drain(last)
			}
			cluster, err := StartCluster(t.Context(), ClusterConfig{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { mustStop(t, cluster) })
			var rows, highest int
			if err := mustConnect(t, cluster.URL()).QueryRow(t.Context(), "select count(*), max(n) from acked where n <= $1", want).Scan(&rows, &highest); err != nil {
				t.Fatal(err)
			}
			if highest != want {
				t.Errorf("acknowledged row %d is lost, the last one is %d", want, highest)
			}
		})
	}
}

// Ensure that the server of a killed program ends by itself.
func TestCluster_killed_serverEnds(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	c := startChild(t, os.Args[0], dir, nil)
	c.readRows(t, 1)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	left, err := waitGone(t.Context(), filepath.Join(dir, "data"), 10*time.Second)
	if err != nil || len(left) > 0 {
		t.Errorf("still there: %v, %v", left, err)
	}
}
