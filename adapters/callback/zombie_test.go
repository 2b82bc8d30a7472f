package callback

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-im/parley/domain"
)

// foreign is the outcome of a call that another worker had in flight when its
// lease ended.
func foreign(r domain.Recorded, ch domain.Channel, v domain.Verdict) domain.Event {
	d, _ := domain.DeliveryOf(r, nil, false)
	return d.Attempted(domain.Outcome{Verdict: v, Reason: domain.ReasonServerError}, ch.Delivery, time.Second, true, time.Now().Add(-time.Second), time.Now())
}

// Ensure our outcome counts although another worker's of the same attempt comes
// into the log first, while our call is being made or just before our append.
func TestZombie_ItsOutcomeDoesNotVoidOurs(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			db := newMemory()
			r := newRing(t, 1, db)
			ch := r.channel("c1")
			release := make(chan struct{})
			r.receiver.block = func(received) <-chan struct{} { return release }
			w := r.start()
			sent := r.send(ch, "anna", "one", "two")[0]
			r.receiver.await(t, calls(1))
			theirs := foreign(sent, ch, domain.Retry)
			if late {
				r.log.fail = func(e domain.Event) (bool, error) {
					if a, ok := e.Data.(domain.DeliveryAttempted); ok && a.MessageID == sent.ID && theirs.Data != nil {
						at := domain.Position{Offset: int64(len(r.log.partitions[0]))}
						r.log.partitions[0] = append(r.log.partitions[0], domain.Recorded{Event: theirs, Position: at})
						theirs.Data = nil
					}
					return true, nil
				}
			} else if _, err := r.log.Append(t.Context(), theirs); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			close(release)
			time.Sleep(10 * time.Second) //nolint:forbidigo // the time is faked
			w.end()
			d := db.rows[domain.DeliveryID(sent.ID)]
			if d.State != domain.StateDelivered || d.Attempts != 2 {
				t.Errorf("late %v: the delivery is %s after %d attempts", late, d.State, d.Attempts)
			}
			if n := len(r.receiver.seen()); n != 2 {
				t.Errorf("late %v: %d calls, want one a message", late, n)
			}
		})
	}
}

// Ensure another worker's outcome holds that comes into the log just before ours
// and was the last: there is no further call, and the lane goes on although ours
// would have parked it.
func TestZombie_ItsLastOutcomeOverrulesOurs(t *testing.T) {
	t.Parallel()
	for _, waiting := range [][]time.Duration{{time.Second, time.Second}, {time.Second}} {
		for _, late := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				db := newMemory()
				r := newRing(t, 1, db)
				ch := r.channel("c1", waits(waiting...))
				r.receiver.answer = func(c received) (int, http.Header) {
					if c.text == "one" {
						return http.StatusServiceUnavailable, nil
					}
					return http.StatusOK, nil
				}
				var first domain.Recorded
				failures := 0
				r.log.fail = func(e domain.Event) (bool, error) {
					if a, ok := e.Data.(domain.DeliveryAttempted); ok && a.MessageID == first.ID && a.Attempt == 2 {
						if failures == 0 {
							d := *db.rows[a.DeliveryID]
							r.log.land(d.Attempted(domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK}, ch.Delivery, 0, false, time.Now().Add(-time.Second), time.Now()))
						}
						if failures++; late && failures < 5 {
							return false, errors.New("no acknowledgement")
						}
					}
					return true, nil
				}
				first = r.send(ch, "anna", "one", "two")[0]
				w := r.start()
				time.Sleep(1500 * time.Millisecond) //nolint:forbidigo // the time is faked
				r.send(ch, "bob", "wakes up who projects")
				time.Sleep(20 * time.Second) //nolint:forbidigo // the time is faked
				w.end()
				if got := r.receiver.texts("anna"); !slices.Equal(got, []string{"one", "one", "two"}) {
					t.Errorf("schedule %v, late %v: sent %v", waiting, late, got)
				}
				if d := db.rows[domain.DeliveryID(first.ID)]; d.State != domain.StateDelivered {
					t.Errorf("schedule %v, late %v: the delivery is %s", waiting, late, d.State)
				}
			})
		}
	}
}

// Ensure a message is not called that another worker's call has settled meanwhile.
func TestZombie_ItsSuccessIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1")
		release := make(chan struct{})
		r.receiver.block = func(received) <-chan struct{} { return release }
		w := r.start()
		r.send(ch, "anna", "one")
		two := r.send(ch, "anna", "two")[0]
		r.receiver.await(t, calls(1))
		theirs := foreign(two, ch, domain.Delivered)
		if _, err := r.log.Append(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(release)
		r.send(ch, "anna", "three")
		r.receiver.await(t, calls(2))
		synctest.Wait()
		if got := r.receiver.texts("anna"); got[len(got)-1] != "three" || len(got) != 2 {
			t.Errorf("sent %v", got)
		}
		w.end()
	})
}

// Ensure a worker that has lost its lease sends nothing until it has it again,
// and has caught up with the log then.
func TestZombie_LosesItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newMemory()
		r := newRing(t, 1, db)
		ch := r.channel("c1")
		w := r.start()
		r.send(ch, "anna", "one")
		r.receiver.await(t, calls(1))
		epoch, _, err := db.Lease(t.Context(), 0, "another", time.Minute, true)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second) //nolint:forbidigo // the time is faked
		sent := r.send(ch, "anna", "two", "three")
		synctest.Wait()
		if n := len(r.receiver.seen()); n != 1 {
			t.Fatalf("%d calls, the last under another's lease", n)
		}
		// The other sends "two" and lets go.
		if _, err := r.log.Append(t.Context(), foreign(sent[0], ch, domain.Delivered)); err != nil {
			t.Fatal(err)
		}
		if err := db.Release(t.Context(), 0, "another", epoch); err != nil {
			t.Fatal(err)
		}
		r.receiver.await(t, calls(2))
		synctest.Wait()
		if got := r.receiver.texts("anna"); len(got) != 2 || got[1] != "three" {
			t.Errorf("sent %v", got)
		}
		w.end()
	})
}

// Ensure the gauges tell of what waits, and how long.
func TestMetrics_TellOfWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1")
		release := make(chan struct{})
		r.receiver.block = func(received) <-chan struct{} { return release }
		registry := prometheus.NewRegistry()
		w := r.start(func(c *Config) { c.Registerer = registry })
		for i := range 20 {
			r.send(ch, name("contact", i), "hello")
		}
		time.Sleep(7 * time.Second) //nolint:forbidigo // the time is faked
		want := map[string]float64{
			"parley_delivery_lag_seconds": 7, "parley_delivery_slots_in_use": 16, "parley_delivery_leases_held": 1,
			"parley_delivery_queue_depth": 20,
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if v, ok := want[f.GetName()]; ok {
				delete(want, f.GetName())
				sum := 0.0
				for _, m := range f.GetMetric() {
					sum += m.GetGauge().GetValue()
				}
				if sum != v {
					t.Errorf("%s is %g, want %g", f.GetName(), sum, v)
				}
			}
		}
		if len(want) > 0 {
			t.Errorf("missing: %v", want)
		}
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
		close(release)
		w.end()
	})
}
