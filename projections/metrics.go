package projections

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	applied, failed, fenced, quarantined prometheus.Counter
	batch, duration                      prometheus.Histogram
	lagRecords, lagSeconds, heldStreams  *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer, projection string) (*metrics, error) {
	labels := prometheus.Labels{"projection": projection}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, []string{"partition"})
	}
	m := &metrics{
		applied:     counter("parley_projection_events_applied_total", "Events applied and committed."),
		failed:      counter("parley_projection_batches_failed_total", "Transactions that failed and were tried again."),
		fenced:      counter("parley_projection_fenced_total", "Times that another process had moved the checkpoint."),
		quarantined: counter("parley_projection_records_quarantined_total", "Records set aside because they, or one before them in their stream, cannot be applied."),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_projection_batch_records", Help: "Records per transaction.", ConstLabels: labels,
			Buckets: []float64{1, 4, 16, 64, 256, 1000}, NativeHistogramBucketFactor: 1.1,
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_projection_apply_duration_seconds", Help: "Time of one transaction, rows and checkpoint.", ConstLabels: labels,
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10}, NativeHistogramBucketFactor: 1.1,
		}),
		lagRecords: gauge("parley_projection_lag_records", "Records in the log that are not applied yet, by partition."),
		lagSeconds: gauge("parley_projection_lag_seconds", "How long the oldest record that is not applied has been waiting, by partition."),
		heldStreams: gauge("parley_projection_held_streams",
			"Streams that wait behind a record in quarantine until an operator decides, by partition."),
	}
	for _, c := range []prometheus.Collector{m.applied, m.failed, m.fenced, m.quarantined, m.batch, m.duration, m.lagRecords, m.lagSeconds, m.heldStreams} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) forget(number int) {
	label := strconv.Itoa(number)
	m.lagRecords.DeleteLabelValues(label)
	m.lagSeconds.DeleteLabelValues(label)
	m.heldStreams.DeleteLabelValues(label)
}

func (m *metrics) held(number, streams int) {
	m.heldStreams.WithLabelValues(strconv.Itoa(number)).Set(float64(streams))
}
