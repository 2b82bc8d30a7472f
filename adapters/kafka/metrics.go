package kafka

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of an append, the closed label set of parley_log_appends_total.
const (
	outcomeOK          = "ok"
	outcomeFull        = "full"
	outcomeUnavailable = "unavailable"
	outcomeTooLarge    = "too_large"
	outcomeClosed      = "closed"
	outcomeRefused     = "refused"
)

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return outcomeOK
	case errors.Is(err, ErrFull):
		return outcomeFull
	case errors.Is(err, ErrTooLarge):
		return outcomeTooLarge
	case errors.Is(err, ErrClosed):
		return outcomeClosed
	case errors.Is(err, ErrUnavailable):
		return outcomeUnavailable
	default:
		return outcomeRefused
	}
}

type publisherMetrics struct {
	appends  *prometheus.CounterVec
	duration prometheus.Histogram
	batch    prometheus.Histogram
	waiting  prometheus.Gauge
	retries  prometheus.Counter
}

func newPublisherMetrics(reg prometheus.Registerer) (*publisherMetrics, error) {
	m := &publisherMetrics{
		appends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_log_appends_total",
			Help: "Appends (calls of Publish) by outcome.",
		}, []string{"outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                        "parley_log_append_duration_seconds",
			Help:                        "Time from the call of Publish to its answer.",
			Buckets:                     prometheus.ExponentialBuckets(0.0005, 2, 15),
			NativeHistogramBucketFactor: 1.1,
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                        "parley_log_append_batch_records",
			Help:                        "Records of one produce request.",
			Buckets:                     prometheus.ExponentialBuckets(1, 2, 12),
			NativeHistogramBucketFactor: 1.1,
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parley_log_append_waiting_records",
			Help: "Records handed to the publisher and not yet answered.",
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_log_append_retries_total",
			Help: "Produce requests that failed and were repeated.",
		}),
	}
	for _, o := range []string{outcomeOK, outcomeFull, outcomeUnavailable, outcomeTooLarge, outcomeClosed, outcomeRefused} {
		m.appends.WithLabelValues(o)
	}
	return m, errors.Join(
		register(reg, &m.appends), register(reg, &m.duration), register(reg, &m.batch),
		register(reg, &m.waiting), register(reg, &m.retries),
	)
}

type subscriberMetrics struct {
	records    *prometheus.CounterVec
	nacks      *prometheus.CounterVec
	inFlight   *prometheus.GaugeVec
	partitions *prometheus.GaugeVec
	stopped    *prometheus.GaugeVec
	lag        *prometheus.GaugeVec
	errors     *prometheus.CounterVec
}

// Causes of a subscriber's errors, the closed label set of
// parley_log_subscriber_errors_total.
const (
	causeFetch    = "fetch"
	causeCommit   = "commit"
	causeGroup    = "group"
	causeAssigned = "assigned"
)

func newSubscriberMetrics(reg prometheus.Registerer, group string) (*subscriberMetrics, error) {
	labels := prometheus.Labels{"group": group}
	counter := func(name, help string, names ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, names)
	}
	gauge := func(name, help string, names ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, names)
	}
	m := &subscriberMetrics{
		records:    counter("parley_log_records_total", "Records handed over, first offers only.", "topic"),
		nacks:      counter("parley_log_nacks_total", "Messages that were refused and offered again.", "topic"),
		inFlight:   gauge("parley_log_in_flight_records", "Records read and not yet acknowledged.", "topic"),
		partitions: gauge("parley_log_partitions", "Partitions this subscriber reads.", "topic"),
		stopped:    gauge("parley_log_partitions_stopped", "Partitions that can not be read from where they should be: the log lost, removed or replaced records.", "topic"),
		lag:        gauge("parley_log_lag_records", "Records in the log that are not yet acknowledged.", "topic", "partition"),
		errors:     counter("parley_log_subscriber_errors_total", "Errors that were retried, by cause.", "cause"),
	}
	for _, c := range []string{causeFetch, causeCommit, causeGroup, causeAssigned} {
		m.errors.WithLabelValues(c)
	}
	return m, errors.Join(
		register(reg, &m.records), register(reg, &m.nacks), register(reg, &m.inFlight), register(reg, &m.partitions),
		register(reg, &m.stopped), register(reg, &m.lag), register(reg, &m.errors),
	)
}

// show makes the topic's metrics visible before anything happens.
func (m *subscriberMetrics) show(topic string) {
	m.records.WithLabelValues(topic)
	m.nacks.WithLabelValues(topic)
	m.inFlight.WithLabelValues(topic)
	m.partitions.WithLabelValues(topic)
	m.stopped.WithLabelValues(topic)
}

// register adds the collector to reg, which may be nil. If an equal one is there
// already, both users share it: a process may have several subscribers of a group.
func register[C prometheus.Collector](reg prometheus.Registerer, c *C) error {
	if reg == nil {
		return nil
	}
	err := reg.Register(*c)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if existing, ok := already.ExistingCollector.(C); ok {
			*c = existing
			return nil
		}
	}
	return err
}
