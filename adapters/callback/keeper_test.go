package callback

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-im/parley/domain"
)

// book is what was decided about endpoints, in memory.
type book struct {
	mu    sync.Mutex
	known map[string]domain.Endpoint
}

func newBook() *book { return &book{known: map[string]domain.Endpoint{}} }

func (b *book) Endpoint(target string) (domain.Endpoint, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.known[target]
	return e, ok
}

func (b *book) Endpoints(string) []domain.Endpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []domain.Endpoint
	for _, e := range b.known {
		list = append(list, e)
	}
	return list
}

func (b *book) ChangeEndpoint(_ context.Context, account, target string, change func(*domain.Endpoint) error) (domain.Endpoint, error) {
	e, ok := b.Endpoint(target)
	if !ok {
		e = domain.Endpoint{Target: target, Account: account, State: domain.EndpointHealthy}
	}
	if err := change(&e); err != nil {
		return e, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known[target] = e
	return e, nil
}

// Ailing folds the health of endpoints from the log itself.
func (l *memoryLog) Ailing(_ context.Context, least time.Duration, _ []string) ([]domain.EndpointHealth, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	folded := map[string]*domain.EndpointHealth{}
	for _, p := range l.partitions {
		for _, r := range p {
			a, ok := r.Data.(domain.DeliveryAttempted)
			if !ok {
				continue
			}
			h := folded[r.TargetOf()]
			if h == nil {
				h = &domain.EndpointHealth{Target: r.TargetOf(), Account: r.Account}
				folded[r.TargetOf()] = h
			}
			if a.Verdict == domain.Delivered {
				*h = domain.EndpointHealth{Target: h.Target, Account: h.Account, SucceededAt: r.Time}
				continue
			}
			if h.FailingSince.IsZero() {
				h.FailingSince = r.Time
			}
			h.FailedAt, h.LastReason = r.Time, a.Reason
			h.Failures++
		}
	}
	var list []domain.EndpointHealth
	for _, h := range folded {
		if h.FailedAt.Sub(h.FailingSince) >= least || !h.SucceededAt.IsZero() {
			list = append(list, *h)
		}
	}
	return list, nil
}

// decisions lists the stored names of the log's events about endpoints, once an id.
func (l *memoryLog) decisions() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	seen := map[string]bool{}
	for _, p := range l.partitions {
		for _, r := range p {
			switch r.Data.(type) {
			case domain.EndpointWarning, domain.EndpointStopped, domain.EndpointResumed:
				if !seen[r.ID.String()] {
					list = append(list, r.Type())
				}
				seen[r.ID.String()] = true
			}
		}
	}
	return list
}

// keep runs keepers over a worker until the test ends.
func (r *ring) keep(w *running, b *book, n int) {
	policy := domain.EndpointPolicy{Warnings: []time.Duration{5 * time.Minute, 20 * time.Minute, time.Hour}, PauseAfter: 4 * time.Hour}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range n {
		k := NewKeeper(KeeperConfig{Worker: w.Worker, Log: r.log, Book: b, Health: r.log, Policy: policy})
		running.Go(func() { k.Run(ctx) })
	}
	r.t.Cleanup(func() { cancel(); running.Wait() })
}

// Ensure that 410 fails that message for good and pauses the endpoint at once, that
// what is for it waits then, in order, and that it goes on
// when somebody resumes it.
func TestGone_PausesTheEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, b := newRing(t, 2, newMemory()), newBook()
		gone := true
		r.receiver.answer = func(c received) (int, http.Header) {
			r.receiver.mu.Lock()
			defer r.receiver.mu.Unlock()
			if gone && c.channel == "c1" {
				return http.StatusGone, nil
			}
			return http.StatusOK, nil
		}
		ch, other := r.channel("c1"), r.channel("c2")
		w := r.start(func(c *Config) { c.Endpoints = b })
		r.keep(w, b, 2)
		r.send(ch, "anna", "lost")
		r.receiver.await(t, calls(1))
		synctest.Wait()
		if e, _ := b.Endpoint("c1"); e.State != domain.EndpointPaused || e.Reason != domain.EndpointGone {
			t.Fatalf("right after the 410 the endpoint is %+v", e)
		}
		for i := range 30 {
			r.send(ch, name("contact", i), "one", "two")
			r.send(other, name("contact", i), "one")
		}
		r.send(ch, "anna", "after")
		sleep(2 * time.Hour)
		if n := len(r.receiver.seen()); n != 1+30 {
			t.Errorf("%d calls, of which 30 are for the other endpoint and one said that it is gone", n)
		}
		for _, a := range r.log.attempts() {
			if a.HTTPStatus == http.StatusGone && (a.Verdict != domain.Refused || a.Parks) {
				t.Errorf("the 410 came to %+v", a)
			}
		}
		r.receiver.mu.Lock()
		gone = false
		r.receiver.mu.Unlock()
		if _, err := b.ChangeEndpoint(t.Context(), ch.Account, "c1", func(e *domain.Endpoint) error {
			next, _, err := e.Resume(domain.EndpointAsked, "desk", time.Now())
			*e = next
			return err
		}); err != nil {
			t.Fatal(err)
		}
		sleep(2 * time.Second)
		for i := range 30 {
			var got []string
			for _, c := range r.receiver.seen() {
				if c.channel == "c1" && c.contact == name("contact", i) {
					got = append(got, c.text)
				}
			}
			if !slices.Equal(got, []string{"one", "two"}) {
				t.Errorf("contact %d was told %v", i, got)
			}
		}
		if got := r.receiver.texts("anna"); !slices.Equal(got, []string{"lost", "after"}) {
			t.Errorf("the first contact was told %v", got)
		}
		w.end()
		if got := r.log.decisions(); !slices.Equal(got, []string{"endpoint.paused.v1"}) {
			t.Errorf("decided was %v", got)
		}
	})
}

// Ensure that an endpoint at which nothing succeeds is warned of in stages and then
// paused, with one event a stage however many keepers look, that it is called all
// that time and not afterwards, and that a success forgives.
func TestKeeper_WarnsThenPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, b := newRing(t, 2, newMemory()), newBook()
		ill := true
		r.sick(&ill)
		ch := r.channel("c1", func(ch *domain.Channel) { ch.Delivery.MaxAge = 200 * time.Hour })
		w := r.start(func(c *Config) { c.Endpoints = b })
		r.keep(w, b, 3)
		r.send(ch, "anna", "hello")
		state := func() domain.EndpointState { e, _ := b.Endpoint("c1"); return e.State }
		for _, at := range []struct {
			after time.Duration
			state domain.EndpointState
			n     int
		}{
			{10 * time.Minute, "", 0}, {30 * time.Minute, domain.EndpointWarned, 1}, {80 * time.Minute, domain.EndpointWarned, 2},
			{3 * time.Hour, domain.EndpointWarned, 3}, {9 * time.Hour, domain.EndpointPaused, 4},
		} {
			sleep(at.after - time.Since(start(t, r)))
			if state() != at.state || len(r.log.decisions()) != at.n {
				t.Errorf("after %s it is %q, decided was %v", at.after, state(), r.log.decisions())
			}
		}
		before := len(r.receiver.seen())
		sleep(12 * time.Hour)
		if n := len(r.receiver.seen()); n != before {
			t.Errorf("%d calls to a paused endpoint", n-before)
		}
		if _, err := b.ChangeEndpoint(t.Context(), ch.Account, "c1", func(e *domain.Endpoint) error {
			next, _, err := e.Resume(domain.EndpointAsked, "desk", time.Now())
			*e = next
			return err
		}); err != nil {
			t.Fatal(err)
		}
		r.send(ch, "bob", "hello")
		sleep(4 * time.Minute)
		if state() != domain.EndpointHealthy {
			t.Errorf("minutes after it was resumed it is %s again", state())
		}
		sleep(time.Hour)
		if state() != domain.EndpointWarned {
			t.Errorf("it fails for an hour again and is %s", state())
		}
		r.heal(&ill)
		sleep(2 * time.Hour)
		if e, _ := b.Endpoint("c1"); e.State != domain.EndpointHealthy || e.Reason != domain.EndpointRecovered && !e.SettledAt.IsZero() {
			t.Errorf("after a success it is %+v", e)
		}
		w.end()
	})
}

// start is when the first message was taken in.
func start(t *testing.T, r *ring) time.Time {
	t.Helper()
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	for _, p := range r.log.partitions {
		for _, e := range p {
			return e.Time
		}
	}
	t.Fatal("the log is empty")
	return time.Time{}
}

// Ensure that nothing is decided about an endpoint whose channel is deleted, however
// long its attempts had failed.
func TestKeeper_LeavesTheDeletedAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, b := newRing(t, 1, newMemory()), newBook()
		r.receiver.answer = func(received) (int, http.Header) { return http.StatusInternalServerError, nil }
		ch := r.channel("c1", waits(10*time.Minute, time.Hour))
		w := r.start(func(c *Config) { c.Endpoints = b })
		r.send(ch, "contact", "fails")
		time.Sleep(11 * time.Minute) //nolint:forbidigo // the time is faked
		r.channels.mu.Lock()
		delete(r.channels.list, ch.ID)
		r.channels.mu.Unlock()
		r.keep(w, b, 1)
		time.Sleep(time.Minute) //nolint:forbidigo // the time is faked
		synctest.Wait()
		if got := r.log.decisions(); len(got) > 0 {
			t.Errorf("decided: %v", got)
		}
		w.end()
	})
}
