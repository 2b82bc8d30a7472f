//go:build mutations

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shortMutations is the form that goes with every run of the tests.
const shortMutations = 3000

// mutationWorkers send at the same time.
const mutationWorkers = 8

// TestMutations sends requests that were well-formed until they were changed in
// method, path, query, headers, credentials, body and framing, to every endpoint
// of a running Parley with two accounts. One account sends; the other has
// strings in all that it owns which nobody can guess. Whatever comes: no 5xx, no
// panic, no connection that is cut without an answer, errors in the shape of
// their door, nothing of the other account in an answer, the other account byte
// for byte as it was, no secret in the log, nothing accepted that cannot be
// projected and read, no goroutines left behind.
//
// PARLEY_TEST_MUTATIONS is how many requests; PARLEY_TEST_SEED repeats a run: the
// n-th request depends on the seed and n alone, but for ids that the server chose.
func TestMutations(t *testing.T) {
	count := shortMutations
	if text := os.Getenv("PARLEY_TEST_MUTATIONS"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil || count < 1 {
			t.Fatalf("PARLEY_TEST_MUTATIONS is %q", text)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("PARLEY_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("PARLEY_TEST_SEED is %q", text)
		}
	}
	t.Logf("%d requests, PARLEY_TEST_SEED=%d", count, seed)

	w := newMutationWorld(t)
	templates := w.templates(t)
	before := w.victim.state(t)
	// The search for what is the victim's must be able to find it.
	if !strings.Contains(before, w.mark) {
		t.Fatal("the victim has no marks")
	}
	calls, goroutines := w.victim.stub.count.Load(), w.goroutines(t)

	began := time.Now()
	v := newVerdicts(w)
	var next atomic.Int64
	var all sync.WaitGroup
	for range mutationWorkers {
		all.Go(func() {
			l := &line{world: w, verdicts: v}
			defer l.close()
			for n := next.Add(1); n <= int64(count); n = next.Add(1) {
				rng := rand.New(rand.NewPCG(seed, uint64(n)))
				m := templates.pick(rng).make(rng, w)
				m.number = n
				w.mutate(rng, m)
				l.send(rng, m)
			}
		})
	}
	all.Wait()
	took := time.Since(began)

	w.caughtUp(t)
	if after := w.victim.state(t); after != before {
		t.Errorf("the victim has changed: %s", firstDifference(before, after))
	}
	if more := w.victim.stub.count.Load() - calls; more != 0 {
		t.Errorf("the victim was called back %d times", more)
	}
	w.sender.readable(t, v)
	left := w.goroutinesAfter(t, goroutines)
	w.logs.check(t)
	v.report(t, took)
	t.Logf("goroutines: %d before, %d after; log: %d lines, %d of them errors", goroutines, left, w.logs.lines.Load(), w.logs.errors.Load())
}

// goroutines counts them once nothing is going on any more.
func (w *mutationWorld) goroutines(t *testing.T) int {
	t.Helper()
	w.client.CloseIdleConnections()
	last, calm := runtime.NumGoroutine(), 0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Second)
	for calm < 5 {
		select {
		case <-tick.C:
		case <-deadline:
			return last
		}
		if n := runtime.NumGoroutine(); n == last {
			calm++
		} else {
			last, calm = n, 0
		}
	}
	return last
}

// goroutinesMore is how many there may be more. What stays are connections to the
// log and to integrations, in pools that have grown towards their bounds; both
// ends are in this process, each with several goroutines.
const goroutinesMore = 200

func (w *mutationWorld) goroutinesAfter(t *testing.T, before int) (left int) {
	t.Helper()
	w.client.CloseIdleConnections()
	w.sender.stub.CloseClientConnections() // idle ones of callbacks, with three goroutines each
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		left = runtime.NumGoroutine()
		if left <= before+goroutinesMore {
			return left
		}
		select {
		case <-tick.C:
		case <-deadline:
			var stacks strings.Builder
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Errorf("%d goroutines, %d before\n%s", left, before, stacks.String())
			return left
		}
	}
}

// verdicts are what came of all requests.
type verdicts struct {
	world *mutationWorld

	mu       sync.Mutex
	statuses map[string]map[int]int // area → status → requests
	routes   map[string]int         // template → requests
	taken    map[string]int         // template → answers of 2xx
	kinds    map[string]int         // mutation → uses
	slow     []string               // over a second
	slowOf   map[string]int         // status and template → those
	slowest  time.Duration
	faults   map[string][]string // what → examples
	count    map[string]int      // what → times
	requests int
}

func newVerdicts(w *mutationWorld) *verdicts {
	return &verdicts{
		world: w, statuses: map[string]map[int]int{}, routes: map[string]int{}, taken: map[string]int{}, kinds: map[string]int{},
		slowOf: map[string]int{}, faults: map[string][]string{}, count: map[string]int{},
	}
}

// slowAnswer is told, not judged: the machine may be busy, and a callback that is
// checked while one waits may take its time.
const slowAnswer = time.Second

// note takes the result of one request.
func (v *verdicts) note(m *mutant, status int, took time.Duration, faults []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests++
	if v.statuses[m.area] == nil {
		v.statuses[m.area] = map[int]int{}
	}
	v.statuses[m.area][status]++
	v.routes[m.name]++
	if status/100 == 2 {
		v.taken[m.name]++
	}
	for _, k := range m.spoilt {
		v.kinds[k]++
	}
	v.slowest = max(v.slowest, took)
	if took > slowAnswer {
		v.slowOf[fmt.Sprintf("%d  %s", status, m.name)]++
		v.slow = append(v.slow, fmt.Sprintf("%6.2fs  %d  %s  %v", took.Seconds(), status, m.name, m.spoilt))
	}
	for _, what := range faults {
		v.fault(what, m.String())
	}
}

// fault notes a fault; the caller holds mu.
func (v *verdicts) fault(what, example string) {
	v.count[what]++
	if len(v.faults[what]) < 5 {
		v.faults[what] = append(v.faults[what], example)
	}
}

// report prints the run and fails the test over each kind of fault.
func (v *verdicts) report(t *testing.T, took time.Duration) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	t.Logf("%d requests in %s (%.0f a second), %d endpoints, %d kinds of changes", v.requests, took.Round(time.Millisecond),
		float64(v.requests)/took.Seconds(), len(v.routes), len(v.kinds))
	for _, area := range sorted(v.statuses) {
		var parts []string
		for _, status := range sorted(v.statuses[area]) {
			parts = append(parts, fmt.Sprintf("%d×%d", status, v.statuses[area][status]))
		}
		t.Logf("  %-10s %s", area, strings.Join(parts, "  "))
	}
	var never []string
	for _, name := range sorted(v.routes) {
		if v.taken[name] == 0 && v.routes[name] > 50 {
			never = append(never, name)
		}
	}
	t.Logf("never answered 2xx: %s", strings.Join(never, ", "))
	t.Logf("slowest %s; over %s: %d", v.slowest.Round(time.Millisecond), slowAnswer, len(v.slow))
	for _, what := range sorted(v.slowOf) {
		t.Logf("  %3d× %s", v.slowOf[what], what)
	}
	slices.Sort(v.slow)
	slices.Reverse(v.slow)
	for _, s := range v.slow[:min(10, len(v.slow))] {
		t.Log("  " + s)
	}
	for _, what := range sorted(v.faults) {
		t.Errorf("%s: %d times\n%s", what, v.count[what], strings.Join(v.faults[what], "\n"))
	}
}

// firstDifference shows where two texts part.
func firstDifference(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	part := func(s string) string { return s[max(0, i-300):min(len(s), i+300)] }
	return fmt.Sprintf("at byte %d of %d and %d\nwas: …%s…\nis:  …%s…", i, len(a), len(b), part(a), part(b))
}
