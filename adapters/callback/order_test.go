package callback

import (
	"hash/fnv"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// Ensure callbacks of one conversation arrive in the order of the log, each
// until it is taken, under failures, with more lanes and rows than fit into memory.
func TestOrderPerConversation_WhenCallsFailAndMemoryIsSmall(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3, newTables(t))
	r.overHTTP()
	ch := r.channel("c1", waits(10*time.Millisecond, 20*time.Millisecond, 30*time.Millisecond, 40*time.Millisecond))
	const contacts, each = 120, 12
	want := make([]string, each)
	for i := range each {
		want[i] = name("t", i)
		for c := range contacts {
			r.send(ch, name("contact", c), want[i])
		}
	}
	tries := map[string]int{}
	r.receiver.answer = func(c received) (int, http.Header) {
		r.receiver.mu.Lock()
		defer r.receiver.mu.Unlock()
		h := fnv.New32a()
		_, _ = h.Write([]byte(c.key))
		if tries[c.key]++; tries[c.key] <= int(h.Sum32()%3) {
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusOK, nil
	}
	r.start(func(c *Config) { c.Window, c.WindowRows, c.TotalSlots = 30, 90, 24 })
	for c := range contacts / 2 {
		r.send(ch, name("contact", c), "last")
	}
	r.receiver.await(t, func(list []received) bool {
		keys := map[string]struct{}{}
		for _, c := range list {
			keys[c.key] = struct{}{}
		}
		return len(keys) == contacts*each+contacts/2
	})
	for c := range contacts {
		texts := slices.Compact(r.receiver.texts(name("contact", c))) // a repeat follows its failure
		expect := want
		if c < contacts/2 {
			expect = append(slices.Clone(want), "last")
		}
		if !slices.Equal(texts, expect) {
			t.Fatalf("contact %d was told %v", c, texts)
		}
	}
}

// Ensure that one slow conversation is called one at a time, and in order.
func TestOrderPerConversation_WhenTheReceiverIsSlow(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1, newTables(t))
	r.overHTTP()
	ch := r.channel("c1")
	release := make(chan struct{})
	r.receiver.block = func(received) <-chan struct{} { return release }
	r.start()
	r.send(ch, "anna", "one", "two", "three")
	r.receiver.await(t, calls(1))
	release <- struct{}{}
	r.receiver.await(t, calls(2))
	release <- struct{}{}
	r.receiver.await(t, calls(3))
	release <- struct{}{}
	if got := r.receiver.texts("anna"); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Fatalf("got %v", got)
	}
}

// Ensure a used-up schedule parks the sequence: followers wait, also new ones and
// over a restart, others go on; a redrive sends it all in order.
func TestParkedSequence_IsRedrivenInOrder(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1, newTables(t))
	r.overHTTP()
	ch := r.channel("c1", waits(time.Millisecond))
	down := true
	r.receiver.answer = func(c received) (int, http.Header) {
		r.receiver.mu.Lock()
		defer r.receiver.mu.Unlock()
		if down && c.contact == "anna" {
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusOK, nil
	}
	w := r.start()
	first := r.send(ch, "anna", "one", "two")[0]
	dead := r.settled(domain.DeliveryID(first.ID), domain.StateDead)
	if !dead.Parked || dead.Attempts != 2 {
		t.Fatalf("dead letter is %+v", dead)
	}
	r.send(ch, "anna", "three")
	bob := r.send(ch, "bob", "hello")[0]
	r.settled(domain.DeliveryID(bob.ID), domain.StateDelivered)

	w.end()
	r.start()
	r.send(ch, "anna", "four")
	bob = r.send(ch, "bob", "again")[0]
	r.settled(domain.DeliveryID(bob.ID), domain.StateDelivered)
	if got := r.receiver.texts("anna"); !slices.Equal(got, []string{"one", "one"}) {
		t.Fatalf("followers of a parked delivery were sent: %v", got)
	}

	r.receiver.mu.Lock()
	down = false
	r.receiver.mu.Unlock()
	event, err := dead.Redrive("anybody", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Append(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	r.receiver.await(t, calls(8))
	if got := r.receiver.texts("anna"); !slices.Equal(got, []string{"one", "one", "one", "two", "three", "four"}) {
		t.Fatalf("the redriven sequence came as %v", got)
	}
}

// Ensure a dropped dead letter lets its followers go.
func TestParkedSequence_GoesOnWhenTheDeadLetterIsDropped(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1, newTables(t))
	r.overHTTP()
	ch := r.channel("c1", waits(time.Millisecond))
	r.receiver.answer = func(c received) (int, http.Header) {
		if c.text == "bad" {
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusOK, nil
	}
	r.start()
	first := r.send(ch, "anna", "bad", "good")[0]
	dead := r.settled(domain.DeliveryID(first.ID), domain.StateDead)
	event, err := dead.Drop("anybody", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Append(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	r.receiver.await(t, func(list []received) bool { return list[len(list)-1].text == "good" })
	r.settled(dead.ID, domain.StateDropped)
}

// Ensure a message that is refused for good fails alone, and can be redriven
// although its followers have gone.
func TestRefused_LetsTheLaneGoOn(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1, newTables(t))
	r.overHTTP()
	ch := r.channel("c1")
	refuse := true
	r.receiver.answer = func(c received) (int, http.Header) {
		r.receiver.mu.Lock()
		defer r.receiver.mu.Unlock()
		if c.text == "bad" && refuse {
			return http.StatusBadRequest, nil
		}
		return http.StatusOK, nil
	}
	r.start()
	sent := r.send(ch, "anna", "bad", "good", "unfit", "fine")
	r.settled(domain.DeliveryID(sent[3].ID), domain.StateDelivered)
	dead := r.settled(domain.DeliveryID(sent[0].ID), domain.StateDead)
	unfit := r.settled(domain.DeliveryID(sent[2].ID), domain.StateDead)
	if dead.Parked || dead.Attempts != 1 || unfit.LastReason != domain.ReasonInternal {
		t.Fatalf("got %+v and %+v", dead, unfit)
	}
	r.receiver.mu.Lock()
	refuse = false
	r.receiver.mu.Unlock()
	event, err := dead.Redrive("anybody", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Append(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	r.settled(dead.ID, domain.StateDelivered)
	if got := r.receiver.texts("anna"); !slices.Equal(got, []string{"bad", "good", "fine", "bad"}) {
		t.Fatalf("got %v", got)
	}
}

// Ensure that a decision to redrive whose record lands twice does not undo what was
// sent between the two: an outcome on its way is still waited for, and only a decision
// that follows it ends the wait.
func TestRedriven_TwiceIsOnce(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1, newTables(t))
	ch := r.channel("c1")
	var refused atomic.Bool
	r.receiver.answer = func(received) (int, http.Header) {
		if refused.CompareAndSwap(false, true) {
			return http.StatusBadRequest, nil
		}
		return http.StatusOK, nil
	}
	worker := r.start()
	sent := r.send(ch, "anna", "hello")
	dead := r.settled(domain.DeliveryID(sent[0].ID), domain.StateDead)
	event, err := dead.Redrive("anybody", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Append(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	done := r.settled(dead.ID, domain.StateDelivered)

	worker.mu.Lock()
	defer worker.mu.Unlock()
	tn := worker.tenures[0]
	record := domain.Recorded{Event: event}
	l := tn.laneOf(record)
	if l == nil {
		l = tn.portion(record.TargetOf()).add(record.LaneOf())
	}
	for _, c := range []struct {
		decided int // the attempt that the decision follows
		waits   bool
	}{{dead.Attempts, true}, {done.Attempts, false}} {
		tn.await(l, dead.ID, done.Attempts) // as while its outcome is on its way
		tn.sent[dead.ID].event = &domain.Event{}
		data, _ := event.Data.(domain.DeliveryRedriven)
		data.Attempt = c.decided
		record.Data = data
		tn.follow(record)
		if waits := tn.sent[dead.ID] != nil; waits != c.waits {
			t.Errorf("an outcome of attempt %d, redriven after attempt %d: waited for %t, want %t", done.Attempts, c.decided, waits, c.waits)
		}
	}
}
