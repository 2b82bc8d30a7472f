package channelx

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/parley-im/parley/domain"
)

// TestAtOnceOnOneTicket lets many write to a ticket at once, through two desks.
func TestAtOnceOnOneTicket(t *testing.T) {
	t.Parallel()
	l := newLedger()
	desks := []*desk{l.desk(t), l.desk(t)}
	number := l.conversation(t, desks[0]).Number
	var wg sync.WaitGroup
	const each = 20
	for i := range 4 {
		wg.Go(func() {
			for j := range each {
				d := desks[(i+j)%2]
				var err error
				switch {
				case j%5 == 0:
					_, err = d.turn(t.Context(), byAdmin(), number, "", nil)
				case i%2 == 0:
					_, _, err = d.post(t.Context(), byContact(), number, incoming("x"))
				default:
					_, _, err = d.post(t.Context(), byAdmin(), number, outgoing("x"))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	orderly(t, l)
	said := 0
	for _, p := range l.posts {
		if p.Public() {
			said++
		}
	}
	if want := 4 * (each - each/5); said != want {
		t.Errorf("%d of %d posts are there", said, want)
	}
}

// slow lets others go on before each append.
func slow([]domain.Event) {
	for range 100 {
		runtime.Gosched()
	}
}

// TestAtOnceOneValue lets many people take the same e-mail: one of them does.
func TestAtOnceOneValue(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.before = slow
	d := l.desk(t)
	var wg sync.WaitGroup
	changed := make(chan int64, 8)
	for range 8 {
		p, _ := l.register(t, d, byAdmin(), personInput{Name: "somebody"}, nil)
		wg.Go(func() {
			if _, err := d.changePerson(t.Context(), byAdmin(), p.ID, personChange{Email: new("one@example.com")}); err == nil {
				changed <- p.ID
			}
		})
	}
	wg.Wait()
	if len(changed) != 1 {
		t.Errorf("%d have it", len(changed))
	}
	orderly(t, l)
}

// TestAtOnceOneContact lets many register the same contact: one of them does.
func TestAtOnceOneContact(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]personInput{
		"identifier": {Identifier: "crm-1"}, "e-mail": {Email: "Ana@Example.com "}, "phone": {Phone: "+15550100"},
	} {
		l := newLedger()
		l.before = slow
		desks := []*desk{l.desk(t), l.desk(t)}
		var wg sync.WaitGroup
		made, refusals := make(chan int64, 8), make(chan error, 8)
		for i := range 8 {
			wg.Go(func() {
				p, _, err := desks[i%2].registerPerson(t.Context(), byAdmin(), in, nil)
				if err != nil {
					refusals <- err
					return
				}
				made <- p.ID
			})
		}
		wg.Wait()
		if len(made) != 1 || len(l.persons) != 1 {
			t.Errorf("%s: %d were made", name, len(made))
		}
		close(refusals)
		for err := range refusals {
			if record, ok := errors.AsType[invalidRecord](err); !ok || len(record.Attributes) != 1 {
				t.Errorf("%s: got %v", name, err)
			}
		}
		// Contacts who come by themselves are all the same one.
		for i := range 4 {
			wg.Go(func() {
				if _, i, err := desks[i%2].registerPerson(t.Context(), byContact(), in, &linkInput{Channel: *l.bridge()}); err != nil || !i.Claimed {
					t.Errorf("%s: %+v, %v", name, i, err)
				}
			})
		}
		wg.Wait()
		if len(l.persons) != 1 || len(l.identities) != 4 {
			t.Errorf("%s: %d people with %d identities", name, len(l.persons), len(l.identities))
		}
		orderly(t, l)
	}
}

// TestAtOnceOneConversation lets many open the one conversation of an inbox that
// keeps to one.
func TestAtOnceOneConversation(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.change("bridge", func(ch *domain.Channel) { ch.Inbox.LockToSingle = true })
	desks := []*desk{l.desk(t), l.desk(t)}
	l.before = slow
	p, known := l.ana(t, desks[0])
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			in := []ticketInput{
				{Channel: l.bridge(), Person: p.ID, SourceID: known.SourceID}, {SourceID: known.SourceID}, {Identity: known.ID},
			}[i%3]
			in.Message = &postInput{Content: new("x")}
			if seen, err := desks[i%2].open(t.Context(), byAdmin(), in); err != nil || seen.Number != 1 {
				t.Errorf("got %d, %v", seen.Number, err)
			}
		})
	}
	wg.Wait()
	if len(l.tickets) != 1 || len(l.posts) != 8 {
		t.Errorf("%d tickets with %d posts", len(l.tickets), len(l.posts))
	}
	orderly(t, l)
}

// TestLostLock lets somebody else decide about the same ticket in between, as if
// the lock had been lost: what is decided too late is void, and decided again.
func TestLostLock(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]func(context.Context, *desk, int64) error{
		"post": func(ctx context.Context, d *desk, n int64) error {
			_, _, err := d.post(ctx, byAdmin(), n, outgoing("mine"))
			return err
		},
		"resolve": func(ctx context.Context, d *desk, n int64) error {
			seen, err := d.turn(ctx, byAdmin(), n, domain.TicketResolved, nil)
			if err == nil && seen.Status != domain.TicketResolved {
				err = fmt.Errorf("it is %s", seen.Status)
			}
			return err
		},
		"toggle": func(ctx context.Context, d *desk, n int64) error {
			seen, err := d.turn(ctx, byAdmin(), n, "", nil)
			if err == nil && seen.Status != domain.TicketResolved {
				err = fmt.Errorf("it is %s", seen.Status)
			}
			return err
		},
		"assign": func(ctx context.Context, d *desk, n int64) error {
			five := int64(5)
			seen, err := d.assign(ctx, byAdmin(), n, &five, nil)
			if err == nil && seen.Assignee != five {
				err = fmt.Errorf("it is of %d", seen.Assignee)
			}
			return err
		},
	} {
		for meanwhile, other := range map[string]func(context.Context, *desk, int64) error{
			"a post": func(ctx context.Context, d *desk, n int64) error {
				_, _, err := d.post(ctx, byContact(), n, incoming("theirs"))
				return err
			},
			"the same status": func(ctx context.Context, d *desk, n int64) error {
				_, err := d.turn(ctx, byAdmin(), n, domain.TicketResolved, nil)
				return err
			},
			"several things": func(ctx context.Context, d *desk, n int64) error {
				for range 3 {
					if _, _, err := d.post(ctx, byContact(), n, incoming("theirs")); err != nil {
						return err
					}
				}
				return nil
			},
		} {
			t.Run(name+" after "+meanwhile, func(t *testing.T) {
				t.Parallel()
				l := newLedger()
				l.lockless = true
				d, second := l.desk(t), l.desk(t)
				number := l.conversation(t, d).Number
				was := false
				l.before = func([]domain.Event) {
					if was {
						return
					}
					was = true
					if err := other(t.Context(), second, number); err != nil {
						t.Error(err)
					}
				}
				if err := command(t.Context(), d, number); err != nil {
					t.Fatal(err)
				}
				orderlyTaken(t, l)
				mine := 0
				for _, p := range l.posts {
					if p.Content != nil && *p.Content == "mine" {
						mine++
					}
				}
				if name == "post" && mine != 1 {
					t.Errorf("it is there %d times", mine)
				}
			})
		}
	}
}

// TestLockAlwaysLost makes sure that a command ends that somebody is always before.
func TestLockAlwaysLost(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.lockless = true
	d, second := l.desk(t), l.desk(t)
	number := l.conversation(t, d).Number
	tries := 0
	var within bool
	l.before = func([]domain.Event) {
		if within {
			return
		}
		within = true
		tries++
		says(t, second, byContact(), number, incoming("theirs"))
		within = false
	}
	if _, _, err := d.post(t.Context(), byAdmin(), number, outgoing("mine")); domain.CodeOf(err) != domain.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	if tries != maxTries {
		t.Errorf("it was tried %d times", tries)
	}
	orderlyTaken(t, l)
}

// TestFailureAfterPost lets the callback of a post fail before the post is read.
func TestFailureAfterPost(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	l.waiting = func(p domain.Position) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		sent, ok := l.log[p.Offset-1].Data.(domain.MessageSent)
		if !ok {
			return nil
		}
		failed := l.log[p.Offset-1].Event
		failed.ID = domain.DeriveID("failure", failed.ID.String())
		failed.Data = domain.MessageFailed{MessageID: sent.MessageID, ConversationID: sent.ConversationID, Error: "500", Posted: sent.Posted}
		l.log = append(l.log, domain.Recorded{Event: failed, Position: domain.Position{Offset: int64(len(l.log))}})
		return nil
	}
	n := l.length()
	p, _ := says(t, d, byAdmin(), number, outgoing("hello"))
	if got := l.length() - n; got != 3 {
		t.Errorf("%d events: %v", got, l.since(n))
	}
	l.waiting = nil
	got, _, err := d.setStatus(t.Context(), byAdmin(), number, p.ID, "delivered", nil)
	if err != nil || got.Status != domain.StatusDelivered {
		t.Errorf("got %+v, %v", got, err)
	}
	orderlyTaken(t, l)
}

// TestFailureDuringStatus lets the callback of a post fail while its status changes:
// the failure was first, so the status is decided again.
func TestFailureDuringStatus(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	p, _ := says(t, d, byAdmin(), number, outgoing("hello"))
	was := false
	l.before = func(events []domain.Event) {
		if was {
			return
		}
		was = true
		failed := events[0]
		changed := failed.Data.(domain.MessageChanged)
		failed.ID = domain.DeriveID("failure", failed.ID.String())
		failed.Data = domain.MessageFailed{MessageID: changed.MessageID, ConversationID: changed.ConversationID, Error: "500", Posted: changed.Posted}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.log = append(l.log, domain.Recorded{Event: failed, Position: domain.Position{Offset: int64(len(l.log))}})
	}
	got, _, err := d.setStatus(t.Context(), byAdmin(), number, p.ID, "delivered", nil)
	if err != nil || got.Status != domain.StatusDelivered || got.Revision != 3 || got.Attributes[domain.ExternalError] != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	orderlyTaken(t, l)
}

func TestTroubleIsUnavailable(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	n := l.length()
	l.appending = func([]domain.Event) error { return errors.New("no broker") }
	if _, _, err := d.post(t.Context(), byAdmin(), number, outgoing("x")); domain.CodeOf(err) != domain.CodeUnavailable {
		t.Errorf("an append: %v", err)
	}
	if l.length() != n {
		t.Errorf("something happened")
	}
	l.appending = nil
	l.waiting = func(domain.Position) error { return context.DeadlineExceeded }
	if _, _, err := d.post(t.Context(), byAdmin(), number, outgoing("x")); domain.CodeOf(err) != domain.CodeUnavailable {
		t.Errorf("a wait: %v", err)
	}
	l.waiting = nil
	if _, _, err := d.post(t.Context(), byAdmin(), 99, outgoing("x")); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("nowhere: %v", err)
	}
	elsewhere := byAgent()
	elsewhere.channels = []string{"second"}
	if _, _, err := d.post(t.Context(), elsewhere, number, outgoing("x")); !errors.Is(err, errNoRight) {
		t.Errorf("without the right: %v", err)
	}
	orderly(t, l)
}

func TestCommandsAreCounted(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		nil: outcomeDone, errNoRight: outcomeForbidden, errNone: outcomeMissing, errors.New("?"): outcomeFailed,
		domain.Errorf(domain.CodeUnavailable, "later"): outcomeUnavailable, unfit("no"): outcomeRefused,
		domain.Errorf(domain.CodeForbidden, "no"): outcomeForbidden, fmt.Errorf("decide: %w", errNone): outcomeMissing,
		fmt.Errorf("decide: %w", unfit("no")): outcomeRefused,
	} {
		if got := outcomeOf(err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
	if got := outcomeOf(invalidRecord{Texts: []string{"no"}}); got != outcomeRefused {
		t.Errorf("a record is %s", got)
	}
}
