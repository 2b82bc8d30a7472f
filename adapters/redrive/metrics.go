package redrive

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

type metrics struct {
	jobs     *prometheus.GaugeVec
	running  prometheus.Gauge
	redriven prometheus.Counter
	errors   prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		jobs: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parley_redrive_jobs", Help: "Redrives of the whole installation by state, as kept in the database.",
		}, []string{"state"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parley_redrive_running", Help: "1 while this node works on a redrive.",
		}),
		redriven: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_redrive_redriven_total", Help: "Dead letters that redrives have put back.",
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_redrive_errors_total", Help: "Turns of redrives that were broken off because the log or the database was away.",
		}),
	}
	for _, state := range domain.RedriveStates {
		m.jobs.WithLabelValues(string(state))
	}
	for _, c := range []prometheus.Collector{m.jobs, m.running, m.redriven, m.errors} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register: %w", err)
		}
	}
	return m, nil
}
