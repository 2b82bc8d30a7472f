// Command faults breaks Parley on purpose and counts what became of every
// message.
//
// It builds the real program and runs it as child processes, on the embedded log
// or on three brokers of a real Apache Kafka, with a real Postgres. It is itself
// the integrations that post, the contact centre that replies and the receiver of
// the callbacks, so it knows every id that was sent and how it was answered. Each
// case breaks one thing under load, round after round. After each round an oracle
// reads everything back: what was accepted is in the log, in the rows and at the
// receiver; each conversation is told in the order of the log; only calls that
// were in flight at a fault were made twice; what was refused is nowhere.
//
// The short forms of the cases are this package's tests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := suite(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// config is what the command line says.
type config struct {
	rounds int
	cases  []string
	log    string
	short  bool
	list   bool
	write  bool
	json   string
	seed   uint64
	beside int
	limit  time.Duration // of each case
	merge  []string      // files of results; no case is run then
	soak   time.Duration
	dir    string
	parley string
}

// Logs that a case can run on.
const (
	onEmbedded = "embedded"
	onKafka    = "kafka"
)

func readConfig(args []string, stderr io.Writer) (config, error) {
	var cfg config
	var only string
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&cfg.rounds, "rounds", 0, "rounds of every case; 0 is as many as the case names")
	flags.StringVar(&only, "case", "", "only cases whose name begins with one of these, separated by commas")
	flags.StringVar(&cfg.log, "log", "both", "embedded, kafka or both")
	flags.BoolVar(&cfg.short, "short", false, "the short form: as few rounds as the tests make")
	flags.BoolVar(&cfg.list, "list", false, "list the cases and end")
	flags.BoolVar(&cfg.write, "write", false, "put the result into docs/reliability.md and docs/reliability.json")
	flags.StringVar(&cfg.json, "json", "", "`file` for the result")
	flags.Func("merge", "run no case: put the results of these `files`, as -json writes them, into docs/reliability.md and\n"+
		"docs/reliability.json; separated by commas, or once for each file. The newest line of each case is taken", func(files string) error {
		for name := range strings.SplitSeq(files, ",") {
			cfg.merge = append(cfg.merge, strings.TrimSpace(name))
		}
		return nil
	})
	flags.DurationVar(&cfg.soak, "soak", 20*time.Minute, "how long the soak takes")
	flags.Uint64Var(&cfg.seed, "seed", 0, "of the random moments; 0 takes a new one, which is printed")
	flags.DurationVar(&cfg.limit, "limit", 0, "time of each case, from its own begin: after it the case begins no further round; 0 is no limit")
	flags.IntVar(&cfg.beside, "parallel", 1, "cases that are run beside each other")
	flags.StringVar(&cfg.dir, "dir", "", "`folder` for temporary data (default: the system's)")
	flags.StringVar(&cfg.parley, "parley", "", "program to break (default: built from this tree)")
	if err := flags.Parse(args); err != nil {
		return cfg, err
	}
	if !slices.Contains([]string{onEmbedded, onKafka, "both"}, cfg.log) {
		return cfg, fmt.Errorf("-log: %q is not embedded, kafka or both", cfg.log)
	}
	if cfg.rounds < 0 || cfg.beside < 1 {
		return cfg, errors.New("-rounds must not be negative, -parallel must be 1 or more")
	}
	for name := range strings.SplitSeq(only, ",") {
		if name = strings.TrimSpace(name); name != "" {
			cfg.cases = append(cfg.cases, name)
		}
	}
	if cfg.seed == 0 {
		cfg.seed = rand.Uint64() //nolint:gosec // moments, not secrets
	}
	return cfg, nil
}

// chosen tells whether a case on a log is to be run.
func (c config) chosen(f fault, log string) bool {
	if c.log != "both" && c.log != log || !slices.Contains(f.logs, log) {
		return false
	}
	return len(c.cases) == 0 || slices.ContainsFunc(c.cases, func(name string) bool { return strings.HasPrefix(f.name, name) })
}

// suite runs the chosen cases, prints the table and keeps the result. Its error
// says which cases have failed.
func suite(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := readConfig(args, stderr)
	if err != nil {
		return err
	}
	if cfg.list {
		return listFaults(stdout)
	}
	if len(cfg.merge) > 0 {
		return mergeFiles(cfg, stdout)
	}
	b, err := newBench(ctx, cfg, stderr)
	if err != nil {
		return err
	}
	defer b.clean()
	report := Report{Results: b.runAll(ctx)}
	report.finish(ctx, b)
	if err := report.print(stdout); err != nil {
		return err
	}
	return report.written(cfg)
}

// runAll runs the chosen cases, some beside each other, and gives their results in
// the order of the cases.
func (b *bench) runAll(ctx context.Context) []Result {
	type job struct {
		fault fault
		log   string
	}
	var jobs []job
	for _, f := range faults() {
		for _, log := range []string{onEmbedded, onKafka} {
			if b.cfg.chosen(f, log) {
				jobs = append(jobs, job{f, log})
			}
		}
	}
	results := make([]Result, len(jobs))
	var all errgroup.Group
	all.SetLimit(b.cfg.beside)
	for i, j := range jobs {
		all.Go(func() error {
			rounds := j.fault.rounds
			if b.cfg.short {
				rounds = max(1, j.fault.short)
			}
			if b.cfg.rounds > 0 {
				rounds = b.cfg.rounds
			}
			results[i] = b.run(ctx, j.fault, j.log, rounds)
			return nil
		})
	}
	_ = all.Wait() // what went wrong is in the results
	return results
}

// bench is what the cases of one run share: the program, a folder, the brokers.
type bench struct {
	cfg     config
	stderr  io.Writer
	started time.Time
	dir     string // of everything temporary
	parley  string // the program
	kafka   kafkas
	whole   sync.RWMutex // of the brokers: held whole by the case that breaks them

	mu      sync.Mutex
	clocked string // a build of the program whose clock can be put forward; made when it is needed
}

func newBench(ctx context.Context, cfg config, stderr io.Writer) (b *bench, err error) {
	b = &bench{cfg: cfg, stderr: stderr, started: time.Now(), parley: cfg.parley}
	if b.dir, err = os.MkdirTemp(cfg.dir, "parley-faults-"); err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	// The database's unprivileged user has to get through.
	if err := os.Chmod(b.dir, 0o711); err != nil {
		return nil, fmt.Errorf("open the temporary folder: %w", err)
	}
	if b.parley == "" {
		b.parley = filepath.Join(b.dir, "parley")
		b.sayf("building parley")
		if err := b.build(ctx, "build", "-trimpath", "-o", b.parley, "github.com/parley-im/parley/cmd/parley"); err != nil {
			b.clean()
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) build(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = b.stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build parley: %w", err)
	}
	return nil
}

// withClock builds the program with the clock that its tests use: a file says how
// far it is ahead of the machine's.
func (b *bench) withClock(ctx context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.clocked == "" {
		file := filepath.Join(b.dir, "parley.clocked")
		if err := b.build(ctx, "test", "-c", "-o", file, "github.com/parley-im/parley/cmd/parley"); err != nil {
			return "", err
		}
		b.clocked = file
	}
	return b.clocked, nil
}

func (b *bench) clean() {
	b.kafka.close()
	if err := os.RemoveAll(b.dir); err != nil {
		b.sayf("remove %s: %v", b.dir, err)
	}
}

// sayf shows progress.
func (b *bench) sayf(format string, args ...any) {
	fmt.Fprintf(b.stderr, "%5.0fs %s\n", time.Since(b.started).Seconds(), fmt.Sprintf(format, args...))
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until asks again every step until done tells true, for limit at most.
func until(ctx context.Context, limit, step time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if pause(ctx, step) != nil {
			return fmt.Errorf("%s: not within %s", what, limit)
		}
	}
}
