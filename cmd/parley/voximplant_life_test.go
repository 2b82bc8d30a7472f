package main

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// functionFails: a function that fails leaves the conversation open, and to the
// fallback queue if there is one. The integration is told nothing of that.
func functionFails(t *testing.T, s *kit) { //nolint:thelper // a test
	fallback := s.acme.makes(t, "queues", object{"name": "fallback"})
	failing := func(t *testing.T, settings ...object) (*kitChan, *kitFunction) {
		t.Helper()
		c, f := s.acme.answered(t, settings...)
		f.answers(func(kitAsked) any { return http.StatusInternalServerError })
		return c, f
	}
	c, f := failing(t, object{"fallback_queue_id": fallback})
	kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
	v := c.becomes(t, kitClient, "in the fallback queue", func(v kitConversation) bool { return v.Handler.Type == "queue" && v.Handler.Queue == fallback })
	if v.Status != "open" {
		t.Errorf("%+v", v)
	}
	kitAccepted(t, c.post(t, c.says(kitClient, "anybody?")))
	c.replies(t, v, "I am here")
	if told := kitTold(c.stub.gets(t, 1)); !slices.Equal(told, []string{"I am here"}) {
		t.Errorf("told %q", told)
	}
	f.gets(t, 1)

	// Without a fallback queue it stays with the function, which is asked next time.
	alone, g := failing(t)
	kitAccepted(t, alone.post(t, alone.says(kitClient, "hello")))
	eventually(t, 20*time.Second, "the failed call", func() bool {
		var list struct {
			Data []object `json:"data"`
		}
		s.acme.read(t, "/v1/deliveries?state=dead&kind=function&channel="+alone.id, &list)
		return len(list.Data) == 1
	})
	if v := alone.conversation(t, kitClient); v.Status != "open" || v.Handler.Type != "bot" {
		t.Errorf("%+v", v)
	}
	g.answers(func(kitAsked) any { return object{"text": "well again", "payload": []any{}} })
	kitAccepted(t, alone.post(t, alone.says(kitClient, "and now?")))
	if told := kitTold(alone.stub.gets(t, 1)); !slices.Equal(told, []string{"well again"}) {
		t.Errorf("told %q", told)
	}
}

// operatorAfterClose: who writes into a closed conversation opens the next
// request, which is theirs.
func operatorAfterClose(t *testing.T, s *kit) { //nolint:thelper // a test
	c := s.acme.channel(t)
	v := c.hears(t, kitClient, "hello")
	c.closes(t, v)
	c.replies(t, v, "one more thing")
	if told := kitTold(c.stub.gets(t, 2)); !slices.Equal(told, []string{"CLOSED_BY_AGENT", "one more thing"}) {
		t.Errorf("told %q", told)
	}
	v = c.conversation(t, kitClient)
	if v.Status != "open" || v.Episode != 2 || v.Handler.Type != "agent" || v.Handler.Agent != strconv.FormatInt(s.acme.petra, 10) {
		t.Errorf("%+v", v)
	}
	c.closes(t, v)
	c.stub.gets(t, 3)
	if got := s.acme.api(t, http.MethodPost, "/v1/conversations/"+v.ID+"/close", object{}); got.status != http.StatusConflict {
		t.Errorf("closed again: %d %s", got.status, got.raw)
	}
}

// operatorTakesOver: an operator who writes takes the conversation from whoever
// has it; a function is asked no more then.
func operatorTakesOver(t *testing.T, s *kit) { //nolint:thelper // a test
	petras := func(v kitConversation) bool {
		return v.Handler.Type == "agent" && v.Handler.Agent == strconv.FormatInt(s.acme.petra, 10)
	}
	c, f := s.acme.answered(t)
	v := c.hears(t, kitClient, "hello")
	f.gets(t, 1)
	c.replies(t, v, "I do this")
	if v := c.conversation(t, kitClient); !petras(v) {
		t.Errorf("%+v", v)
	}
	kitAccepted(t, c.post(t, c.says(kitClient, "thank you")))
	c.replies(t, v, "you are welcome")
	c.stub.gets(t, 2)
	f.gets(t, 1)

	unassigned := s.acme.channelAt(t, c.stub, s.acme.channelBody(t, c.stub, object{"redirect": object{}}))
	v = unassigned.hears(t, kitClient, "hello")
	if v.Handler.Type != "unassigned" || v.Status != "open" {
		t.Errorf("%+v", v)
	}
	unassigned.replies(t, v, "mine")
	if v := unassigned.conversation(t, kitClient); !petras(v) {
		t.Errorf("%+v", v)
	}
}

// channelDisabled: the open conversations of a channel that is switched off are
// closed, and nobody is let in.
func channelDisabled(t *testing.T, s *kit) { //nolint:thelper // a test
	c := s.acme.channel(t)
	for _, client := range []string{"a", "b", "c"} {
		kitAccepted(t, c.post(t, c.says(client, "hello")))
	}
	c.change(t, object{"disabled": true})
	for _, client := range []string{"a", "b", "c"} {
		call := c.stub.getsOf(t, client, 1)[0]
		if call.reason != "CLOSED_BY_UNKNOWN_REASON" || call.sender != nil {
			t.Errorf("told %s", call.raw)
		}
		c.becomes(t, client, "closed", func(v kitConversation) bool { return v.Status == "closed" && v.CloseReason == "unknown" })
	}
	kitRefused(t, s.login(t, "acme", c.token, c.id), http.StatusForbidden)
	kitRefused(t, s.refreshes(t, c.refresh), http.StatusForbidden)
	if got := c.post(t, c.says("a", "anybody?")); got.status/100 != 4 {
		t.Errorf("an event for a disabled channel: %d %s", got.status, got.raw)
	}
	c.change(t, object{"disabled": false})
	if v := c.hears(t, "a", "again"); v.Status != "open" || v.Episode != 2 {
		t.Errorf("%+v", v)
	}
}

// bulkClose closes all conversations of a channel at once.
func bulkClose(t *testing.T, s *kit) { //nolint:thelper // a test
	c := s.acme.channel(t)
	clients := []string{"a", "b", "c", "d"}
	for _, client := range clients {
		kitAccepted(t, c.post(t, c.says(client, "hello")))
	}
	if got := s.acme.api(t, http.MethodPost, "/v1/conversations/close", object{"channel_id": c.id}); got.status/100 != 2 {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	for _, client := range clients {
		if call := c.stub.getsOf(t, client, 1)[0]; call.reason != "CLOSED_BY_UNKNOWN_REASON" || call.sender != nil {
			t.Errorf("told %s", call.raw)
		}
	}
	c.stub.gets(t, len(clients))
}

// closedByMany: operators and a bulk close at the same moment close each
// conversation once.
func closedByMany(t *testing.T, s *kit) { //nolint:thelper // a test
	c := s.acme.channel(t)
	const clients = 20
	all := make([]kitConversation, clients)
	for i := range all {
		all[i] = c.hears(t, crashClient(i), "hello")
	}
	var closing sync.WaitGroup
	for _, v := range all {
		closing.Go(func() { // either of them may find it closed
			s.acme.api(t, http.MethodPost, "/v1/conversations/"+v.ID+"/close", object{"agent_id": strconv.FormatInt(s.acme.petra, 10)})
		})
	}
	closing.Go(func() { s.acme.api(t, http.MethodPost, "/v1/conversations/close", object{"channel_id": c.id}) })
	closing.Wait()
	for i, v := range all {
		c.becomes(t, crashClient(i), "closed", func(v kitConversation) bool { return v.Status == "closed" })
		c.replies(t, v, "the first after the close")
		if told := kitTold(c.stub.getsOf(t, crashClient(i), 2)); !strings.HasPrefix(told[0], "CLOSED_BY_") || told[1] != "the first after the close" {
			t.Errorf("told %q", told)
		}
	}
}

// agentDeleted: what an agent had is closed when the agent is deleted.
func agentDeleted(t *testing.T, s *kit) { //nolint:thelper // a test
	leaver := s.acme.makes(t, "agents", object{"username": "leaver", "display_name": "Leaver"})
	c := s.acme.channel(t)
	v := c.hears(t, kitClient, "hello")
	c.assigns(t, v, object{"to": "agent", "agent_id": strconv.FormatInt(leaver, 10)})
	s.acme.must(t, http.MethodDelete, "/v1/agents/"+strconv.FormatInt(leaver, 10), nil, http.StatusNoContent, nil)
	if call := c.stub.gets(t, 1)[0]; call.reason != "CLOSED_BY_UNKNOWN_REASON" || call.sender != nil {
		t.Errorf("told %s", call.raw)
	}
}

// transferToUser: a function names the agent, by number or by e-mail address.
func transferToUser(t *testing.T, s *kit) { //nolint:thelper // a test
	c, f := s.acme.answered(t)
	f.answers(func(call kitAsked) any {
		user := object{"user_id": s.acme.petra, "user_email": nil}
		if call.body.Text == "by mail" {
			user = object{"user_id": nil, "user_email": "petra@acme.example"}
		}
		return object{"text": "", "payload": []any{command("transfer_to_user", object{"user": user})}}
	})
	for client, text := range map[string]string{"a": "by number", "b": "by mail"} {
		kitAccepted(t, c.post(t, c.says(client, text)))
		c.becomes(t, client, "with petra", func(v kitConversation) bool {
			return v.Handler.Type == "agent" && v.Handler.Agent == strconv.FormatInt(s.acme.petra, 10)
		})
	}
	c.replies(t, c.conversation(t, "a"), "hello")
	if told := kitTold(c.stub.gets(t, 1)); !slices.Equal(told, []string{"hello"}) {
		t.Errorf("told %q", told)
	}
}

// signatureRefused: 401 is not repeated, and the channel says so.
func signatureRefused(t *testing.T, s *kit) { //nolint:thelper // a test
	c := s.acme.channel(t)
	c.stub.answers(func(n int, _ kitCall, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	warnings := func() string {
		t.Helper()
		var v struct {
			Warnings []string `json:"warnings"`
		}
		s.acme.read(t, "/v1/channels/"+c.id, &v)
		return strings.Join(v.Warnings, "; ")
	}
	v := c.hears(t, kitClient, "hello")
	if m := c.outcome(t, c.replies(t, v, "refused").ID); m.Status != "failed" {
		t.Errorf("%+v", m)
	}
	eventually(t, 20*time.Second, "the warning", func() bool { return strings.Contains(warnings(), "signature refused") })
	c.outcome(t, c.replies(t, v, "taken").ID)
	c.stub.gets(t, 2)
	eventually(t, 20*time.Second, "no warning", func() bool { return warnings() == "" })
}

// refuses503 has the stub answer 503 from now on.
func (s *kitStub) refuses503() {
	s.answers(func(_ int, _ kitCall, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
}

// saltChanged: a new salt is checked, and signs what waits, too.
func saltChanged(t *testing.T, s *kit) { //nolint:thelper // a test
	const other = "0123456789abcdef"
	c := s.acme.channel(t)
	c.stub.refuses503()
	m := c.replies(t, c.hears(t, kitClient, "hello"), "waits")
	eventually(t, 20*time.Second, "a first post", func() bool { return len(c.stub.events()) == 1 })
	c.stub.signed(other, kitToken)
	c.stub.answers(nil)
	c.change(t, object{"security_salt": other})
	c.outcome(t, m.ID)
	calls := c.stub.gets(t, 2)
	if calls[0].id != calls[1].id || calls[0].header.Get("Authorization") == calls[1].header.Get("Authorization") {
		t.Errorf("%s signed %s, then %s signed %s", calls[0].id, calls[0].header.Get("Authorization"), calls[1].id, calls[1].header.Get("Authorization"))
	}
	if n := len(c.stub.checks()); n != 2 {
		t.Errorf("%d checks", n)
	}
}

// callbackMoved: what waits goes to the new address, which is checked first.
func callbackMoved(t *testing.T, s *kit) { //nolint:thelper // a test
	c, elsewhere := s.acme.channel(t), newKitStub(t)
	elsewhere.signed(kitSalt, kitToken)
	c.stub.refuses503()
	m := c.replies(t, c.hears(t, kitClient, "hello"), "waits")
	eventually(t, 20*time.Second, "a first post", func() bool { return len(c.stub.events()) == 1 })
	c.change(t, object{"callback_url": elsewhere.URL + "/hook?key=1"})
	c.outcome(t, m.ID)
	if call := elsewhere.gets(t, 1)[0]; call.uri != "/hook?key=1" || string(call.raw) != string(c.stub.events()[0].raw) {
		t.Errorf("%s got %s", call.uri, call.raw)
	}
	if checks := elsewhere.checks(); len(checks) != 1 || checks[0].uri != "/hook?key=1" {
		t.Errorf("checks: %+v", checks)
	}
}

// channelDeleted: what waits for a channel that is deleted is dropped, and what
// it has logged in is out.
func channelDeleted(t *testing.T, s *kit) { //nolint:thelper // a test
	c := s.acme.channel(t)
	c.stub.refuses503()
	m := c.replies(t, c.hears(t, kitClient, "hello"), "waits")
	eventually(t, 20*time.Second, "a first post", func() bool { return len(c.stub.events()) == 1 })
	s.acme.must(t, http.MethodDelete, "/v1/channels/"+c.id, nil, http.StatusNoContent, nil)
	kitRefused(t, s.refreshes(t, c.refresh), http.StatusUnauthorized)
	kitRefused(t, s.login(t, "acme", c.token, c.id), http.StatusNotFound)
	if got := c.post(t, c.says(kitClient, "anybody?")); got.status != http.StatusUnauthorized && got.status != http.StatusNotFound {
		t.Errorf("%d %s", got.status, got.raw)
	}
	if m := c.outcome(t, m.ID); m.Status != "failed" {
		t.Errorf("%+v", m)
	}
	if n := len(c.stub.events()); n > 2 { // a repeat may have been on its way
		t.Errorf("%d posts", n)
	}
}

// TestVoximplantDatabaseAway: logins and inbound events need only the log; the
// rows are there when the database is.
func TestVoximplantDatabaseAway(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	start := func() *postgres.Cluster {
		cluster, err := postgres.StartCluster(t.Context(), postgres.ClusterConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return cluster
	}
	cluster := start()
	s := newKit(t, func(set *settings) { set.DatabaseURL = cluster.URL() })
	c, f := s.acme.answered(t)
	f.answers(func(kitAsked) any { return object{"text": "at last", "payload": []any{}} })
	if err := cluster.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	const posts = 20
	for range posts {
		kitAccepted(t, c.post(t, c.says(kitClient, "anybody?")))
	}
	c.access, c.refresh = kitTokens(t, s.login(t, "acme", c.token, c.id))
	_, _ = kitTokens(t, s.refreshes(t, c.refresh))
	cluster = start()
	t.Cleanup(func() {
		s.parley.stop()
		if err := cluster.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	f.gets(t, posts)
	c.stub.gets(t, posts)
	eventually(t, 30*time.Second, "rows of what came meanwhile", func() bool { return c.conversation(t, kitClient).Count == 2*posts })
}
