package callback

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-im/parley/domain"
)

// Ensure that what was redriven, though its schedule begins anew, has the slots of
// retries only: a new message is called at once beside hundreds of it that hang.
func TestRedriven_LeavesSlotsToNewMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newMemory()
		r := newRing(t, 1, db)
		ch := r.channel("c1")
		never := make(chan struct{})
		refused := map[string]bool{}
		r.receiver.answer = func(received) (int, http.Header) { return http.StatusBadRequest, nil }
		r.receiver.block = func(c received) <-chan struct{} {
			r.receiver.mu.Lock()
			defer r.receiver.mu.Unlock()
			if refused[c.key] {
				return never
			}
			refused[c.key] = c.text == "old"
			return nil
		}
		w := r.start()
		var old []domain.Recorded
		for i := range 200 {
			old = append(old, r.send(ch, name("old", i), "old")...)
		}
		sleep(time.Second)
		for _, sent := range old {
			event, err := db.delivery(t, domain.DeliveryID(sent.ID)).Redrive("anybody", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.log.Append(t.Context(), event); err != nil {
				t.Fatal(err)
			}
		}
		sleep(time.Second)
		if n := len(r.receiver.seen()); n != 200+12 {
			t.Errorf("%d calls, want 200 and 12 of 16 slots for what was redriven", n)
		}
		r.send(ch, "new", "new")
		synctest.Wait()
		if got := r.receiver.texts("new"); len(got) != 1 {
			t.Errorf("a new message waits for what was redriven: %v", got)
		}
		w.end()
	})
}
