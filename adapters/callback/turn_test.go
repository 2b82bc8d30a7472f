package callback

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Ensure that of first tries and retries whoever is ready for longer is next: no
// backlog of the ones keeps the others waiting.
func TestTurn_IsOfWhoWaitsLongest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.channel("c1", waits(time.Second, time.Second))
		r.receiver.answer = func(c received) (int, http.Header) {
			if c.text == "again" && len(r.receiver.texts("again")) == 1 {
				return http.StatusServiceUnavailable, nil
			}
			return http.StatusOK, nil
		}
		r.receiver.block = func(c received) <-chan struct{} {
			if c.text != "long" {
				return nil
			}
			over := make(chan struct{})
			time.AfterFunc(2*time.Second, func() { close(over) })
			return over
		}
		w := r.start(func(c *Config) { c.Slots = 1 })
		r.send(ch, "again", "again") // is due again after a second
		sleep(500 * time.Millisecond)
		for _, text := range []string{"long", "before", "before, too"} {
			r.send(ch, text, text)
		}
		sleep(time.Second)
		r.send(ch, "after", "after")
		sleep(5 * time.Second)
		w.end()
		var got []string
		for _, c := range r.receiver.seen() {
			got = append(got, c.text)
		}
		if want := []string{"again", "long", "before", "before, too", "again", "after"}; !slices.Equal(got, want) {
			t.Errorf("called %q, want %q", got, want)
		}
	})
}
