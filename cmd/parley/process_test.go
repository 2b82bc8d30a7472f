package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the program: tests that kill it need a
// process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("PARLEY_TEST_PROGRAM") != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := clocked(os.Getenv("PARLEY_TEST_CLOCK"), os.Getenv("PARLEY_TEST_MACHINE_CLOCK")).run(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// clocked is a Parley by the clock of a test, or on a machine whose clock is that
// of a test: a file says how far it is ahead. Without a file it is the real one.
func clocked(file, machine string) *commands {
	var c commands
	if file != "" {
		c.Dev.clock = aheadBy(file)
		c.Serve.clock = c.Dev.clock
	}
	if machine != "" {
		c.Dev.machine = aheadBy(machine)
		c.Serve.machine = c.Dev.machine
	}
	return &c
}

func aheadBy(file string) func() time.Time {
	return func() time.Time {
		text, _ := os.ReadFile(file)
		ahead, _ := time.ParseDuration(string(text)) // not written yet: not ahead
		return time.Now().Add(ahead)
	}
}

// process is a Parley in a process of its own.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	URL   string
	Token string
	ended chan error
	// output is what it printed.
	mu     sync.Mutex
	output strings.Builder
}

// program makes a command line of Parley.
func program(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), "PARLEY_TEST_PROGRAM=1"), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// onKafka gives the variables that put a Parley of a test on the Kafka that
// PARLEY_TEST_KAFKA names, with topics and groups of its own; nothing when none is named.
func onKafka(name string) []string {
	brokers := os.Getenv("PARLEY_TEST_KAFKA")
	if brokers == "" {
		return nil
	}
	return []string{"PARLEY_KAFKA_BROKERS=" + brokers, "PARLEY_TOPIC_PREFIX=" + name, "PARLEY_PARTITIONS=4"}
}

// startProcess runs parley dev on a folder and waits until it says where it is.
// One that is started again on the folder finds its log again, also on Kafka.
func startProcess(t testing.TB, dir string, env ...string) *process {
	t.Helper()
	env = append(onKafka(filepath.Base(dir)), env...)
	return startProgram(t, "Ctrl-C stops it.", env, "dev", "--data", dir, "--addr", "127.0.0.1:0")
}

// startProgram runs a command line of Parley and waits for the line that says
// that it is up.
func startProgram(t testing.TB, upLine string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: program(env, args...), Token: testToken, ended: make(chan error, 1)}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	started := make(chan error, 1)
	up := make(chan struct{})
	go func() {
		// The child dies with the thread that made it: this one is kept for it.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.read(out, upLine, up)
		p.ended <- p.cmd.Wait()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	select {
	case <-up:
		return p
	case err := <-p.ended:
		p.ended <- err
		t.Fatalf("Parley ended at its start: %v\n%s", err, p.printed())
	case <-time.After(time.Minute):
		t.Fatalf("Parley is not up after a minute\n%s", p.printed())
	}
	return nil
}

// read keeps what is printed, and closes up at the line that says so.
func (p *process) read(out io.Reader, upLine string, up chan<- struct{}) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		p.mu.Lock()
		p.output.WriteString(line + "\n")
		p.mu.Unlock()
		if rest, ok := strings.CutPrefix(line, "Parley is up at "); ok {
			p.URL, _, _ = strings.Cut(rest, " ")
		}
		if rest, ok := strings.CutPrefix(line, "parley serves at "); ok {
			p.URL = rest
		}
		if rest, ok := strings.CutPrefix(line, "Admin token: "); ok {
			p.Token = rest
		}
		if strings.HasPrefix(line, upLine) {
			close(up)
		}
	}
}

func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// kill ends it as a power button would.
func (p *process) kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
	p.ended <- nil
}

// api makes a call to the platform API and reads its JSON answer into v.
func (p *process) api(method, path, body string, v any) int {
	p.t.Helper()
	status, err := call(p.URL, p.Token, method, path, body, v)
	if err != nil {
		p.t.Fatal(err)
	}
	return status
}

// call makes a call and reads its JSON answer into v unless that is nil.
func call(base, token, method, path, body string, v any) (int, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, base+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if v != nil && resp.StatusCode < 300 {
		if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
			return resp.StatusCode, fmt.Errorf("read %s %s: %w", method, path, err)
		}
	}
	return resp.StatusCode, nil
}

// eventually asks until done says yes; the test fails when that takes too long.
func eventually(t testing.TB, within time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %s", what, within)
		}
	}
}
