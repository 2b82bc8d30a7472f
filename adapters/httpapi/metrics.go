package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the numbers of the HTTP server. Labels come from closed sets:
// routes are the patterns in the code, methods those of HTTP, statuses their
// first digit.
type metrics struct {
	requests    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	inFlight    prometheus.Gauge
	panics      prometheus.Counter
	idempotency *prometheus.CounterVec
	staleReads  *prometheus.CounterVec
}

// noRoute is the route of requests that no pattern took.
const noRoute = "none"

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_http_requests_total",
			Help: "Requests answered, by route, method and class of status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                        "parley_http_request_duration_seconds",
			Help:                        "Time from a request's header to the end of its answer.",
			Buckets:                     []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor: 1.1,
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parley_http_requests_in_flight",
			Help: "Requests that are being answered.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_http_panics_total",
			Help: "Requests whose handler panicked.",
		}),
		idempotency: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_http_idempotency_keys_total",
			Help: "Requests with an Idempotency-Key, by what the key came to.",
		}, []string{"outcome"}),
		staleReads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_http_stale_reads_total",
			Help: "Reads answered before the projection had caught up with the log.",
		}, []string{"projection"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.inFlight, m.panics, m.idempotency, m.staleReads} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register HTTP metrics: %w", err)
		}
	}
	for _, outcome := range []string{outcomeFirst, outcomeReplayed, outcomeBusy, outcomeOther} {
		m.idempotency.WithLabelValues(outcome)
	}
	for _, p := range []string{projectionConversations, projectionDeliveries} {
		m.staleReads.WithLabelValues(p)
	}
	for _, route := range []string{"/healthz", "/readyz", "/metrics", noRoute} {
		m.expect(route, http.MethodGet)
	}
	return m, nil
}

// expect makes the zeroes of a route visible.
func (m *metrics) expect(route, method string) {
	for _, class := range []string{"2xx", "4xx", "5xx"} {
		m.requests.WithLabelValues(route, method, class)
	}
	m.duration.WithLabelValues(route, method)
}

// served counts one answer.
func (m *metrics) served(r *http.Request, status int, took time.Duration) {
	route, method := routeOf(r.Pattern), methodOf(r.Method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(status/100)+"xx").Inc()
	m.duration.WithLabelValues(route, method).Observe(took.Seconds())
}

// routeOf cuts the method off a pattern.
func routeOf(pattern string) string {
	if pattern == "" {
		return noRoute
	}
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	return pattern
}

// methodOf keeps methods that are nobody's out of the labels.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}
