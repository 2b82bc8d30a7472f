package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// answerLate is how long before a node's end a call may have been answered and
// still count as in flight: its outcome has to reach the log, on machines that
// are busy with tests.
const answerLate = 3 * time.Second

// onlyInFlight checks that each call that was repeated was in flight when the
// node that made it was hit: begun before, and not answered long before.
func (l *listener) onlyInFlight(t testing.TB, hit time.Time) {
	t.Helper()
	flying := 0
	for _, call := range l.seen() {
		if call.began.Before(hit) && (call.ended.IsZero() || call.ended.After(hit.Add(-answerLate))) {
			flying++
		}
	}
	again := l.repeated()
	for _, first := range again {
		if first.began.After(hit) || (!first.ended.IsZero() && first.ended.Before(hit.Add(-answerLate))) {
			t.Errorf("%s was told again; it had been told at %s and answered at %s, the node was hit at %s", first.text, first.began, first.ended, hit)
		}
	}
	t.Logf("%d calls were repeated of %d in flight", len(again), flying)
}

// TestNodeKilledUnderLoad: kill -9 of one of two nodes loses nothing that was
// accepted. The other takes its partitions over when its lease has ended, in
// order, and repeats only calls whose outcome never reached the log.
func TestNodeKilledUnderLoad(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterBrokers(t))
	a, b := c.two()
	c.shared()
	hooks := newListener(t, 20*time.Millisecond)
	l := c.load(c.channel(hooks.URL), 16, 60)
	l.pause = 50 * time.Millisecond
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(t, a, b)
	}()
	l.reached(t, l.total()/3)
	a.kill()
	killed := time.Now()
	t.Logf("killed with %d posts accepted and %d calls made", l.answered.Load(), len(hooks.seen()))
	<-done
	l.check(t, b, hooks)
	t.Logf("all told %s after the kill", time.Since(killed).Round(100*time.Millisecond))
	hooks.onlyInFlight(t, killed)
	b.stop()
}

// TestNodePaused: a node that stands still for longer than its lease comes back
// with callbacks that are due in its memory and that another node has made
// meanwhile. It makes none of them again.
func TestNodePaused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterBrokers(t))
	a, b := c.two()
	c.shared()
	hooks := newListener(t, 0)
	hooks.refuse.Store(true)
	l := c.load(c.channel(hooks.URL, "2s"), 48, 6)
	l.run(t, a, b)
	eventually(t, 30*time.Second, "every conversation tried", func() bool {
		tried := map[string]bool{}
		for _, call := range hooks.seen() {
			tried[call.contact] = true
		}
		return len(tried) == len(l.out)
	})
	if err := a.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	paused := time.Now()
	hooks.refuse.Store(false)
	eventually(t, 90*time.Second, "the other node tells everything", func() bool { return hooks.missing(l.out) == 0 })
	t.Logf("all told %s after the pause began", time.Since(paused).Round(100*time.Millisecond))
	resumed := time.Now()
	if err := a.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	after := c.load(l.channel, 24, 6)
	after.prefix = "d"
	after.run(t, a, b)
	eventually(t, 60*time.Second, "new replies told", func() bool { return hooks.missing(after.out) == 0 })
	told := map[string]int{}
	for _, call := range hooks.seen() {
		if call.refused {
			continue
		}
		if told[call.key]++; told[call.key] > 1 {
			t.Errorf("%s was told again %s after the node came back", call.text, call.began.Sub(resumed))
		}
	}
	l.merge(after)
	l.check(t, b, hooks)
	l.check(t, a, hooks)
	c.stop()
}

// TestDatabaseReplacedUnderNodes: the database is dropped and made anew, empty,
// while two nodes run. Both find out, build the same rows again from the log, and
// make no call twice.
func TestDatabaseReplacedUnderNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterBrokers(t))
	a, b := c.two()
	hooks := newListener(t, 0)
	l := c.load(c.channel(hooks.URL), 8, 30)
	l.run(t, a, b)
	l.check(t, b, hooks)
	before := map[string][]messageAnswer{}
	for contact := range l.in {
		before[contact] = b.conversation(l.channel.ID, contact)
	}
	calls := len(hooks.seen())
	replaceDatabase(t, c.database)
	for _, n := range c.nodes {
		for contact, want := range before {
			var got []messageAnswer
			eventually(t, 60*time.Second, "rows of "+contact+" again", func() bool {
				got = n.tryConversation(l.channel.ID, contact)
				return len(got) >= len(want)
			})
			eventually(t, 60*time.Second, "the same rows of "+contact, func() bool {
				return sameMessages(want, n.tryConversation(l.channel.ID, contact))
			})
		}
	}
	a.write(l.channel, "client_00", "zz-new")
	eventually(t, 60*time.Second, "a new reply told", func() bool { return len(hooks.seen()) > calls })
	if again := hooks.repeated(); len(again) > 0 {
		t.Errorf("%d calls were made again", len(again))
	}
	c.stop()
}

// replaceDatabase drops the database under its users and makes it anew, empty.
func replaceDatabase(t testing.TB, database string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range []string{"drop database " + name + " with (force)", "create database " + name} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// tryConversation reads all messages of a contact; nil while the node cannot tell.
func (p *process) tryConversation(channel, contact string) []messageAnswer {
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	status, err := call(p.URL, p.Token, http.MethodGet, "/v1/conversations?channel="+channel+"&contact="+contact, "", &list)
	if err != nil || status != http.StatusOK || len(list.Data) != 1 {
		return nil
	}
	var page struct {
		Data []messageAnswer `json:"data"`
	}
	status, err = call(p.URL, p.Token, http.MethodGet, "/v1/conversations/"+list.Data[0].ID+"/messages?limit=200", "", &page)
	if err != nil || status != http.StatusOK {
		return nil
	}
	return page.Data
}

func sameMessages(a, b []messageAnswer) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
