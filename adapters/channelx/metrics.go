package channelx

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// statuses are all that the door answers.
var statuses = [...]int{
	http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity,
	http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
}

type answerKind struct {
	at     surface
	status int
}

// metrics are the numbers of the door.
type metrics struct {
	requests map[answerKind]prometheus.Counter // fixed after newMetrics
	duration map[surface]prometheus.Observer   // likewise
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_channelx_requests_total",
		Help: "Requests of ChannelX integrations and contacts, by API and the status of the answer.",
	}, []string{"api", "status"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                        "parley_channelx_request_duration_seconds",
		Help:                        "Time that requests of ChannelX which were carried out took, by API.",
		Buckets:                     prometheus.ExponentialBuckets(.0005, 2, 15),
		NativeHistogramBucketFactor: 1.1,
	}, []string{"api"})
	for _, c := range []prometheus.Collector{requests, duration} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the ChannelX door: %w", err)
		}
	}
	m := &metrics{requests: map[answerKind]prometheus.Counter{}, duration: map[surface]prometheus.Observer{}}
	for _, at := range []surface{atApplication, atClient} {
		m.duration[at] = duration.WithLabelValues(string(at))
		for _, status := range statuses {
			m.requests[answerKind{at, status}] = requests.WithLabelValues(string(at), strconv.Itoa(status))
		}
	}
	return m, nil
}

// answered counts an answer.
func (m *metrics) answered(at surface, status int) {
	if c := m.requests[answerKind{at, status}]; c != nil {
		c.Inc()
	}
}

// took counts a request that was carried out.
func (m *metrics) took(at surface, within time.Duration) {
	m.answered(at, http.StatusOK)
	m.duration[at].Observe(within.Seconds())
}
