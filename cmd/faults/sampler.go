package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What of a process must not grow without end.
const (
	ofMemory     = "process_resident_memory_bytes"
	ofGoroutines = "go_goroutines"
	ofFiles      = "process_open_fds"
	// What the last collection of garbage has left of the heap.
	ofLive = "go_gc_heap_live_bytes"
)

// sample is what a process had at a time.
type sample struct {
	at     time.Time
	values map[string]float64
}

// sampler asks a node again and again what it has.
type sampler struct {
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu      sync.Mutex
	samples []sample
}

// watch begins to ask a node, every so often.
func watch(ctx context.Context, n *node, every time.Duration) *sampler {
	ctx, cancel := context.WithCancel(ctx)
	s := &sampler{cancel: cancel}
	s.all.Go(func() {
		for ctx.Err() == nil {
			s.look(ctx, n)
			_ = pause(ctx, every)
		}
	})
	return s
}

// close ends it.
func (s *sampler) close() {
	s.cancel()
	s.all.Wait()
}

// look asks once; a node that does not answer gives no sample.
func (s *sampler) look(ctx context.Context, n *node) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	status, raw, err := call(ctx, n.url(), "", http.MethodGet, "/metrics", "")
	if err != nil || status != http.StatusOK {
		return
	}
	values := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || !slices.Contains([]string{ofMemory, ofLive, ofGoroutines, ofFiles}, name) {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			values[name] = v
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples = append(s.samples, sample{at: time.Now(), values: values})
}

// seen copies the samples so far.
func (s *sampler) seen() []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sample(nil), s.samples...)
}

// most is the largest value of a name.
func most(samples []sample, name string) float64 {
	var top float64
	for _, s := range samples {
		top = max(top, s.values[name])
	}
	return top
}

// mean is the average value of a name.
func mean(samples []sample, name string) float64 {
	var sum float64
	for _, s := range samples {
		sum += s.values[name]
	}
	return sum / float64(max(1, len(samples)))
}

// slope is how much a name grows in an hour, by least squares.
func slope(samples []sample, name string) float64 {
	if len(samples) < 2 {
		return 0
	}
	first, average := samples[0].at, mean(samples, name)
	var middle float64
	for _, s := range samples {
		middle += s.at.Sub(first).Hours()
	}
	middle /= float64(len(samples))
	var both, square float64
	for _, s := range samples {
		x := s.at.Sub(first).Hours() - middle
		both += x * (s.values[name] - average)
		square += x * x
	}
	if square == 0 {
		return 0
	}
	return both / square
}

func mib(bytes float64) string { return fmt.Sprintf("%.0f MiB", bytes/(1<<20)) }
