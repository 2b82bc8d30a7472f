package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// receiver is an integration server that notes every call.
type receiver struct {
	*httptest.Server

	mu    sync.Mutex
	calls map[string][]string // contact → texts, in order of arrival
	keys  map[string]int      // Idempotency-Key → calls
	total int
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{calls: map[string][]string{}, keys: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
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
		key := req.Header.Get("Idempotency-Key")
		r.mu.Lock()
		r.calls[body.ContactID] = append(r.calls[body.ContactID], body.Message.Text)
		r.keys[key]++
		r.total++
		r.mu.Unlock()
		fmt.Fprintf(w, `{"mId":"x-%s"}`, key)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// got lists the texts that a contact was sent, each at its first arrival.
func (r *receiver) got(contact string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var texts []string
	for _, text := range r.calls[contact] {
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

type channelAnswer struct {
	ID       string `json:"id"`
	APIToken string `json:"api_token"`
}

type messageAnswer struct {
	ID         string `json:"id"`
	Direction  string `json:"direction"`
	Text       string `json:"text"`
	ExternalID string `json:"external_id"`
	Status     string `json:"status"`
}

// conversation reads all messages of a contact, oldest first.
func (p *process) conversation(channel, contact string) []messageAnswer {
	p.t.Helper()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	p.api(http.MethodGet, "/v1/conversations?channel="+channel+"&contact="+strings.ReplaceAll(contact, "+", "%2B"), "", &list)
	if len(list.Data) != 1 {
		return nil
	}
	var all []messageAnswer
	cursor := ""
	for {
		var page struct {
			Data       []messageAnswer `json:"data"`
			NextCursor string          `json:"next_cursor"`
		}
		p.api(http.MethodGet, "/v1/conversations/"+list.Data[0].ID+"/messages?limit=200&cursor="+cursor, "", &page)
		all = append(all, page.Data...)
		if page.NextCursor == "" {
			return all
		}
		cursor = page.NextCursor
	}
}

// said is one post of the test: a webhook or a reply.
type said struct {
	contact, text string
	reply         bool
}

const (
	crashPosts       = 2000
	crashConnections = 16
)

func inboundBody(channel, contact, id string) string {
	return fmt.Sprintf(`{"channelId":%q,"contactId":%q,"events":[{"type":"message","mId":%q,"timestamp":1767261600000,"message":{"type":"text","text":%q}}]}`,
		channel, contact, id, id)
}

// TestKilledInTheMiddle: whatever was answered 200 before kill -9 is there exactly
// once and in order per contact; every accepted reply reaches the receiver at
// least once, in order per conversation.
func TestKilledInTheMiddle(t *testing.T) {
	dir := pgtest.Dir(t)
	hooks := newReceiver(t)
	p := startProcess(t, dir)
	var ch channelAnswer
	if status := p.api(http.MethodPost, "/v1/channels", fmt.Sprintf(
		`{"dialect":"respondio","name":"Crash","id_type":"phone","callback_url":%q,"rate_per_second":0,"delivery":{"schedule":["1s","1s","1s","1s"]}}`, hooks.URL), &ch); status != http.StatusCreated {
		t.Fatalf("create channel: %d", status)
	}

	var accepted sync.Map // text → said
	var answered atomic.Int64
	half := make(chan struct{})
	var senders sync.WaitGroup
	for c := range crashConnections {
		senders.Go(func() {
			for i := range crashPosts / crashConnections {
				contact := fmt.Sprintf("+1555%02d%02d", 1000+c, i%3)
				text := fmt.Sprintf("c%02d-%04d", c, i)
				s := said{contact: contact, text: text, reply: i%5 == 4}
				var status int
				var err error
				if s.reply {
					body := fmt.Sprintf(`{"contact_ref":%q,"type":"text","text":%q}`, contact, text)
					status, err = call(p.URL, p.Token, http.MethodPost, "/v1/channels/"+ch.ID+"/messages", body, nil)
				} else {
					status, err = call(p.URL, ch.APIToken, http.MethodPost, "/custom/channel/webhook/", inboundBody(ch.ID, contact, text), nil)
				}
				if err != nil {
					return // it has been killed
				}
				if status != http.StatusOK && status != http.StatusAccepted {
					t.Errorf("%s: %d", text, status)
					continue
				}
				accepted.Store(text, s)
				if answered.Add(1) == crashPosts/2 {
					close(half)
				}
			}
		})
	}
	<-half
	p.kill()
	senders.Wait()
	t.Logf("killed with %d of %d posts accepted, %d callbacks made", answered.Load(), crashPosts, hooks.count())

	again := startProcess(t, dir)
	wantIn, wantOut := map[string][]string{}, map[string][]string{}
	accepted.Range(func(_, v any) bool {
		s := v.(said)
		if s.reply {
			wantOut[s.contact] = append(wantOut[s.contact], s.text)
		} else {
			wantIn[s.contact] = append(wantIn[s.contact], s.text)
		}
		return true
	})
	for contact, want := range wantIn {
		slices.Sort(want)
		var in []string
		// On a Kafka the group first has to find out that the killed member is gone.
		eventually(t, 60*time.Second, "rows of "+contact, func() bool {
			in = in[:0]
			for _, m := range again.conversation(ch.ID, contact) {
				if m.Direction == "in" {
					in = append(in, m.ExternalID)
				}
			}
			return len(in) >= len(want)
		})
		if !slices.IsSorted(in) {
			t.Errorf("%s: out of order: %v", contact, in)
		}
		if slices.Compare(in, slices.Compact(slices.Clone(in))) != 0 {
			t.Errorf("%s: stored twice: %v", contact, in)
		}
		for _, text := range want {
			if !slices.Contains(in, text) {
				t.Errorf("%s: %s was accepted and is lost", contact, text)
			}
		}
	}
	for contact, want := range wantOut {
		slices.Sort(want)
		eventually(t, 30*time.Second, "replies to "+contact, func() bool { return len(hooks.got(contact)) >= len(want) })
		got := hooks.got(contact)
		if !slices.IsSorted(got) {
			t.Errorf("%s: replies out of order: %v", contact, got)
		}
		for _, text := range want {
			if !slices.Contains(got, text) {
				t.Errorf("%s: reply %s was accepted and never sent", contact, text)
			}
		}
	}
	again.stop()
}

// stop ends it as Ctrl-C does, and insists on the 5 seconds.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("Ctrl-C: %v\n%s", err, p.printed())
		}
		p.ended <- nil
	case <-time.After(5 * time.Second):
		p.t.Errorf("still running 5 s after Ctrl-C\n%s", p.printed())
	}
}

// TestDatabaseDropped: without its database Parley builds the same rows again
// from the log, channels included, and sends no callback twice.
func TestDatabaseDropped(t *testing.T) {
	dir := pgtest.Dir(t)
	hooks := newReceiver(t)
	p := startProcess(t, dir)
	var ch channelAnswer
	p.api(http.MethodPost, "/v1/channels", fmt.Sprintf(
		`{"dialect":"respondio","name":"Drop","id_type":"phone","callback_url":%q,"rate_per_second":0}`, hooks.URL), &ch)
	contacts := []string{"+15550100", "+15550101", "+15550102"}
	replies := 0
	for i := range 60 {
		contact := contacts[i%len(contacts)]
		text := fmt.Sprintf("m-%03d", i)
		if status, err := call(p.URL, ch.APIToken, http.MethodPost, "/custom/channel/webhook/", inboundBody(ch.ID, contact, text), nil); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %v", text, status, err)
		}
		if i%2 == 0 {
			replies++
			if status := p.api(http.MethodPost, "/v1/channels/"+ch.ID+"/messages", fmt.Sprintf(`{"contact_ref":%q,"type":"text","text":"re %s"}`, contact, text), nil); status != http.StatusAccepted {
				t.Fatalf("reply to %s: %d", text, status)
			}
		}
	}
	sent := func(p *process) bool {
		for _, contact := range contacts {
			for _, m := range p.conversation(ch.ID, contact) {
				if m.Direction == "out" && m.Status != "sent" {
					return false
				}
			}
		}
		return hooks.count() >= replies
	}
	eventually(t, 30*time.Second, "replies sent", func() bool { return sent(p) })
	before := map[string][]messageAnswer{}
	for _, contact := range contacts {
		before[contact] = p.conversation(ch.ID, contact)
	}
	calls := hooks.count()
	p.stop()
	if err := os.RemoveAll(filepath.Join(dir, "postgres")); err != nil {
		t.Fatal(err)
	}

	again := startProcess(t, dir)
	eventually(t, 30*time.Second, "rows rebuilt", func() bool { return sent(again) })
	for _, contact := range contacts {
		if after := again.conversation(ch.ID, contact); !slices.Equal(before[contact], after) {
			t.Errorf("%s: rows differ after the rebuild:\n%v\n%v", contact, before[contact], after)
		}
	}
	var kept channelAnswer
	if again.api(http.MethodGet, "/v1/channels/"+ch.ID, "", &kept); kept.APIToken != ch.APIToken {
		t.Errorf("the channel's token is %q now", kept.APIToken)
	}
	// A new reply comes through, so the worker is at work again; the old ones did not.
	again.api(http.MethodPost, "/v1/channels/"+ch.ID+"/messages", `{"contact_ref":"+15550100","type":"text","text":"new"}`, nil)
	eventually(t, 30*time.Second, "the new reply", func() bool { return slices.Contains(hooks.got("+15550100"), "new") })
	if got := hooks.count(); got != calls+1 {
		t.Errorf("%d callbacks were sent again", got-calls-1)
	}
	again.stop()
}

// TestStartedTwice: the second Parley on a folder says so and ends; the first goes on.
func TestStartedTwice(t *testing.T) {
	dir := pgtest.Dir(t)
	p := startProcess(t, dir)
	out, err := program(nil, "dev", "--data", dir, "--addr", "127.0.0.1:0").CombinedOutput()
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("second start: %v", err)
	}
	if !strings.Contains(string(out), "already running on "+dir) || !strings.Contains(string(out), fmt.Sprint(p.cmd.Process.Pid)) {
		t.Errorf("the second start said %q", out)
	}
	if status := p.api(http.MethodGet, "/v1/channels", "", nil); status != http.StatusOK {
		t.Errorf("the first answers %d", status)
	}
	p.stop()
}

// TestOrphanedDatabase: after kill -9 of Parley its Postgres is found again, and
// never two run on one folder.
func TestOrphanedDatabase(t *testing.T) {
	dir := pgtest.Dir(t)
	for round := range 3 {
		p := startProcess(t, dir)
		if status := p.api(http.MethodGet, "/v1/conversations", "", nil); status != http.StatusOK {
			t.Fatalf("round %d: %d", round, status)
		}
		if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-p.ended
		p.ended <- nil
	}
}
