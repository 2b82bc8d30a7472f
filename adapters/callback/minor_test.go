package callback

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Ensure receipts leave slots to messages, however many there are and however long
// they take: a message, its retries, and what it waits for in its own conversation
// are called at once, and every receipt is called in the end, in order.
func TestMinor_DelaysNoMessage(t *testing.T) {
	t.Parallel()
	for name, many := range map[string]int{"in memory": 300, "more than there is room for": 3000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { delaysNoMessage(t, many) })
		})
	}
}

func delaysNoMessage(t *testing.T, many int) {
	t.Helper()
	r := newRing(t, 1, newMemory())
	ch := r.channel("c1", waits(time.Second, time.Second))
	open := make(chan struct{})
	first := map[string]bool{}
	r.receiver.block = func(c received) <-chan struct{} {
		if c.text == "receipt" {
			return open
		}
		return nil
	}
	r.receiver.answer = func(c received) (int, http.Header) {
		r.receiver.mu.Lock()
		defer r.receiver.mu.Unlock()
		if c.text == "again" && !first[c.contact] {
			first[c.contact] = true
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusOK, nil
	}
	w := r.start(func(c *Config) { c.Timeout = time.Hour })
	for i := range many {
		r.send(ch, name("contact", i), "receipt")
	}
	synctest.Wait()
	if n := len(r.receiver.seen()); n != 8 {
		t.Fatalf("%d receipts are being called, want half of 16 slots", n)
	}
	for i := range 4 {
		r.send(ch, name("new", i), "message")
	}
	r.send(ch, "retried", "again")
	r.send(ch, "both", "receipt-short", "message")
	r.send(ch, name("contact", many-1), "message behind a receipt that waits")
	synctest.Wait()
	for contact, want := range map[string][]string{
		"new000": {"message"}, "new001": {"message"}, "new002": {"message"}, "new003": {"message"},
		"both": {"receipt-short", "message"}, name("contact", many-1): {"receipt"},
	} {
		if got := r.receiver.texts(contact); !slices.Equal(got, want) {
			t.Errorf("%s was told %q at once, want %q", contact, got, want)
		}
	}
	time.Sleep(1200 * time.Millisecond) //nolint:forbidigo // the time is faked
	if got := r.receiver.texts("retried"); len(got) != 2 {
		t.Errorf("the retry of a message waits for receipts: %d calls", len(got))
	}
	close(open)
	r.receiver.await(t, calls(many+4+2+2+1))
	if got := r.receiver.texts(name("contact", many-1)); len(got) != 2 || got[0] != "receipt" {
		t.Errorf("the order of a conversation came to %q", got)
	}
	w.end()
}
