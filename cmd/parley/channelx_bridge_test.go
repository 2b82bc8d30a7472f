package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cxBridges is how many bridges work at once.
const cxBridges = 64

// cxBridge is one customer's conversation, as a bridge to a messenger keeps it.
type cxBridge struct {
	office *cxOffice
	n      int // names it
	phone  string

	contact *cxContact
	first   bool // it has made the contact
	talk    *cxTalk
	done    int // steps of the story

	records []string // writes that were answered
	steps   []string // what receivers must be told of, in order
}

// goesOn goes on with the story. next is called before each step; false ends the
// story there. Each request is made at once after the answer to the one before,
// and what it did is read again at once. A step whose answer got lost may be done
// again.
func (b *cxBridge) goesOn(t *testing.T, next func() bool) { //nolint:thelper // a test
	story := []func(*testing.T){b.finds, b.opens, b.hears, b.answers, b.reports("delivered"), b.reports("read"), b.deletes}
	for ; b.done < len(story); b.done++ {
		if !next() {
			return
		}
		story[b.done](t)
	}
}

// answered notes that a write was answered, of which receivers must be told. A step
// that is done again writes nothing anew.
func (b *cxBridge) answered(write, told string) {
	if !slices.Contains(b.records, write) {
		b.records, b.steps = append(b.records, write), append(b.steps, told)
	}
}

// finds looks the customer up by phone number, and makes the contact when nobody
// has it. Two bridges may do so at the same time: the one that is refused looks
// again.
func (b *cxBridge) finds(t *testing.T) {
	t.Helper()
	search := "/contacts/search?q=" + escaped(b.phone)
	found := b.office.reads(t, search).at("payload")
	if len(found.list()) == 0 {
		got := b.office.app(t, http.MethodPost, "/contacts", object{
			"inbox_id": b.office.inbox, "name": "Customer " + b.phone, "phone_number": b.phone, "custom_attributes": object{"bridge": b.n},
		})
		switch got.status {
		case http.StatusOK:
			b.first = true
		case http.StatusUnprocessableEntity:
			cxRefused(t, got, got.status).at("attributes").hasText("phone_number")
		default:
			t.Fatalf("%d %s", got.status, got.raw)
		}
		found = b.office.reads(t, search).at("payload")
	}
	if len(found.list()) != 1 {
		t.Fatalf("%s is %s", b.phone, found)
	}
	found.at(0, "phone_number").is(b.phone)
	b.contact = &cxContact{office: b.office, id: found.at(0, "id").integer()}
	b.office.reads(t, b.contact.path("")).at("payload", "phone_number").is(b.phone)
}

// source is the source_id of the bridge's conversation.
func (b *cxBridge) source() string { return fmt.Sprintf("%s@bridge-%d", b.phone, b.n) }

// opens begins a conversation under a source_id of its own.
func (b *cxBridge) opens(t *testing.T) {
	t.Helper()
	b.contact.source = b.source()
	made := b.office.posts(t, "/conversations", object{"inbox_id": b.office.inbox, "contact_id": digits(b.contact.id), "source_id": b.source()})
	b.talk = &cxTalk{contact: b.contact, office: b.office, id: made.at("id").integer()}
	b.records, b.steps = []string{"opened"}, []string{"conversation_created"}
	shown := b.office.reads(t, b.talk.path(""))
	shown.at("id").is(b.talk.id)
	shown.at("meta", "sender", "id").is(b.contact.id)
	shown.at("status").is("open")
	listed := b.office.reads(t, b.contact.path("/conversations")).at("payload")
	if listed.find("id", b.talk.id).missing() {
		t.Errorf("conversation %d is not among %v", b.talk.id, listed.integers("id"))
	}
}

// text is what the bridge's messages say.
func (b *cxBridge) text(what string) string { return fmt.Sprintf("%s %d", what, b.n) }

// posts creates a message under a key of its own, so that a repeat is none.
func (b *cxBridge) posts(t *testing.T, what string, body any) cxValue {
	t.Helper()
	path := fmt.Sprintf("/api/v1/accounts/%d%s", b.office.number, b.talk.path("/messages"))
	m := b.office.gets(t, b.office.suite.send(t, http.MethodPost, path, cxHeaders{"api_access_token": b.office.token, "Idempotency-Key": b.text(what)}, body))
	b.answered(what, "message_created "+b.text(what))
	m.at("content").is(b.text(what))
	m.at("conversation_id").is(b.talk.id)
	return m
}

// hears brings what the customer wrote, with a file, as a chunked form.
func (b *cxBridge) hears(t *testing.T) {
	t.Helper()
	content := append(bytes.Clone(cxPNG), byte(b.n))
	m := b.posts(t, "asked", cxForm{}.field("content", b.text("asked")).field("message_type", "incoming").field("source_id", b.text("ext")).
		field("content_attributes", `{"wamid":"`+b.text("w")+`"}`).file("photo.png", "image/png", content))
	m.at("sender", "id").is(b.contact.id)
	shown := b.talk.message(t, m.at("id").integer())
	shown.at("source_id").is(b.text("ext"))
	shown.at("content_attributes", "wamid").is(b.text("w"))
	if got := b.office.suite.download(t, shown.at("attachments", 0, "data_url").text()); !bytes.Equal(got.raw, content) {
		t.Errorf("bridge %d has another's file", b.n)
	}
	b.office.reads(t, b.talk.path("")).at("unread_count").is(1)
}

// answers is an operator's reply, to the message of the customer.
func (b *cxBridge) answers(t *testing.T) {
	t.Helper()
	m := b.posts(t, "answer", object{"content": b.text("answer"), "content_attributes": object{"in_reply_to_external_id": b.text("ext")}})
	m.at("content_attributes", "in_reply_to").is(b.talk.messages(t)[0].at("id").integer())
	b.office.reads(t, b.talk.path("")).at("messages", 0, "id").is(m.at("id").integer())
}

// reports tells what became of the reply.
func (b *cxBridge) reports(status string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		reply := b.talk.messages(t)[1].at("id").integer()
		b.talk.patches(t, reply, cxForm{}.field("status", status)).at("status").is(status)
		b.answered(status, "message_updated "+b.text("answer"))
		b.talk.message(t, reply).at("status").is(status)
	}
}

// deletes takes the reply back, which stays in the list as deleted.
func (b *cxBridge) deletes(t *testing.T) {
	t.Helper()
	reply := b.talk.messages(t)[1].at("id").integer()
	b.office.gets(t, b.office.app(t, http.MethodDelete, b.talk.path("/messages/"+digits(reply)), nil))
	b.answered("deleted", "message_updated This message was deleted")
	all := b.talk.messages(t)
	if len(all) != 2 {
		t.Errorf("%d messages", len(all))
	}
	b.talk.message(t, reply).at("content_attributes").is(object{"deleted": true})
}

// told expects what the receiver must have been told of, in order. Each is told
// once, or again as the same delivery.
func (b *cxBridge) told(t *testing.T) {
	t.Helper()
	want := b.steps[len(b.steps)-1]
	b.office.receiver.await(t, fmt.Sprintf("%s of conversation %d", want, b.talk.id), func(h cxHook) bool { return h.about(b.talk.id) && h.says() == want })
	var told []string
	seen := map[string]bool{}
	for _, call := range b.office.receiver.calledFor(b.talk.id) {
		if call.event != "conversation_updated" && !seen[call.delivery] {
			told = append(told, call.says())
		}
		seen[call.delivery] = true
	}
	if !slices.Equal(told, b.steps) {
		t.Errorf("bridge %d: told %q, want %q", b.n, told, b.steps)
	}
}

// bridges prepares bridges, two for each phone number.
func (o *cxOffice) bridges(n int) []*cxBridge {
	all := make([]*cxBridge, n)
	for i := range all {
		if i%2 == 0 {
			all[i] = &cxBridge{office: o, n: i, phone: o.suite.phone()}
		} else {
			all[i] = &cxBridge{office: o, n: i, phone: all[i-1].phone}
		}
	}
	return all
}

// TestChannelXBridge: 64 bridges work on one inbox at once, none of them ever
// pausing, and none gets a wrong answer. The conversations are numbered without a
// gap, and the receiver is told of each in order.
func TestChannelXBridge(t *testing.T) {
	t.Parallel()
	s := newCX(t)
	o := s.office(t)
	all := o.bridges(cxBridges)
	began := time.Now()
	var running sync.WaitGroup
	var steps atomic.Int64
	for _, b := range all {
		running.Go(func() {
			b.goesOn(t, func() bool {
				steps.Add(1)
				return true
			})
		})
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("%d steps in %s", steps.Load(), time.Since(began).Round(time.Millisecond))
	var numbers []int64
	made := 0
	for i, b := range all {
		b.told(t)
		numbers = append(numbers, b.talk.id)
		if b.first {
			made++
		}
		if i%2 == 1 && (b.contact.id != all[i-1].contact.id || b.first == all[i-1].first) {
			t.Errorf("%s is contact %d and contact %d", b.phone, all[i-1].contact.id, b.contact.id)
		}
	}
	cxConsecutive(t, numbers)
	if count := o.reads(t, "/contacts").at("meta", "count").integer(); count != cxBridges/2 || made != cxBridges/2 {
		t.Errorf("%d contacts, %d made", count, made)
	}
	o.reads(t, "/conversations?status=all").at("data", "meta", "all_count").is(cxBridges)
	calls, _ := o.receiver.got()
	seen := map[string]string{}
	for _, call := range calls {
		if other, again := seen[call.delivery]; again {
			t.Errorf("%s and %s are one delivery", other, call.raw)
		}
		seen[call.delivery] = string(call.raw)
	}
	// Another account begins at 1 again.
	if v := s.office(t).talk(t); v.id != 1 {
		t.Errorf("another account's first conversation is %d", v.id)
	}
}

// cxConsecutive expects numbers from 1 without a gap or a repeat.
func cxConsecutive(t *testing.T, numbers []int64) {
	t.Helper()
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != int64(i+1) {
			t.Errorf("the numbers are %v", numbers)
			return
		}
	}
}

// TestChannelXBridgeIncoming: what a bridge does when an operator writes first: it
// is called, sends the text on, and tells what became of it, while the next call
// of the conversation waits.
func TestChannelXBridgeIncoming(t *testing.T) {
	t.Parallel()
	s := newCX(t)
	v := s.office(t).talk(t)
	o := v.office
	o.receiver.answers(func(_ int, call cxHook, w http.ResponseWriter, r *http.Request) {
		if call.event != "message_created" || !call.body.has([]any{"message_type", "outgoing", "private", false}) {
			return
		}
		path := fmt.Sprintf("/api/v1/accounts/%d/conversations/%d/messages/%d", o.number, call.body.at("conversation", "id").integer(), call.body.at("id").integer())
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPatch, s.parley.URL+path, strings.NewReader(`{"status":"delivered"}`))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header["api_access_token"] = []string{o.token}
		req.Header.Set("Content-Type", "application/json")
		resp, err := s.client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
	})
	for i := range 10 {
		id := v.says(t, fmt.Sprint("reply ", i))
		o.receiver.event(t, "message_updated", "id", id, "status", "delivered")
		v.message(t, id).at("status").is("delivered")
	}
}
