package callback

import "github.com/prometheus/client_golang/prometheus"

// endpointGauges count endpoints that get nothing, or less than they might. They
// are read from the worker's state when they are asked for.
type endpointGauges struct{ w *Worker }

func (g *endpointGauges) descs() (breaker, slowed *prometheus.Desc) {
	breaker = prometheus.NewDesc("parley_delivery_breaker_state", "Endpoints whose calls are stopped because they failed one after the other: open, or with a probe under way.",
		[]string{"state"}, nil)
	slowed = prometheus.NewDesc("parley_delivery_endpoints_slowed", "Endpoints that are called more slowly because they answered 429.", nil, nil)
	return breaker, slowed
}

// Describe implements prometheus.Collector.
func (g *endpointGauges) Describe(ch chan<- *prometheus.Desc) {
	breaker, slowed := g.descs()
	ch <- breaker
	ch <- slowed
}

// Collect implements prometheus.Collector.
func (g *endpointGauges) Collect(ch chan<- prometheus.Metric) {
	var open, probing, slow int
	g.w.mu.Lock()
	for _, e := range g.w.endpoints {
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
	breaker, slowed := g.descs()
	ch <- prometheus.MustNewConstMetric(breaker, prometheus.GaugeValue, float64(open), "open")
	ch <- prometheus.MustNewConstMetric(breaker, prometheus.GaugeValue, float64(probing), "half_open")
	ch <- prometheus.MustNewConstMetric(slowed, prometheus.GaugeValue, float64(slow))
}
