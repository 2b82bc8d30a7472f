package postgres_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// TestClock: whatever the machine's clock says, and however it jumps, the time is
// the database's.
func TestClock(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	var ahead atomic.Int64
	ahead.Store(int64(time.Hour))
	var said bytes.Buffer
	c := postgres.NewClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, slog.New(slog.NewTextHandler(&said, nil)))
	off := func(want time.Duration) {
		t.Helper()
		if by := c.Now().Round(0).Sub(time.Now().Round(0)); (by - want).Abs() > 200*time.Millisecond {
			t.Errorf("the clock is %s ahead, want %s", by, want)
		}
	}
	off(time.Hour) // nothing better is known
	for _, jump := range []time.Duration{time.Hour, -30 * time.Minute, 0} {
		ahead.Store(int64(jump))
		before := c.Now()
		if err := c.Look(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
		off(0)
		if got := testutil.ToFloat64(c.Collectors()[0]); got-jump.Seconds() > 0.5 || jump.Seconds()-got > 0.5 {
			t.Errorf("the metric tells of %g s, want %g", got, jump.Seconds())
		}
		ahead.Store(int64(12 * time.Hour))
		off(0) // not even until the next look
		if jump != time.Hour && c.Now().Sub(before) > 5*time.Second {
			t.Errorf("a second look moved it by %s", c.Now().Sub(before))
		}
	}
	if text := said.String(); strings.Count(text, "clock.wrong") != 1 || strings.Count(text, "clock.right") != 1 {
		t.Errorf("it said %q", text)
	}
	pool.Close()
	if err := c.Look(t.Context(), pool); err == nil {
		t.Error("a look at a closed pool succeeds")
	}
	off(0)
}
