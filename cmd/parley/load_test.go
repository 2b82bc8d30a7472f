package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// landed is a call as the receiver of callbacks saw it.
type landed struct {
	contact, text, key string
	began              time.Time
	ended              time.Time // zero: the caller went away first
	refused            bool      // it was answered 503
}

// listener is a callback that takes some time for each call and keeps all of them
// in the order in which they began.
type listener struct {
	*httptest.Server

	takes  time.Duration
	refuse atomic.Bool // answer 503
	mu     sync.Mutex
	calls  []*landed
}

func newListener(t testing.TB, takes time.Duration) *listener {
	t.Helper()
	l := &listener{takes: takes}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *listener) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body struct {
		ContactID string `json:"contactId"`
		Message   struct {
			Text string `json:"text"`
		} `json:"message"`
	}
	raw, _ := io.ReadAll(req.Body)
	if err := json.Unmarshal(raw, &body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	call := &landed{contact: body.ContactID, text: body.Message.Text, key: req.Header.Get("Idempotency-Key"), began: time.Now()}
	l.mu.Lock()
	l.calls = append(l.calls, call)
	l.mu.Unlock()
	if l.takes > 0 {
		select {
		case <-time.After(l.takes):
		case <-req.Context().Done():
			return
		}
	}
	l.mu.Lock()
	call.ended, call.refused = time.Now(), l.refuse.Load()
	refused := call.refused
	l.mu.Unlock()
	if refused {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, `{"mId":"x-%s"}`, call.key)
}

// seen copies the calls so far.
func (l *listener) seen() []landed {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]landed, len(l.calls))
	for i, call := range l.calls {
		list[i] = *call
	}
	return list
}

// missing counts the texts that have not been told.
func (l *listener) missing(want map[string][]string) int {
	told := map[string]bool{}
	for _, call := range l.seen() {
		if !call.ended.IsZero() && !call.refused {
			told[call.text] = true
		}
	}
	n := 0
	for _, texts := range want {
		for _, text := range texts {
			if !told[text] {
				n++
			}
		}
	}
	return n
}

// inOrder checks that each conversation was told its messages in their order: a
// call may repeat the one before it, but never an earlier one.
func (l *listener) inOrder(t testing.TB) {
	t.Helper()
	last := map[string]string{}
	for _, call := range l.seen() {
		if call.text < last[call.contact] {
			t.Errorf("%s was told %s after %s", call.contact, call.text, last[call.contact])
		}
		last[call.contact] = call.text
	}
}

// repeated lists the calls that repeat an earlier one, each with the first.
func (l *listener) repeated() (firsts []landed) {
	first := map[string]landed{}
	for _, call := range l.seen() {
		if before, again := first[call.key]; again {
			firsts = append(firsts, before)
			continue
		}
		first[call.key] = call
	}
	return firsts
}

// load is posts of many contacts, each in a sequence of its own.
type load struct {
	cluster  *cluster
	channel  channelAnswer
	contacts int
	each     int           // posts of one contact; every third is a reply to it
	pause    time.Duration // between two posts of a contact
	prefix   string        // of the texts; they sort as they are posted

	answered atomic.Int64
	mu       sync.Mutex
	in, out  map[string][]string // contact → what was accepted, in order
}

func (c *cluster) load(ch channelAnswer, contacts, each int) *load {
	return &load{cluster: c, channel: ch, contacts: contacts, each: each, prefix: "c", in: map[string][]string{}, out: map[string][]string{}}
}

// total is how many posts there are.
func (l *load) total() int { return l.contacts * l.each }

// run posts to the nodes in turn, until all posts have been tried. A webhook is
// repeated, at the next node, until it is accepted, as integrations do; a reply
// that fails is given up.
func (l *load) run(t testing.TB, nodes ...*process) {
	t.Helper()
	var all sync.WaitGroup
	for c := range l.contacts {
		all.Go(func() {
			contact := fmt.Sprintf("client_%02d", c)
			for i := range l.each {
				l.post(t, contact, fmt.Sprintf("%s%02d-%04d", l.prefix, c, i), i%3 == 2, nodes, c+i)
				if l.pause > 0 {
					<-time.After(l.pause)
				}
			}
		})
	}
	all.Wait()
}

func (l *load) post(t testing.TB, contact, text string, reply bool, nodes []*process, turn int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for try := 0; ; try++ {
		node := nodes[(turn+try)%len(nodes)]
		var status int
		var err error
		if reply {
			status, err = call(node.URL, testToken, http.MethodPost, "/v1/channels/"+l.channel.ID+"/messages",
				fmt.Sprintf(`{"contact_ref":%q,"type":"text","text":%q}`, contact, text), nil)
		} else {
			status, err = call(node.URL, l.channel.APIToken, http.MethodPost, "/custom/channel/webhook/", inboundBody(l.channel.ID, contact, text), nil)
		}
		switch {
		case err == nil && (status == http.StatusOK || status == http.StatusAccepted):
			l.accepted(contact, text, reply)
			return
		case err == nil && status < 500:
			t.Errorf("%s: %d", text, status)
			return
		case reply:
			return
		case time.Now().After(deadline):
			t.Errorf("%s was not accepted for a minute: %d %v", text, status, err)
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (l *load) accepted(contact, text string, reply bool) {
	l.mu.Lock()
	if reply {
		l.out[contact] = append(l.out[contact], text)
	} else {
		l.in[contact] = append(l.in[contact], text)
	}
	l.mu.Unlock()
	l.answered.Add(1)
}

// merge adds what a later load had accepted.
func (l *load) merge(later *load) {
	for contact, texts := range later.in {
		l.in[contact] = append(l.in[contact], texts...)
	}
	for contact, texts := range later.out {
		l.out[contact] = append(l.out[contact], texts...)
	}
}

// reached waits until a part of the posts has been accepted.
func (l *load) reached(t testing.TB, n int) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("%d posts accepted", n), func() bool { return l.answered.Load() >= int64(n) })
}

// check reads everything back from a node: what was accepted is there once, in
// order, and told in order.
func (l *load) check(t testing.TB, node *process, hooks *listener) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	eventually(t, 60*time.Second, "all replies told", func() bool { return hooks.missing(l.out) == 0 })
	hooks.inOrder(t)
	for contact, want := range l.in {
		var in []string
		eventually(t, 60*time.Second, "rows of "+contact, func() bool {
			in = in[:0]
			for _, m := range node.conversation(l.channel.ID, contact) {
				if m.Direction == "in" {
					in = append(in, m.ExternalID)
				}
			}
			return len(in) >= len(want)
		})
		if !slices.Equal(in, want) {
			t.Errorf("%s: accepted %v, stored %v", contact, want, in)
		}
	}
	for contact, want := range l.out {
		var out []string
		eventually(t, 60*time.Second, "outcomes of "+contact, func() bool {
			out = out[:0]
			sent := 0
			for _, m := range node.conversation(l.channel.ID, contact) {
				if m.Direction == "out" {
					out = append(out, m.Text)
					if m.Status == "sent" {
						sent++
					}
				}
			}
			return sent == len(out) && sent >= len(want)
		})
		if !slices.IsSorted(out) || slices.Compare(out, slices.Compact(slices.Clone(out))) != 0 {
			t.Errorf("%s: replies stored out of order or twice: %v", contact, out)
		}
		for _, text := range want {
			if !slices.Contains(out, text) {
				t.Errorf("%s: reply %s was accepted and is lost", contact, text)
			}
		}
	}
}
