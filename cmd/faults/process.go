package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = 60 * time.Second
	stopLimit  = 20 * time.Second
)

// node is a Parley in a process of its own, which can be killed and started again
// on the same address.
type node struct {
	run     *run
	name    string
	addr    string
	program string
	args    []string
	env     []string
	check   string // path that answers 200 when it is up

	mu  sync.Mutex
	cmd *exec.Cmd // nil when it does not run
	end chan struct{}
	err error // how it ended; read after end is closed
}

// newNode prepares a node.
func (r *run) newNode(ctx context.Context, name string, env []string, args ...string) (*node, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	n := &node{run: r, name: name, addr: addr, program: r.parley, args: append(args, "--addr", addr), env: env, check: "/readyz"}
	r.onEnd(func() error { n.kill(); return nil })
	return n, nil
}

func (n *node) url() string { return "http://" + n.addr }

// start starts it, and returns when it is up.
func (n *node) start(ctx context.Context) error {
	if err := n.launch(ctx); err != nil {
		return err
	}
	return n.up(ctx)
}

// launch starts it without waiting.
func (n *node) launch(ctx context.Context) error {
	out, err := os.OpenFile(filepath.Join(n.run.dir, n.name+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep the output of %s: %w", n.name, err)
	}
	defer out.Close()
	// The child outlives ctx: the end of the case ends it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), n.program, n.args...)
	cmd.Env = append(os.Environ(), n.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	setDeathSignal(cmd.SysProcAttr)
	end := make(chan struct{})
	started := make(chan error, 1)
	go func() {
		defer close(end)
		// The child dies with the thread that made it: this one is kept for it.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			n.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cmd, n.end = cmd, end
	return nil
}

// up waits until the node answers that it is.
func (n *node) up(ctx context.Context) error {
	end := n.ended()
	return until(ctx, startLimit, 20*time.Millisecond, "wait for "+n.name, func() (bool, error) {
		select {
		case <-end:
			return false, fmt.Errorf("%s ended: %w\n%s", n.name, errors.Join(n.err), tail(filepath.Join(n.run.dir, n.name+".out")))
		default:
		}
		status, _, err := call(ctx, n.url(), adminToken, http.MethodGet, n.check, "")
		return err == nil && status == http.StatusOK, nil // not there yet
	})
}

// ended is closed when the process has ended.
func (n *node) ended() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.end
}

// signal tells the process something; one that has ended does not mind.
func (n *node) signal(sig os.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(sig)
	}
}

// kill ends it as a power button would, and returns when it is gone.
func (n *node) kill() {
	n.signal(syscall.SIGKILL)
	n.gone()
}

// freeze stops it where it stands, and returns when none of its threads runs.
func (n *node) freeze(ctx context.Context) error {
	n.signal(syscall.SIGSTOP)
	n.mu.Lock()
	tasks := fmt.Sprintf("/proc/%d/task/*/stat", n.cmd.Process.Pid)
	n.mu.Unlock()
	return until(ctx, stopLimit, time.Millisecond, n.name+" stands still", func() (bool, error) {
		stats, err := filepath.Glob(tasks)
		if err != nil || len(stats) == 0 {
			return false, fmt.Errorf("look at the threads of %s: %w", n.name, errors.Join(err, os.ErrNotExist))
		}
		for _, file := range stats {
			raw, _ := os.ReadFile(file) // the thread may have ended between the two looks
			_, state, ok := strings.Cut(string(raw), ") ")
			// T is stopped, D is in a system call that ends in the kernel before it stops.
			if !ok || (state[0] != 'T' && state[0] != 'D') {
				return false, nil
			}
		}
		return true, nil
	})
}

// gone waits for the end.
func (n *node) gone() {
	if end := n.ended(); end != nil {
		<-end
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cmd, n.end = nil, nil
}

// stop asks it to end, as an orchestrator does. Not to end in time, or with an
// error, is one.
func (n *node) stop() error {
	n.signal(syscall.SIGTERM)
	end := n.ended()
	if end == nil {
		return nil
	}
	select {
	case <-end:
		n.gone()
		if n.err != nil {
			return fmt.Errorf("%s was asked to end: %w", n.name, n.err)
		}
		return nil
	case <-time.After(stopLimit):
		n.kill()
		return fmt.Errorf("%s did not end within %s", n.name, stopLimit)
	}
}

// freeAddr finds a loopback port that nobody listens on, below those that are
// handed out to clients: a node that comes back must find its own free.
func freeAddr(ctx context.Context) (string, error) {
	const from, to = 12000, 20000
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		// All of 127/8 is loopback there: suites beside each other keep apart.
		pid := os.Getpid()
		host = fmt.Sprintf("127.%d.%d.%d", 1+pid>>16&0x7f, pid>>8&0xff, 1+pid&0x7f)
	}
	for range 200 {
		//nolint:gosec // a place to try
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("%s:%d", host, from+rand.IntN(to-from)))
		if err != nil {
			continue // taken
		}
		addr := l.Addr().String()
		return addr, l.Close()
	}
	return "", fmt.Errorf("no free port of %s between %d and %d", host, from, to)
}
