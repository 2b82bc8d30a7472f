package callback

import "github.com/prometheus/client_golang/prometheus"

// endpointGauges count endpoints that get nothing, or less than they might. They
// are read from the worker's state when they are asked for.
type endpointGauges struct{ w *Worker }

func (g *endpointGauges) descs() (breaker, slowed, paused *prometheus.Desc) {
	breaker = prometheus.NewDesc("parley_delivery_breaker_state", "Endpoints whose calls are stopped because they failed one after the other: open, or with a probe under way.",
		[]string{"state"}, nil)
	slowed = prometheus.NewDesc("parley_delivery_endpoints_slowed", "Endpoints that are called more slowly because they answered 429.", nil, nil)
	paused = prometheus.NewDesc("parley_delivery_endpoints_paused", "Endpoints that are not called until somebody resumes them, of those that something waits for.", nil, nil)
	return breaker, slowed, paused
}

// Describe implements prometheus.Collector.
func (g *endpointGauges) Describe(ch chan<- *prometheus.Desc) {
	breaker, slowed, paused := g.descs()
	ch <- breaker
	ch <- slowed
	ch <- paused
}

// Collect implements prometheus.Collector.
func (g *endpointGauges) Collect(ch chan<- prometheus.Metric) {
	var open, probing, slow, stopped int
	g.w.mu.Lock()
	for _, e := range g.w.endpoints {
		if g.w.paused(e) {
			stopped++
		}
		if e.pace.limit > 0 {
			slow++
		}
		switch {
		case e.breaker.pause == 0:
		case e.breaker.probe != nil:
			probing++
		default:
			open++
		}
	}
	g.w.mu.Unlock()
	breaker, slowed, paused := g.descs()
	ch <- prometheus.MustNewConstMetric(breaker, prometheus.GaugeValue, float64(open), "open")
	ch <- prometheus.MustNewConstMetric(breaker, prometheus.GaugeValue, float64(probing), "half_open")
	ch <- prometheus.MustNewConstMetric(slowed, prometheus.GaugeValue, float64(slow))
	ch <- prometheus.MustNewConstMetric(paused, prometheus.GaugeValue, float64(stopped))
}
