package respondio

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

type metrics struct {
	answered                  map[int]prometheus.Counter
	messages, echos, receipts prometheus.Counter
}

// statuses are all that the door answers.
var statuses = [...]int{
	http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusServiceUnavailable,
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	answered := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_respondio_webhooks_total", Help: "Posts of respond.io and IS-Messenger integrations, by the status of the answer.",
	}, []string{"status"})
	taken := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_respondio_events_total", Help: "Events taken in from respond.io and IS-Messenger integrations, by their type on the wire.",
	}, []string{"type"})
	for _, c := range []prometheus.Collector{answered, taken} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the respond.io door: %w", err)
		}
	}
	m := &metrics{
		answered: map[int]prometheus.Counter{},
		messages: taken.WithLabelValues("message"),
		echos:    taken.WithLabelValues("message_echo"),
		receipts: taken.WithLabelValues("message_status"),
	}
	for _, status := range statuses {
		m.answered[status] = answered.WithLabelValues(strconv.Itoa(status))
	}
	return m, nil
}

// took counts events that the log has.
func (m *metrics) took(events []domain.Event) {
	for _, e := range events {
		switch e.Data.(type) {
		case domain.MessageReceived:
			m.messages.Inc()
		case domain.MessageEchoed:
			m.echos.Inc()
		default:
			m.receipts.Inc()
		}
	}
}
