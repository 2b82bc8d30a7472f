package timers

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	decisions *prometheus.CounterVec
	lateness  *prometheus.HistogramVec
	waits     prometheus.Histogram
	duration  prometheus.Histogram
	errors    *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_timers_decisions_total", Help: "Decisions about conversations that were appended to the log, by kind.",
		}, []string{"kind"}),
		lateness: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_timers_lateness_seconds", Help: "How long after it was due a decision was in the log.",
			Buckets:                     []float64{.05, .1, .25, .5, 1, 1.5, 2, 3, 5, 10, 30, 60, 600, 3600},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"kind"}),
		waits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_timers_queue_wait_seconds", Help: "How long conversations had waited in a queue when they were given to an agent.",
			Buckets:                     []float64{.25, .5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_timers_round_duration_seconds", Help: "How long rounds took; their count tells that there are rounds.",
			Buckets:                     []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_timers_errors_total", Help: "Rounds that failed at something, by what it was.",
		}, []string{"source"}),
	}
	for _, kind := range kinds {
		m.decisions.WithLabelValues(string(kind))
		if kind.timed() {
			m.lateness.WithLabelValues(string(kind))
		}
	}
	for _, source := range sources {
		m.errors.WithLabelValues(source)
	}
	for _, c := range []prometheus.Collector{m.decisions, m.lateness, m.waits, m.duration, m.errors} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register: %w", err)
		}
	}
	return m, nil
}
