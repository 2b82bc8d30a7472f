package eventstore

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// Registerer is where metrics go.
type Registerer = prometheus.Registerer

type metrics struct {
	appended map[string]prometheus.Counter
	refused  prometheus.Counter
}

func newMetrics(reg Registerer) (*metrics, error) {
	appended := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_events_appended_total",
		Help: "Events that this process has appended to the log and got acknowledged, by stored name.",
	}, []string{"type"})
	m := &metrics{
		appended: map[string]prometheus.Counter{},
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_events_refused_total",
			Help: "Events that the log did not acknowledge; they may or may not be there.",
		}),
	}
	for _, t := range domain.EventTypes() {
		m.appended[t] = appended.WithLabelValues(t)
	}
	for _, c := range []prometheus.Collector{appended, m.refused} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
