package callback

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

type metrics struct {
	attempts     *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	lag          *prometheus.HistogramVec
	dead         *prometheus.CounterVec
	appendErrors prometheus.Counter
	fetchErrors  prometheus.Counter
	renewals     prometheus.Counter
	openings     prometheus.Counter
	slowdowns    prometheus.Counter
}

func newMetrics(r prometheus.Registerer, dialects map[domain.Dialect]Dialect, w *Worker) (*metrics, error) {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_delivery_attempts_total", Help: "Calls to callbacks and functions by what they came to.",
		}, []string{"dialect", "kind", "verdict", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_delivery_attempt_duration_seconds", Help: "How long calls to callbacks and functions took.",
			Buckets:                     []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"dialect", "kind"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_delivery_delay_seconds", Help: "Time from when an event was taken in until its call was answered with success.",
			Buckets:                     []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600, 86400},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"dialect", "kind"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_delivery_dead_letters_total", Help: "Deliveries that became dead letters.",
		}, []string{"dialect", "kind", "verdict"}),
		appendErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_delivery_outcome_append_errors_total", Help: "Appends of outcomes that failed and are repeated.",
		}),
		fetchErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_delivery_fetch_errors_total", Help: "Reads of deliveries that failed and are repeated.",
		}),
		renewals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_delivery_lease_renewal_errors_total", Help: "Renewals of partition leases that failed.",
		}),
	}
	m.openings = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "parley_delivery_breaker_openings_total", Help: "Endpoints whose calls were stopped because they failed one after the other.",
	})
	m.slowdowns = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "parley_delivery_slowdowns_total", Help: "Times that the calls to an endpoint were halved because it answered 429.",
	})
	for dialect := range dialects {
		for _, kind := range kindsOf(dialect) {
			m.zero(string(dialect), string(kind))
		}
	}
	for _, c := range []prometheus.Collector{
		m.attempts, m.duration, m.lag, m.dead, m.appendErrors, m.fetchErrors, m.renewals, m.openings, m.slowdowns,
		&gauges{w: w}, &endpointGauges{w: w},
	} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register: %w", err)
		}
	}
	return m, nil
}

// kindsOf lists what channels of a dialect make deliveries of. No channel has the
// wire of subscriptions.
func kindsOf(dialect domain.Dialect) []domain.DeliveryKind {
	switch {
	case dialect.HasEpisodes():
		return domain.DeliveryKinds
	case dialect == domain.DialectSubscription:
		return nil
	default:
		return []domain.DeliveryKind{domain.DeliverMessage, domain.DeliverSubscription}
	}
}

// zero makes all series of a dialect and kind.
func (m *metrics) zero(dialect, kind string) {
	m.duration.WithLabelValues(dialect, kind)
	m.lag.WithLabelValues(dialect, kind)
	for _, reason := range domain.Reasons {
		for _, verdict := range domain.Verdicts {
			if (verdict == domain.Delivered) == (reason == domain.ReasonOK) {
				m.attempts.WithLabelValues(dialect, kind, string(verdict), string(reason))
			}
		}
	}
	m.dead.WithLabelValues(dialect, kind, string(domain.Refused))
	m.dead.WithLabelValues(dialect, kind, string(domain.Exhausted))
}

// attempted counts one outcome.
func (m *metrics) attempted(d domain.Delivery, a domain.DeliveryAttempted, took time.Duration, at time.Time) {
	dialect, kind := string(d.Dialect), string(d.Kind)
	m.attempts.WithLabelValues(dialect, kind, string(a.Verdict), string(a.Reason)).Inc()
	m.duration.WithLabelValues(dialect, kind).Observe(took.Seconds())
	switch a.Verdict {
	case domain.Delivered:
		m.lag.WithLabelValues(dialect, kind).Observe(at.Sub(d.CreatedAt).Seconds())
	case domain.Refused, domain.Exhausted:
		m.dead.WithLabelValues(dialect, kind, string(a.Verdict)).Inc()
	case domain.Retry:
	}
}

// gauges are read from the worker's state when they are asked for.
type gauges struct{ w *Worker }

func (g *gauges) descs() (lag, depth, slots, leases, outcomes *prometheus.Desc) {
	return prometheus.NewDesc("parley_delivery_lag_seconds", "How long the oldest delivery that is due waits for its call.", nil, nil),
		prometheus.NewDesc("parley_delivery_queue_depth", "Deliveries of the partitions held, by state.", []string{"state"}, nil),
		prometheus.NewDesc("parley_delivery_slots_in_use", "Calls being made.", nil, nil),
		prometheus.NewDesc("parley_delivery_leases_held", "Partitions whose callbacks this process sends.", nil, nil),
		prometheus.NewDesc("parley_delivery_outcomes_pending", "Outcomes that the log has not acknowledged yet.", nil, nil)
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	lag, depth, slots, leases, outcomes := g.descs()
	for _, d := range []*prometheus.Desc{lag, depth, slots, leases, outcomes} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	w := g.w
	w.mu.Lock()
	oldest := w.oldest(w.cfg.Now())
	states := map[domain.DeliveryState]int64{}
	leases := 0
	for _, t := range w.tenures {
		if t.held {
			leases++
		}
		for state, n := range t.depth {
			states[state] += n
		}
	}
	calls, outcomes := w.calls, w.outcomes
	w.mu.Unlock()

	lagDesc, depthDesc, slotsDesc, leasesDesc, outcomesDesc := g.descs()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(lagDesc, oldest.Seconds())
	for _, state := range []domain.DeliveryState{domain.StatePending, domain.StateRetrying, domain.StateDead} {
		gauge(depthDesc, float64(states[state]), string(state))
	}
	gauge(slotsDesc, float64(calls))
	gauge(leasesDesc, float64(leases))
	gauge(outcomesDesc, float64(outcomes))
}

// oldest tells how long the lane that is ready for longest has waited since its
// head was due.
func (w *Worker) oldest(now time.Time) time.Duration {
	var longest time.Duration
	see := func(l *lane) {
		if l == nil || len(l.rows) == 0 {
			return
		}
		due := l.rows[0].CreatedAt
		if next := l.rows[0].NextAttemptAt; next != nil {
			due = *next
		}
		// A follower is due when the one before it was settled.
		if d := min(now.Sub(due), now.Sub(l.readyAt)); d > longest {
			longest = d
		}
	}
	for _, e := range w.endpoints {
		if _, held := w.holds(e, now); held {
			continue // it is the endpoint that is waited for
		}
		see(e.first.peek())
		see(e.again.peek())
	}
	for _, t := range w.tenures {
		for _, l := range t.stalled {
			see(l)
		}
	}
	return longest
}
