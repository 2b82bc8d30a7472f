package redrive

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-im/parley/domain"
)

// Ensure that a job redrives every dead letter once, in the order of each
// endpoint, no faster than the rate allows.
func TestRunnerRedrivesAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 200, "a", "b", "c")
		stop := w.runner(func(cfg *Config) { cfg.Rate = 100 })
		defer stop()
		pass(5 * time.Second)
		// 20 may go at once.
		if done := w.state().Redriven; done > 5*100+20 || done < 400 {
			t.Errorf("%d were redriven in 5 s at 100 a second", done)
		}
		pass(5 * time.Second)
		w.allOnce()
	})
}

// Ensure that what waits at an endpoint stays within its window while the
// endpoint takes nothing, and within half a second's worth of its rate.
func TestRunnerWindow(t *testing.T) {
	t.Parallel()
	for channel, most := range map[string]int{"a": firstWindow, "slow": 1} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1000, channel)
				w.delivers = false
				defer w.runner(nil)()
				pass(time.Minute)
				if done := int(w.state().Redriven); done != most {
					t.Errorf("%d wait at an endpoint that takes none, want %d", done, most)
				}
			})
		})
	}
}

// Ensure that a process which dies between the log and the count costs nothing:
// who takes over appends the same events again, and counts them once.
func TestRunnerTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100, "a")
		died := make(chan struct{})
		forever := make(chan struct{})
		w.dies = func() {
			select {
			case <-died:
			default:
				close(died)
				<-forever // it never gets to count
			}
		}
		first := w.runner(nil)
		<-died
		second := w.runner(nil)
		pass(DefaultLease / 2)
		if done := w.state().Redriven; done != 0 {
			t.Errorf("%d were counted while the dead one's lease ran", done)
		}
		pass(DefaultLease)
		w.allOnce()
		again := 0
		w.mu.Lock()
		for _, times := range w.appended {
			again += times - 1
		}
		w.mu.Unlock()
		if again == 0 {
			t.Error("nothing was appended again: the plan was not carried out by who took over")
		}
		second()
		close(forever)
		first()
		w.allOnce() // the late count of the dead one does nothing
	})
}

// Ensure that a log that is away holds a job up, is shown with it, and loses
// nothing.
func TestRunnerWaitsForTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 50, "a")
		back := time.Now().Add(time.Minute)
		w.refuses = func() error {
			if time.Now().Before(back) {
				return errAway
			}
			return nil
		}
		defer w.runner(nil)()
		pass(30 * time.Second)
		w.mu.Lock()
		if w.job.Redriven != 0 || len(w.order) != 0 || !slices.Contains(w.trouble, "the log is away") {
			t.Errorf("while the log is away: %+v, trouble %q", w.job, w.trouble)
		}
		w.mu.Unlock()
		pass(2 * time.Minute)
		w.allOnce()
	})
}

// Ensure that a job ends failed when trying again leads to the same, and also when
// nothing has gone on with it for an hour.
func TestRunnerGivesUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		before time.Duration // it runs on
		after  time.Duration // it has failed
	}{
		{domain.Errorf(domain.CodeTooLarge, "the events are too large"), 0, time.Second},
		{errAway, 55 * time.Minute, 70 * time.Minute},
	} {
		t.Run(fmt.Sprint(domain.CodeOf(c.err)), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 5, "a")
				w.refuses = func() error { return c.err }
				defer w.runner(nil)()
				if c.before > 0 {
					pass(c.before)
					if job := w.state(); job.State != domain.RedriveRunning {
						t.Fatalf("after %s: %+v", c.before, job)
					}
				}
				pass(c.after - c.before)
				if job := w.state(); job.State != domain.RedriveFailed || job.Error == "" {
					t.Fatalf("after %s: %+v", c.after, job)
				}
			})
		})
	}
}
