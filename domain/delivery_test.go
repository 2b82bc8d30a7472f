package domain

import (
	"testing"
	"time"
)

// Ensure a used-up schedule parks callbacks, and never calls of functions: what a
// contact wrote later would wait for somebody to redrive what nobody waits for.
func TestAttempted_ParksCallbacksOnly(t *testing.T) {
	t.Parallel()
	for kind, want := range map[DeliveryKind]bool{DeliverMessage: true, DeliverClose: true, DeliverFunction: false} {
		d := Delivery{Kind: kind}
		e := d.Attempted(Outcome{Verdict: Retry, Reason: ReasonTimeout}, DeliveryPolicy{}, 0, false, time.Now(), time.Now())
		if a, ok := e.Data.(DeliveryAttempted); !ok || a.Verdict != Exhausted || a.Parks != want {
			t.Errorf("%s: %+v", kind, e.Data)
		}
	}
}
