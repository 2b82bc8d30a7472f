package postgres

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// poolCollector reads a pool's own counters when it is asked.
type poolCollector struct {
	pool *pgxpool.Pool

	connections *prometheus.Desc
	limit       *prometheus.Desc
	acquired    *prometheus.Desc
	waited      *prometheus.Desc
	waitSeconds *prometheus.Desc
	cancelled   *prometheus.Desc
	opened      *prometheus.Desc
}

// RegisterPool adds the metrics of a pool to reg. The name tells the pools of a
// process apart; it is a word of the code, never of a user.
func RegisterPool(reg prometheus.Registerer, name string, pool *pgxpool.Pool) error {
	labels := prometheus.Labels{"pool": name}
	desc := func(metric, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("parley_postgres_pool_"+metric, help, variable, labels)
	}
	c := &poolCollector{
		pool:        pool,
		connections: desc("connections", "Connections of the pool by state.", "state"),
		limit:       desc("connections_limit", "Most connections the pool opens."),
		acquired:    desc("acquires_total", "Connections handed out."),
		waited:      desc("acquires_waited_total", "Connections handed out after waiting for a free one."),
		waitSeconds: desc("acquire_seconds_total", "Time spent getting a connection."),
		cancelled:   desc("acquires_cancelled_total", "Waits given up by their caller."),
		opened:      desc("opens_total", "Connections opened."),
	}
	if err := reg.Register(c); err != nil {
		return fmt.Errorf("postgres: registering the metrics of pool %s: %w", name, err)
	}
	return nil
}

// Describe sends the descriptions of all metrics.
func (c *poolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.connections, c.limit, c.acquired, c.waited, c.waitSeconds, c.cancelled, c.opened} {
		ch <- d
	}
}

// Collect sends the pool's figures of this moment.
func (c *poolCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.pool.Stat()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
	gauge(c.connections, float64(s.AcquiredConns()), "acquired")
	gauge(c.connections, float64(s.IdleConns()), "idle")
	gauge(c.connections, float64(s.ConstructingConns()), "opening")
	gauge(c.limit, float64(s.MaxConns()))
	counter(c.acquired, float64(s.AcquireCount()))
	counter(c.waited, float64(s.EmptyAcquireCount()))
	counter(c.waitSeconds, s.AcquireDuration().Seconds())
	counter(c.cancelled, float64(s.CanceledAcquireCount()))
	counter(c.opened, float64(s.NewConnsCount()))
}
