package respondio

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// statuses are all that the door answers.
var statuses = [...]int{
	http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusServiceUnavailable,
}

// metrics are the numbers of the door.
type metrics struct {
	webhooks map[int]prometheus.Counter    // by status; fixed after newMetrics
	events   map[string]prometheus.Counter // by type on the wire; fixed after newMetrics
	duration prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	webhooks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_respondio_webhooks_total",
		Help: "Requests of respond.io and IS-Messenger integrations, by the status of the answer.",
	}, []string{"status"})
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_respondio_events_total",
		Help: "Events taken in from respond.io and IS-Messenger integrations, repeats included, by their type on the wire.",
	}, []string{"type"})
	m := &metrics{
		webhooks: map[int]prometheus.Counter{}, events: map[string]prometheus.Counter{},
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                        "parley_respondio_webhook_duration_seconds",
			Help:                        "Time from a request's header to the log's acknowledgement of its events.",
			Buckets:                     prometheus.ExponentialBuckets(.0005, 2, 15),
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	for _, c := range []prometheus.Collector{webhooks, events, m.duration} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the respond.io door: %w", err)
		}
	}
	for _, status := range statuses {
		m.webhooks[status] = webhooks.WithLabelValues(strconv.Itoa(status))
	}
	for _, kind := range []string{typeMessage, typeEcho, typeStatus} {
		m.events[kind] = events.WithLabelValues(kind)
	}
	return m, nil
}

// answered counts an answer.
func (m *metrics) answered(status int) {
	if c := m.webhooks[status]; c != nil {
		c.Inc()
	}
}

// took counts a request whose events the log has.
func (m *metrics) took(events []domain.Event, within time.Duration) {
	m.answered(http.StatusOK)
	m.duration.Observe(within.Seconds())
	for _, e := range events {
		switch e.Data.(type) {
		case domain.MessageReceived:
			m.events[typeMessage].Inc()
		case domain.MessageEchoed:
			m.events[typeEcho].Inc()
		case domain.ReceiptRecorded:
			m.events[typeStatus].Inc()
		}
	}
}
