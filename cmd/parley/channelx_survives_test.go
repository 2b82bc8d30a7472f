package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// cxUnlimited lets one address ask as often as it wants, as these tests do.
const cxUnlimited = "PARLEY_CHANNELX_RATE=0"

// cxProcess runs parley dev on a folder at an address, again after it was killed
// there: integrations know one address.
func cxProcess(t testing.TB, dir, addr string) *process {
	t.Helper()
	env := append(onKafka(filepath.Base(dir)), cxUnlimited)
	return startProgram(t, "Ctrl-C stops it.", env, "dev", "--data", dir, "--addr", addr)
}

// TestChannelXSurvives: kill -9 while bridges work, and later the loss of the
// database. Nothing that was answered is lost, numbers stay unique, each callback
// arrives, and twice only as the same delivery. Rows that are built anew from the
// log give the same answers.
func TestChannelXSurvives(t *testing.T) {
	t.Parallel()
	const bridges = 32
	dir := pgtest.Dir(t)
	p := cxProcess(t, dir, "127.0.0.1:0")
	s := cxOf(t, p.at(t))
	o := s.office(t)
	all := o.bridges(bridges)
	half := make(chan struct{})
	var steps atomic.Int64
	var running sync.WaitGroup
	for _, b := range all {
		running.Go(func() {
			b.goesOn(t, func() bool {
				if steps.Add(1) == bridges*4 {
					close(half)
				}
				return true
			})
		})
	}
	select {
	case <-half:
	case <-waited(&running):
		t.Fatal("the bridges ended before they were half done")
	}
	s.killed.Store(true)
	p.kill()
	running.Wait()
	calls, _ := o.receiver.got()
	answered := 0
	for _, b := range all {
		answered += len(b.steps)
	}
	t.Logf("killed with %d steps begun, %d writes answered and %d callbacks made", steps.Load(), answered, len(calls))

	p = cxProcess(t, dir, strings.TrimPrefix(p.URL, "http://"))
	s.killed.Store(false)
	made := int64(0)
	for _, b := range all {
		if b.first {
			made++
		}
	}
	o.reopens(t, made)
	for _, b := range all {
		b.remains(t)
	}
	for _, b := range all {
		running.Go(func() { b.goesOn(t, func() bool { return true }) })
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	numbers := map[int64]int{}
	for _, b := range all {
		b.told(t)
		if other, taken := numbers[b.talk.id]; taken {
			t.Errorf("bridges %d and %d both have conversation %d", other, b.n, b.talk.id)
		}
		numbers[b.talk.id] = b.n
	}
	o.settled(t)
	o.toldOnce(t)

	before := o.snapshot(t)
	calls, _ = o.receiver.got()
	p.stop()
	if err := os.RemoveAll(filepath.Join(dir, "postgres")); err != nil {
		t.Fatal(err)
	}
	p = cxProcess(t, dir, strings.TrimPrefix(p.URL, "http://"))
	o.reopens(t, bridges/2)
	for path, answer := range o.snapshot(t) {
		if answer != before[path] {
			t.Errorf("%s was\n%s\nand is\n%s", path, before[path], answer)
		}
		delete(before, path)
	}
	for path := range before {
		t.Errorf("%s is gone", path)
	}

	// Numbers go on above those that were given out, and nobody is told again.
	last := slices.MaxFunc(all, func(a, b *cxBridge) int { return int(a.talk.id - b.talk.id) }).talk
	said := last.messages(t)[1].at("id").integer()
	v := last.contact.talk(t)
	if id := v.hears(t, "new"); v.id <= last.id || id <= said {
		t.Errorf("conversation %d after %d, message %d after %d", v.id, last.id, id, said)
	}
	v.fence(t)
	o.settled(t)
	again, _ := o.receiver.got()
	for _, call := range again[len(calls):] {
		if !call.about(v.id) {
			t.Errorf("told again: %s", call.raw)
		}
	}
	p.stop()
}

// reopens waits until what the office reads is there again: on a Kafka, the group
// first has to find out that the killed member is gone. Until then nothing is
// answered that may be wrong: the first answer is the right one.
func (o *cxOffice) reopens(t *testing.T, contacts int64) {
	t.Helper()
	var count int64
	eventually(t, time.Minute, "answers after a restart", func() bool {
		got := o.app(t, http.MethodGet, "/contacts", nil)
		if got.status != http.StatusOK && got.status != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		if got.status == http.StatusOK {
			count = o.gets(t, got).at("meta", "count").integer()
		}
		return got.status == http.StatusOK
	})
	if count < contacts {
		t.Errorf("the first answer tells of %d contacts, want %d", count, contacts)
	}
}

// waited is closed when the group has ended.
func waited(group *sync.WaitGroup) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	return done
}

// remains expects all that the bridge was answered to be there.
func (b *cxBridge) remains(t *testing.T) {
	t.Helper()
	if b.contact != nil {
		b.office.reads(t, b.contact.path("")).at("payload", "phone_number").is(b.phone)
	}
	if b.talk == nil {
		return
	}
	b.office.reads(t, b.talk.path("")).at("meta", "sender", "id").is(b.contact.id)
	all := b.talk.messages(t)
	has := func(write string) bool { return slices.Contains(b.records, write) }
	if has("asked") {
		all[0].at("content").is(b.text("asked"))
		b.office.suite.download(t, all[0].at("attachments", 0, "data_url").text())
	}
	if !has("answer") {
		return
	}
	if has("deleted") {
		all[1].at("content_attributes").is(object{"deleted": true})
	}
	rank := []string{"sent", "delivered", "read"}
	for _, status := range rank[1:] {
		if reached := all[1].at("status").text(); has(status) && slices.Index(rank, reached) < slices.Index(rank, status) {
			t.Errorf("bridge %d reported %s, and the message is %s", b.n, status, reached)
		}
	}
}

// toldOnce expects that what was told twice was so as the same delivery.
func (o *cxOffice) toldOnce(t *testing.T) {
	t.Helper()
	calls, _ := o.receiver.got()
	bodies, deliveries := map[string]string{}, map[string]string{}
	repeated := 0
	for _, call := range calls {
		body := string(call.raw)
		if other, again := bodies[call.delivery]; again {
			repeated++
			if other != body {
				t.Errorf("delivery %s is %s and %s", call.delivery, other, body)
			}
		}
		if other, again := deliveries[body]; again && other != call.delivery {
			t.Errorf("deliveries %s and %s are both %s", other, call.delivery, body)
		}
		bodies[call.delivery], deliveries[body] = body, call.delivery
	}
	t.Logf("%d calls, %d of them repeated", len(calls), repeated)
}

// snapshot gives the answers to every read that the office can make, by path.
func (o *cxOffice) snapshot(t *testing.T) map[string]string {
	t.Helper()
	answers := map[string]string{}
	app := func(path string) cxValue {
		got := o.reads(t, path)
		answers[path] = got.String()
		return got
	}
	app("/inboxes")
	app("/agents")
	app("/webhooks")
	answers["profile"] = o.gets(t, o.call(t, "GET", "/api/v1/profile", nil)).String()
	answers["inbox"] = o.clientReads(t, "").String()
	for page := 1; ; page++ {
		list := app(fmt.Sprintf("/contacts?sort=name&page=%d", page)).at("payload").list()
		for _, contact := range list {
			id := digits(contact.at("id").integer())
			app("/contacts/" + id)
			app("/contacts/" + id + "/conversations")
			app("/contacts/" + id + "/contactable_inboxes")
			for _, inbox := range contact.at("contact_inboxes").list() {
				path := "/contacts/" + escaped(inbox.at("source_id").text())
				answers[path] = o.clientReads(t, path).String()
				answers[path+"/conversations"] = o.clientReads(t, path+"/conversations").String()
			}
		}
		if len(list) == 0 {
			break
		}
	}
	for page := 1; ; page++ {
		list := app(fmt.Sprintf("/conversations?status=all&sort_by=created_at_asc&page=%d", page)).at("data", "payload").list()
		for _, conversation := range list {
			id := digits(conversation.at("id").integer())
			app("/conversations/" + id)
			app("/conversations/" + id + "/messages")
		}
		if len(list) == 0 {
			break
		}
	}
	return answers
}
