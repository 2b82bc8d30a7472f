package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// fate is how a post was answered.
type fate int

const (
	unanswered fate = iota // no answer: it may have landed
	accepted               // 2xx: it is kept
	refused                // 5xx, 429: it may have landed, as a whole
	invalid                // 4xx: it is nowhere
)

// said is one post: what a contact writes, or a reply to it.
type said struct {
	contact, text string
	dialect       domain.Dialect
	reply         bool
	fate          fate
	at            time.Time // when it was posted first
}

// person is a contact.
type person struct {
	name         string
	channel      channel
	conversation uuid.UUID
}

// traffic is load of many contacts, each in a sequence of its own: a contact
// writes twice and is replied to; now and then it writes what must not be taken.
// What it writes is repeated until it is accepted, as integrations do. A reply
// that was not answered is given up, because there is no telling what became of
// it.
type traffic struct {
	stand    *stand
	channel  channel // with others beside it, to which half of the contacts write
	receiver *receiver
	prefix   string // of contacts and texts
	contacts int
	pause    time.Duration // of a contact between two posts
	steady   bool          // a contact posts at its times, however long answers take
	strict   bool          // a post that fails although there was a node to take it is a failure of the case
	mayFail  bool          // the receiver may refuse a reply for good; it is a dead letter then
	began    time.Time

	stop     chan struct{}
	all      sync.WaitGroup
	accepted atomic.Int64

	people []person
	mu     sync.Mutex
	posts  []*said // in the order in which each contact made them
	struck []strike
	failed []string // what a strict run may not have
	dead   []string // replies that ended as dead letters
	counts struct{ refused, unanswered int }
}

// strike is the time in which something was broken.
type strike struct{ from, to time.Time }

// Load of a round: some 200 posts a second.
const (
	contacts  = 12
	postPause = 50 * time.Millisecond
	// postPatience is how long a message may be refused before that is a failure.
	postPatience = 90 * time.Second
)

// begin starts load on a channel. Its prefix tells it from other rounds.
func (s *stand) begin(ctx context.Context, ch channel, hooks *receiver, prefix string) *traffic {
	t := &traffic{
		stand: s, channel: ch, receiver: hooks, prefix: prefix, contacts: contacts, pause: postPause, began: time.Now(), stop: make(chan struct{}),
	}
	t.run(ctx)
	return t
}

// run starts the load, when everybody is ready to write.
func (t *traffic) run(ctx context.Context) {
	t.meet(ctx)
	began := time.Now()
	for c, p := range t.people {
		first := began.Add(t.pause * time.Duration(c) / time.Duration(t.contacts)) // not all at once
		t.all.Go(func() { t.goesOn(ctx, p, first) })
	}
}

// meet makes the contacts known.
func (t *traffic) meet(ctx context.Context) {
	t.people = make([]person, t.contacts)
	var all sync.WaitGroup
	for c := range t.people {
		p := &t.people[c]
		p.name, p.channel = fmt.Sprintf("%s_c%02d", t.prefix, c), t.channel.of(c)
		all.Go(func() {
			var err error
			if p.conversation, err = p.channel.voice.meet(ctx, p.name); err != nil {
				t.failf("%s cannot write: %v", p.name, err)
			}
		})
	}
	all.Wait()
}

// goesOn is what becomes of a contact: post after post, each when the one before it
// is answered. Those of steady load that came late are made up for.
func (t *traffic) goesOn(ctx context.Context, p person, at time.Time) {
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-t.stop:
			return
		case <-time.After(time.Until(at)):
		}
		text := fmt.Sprintf("%s-%05d", p.name, i)
		switch {
		case i%17 == 16:
			t.misspell(ctx, p, text)
		case i%3 == 2:
			t.reply(ctx, p, text)
		default:
			t.write(ctx, p, text)
		}
		at = t.next(at, time.Now())
	}
}

// next is when a contact posts again that was to post at a time and has its answer
// now.
func (t *traffic) next(at, now time.Time) time.Time {
	if t.steady {
		return at.Add(t.pause)
	}
	return now.Add(t.pause)
}

// strike notes that something is broken from now on, until the returned function
// is called.
func (t *traffic) strike() (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := len(t.struck)
	t.struck = append(t.struck, strike{from: time.Now()})
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.struck[at].to = time.Now()
	}
}

// reached waits until so many more posts were accepted.
func (t *traffic) reached(ctx context.Context, more int) error {
	want := t.accepted.Load() + int64(more)
	return until(ctx, postPatience, 10*time.Millisecond, fmt.Sprintf("%d posts accepted", more), func() (bool, error) {
		return t.accepted.Load() >= want, nil
	})
}

// end stops the load; it returns when every post has its answer.
func (t *traffic) end() {
	close(t.stop)
	t.all.Wait()
}

func (t *traffic) say(p person, text string, reply bool) *said {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &said{contact: p.name, text: text, dialect: p.channel.dialect, reply: reply, at: time.Now()}
	t.posts = append(t.posts, s)
	return s
}

func (t *traffic) is(s *said, f fate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.fate = f
	if f == accepted {
		t.accepted.Add(1)
	}
}

func (t *traffic) failf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = append(t.failed, fmt.Sprintf(format, args...))
}

// failures tells what went wrong so far, in short.
func (t *traffic) failures() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d posts went wrong, the first: %s", len(t.failed), t.failed[0])
}

// answered counts an answer that was not wanted.
func (t *traffic) answered(text string, status int, raw []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.counts.unanswered++
	} else {
		t.counts.refused++
	}
	if t.strict || err == nil && status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		t.failed = append(t.failed, fmt.Sprintf("%s was answered %d %s %v", text, status, raw, err))
	}
}

// body is a webhook of respond.io.
func (t *traffic) body(contact, text string) string {
	return t.channel.voice.says(contact, text, true).body
}

// refusals counts the posts that were refused so far.
func (t *traffic) refusals() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts.refused
}

// write posts a message of a contact, until it is taken.
func (t *traffic) write(ctx context.Context, p person, text string) {
	s := t.say(p, text, false)
	r := p.channel.voice.says(p.name, text, true)
	for deadline := time.Now().Add(postPatience); ctx.Err() == nil; {
		status, raw, err := t.post(ctx, r)
		switch {
		case err == nil && status == http.StatusOK:
			t.is(s, accepted)
			return
		case err == nil && status < 500 && status != http.StatusTooManyRequests:
			t.failf("%s was answered %d: %s", text, status, raw)
			t.is(s, invalid)
			return
		case time.Now().After(deadline):
			t.failf("%s was not accepted for %s: %d %s %v", text, postPatience, status, raw, err)
			return
		}
		t.answered(text, status, raw, err)
		_ = pause(ctx, t.pause)
	}
}

// reply posts a reply of the contact centre, which is the same in every dialect.
func (t *traffic) reply(ctx context.Context, p person, text string) {
	s := t.say(p, text, true)
	status, raw, err := t.post(ctx, request{
		adminToken, "/v1/channels/" + p.channel.ID + "/messages", fmt.Sprintf(`{"contact_ref":%q,"type":"text","text":%q}`, p.name, text),
	})
	switch {
	case err == nil && status == http.StatusAccepted:
		t.is(s, accepted)
	case err == nil && status < 500:
		t.failf("reply %s was answered %d: %s", text, status, raw)
		t.is(s, invalid)
	case err == nil:
		t.is(s, refused)
		t.answered(text, status, raw, err)
	default:
		t.answered(text, status, raw, err)
	}
}

// misspell posts a message with something wrong behind it: nothing of it may be kept.
func (t *traffic) misspell(ctx context.Context, p person, text string) {
	s := t.say(p, text, false)
	t.is(s, invalid)
	status, raw, err := t.post(ctx, p.channel.voice.says(p.name, text, false))
	switch {
	case err != nil || status >= 500:
		t.answered(text, status, raw, err)
	case status < 400:
		t.failf("%s was bad and answered %d: %s", text, status, raw)
	}
}

// post makes a call at the next node. One that cannot be reached has not got the
// request, so it goes to another.
func (t *traffic) post(ctx context.Context, r request) (status int, raw []byte, err error) {
	for deadline := time.Now().Add(postPatience); ; {
		status, raw, err = call(ctx, t.stand.doors.pick().url(), r.token, http.MethodPost, r.path, r.body)
		dial, ok := errors.AsType[*net.OpError](err)
		if !ok || dial.Op != "dial" || time.Now().After(deadline) || pause(ctx, 20*time.Millisecond) != nil {
			return status, raw, err
		}
	}
}
