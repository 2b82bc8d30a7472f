package eventstore

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// Registerer is where metrics go.
type Registerer = prometheus.Registerer

type metrics struct {
	appended map[string]prometheus.Counter // by stored name
	foreign  prometheus.Counter            // stored names that this version does not know
	refused  prometheus.Counter
}

// labelForeign stands for all stored names that are not known here, so that the
// set of labels stays closed.
const labelForeign = "unknown"

// answered counts one event that the log has acknowledged or not.
func (m *metrics) answered(stored string, landed bool) {
	switch counter, known := m.appended[stored]; {
	case !landed:
		m.refused.Inc()
	case known:
		counter.Inc()
	default:
		m.foreign.Inc()
	}
}

func newMetrics(reg Registerer) (*metrics, error) {
	appended := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_events_appended_total",
		Help: "Events that this process has appended to the log and got acknowledged, by stored name.",
	}, []string{"type"})
	m := &metrics{
		appended: map[string]prometheus.Counter{},
		foreign:  appended.WithLabelValues(labelForeign),
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
