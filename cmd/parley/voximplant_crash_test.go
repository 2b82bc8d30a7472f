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

// wound is a clock that processes of a test read.
type wound struct {
	t    testing.TB
	path string
	by   time.Duration
}

func newWound(t testing.TB) *wound {
	t.Helper()
	w := &wound{t: t, path: filepath.Join(t.TempDir(), "clock")}
	w.forward(0)
	return w
}

func (w *wound) env() string { return "PARLEY_TEST_CLOCK=" + w.path }

func (w *wound) now() time.Time { return time.Now().Add(w.by) }

// forward puts the clock forward, for all processes at once.
func (w *wound) forward(by time.Duration) {
	w.t.Helper()
	w.by += by
	if err := os.WriteFile(w.path+".new", []byte(w.by.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.path+".new", w.path); err != nil { // whole or not at all
		w.t.Fatal(err)
	}
}

// at makes a parley of a process, for those who only talk to it.
func (p *process) at(t testing.TB) *parley {
	t.Helper()
	return &parley{t: t, URL: p.URL, Token: p.Token}
}

// again starts a process that was killed, on the same data, and talks to it.
func (s *kit) again(t *testing.T, dir string, clock *wound) *process {
	t.Helper()
	p := startProcess(t, dir, clock.env())
	s.parley = p.at(t)
	return p
}

const crashClients = 100

// crashClient names a client.
func crashClient(i int) string { return fmt.Sprintf("client-%02d", i) }

// TestVoximplantKilledAmongTimers: kill -9 while conversations are being closed by
// their timer, and while others have theirs running. After the restart each is
// closed, once; what is told twice was in flight, and is told under the same id.
func TestVoximplantKilledAmongTimers(t *testing.T) {
	t.Parallel()
	dir, clock := pgtest.Dir(t), newWound(t)
	p := startProcess(t, dir, clock.env())
	s := kitOf(t, p.at(t))
	c := s.acme.channel(t, object{"close_after": 60})
	later := s.acme.channel(t, object{"close_after": 300})
	for i := range crashClients {
		kitAccepted(t, c.post(t, c.says(crashClient(i), "hello")))
	}
	kitAccepted(t, later.post(t, later.says(kitClient, "hello")))
	opened := later.conversation(t, kitClient).OpenedAt
	// The first calls hang until the process is killed: some closes are told by
	// then, some are in flight, some are decided and some are not.
	gate, once := make(chan struct{}), sync.Once{}
	c.stub.answers(func(n int, _ kitCall, _ http.ResponseWriter, r *http.Request) {
		if n > 5 {
			once.Do(func() { close(gate) })
			<-r.Context().Done()
		}
	})
	clock.forward(time.Minute)
	select {
	case <-gate:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing is closed")
	}
	p.kill()
	t.Logf("killed with %d of %d closes told or in flight", len(c.stub.events()), crashClients)
	c.stub.answers(nil)

	clock.forward(100 * time.Second)
	again := s.again(t, dir, clock)
	for i := range crashClients {
		eventually(t, 60*time.Second, "the close of "+crashClient(i), func() bool { return len(c.stub.of(crashClient(i))) > 0 })
		v := c.becomes(t, crashClient(i), "closed", func(v kitConversation) bool { return v.Status == "closed" })
		if v.Episode != 1 || v.CloseReason != "timeout" {
			t.Errorf("%+v", v)
		}
	}
	later.stillOpen(t, kitClient)
	clock.forward(opened.Add(299 * time.Second).Sub(clock.now()))
	later.stillOpen(t, kitClient)
	if told := kitTold(later.stub.gets(t, 1)); !slices.Equal(told, []string{"CLOSED_BY_CLIENT_TIMEOUT"}) {
		t.Errorf("told %q", told)
	}
	v := later.becomes(t, kitClient, "closed", func(v kitConversation) bool { return v.Status == "closed" })
	if late := v.ClosedAt.Sub(opened.Add(5 * time.Minute)); late < 0 || late > timely {
		t.Errorf("closed %s after it was due", late)
	}
	c.toldOnce(t, "CLOSED_BY_CLIENT_TIMEOUT")
	again.stop()
}

// toldOnce expects that each client was told this, by events of one id.
func (c *kitChan) toldOnce(t *testing.T, what string) {
	t.Helper()
	repeated := 0
	for i := range crashClients {
		calls := c.stub.of(crashClient(i))
		for _, call := range calls {
			if call.id != calls[0].id || string(call.raw) != string(calls[0].raw) {
				t.Errorf("%s was told %s and %s", crashClient(i), calls[0].raw, call.raw)
			}
		}
		if told := kitTold(calls); len(told) == 0 || told[0] != what {
			t.Errorf("%s was told %q", crashClient(i), told)
		}
		repeated += len(calls) - 1
	}
	t.Logf("%d calls were repeated", repeated)
	if repeated > crashClients/2 {
		t.Errorf("%d of %d calls were repeated; those in flight are fewer", repeated, crashClients)
	}
}

// TestVoximplantKilledInFunction: kill -9 while a function is being called, and
// when it has just answered. No answer is lost, and none is said twice.
func TestVoximplantKilledInFunction(t *testing.T) {
	t.Parallel()
	dir, clock := pgtest.Dir(t), newWound(t)
	p := startProcess(t, dir, clock.env())
	s := kitOf(t, p.at(t))
	c, f := s.acme.answered(t)
	answer := func(call kitAsked) any {
		return object{"text": "answer to " + call.body.Text, "payload": []any{command("transfer_to_queue", object{"queue": object{"queue_id": s.acme.queue}})}}
	}
	all, half := make(chan struct{}), make(chan struct{})
	var answers atomic.Int64
	f.answers(func(call kitAsked) any {
		if strings.HasSuffix(call.body.Conversation.ClientID, "0") {
			return nil // hangs until the caller is gone
		}
		<-all
		if answers.Add(1) == crashClients/2 {
			close(half)
		}
		return answer(call)
	})
	for i := range crashClients {
		kitAccepted(t, c.post(t, c.says(crashClient(i), "hello")))
	}
	close(all)
	select {
	case <-half:
	case <-time.After(30 * time.Second):
		t.Fatal("the function is not asked")
	}
	p.kill()
	t.Logf("killed with %d answers of the function, and %d told", answers.Load(), len(c.stub.events()))

	f.answers(answer)
	again := s.again(t, dir, clock)
	for i := range crashClients {
		client := crashClient(i)
		eventually(t, 60*time.Second, "the answer to "+client, func() bool { return len(c.stub.of(client)) > 0 })
		c.becomes(t, client, "in the queue", func(v kitConversation) bool { return v.Handler.Type == "queue" })
		all := c.messages(t, client)
		if len(all) != 2 || all[1].Text != "answer to hello" {
			t.Errorf("messages of %s: %+v", client, all)
		}
	}
	c.toldOnce(t, "answer to hello")
	t.Logf("the function was asked %d times for %d messages", len(f.asked()), crashClients)
	again.stop()
}

// TestVoximplantTwoNodes: two nodes with role timers close each conversation
// once, and each is told once, whichever node looks at what.
func TestVoximplantTwoNodes(t *testing.T) {
	t.Parallel()
	c, clock := newCluster(t, clusterBrokers(t)), newWound(t)
	a, b := c.two(clock.env())
	c.shared()
	s := kitOf(t, a.at(t))
	ch := s.acme.channel(t, object{"close_after": 60})
	other := kitAt(s, b.at(t))
	there := *ch
	there.account = other
	eventually(t, knownWithin, "the channel on the other node", func() bool {
		return other.suite.login(t, "acme", ch.token, ch.id).status == http.StatusOK
	})
	for i := range crashClients {
		if i%2 == 0 {
			kitAccepted(t, ch.post(t, ch.says(crashClient(i), "hello")))
		} else {
			kitAccepted(t, there.post(t, ch.says(crashClient(i), "hello")))
		}
	}
	for i := range crashClients {
		there.stillOpen(t, crashClient(i))
	}
	clock.forward(time.Minute)
	for i := range crashClients {
		ch.stub.getsOf(t, crashClient(i), 1)
		v := there.becomes(t, crashClient(i), "closed", func(v kitConversation) bool { return v.Status == "closed" })
		if v.CloseReason != "timeout" || v.ClosedAt.Sub(v.OpenedAt) < time.Minute {
			t.Errorf("%+v", v)
		}
	}
	// The timers have looked again by the time that the next conversations are closed.
	for i := range crashClients {
		kitAccepted(t, ch.post(t, ch.says(crashClient(i), "hello again")))
	}
	for i := range crashClients {
		if v := ch.conversation(t, crashClient(i)); v.Episode != 2 {
			t.Errorf("%+v", v)
		}
	}
	clock.forward(time.Minute)
	for i := range crashClients {
		if calls := ch.stub.getsOf(t, crashClient(i), 2); calls[0].id == calls[1].id {
			t.Errorf("two closes of one id: %s", calls[0].raw)
		}
	}
	for _, account := range []*kitAccount{s.acme, other} {
		var list struct {
			Data []object `json:"data"`
		}
		if account.read(t, "/v1/deliveries?limit=200&kind=close&channel="+ch.id, &list); len(list.Data) != 2*crashClients {
			t.Errorf("%d closes, want %d", len(list.Data), 2*crashClients)
		}
	}
	// A claim that ran out may have let both decide: that is one decision, told
	// twice. It is seldom, though.
	got := s.acme.api(t, http.MethodGet, "/v1/events?type=conversation.closed.v1&channel="+ch.id, nil)
	if n := strings.Count(string(got.raw), "\n"); got.status != http.StatusOK || n < 2*crashClients || n > 2*crashClients+crashClients/5 {
		t.Errorf("%d: %d closes in the log", got.status, n)
	} else {
		t.Logf("%d events for %d closes", n, 2*crashClients)
	}
	c.stop()
}

// kitAt gives the account acme as another node has it.
func kitAt(s *kit, p *parley) *kitAccount {
	other := &kit{parley: p, client: s.client}
	account := *s.acme
	account.suite = other
	return &account
}
