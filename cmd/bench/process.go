package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	adminToken  = "bench-admin-token-0123456789"
	startLimit  = 90 * time.Second // a first start makes a database; a large log is read whole
	stopLimit   = 15 * time.Second
	callTimeout = 30 * time.Second
)

// process is a child: the program, or a ceiling.
type process struct {
	name string
	addr string
	dir  string
	cmd  *exec.Cmd
	out  *os.File
	done chan struct{} // closed when the child has ended; then err is set
	err  error
	http *http.Client
}

// product starts parley dev on a data folder, which is made unless it is there,
// and returns when it is ready. env names settings, such as PARLEY_ROLES=api.
func (b *bench) product(ctx context.Context, data string, env ...string) (*process, error) {
	// The folder is there before parley makes it for itself alone: the database's
	// unprivileged user has to get into it.
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, "parley", addr, data, append(env, "PARLEY_ADMIN_TOKEN="+adminToken, "PARLEY_PARTITIONS="+strconv.Itoa(b.cfg.partitions)),
		b.parley, "dev", "--data", data, "--addr", addr)
	if err != nil {
		return nil, err
	}
	return p, p.ready(ctx, "/readyz")
}

// ceiling starts this program as one of its ceilings that serve HTTP.
func (b *bench) ceiling(ctx context.Context, name, data string, args ...string) (*process, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of a ceiling: %w", err)
	}
	p, err := start(ctx, name, addr, data, nil, b.self, append([]string{name, "-addr", addr, "-dir", data}, args...)...)
	if err != nil {
		return nil, err
	}
	return p, p.ready(ctx, "/")
}

func start(ctx context.Context, name, addr, dir string, env []string, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(filepath.Join(dir, name+".out"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("keep the output of %s: %w", name, err)
	}
	// The child outlives ctx until stop has asked it to end.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), out.Close())
	}
	p := &process{
		name: name, addr: addr, dir: dir, cmd: cmd, out: out, done: make(chan struct{}),
		http: &http.Client{Timeout: callTimeout},
	}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	return p, nil
}

// ready waits until a path answers 200. A child that does not get there is stopped.
func (p *process) ready(ctx context.Context, path string) error {
	err := until(ctx, startLimit, 20*time.Millisecond, "wait for "+p.name, func() (bool, error) {
		select {
		case <-p.done:
			return false, errors.Join(fmt.Errorf("%s ended", p.name), p.err)
		default:
		}
		status, _, err := p.call(ctx, http.MethodGet, path, nil)
		return err == nil && status == http.StatusOK, nil // not there yet
	})
	if err != nil {
		return errors.Join(err, fmt.Errorf("last output:\n%s", p.tail()), p.stop())
	}
	return nil
}

// stop asks the child to end, and ends it when it does not.
func (p *process) stop() error {
	p.http.CloseIdleConnections()
	defer p.out.Close()
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
	select {
	case <-p.done:
		return nil
	case <-time.After(stopLimit):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not stop within %s", p.name, stopLimit)
	}
}

// tail is the end of what the child has said.
func (p *process) tail() string {
	raw, err := os.ReadFile(p.out.Name())
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-4000):])
}

// call makes one request with the admin token.
func (p *process) call(ctx context.Context, method, path string, body any, headers ...string) (int, []byte, error) {
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, nil, fmt.Errorf("encode a request: %w", err)
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.addr+path, reader)
	if err != nil {
		return 0, nil, fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("call %s: %w", p.name, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// metric adds up the samples of a metric whose labels hold a text.
func (p *process) metric(ctx context.Context, name, labels string) (float64, error) {
	status, text, err := p.call(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return 0, err
	}
	if status != http.StatusOK {
		return 0, fmt.Errorf("/metrics answered %d", status)
	}
	var sum float64
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') || !strings.Contains(rest, labels) {
			continue
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("read metric %s: %w", name, err)
		}
		sum += v
	}
	return sum, lines.Err()
}

// applied is how many events a projection has taken in since the start.
func (p *process) applied(ctx context.Context, projection string) (int, error) {
	n, err := p.metric(ctx, "parley_projection_events_applied_total", `projection="`+projection+`"`)
	return int(n), err
}

// settle waits until the projections have taken in nothing new for a while.
func (p *process) settle(ctx context.Context) error {
	last, since := -1, time.Now()
	return until(ctx, 2*time.Minute, 100*time.Millisecond, "wait for the projections", func() (bool, error) {
		a, err := p.applied(ctx, "conversations")
		if err != nil {
			return false, err
		}
		d, err := p.applied(ctx, "deliveries")
		if err != nil {
			return false, err
		}
		if a+d != last {
			last, since = a+d, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond, nil
	})
}

// userHz is what the kernel counts CPU time in for /proc, on every machine that
// Go runs on.
const userHz = 100

// used is CPU time: of the child itself, and of everything below it, which of
// the product is its Postgres.
type used struct{ own, below time.Duration }

func (u used) since(before used) used { return used{u.own - before.own, u.below - before.below} }

// each shares the time out, in milliseconds.
func (u used) each(n int) float64 { return millis(u.own+u.below) / float64(n) }

// cpu is the CPU time that was used so far.
func (p *process) cpu() (used, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return used{}, errors.New("CPU time is read from /proc, which is not there")
	}
	type task struct{ parent, ticks int }
	tasks := map[int]task{}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended; its parent has its time
		}
		pid, parent, ticks, ok := readStat(string(raw))
		if ok {
			tasks[pid] = task{parent, ticks}
		}
	}
	root := p.cmd.Process.Pid
	below := func(pid int) bool {
		for range 64 {
			if pid == root {
				return true
			}
			t, ok := tasks[pid]
			if !ok || t.parent == 0 {
				return false
			}
			pid = t.parent
		}
		return false
	}
	var sum used
	for pid, t := range tasks {
		switch time := time.Duration(t.ticks) * time.Second / userHz; {
		case pid == root:
			sum.own += time
		case below(pid):
			sum.below += time
		}
	}
	return sum, nil
}

// readStat reads /proc/<pid>/stat: ticks are those of the process and of its
// children that have ended.
func readStat(text string) (pid, parent, ticks int, ok bool) {
	name := strings.LastIndexByte(text, ')') // a name may hold anything
	if name < 0 {
		return 0, 0, 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text[:strings.IndexByte(text, '(')]))
	if err != nil {
		return 0, 0, 0, false
	}
	fields := strings.Fields(text[name+1:])
	if len(fields) < 15 {
		return 0, 0, 0, false
	}
	parent, err = strconv.Atoi(fields[1])
	if err != nil {
		return 0, 0, 0, false
	}
	for _, f := range fields[11:15] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, 0, 0, false
		}
		ticks += n
	}
	return pid, parent, ticks, true
}

// freeAddr finds a loopback address that nobody listens on.
func freeAddr(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
