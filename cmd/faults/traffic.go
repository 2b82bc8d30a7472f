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
)

// fate is how a post was answered.
type fate int

const (
	unanswered fate = iota // no answer: it may have landed
	accepted               // 2xx: it is kept
	refused                // 5xx, 429: it may have landed, as a whole
	invalid                // 4xx: it is nowhere
)

// said is one post: a webhook of a contact or a reply to it.
type said struct {
	contact, text string
	reply         bool
	fate          fate
	at            time.Time // when it was posted first
}

// traffic is load of many contacts, each in a sequence of its own: a contact
// writes twice and is replied to; now and then a webhook is one that must not
// be taken. A webhook is repeated until it is accepted, as integrations do. A
// reply that was not answered is given up, because there is no telling what
// became of it.
type traffic struct {
	stand    *stand
	channel  channel
	receiver *receiver
	prefix   string // of contacts and texts
	contacts int
	pause    time.Duration // of a contact between two posts
	strict   bool          // a post that fails although there was a node to take it is a failure of the case
	mayFail  bool          // the receiver may refuse a reply for good; it is a dead letter then
	began    time.Time

	stop     chan struct{}
	all      sync.WaitGroup
	accepted atomic.Int64

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
	// postPatience is how long a webhook may be refused before that is a failure.
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

func (t *traffic) run(ctx context.Context) {
	for c := range t.contacts {
		t.all.Go(func() {
			contact := fmt.Sprintf("%s_c%02d", t.prefix, c)
			_ = pause(ctx, t.pause*time.Duration(c)/time.Duration(t.contacts)) // not all at once
			for i := 0; ctx.Err() == nil; i++ {
				select {
				case <-t.stop:
					return
				case <-time.After(t.pause):
				}
				text := fmt.Sprintf("%s-%05d", contact, i)
				switch {
				case i%17 == 16:
					t.misspell(ctx, contact, text)
				case i%3 == 2:
					t.reply(ctx, contact, text)
				default:
					t.webhook(ctx, contact, text)
				}
			}
		})
	}
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

func (t *traffic) say(contact, text string, reply bool) *said {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &said{contact: contact, text: text, reply: reply, at: time.Now()}
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

const webhookPath = "/custom/channel/webhook/"

// body is a webhook.
func (t *traffic) body(contact, text string) string {
	return fmt.Sprintf(`{"channelId":%q,"contactId":%q,"events":[{"type":"message","mId":%q,"timestamp":1767261600000,"message":{"type":"text","text":%q}}]}`,
		t.channel.ID, contact, text, text)
}

// refusals counts the posts that were refused so far.
func (t *traffic) refusals() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts.refused
}

func (t *traffic) webhook(ctx context.Context, contact, text string) {
	s := t.say(contact, text, false)
	body := t.body(contact, text)
	for deadline := time.Now().Add(postPatience); ctx.Err() == nil; {
		status, raw, err := t.post(ctx, t.channel.Token, webhookPath, body)
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

func (t *traffic) reply(ctx context.Context, contact, text string) {
	s := t.say(contact, text, true)
	status, raw, err := t.post(ctx, adminToken, "/v1/channels/"+t.channel.ID+"/messages",
		fmt.Sprintf(`{"contact_ref":%q,"type":"text","text":%q}`, contact, text))
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

// misspell posts a webhook whose second event is not one: nothing of it may be kept.
func (t *traffic) misspell(ctx context.Context, contact, text string) {
	s := t.say(contact, text, false)
	t.is(s, invalid)
	status, raw, err := t.post(ctx, t.channel.Token, webhookPath, fmt.Sprintf(
		`{"channelId":%q,"contactId":%q,"events":[{"type":"message","mId":%q,"timestamp":1767261600000,"message":{"type":"text","text":%q}},{"type":"message","mId":7}]}`,
		t.channel.ID, contact, text, text))
	switch {
	case err != nil || status >= 500:
		t.answered(text, status, raw, err)
	case status < 400:
		t.failf("%s was bad and answered %d: %s", text, status, raw)
	}
}

// post makes a call at the next node. One that cannot be reached has not got the
// request, so it goes to another.
func (t *traffic) post(ctx context.Context, token, path, body string) (status int, raw []byte, err error) {
	for deadline := time.Now().Add(postPatience); ; {
		status, raw, err = call(ctx, t.stand.doors.pick().url(), token, http.MethodPost, path, body)
		dial, ok := errors.AsType[*net.OpError](err)
		if !ok || dial.Op != "dial" || time.Now().After(deadline) || pause(ctx, 20*time.Millisecond) != nil {
			return status, raw, err
		}
	}
}
