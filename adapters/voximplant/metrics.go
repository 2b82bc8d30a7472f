package voximplant

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// endpoint is where integrations and functions call. It is a label of metrics.
type endpoint string

// The endpoints.
const (
	atLogin    endpoint = "login"
	atRefresh  endpoint = "refresh"
	atEvent    endpoint = "event"
	atResponse endpoint = "response"
)

var endpoints = [...]endpoint{atLogin, atRefresh, atEvent, atResponse}

// statuses are all that the door answers.
var statuses = [...]int{
	http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusServiceUnavailable,
}

type answerKind struct {
	at     endpoint
	status int
}

// metrics are the numbers of the door.
type metrics struct {
	requests map[answerKind]prometheus.Counter // fixed after newMetrics
	duration prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_voximplant_requests_total",
		Help: "Requests of Voximplant Kit integrations and functions, by endpoint and the status of the answer.",
	}, []string{"endpoint", "status"})
	m := &metrics{
		requests: map[answerKind]prometheus.Counter{},
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                        "parley_voximplant_event_duration_seconds",
			Help:                        "Time from an event's header to the log's acknowledgement of it.",
			Buckets:                     prometheus.ExponentialBuckets(.0005, 2, 15),
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	for _, c := range []prometheus.Collector{requests, m.duration} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the Voximplant Kit door: %w", err)
		}
	}
	for _, at := range endpoints {
		for _, status := range statuses {
			m.requests[answerKind{at, status}] = requests.WithLabelValues(string(at), strconv.Itoa(status))
		}
	}
	return m, nil
}

// answered counts an answer.
func (m *metrics) answered(at endpoint, status int) {
	if c := m.requests[answerKind{at, status}]; c != nil {
		c.Inc()
	}
}

// took counts an event that the log has.
func (m *metrics) took(within time.Duration) {
	m.answered(atEvent, http.StatusOK)
	m.duration.Observe(within.Seconds())
}
