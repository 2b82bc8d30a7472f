package callback

import "github.com/prometheus/client_golang/prometheus"

// endpointGauges count endpoints that get nothing, or less than they might. They
// are read from the worker's state when they are asked for.
type endpointGauges struct{ w *Worker }

func (g *endpointGauges) desc() *prometheus.Desc {
	return prometheus.NewDesc("parley_delivery_breaker_state", "Endpoints whose calls are stopped because they failed one after the other: open, or with a probe under way.",
		[]string{"state"}, nil)
}

// Describe implements prometheus.Collector.
func (g *endpointGauges) Describe(ch chan<- *prometheus.Desc) { ch <- g.desc() }

// Collect implements prometheus.Collector.
func (g *endpointGauges) Collect(ch chan<- prometheus.Metric) {
	var open, probing int
	g.w.mu.Lock()
	for _, e := range g.w.endpoints {
		switch {
		case e.breaker.pause == 0:
		case e.breaker.probe != nil:
			probing++
		default:
			open++
		}
	}
	g.w.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(g.desc(), prometheus.GaugeValue, float64(open), "open")
	ch <- prometheus.MustNewConstMetric(g.desc(), prometheus.GaugeValue, float64(probing), "half_open")
}
