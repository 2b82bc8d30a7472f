// Command bench measures Parley beside its ceilings, in one run on one machine.
//
// It starts the real program (parley dev) as child processes on a temporary
// folder, is itself the load and the receiver of the callbacks, and runs each
// figure and its ceiling in turns. Ratios are what counts: throughput of a
// machine that does other things too varies, and both sides of a ratio vary
// with it. Nothing here fails because something is slow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// config is what the command line says.
type config struct {
	quick  bool
	full   bool
	rounds int

	partitions int
	json       string
	dir        string
	parley     string
	only       []string
}

// figures are the groups of the table, in order.
var figures = []struct {
	name    string
	measure func(context.Context, *bench) error
}{
	{"ingest", measureIngest},
	{"projection", measureProjection},
	{"delivery", measureDelivery},
	{"ring", measureRing},
	{"tickets", measureTickets},
	{"growth", measureGrowth},
}

func readConfig(args []string, stderr io.Writer) (config, error) {
	var cfg config
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&cfg.quick, "quick", false, "one short round of about a minute, and rough")
	flags.BoolVar(&cfg.full, "full", false, "rebuild one million events instead of extrapolating")
	flags.IntVar(&cfg.rounds, "rounds", 3, "rounds of figure and ceiling in turns; the median counts")
	flags.IntVar(&cfg.partitions, "partitions", 4, "partitions of the embedded log's events; 4 is its default")
	flags.StringVar(&cfg.json, "json", "bench.json", "`file` for the result with all rounds; empty writes none")
	flags.StringVar(&cfg.dir, "dir", "", "`folder` for temporary data, on the disk to be measured (default: the system's)")
	flags.StringVar(&cfg.parley, "parley", "", "program to measure (default: built from this tree)")
	flags.StringVar(&only, "run", "", "only these figures: ingest,projection,delivery,ring,tickets,growth")
	if err := flags.Parse(args); err != nil {
		return cfg, err
	}
	if cfg.rounds < 1 || cfg.partitions < 1 {
		return cfg, errors.New("-rounds and -partitions must be 1 or more")
	}
	if cfg.quick {
		cfg.rounds = 1
	}
	for name := range strings.SplitSeq(only, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !slices.ContainsFunc(figures, func(f struct {
			name    string
			measure func(context.Context, *bench) error
		},
		) bool {
			return f.name == name
		}) {
			return cfg, fmt.Errorf("-run: there is no figure %q", name)
		}
		cfg.only = append(cfg.only, name)
	}
	return cfg, nil
}

// run measures what args ask for, prints the table and writes the JSON.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		if ceiling, ok := ceilings[args[0]]; ok { // this process is a ceiling of another bench
			return ceiling(ctx, args[1:])
		}
	}
	cfg, err := readConfig(args, stderr)
	if err != nil {
		return err
	}
	b := &bench{cfg: cfg, stderr: stderr, started: time.Now()}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer b.clean()
	for _, f := range figures {
		if len(cfg.only) > 0 && !slices.Contains(cfg.only, f.name) {
			continue
		}
		b.group = f.name
		if err := f.measure(ctx, b); err != nil {
			return fmt.Errorf("measure %s: %w", f.name, err)
		}
	}
	b.report.finish(b.started)
	if err := b.report.print(stdout); err != nil {
		return err
	}
	if cfg.json == "" {
		return nil
	}
	return b.report.write(cfg.json)
}

// bench is one run.
type bench struct {
	cfg     config
	stderr  io.Writer
	started time.Time
	dir     string // of everything temporary
	parley  string // the program
	self    string // this program, for ceilings
	group   string // the figure being measured
	report  report
}

// prepare makes the temporary folder and the program.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.self, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if b.dir, err = os.MkdirTemp(b.cfg.dir, "parley-bench-"); err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	// The database's unprivileged user has to get through.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return fmt.Errorf("open the temporary folder: %w", err)
	}
	b.parley = b.cfg.parley
	if b.parley == "" {
		b.parley = filepath.Join(b.dir, "parley")
		b.sayf("building parley")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.parley, "github.com/parley-im/parley/cmd/parley")
		build.Stderr = b.stderr
		if err := build.Run(); err != nil {
			b.clean()
			return fmt.Errorf("build parley: %w", err)
		}
	}
	b.report.Machine = thisMachine(ctx, b.dir)
	b.report.Rounds, b.report.Partitions, b.report.Quick = b.cfg.rounds, b.cfg.partitions, b.cfg.quick
	return nil
}

func (b *bench) clean() {
	if err := os.RemoveAll(b.dir); err != nil {
		b.sayf("remove %s: %v", b.dir, err)
	}
}

// sayf shows progress.
func (b *bench) sayf(format string, args ...any) {
	where := b.group
	if where == "" {
		where = "bench"
	}
	fmt.Fprintf(b.stderr, "%4.0fs %s: %s\n", time.Since(b.started).Seconds(), where, fmt.Sprintf(format, args...))
}

// span gives the long or the quick form of a duration.
func (b *bench) span(normal, quick time.Duration) time.Duration {
	if b.cfg.quick {
		return quick
	}
	return normal
}

// size gives the long or the quick form of a number.
func (b *bench) size(normal, quick int) int {
	if b.cfg.quick {
		return quick
	}
	return normal
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
		if err := pause(ctx, step); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}
