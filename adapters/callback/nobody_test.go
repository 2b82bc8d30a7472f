package callback

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-im/parley/domain"
)

// mute is a dialect that has nobody to call.
type mute struct{ plain }

func (mute) Request(domain.Channel, domain.Delivery) (domain.Call, error) { return domain.Call{}, nil }

// Ensure a delivery whose dialect has nobody to call is done without a call: there
// is no failure, and nothing waits.
func TestRequest_WithoutAURLIsNoCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1")
		w := r.start(func(c *Config) { c.Dialects[ch.Dialect] = mute{} })
		r.send(ch, "anna", "hello", "again")
		time.Sleep(time.Minute) //nolint:forbidigo // the time is faked
		w.end()
		attempts := r.log.attempts()
		if len(attempts) != 2 || len(r.receiver.seen()) != 0 {
			t.Fatalf("%d attempts and %d calls, want two and none", len(attempts), len(r.receiver.seen()))
		}
		for _, a := range attempts {
			if a.Verdict != domain.Delivered || a.HTTPStatus != 0 || a.Detail == "" {
				t.Errorf("an attempt came to %+v", a)
			}
		}
	})
}
