package postgres

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is one running postmaster, a direct child of this process.
type server struct {
	pid  int
	log  *logWriter
	done chan struct{} // closed when the postmaster has ended
	err  error         // how it ended; read after done
}

// startServer starts the postmaster. On Linux the kernel sends it SIGINT, a
// clean fast shutdown, when this process dies in whatever way.
//
// The kernel binds that signal to the thread that made the child, not to the
// process, so a thread of its own is kept for the child's whole life.
func startServer(b binaries, p place, settings map[string]string, logger *slog.Logger) (*server, error) {
	args := []string{"-D", p.data()}
	for _, name := range sortedKeys(settings) {
		args = append(args, "-c", name+"="+settings[name])
	}
	s := &server{log: &logWriter{logger: logger}, done: make(chan struct{})}
	// No context ends it: stop does, in order.
	cmd := exec.CommandContext(context.Background(), b.postgres(), args...)
	cmd.Dir = p.data()
	cmd.Env = serverEnv()
	cmd.Stdout = s.log
	cmd.Stderr = s.log
	// A backend that outlives a killed postmaster keeps our pipe open; the
	// postmaster's end is what counts.
	cmd.WaitDelay = time.Second
	// Its own process group: Ctrl-C in a terminal reaches Parley alone, which
	// stops its own parts first and Postgres last.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner.credential(), Setpgid: true}
	setDeathSignal(cmd.SysProcAttr)

	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		s.pid = cmd.Process.Pid
		started <- nil
		s.err = cmd.Wait()
		close(s.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", b.postgres(), err)
	}
	return s, nil
}

// stop ends the postmaster: fast shutdown, and once the bound is over or ctx
// ends, immediate shutdown, which loses nothing but makes the next start
// recover. It returns when the postmaster is gone.
func (s *server) stop(ctx context.Context, bound time.Duration) error {
	if s.wait(ctx, syscall.SIGINT, bound) {
		return nil
	}
	// The postmaster itself kills what has not left 5 s after SIGQUIT.
	ctx = context.WithoutCancel(ctx) // asked or not, it ends now
	if s.wait(ctx, syscall.SIGQUIT, 8*time.Second) {
		return nil
	}
	if s.wait(ctx, syscall.SIGKILL, 5*time.Second) {
		return nil
	}
	return fmt.Errorf("postgres (pid %d) does not end, not even killed", s.pid)
}

// wait sends the signal and says whether the postmaster ended in time.
func (s *server) wait(ctx context.Context, sig syscall.Signal, bound time.Duration) bool {
	select {
	case <-s.done: // its pid may belong to someone else by now
		return true
	default:
	}
	// The child is not reaped before done is closed, save for the moment in
	// between, in which its pid is not given out again so soon.
	_ = syscall.Kill(s.pid, sig)
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-s.done:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// logWriter takes the server's log: each line goes to our log at debug level,
// a panic of the server at error level, and the last lines are kept to explain
// a failed start.
type logWriter struct {
	logger *slog.Logger

	mu      sync.Mutex
	partial []byte
	last    []string
}

// maxLogLine and keptLogLines bound what a talkative server can hold.
const (
	maxLogLine   = 4 << 10
	keptLogLines = 12
)

func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.partial = append(w.partial, p...)
	for {
		i := bytes.IndexByte(w.partial, '\n')
		if i < 0 {
			break
		}
		w.line(string(w.partial[:i]))
		w.partial = w.partial[i+1:]
	}
	if len(w.partial) > maxLogLine {
		w.line(string(w.partial))
		w.partial = nil
	}
	return len(p), nil
}

func (w *logWriter) line(text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	w.last = append(w.last, text)
	if len(w.last) > keptLogLines {
		w.last = w.last[1:]
	}
	level := slog.LevelDebug
	if strings.Contains(text, "PANIC:") {
		level = slog.LevelError
	}
	w.logger.Log(context.Background(), level, "postgres says", "line", text)
}

// tail returns the server's last words.
func (w *logWriter) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.last, "\n")
}
