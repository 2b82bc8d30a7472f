package main

import (
	"testing"
)

// TestFaults is the short form of every case: on the embedded log, or on three
// brokers with the build tag kafka. They run in turns: each puts load on the
// machine, and what they look for are lost messages, not slow ones. Those that
// mostly wait run beside each other in the end.
func TestFaults(t *testing.T) { //nolint:tparallel // only those that mostly wait, see above
	t.Parallel()
	cfg := config{log: testedOn, seed: 1, short: true}
	b, err := newBench(t.Context(), cfg, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.clean)
	for _, f := range faults() {
		if f.slow || !cfg.chosen(f, testedOn) {
			continue
		}
		t.Run(f.name, func(t *testing.T) { //nolint:paralleltest // in turns, see above
			if f.beside {
				t.Parallel()
			}
			result := b.run(t.Context(), f, testedOn, max(1, f.short))
			if result.NotRun != "" {
				t.Log(result.NotRun)
			} else if !result.Pass {
				t.Errorf("%+v", result)
			}
		})
	}
}
