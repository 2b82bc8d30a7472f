package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// clockEvery is the pause between two looks at the database's clock.
	clockEvery = 5 * time.Second
	// clockWait bounds a look; what took longer than clockTrip says too little.
	clockWait = 2 * time.Second
	clockTrip = 500 * time.Millisecond
	// clockSlack is how far a clock may be off besides what the way to the database
	// explains, without being moved.
	clockSlack = 25 * time.Millisecond
	// clockWrong is how far the machine's clock may be off until that is told.
	clockWrong = time.Second
)

// Clock tells a node the time of its database, so that all nodes of an installation
// go by one clock, whatever their machines' clocks say and however these jump.
// Between two looks at the database it runs by the monotonic clock. Before the
// first one, and where the database was never there, it runs from the time that the
// machine's clock showed when it was made. While the database is away it runs on.
//
// Its times have the monotonic reading: differences between them are right also
// when it is moved, but for how far it is moved.
type Clock struct {
	machine func() time.Time // what the machine's clock says
	shown   time.Time        // what it said when this clock was made
	made    time.Time        // when that was, with the monotonic reading
	ahead   atomic.Int64     // how far the time is ahead of what follows from shown, in nanoseconds
	wrong   bool             // the machine's clock is off, and that was told
	off     prometheus.Gauge
	logger  *slog.Logger
}

// NewClock makes a clock that runs by the machine's until it follows a database. A
// nil machine is time.Now.
func NewClock(machine func() time.Time, logger *slog.Logger) *Clock {
	if machine == nil {
		machine = time.Now
	}
	return &Clock{machine: machine, shown: machine(), made: time.Now(), logger: logger, off: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "parley_clock_ahead_seconds",
		Help: "How far the clock of this machine was ahead of the database's when they were last compared. All that Parley does goes by the database's.",
	})}
}

// Now is the database's time. It is safe for use by many goroutines.
func (c *Clock) Now() time.Time {
	return c.shown.Add(time.Since(c.made) + time.Duration(c.ahead.Load()))
}

// Collectors are the clock's metrics.
func (c *Clock) Collectors() []prometheus.Collector { return []prometheus.Collector{c.off} }

// Follow looks at the database's clock every few seconds until ctx ends. A look
// that fails changes nothing.
func (c *Clock) Follow(ctx context.Context, pool *pgxpool.Pool) {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = c.Look(ctx, pool) // whoever needs the database tells that it is away
		case <-ctx.Done():
			return
		}
	}
}

// Look compares with the database's clock once, and goes by that from now on. An
// error means that nothing has changed: the database did not answer, or too slowly
// to tell anything. Not to be called by two at once.
func (c *Clock) Look(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, clockWait)
	defer cancel()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("compare clocks: %w", err)
	}
	defer conn.Release()
	var there time.Time
	asked := time.Now()
	if err := conn.QueryRow(ctx, `select clock_timestamp()`).Scan(&there); err != nil {
		return fmt.Errorf("compare clocks: %w", err)
	}
	trip := time.Since(asked)
	if trip > clockTrip {
		return fmt.Errorf("compare clocks: the answer took %s", trip)
	}
	c.compare(ctx, there.Add(trip/2), trip/2)
	return nil
}

// compare moves the clock to what the database's clock says, give or take some.
func (c *Clock) compare(ctx context.Context, there time.Time, giveOrTake time.Duration) {
	by := there.Sub(c.Now().Round(0))
	if by.Abs() > giveOrTake+clockSlack {
		c.ahead.Add(int64(by))
	}
	off := c.machine().Round(0).Sub(there)
	c.off.Set(off.Seconds())
	switch wrong := off.Abs() > clockWrong+giveOrTake; {
	case wrong && !c.wrong:
		c.logger.WarnContext(ctx, "clock.wrong", "ahead_of_database", off.String(), "next", "set the clock of this machine or of the database's; Parley goes by the database's")
		c.wrong = true
	case !wrong && c.wrong:
		c.logger.InfoContext(ctx, "clock.right")
		c.wrong = false
	}
}
