package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestVoximplantDesk: accounts, their secrets and who answers.
func TestVoximplantDesk(t *testing.T) {
	t.Parallel()
	s := newKit(t)
	for name, run := range map[string]func(*testing.T, *kit){
		"accounts apart": accountsApart, "account disabled": accountDisabled, "salt rotated": saltRotated, "keys rotated": keysRotated,
		"function hangs": functionHangs, "distribution": distribution, "readiness": readiness,
		"function too late": functionTooLate,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, s)
		})
	}
}

// accountsApart: an account sees and names only what is its own.
func accountsApart(t *testing.T, s *kit) { //nolint:thelper // a test
	c := s.acme.channel(t)
	v := c.hears(t, kitClient, "hello")
	number := strconv.FormatInt(s.acme.queue, 10)
	for path, want := range map[string]int{
		"/v1/channels/" + c.id: 404, "/v1/conversations/" + v.ID: 404, "/v1/conversations/" + v.ID + "/messages": 404,
		"/v1/accounts": 403, "/v1/accounts/acme": 403, "/v1/keys": 403,
	} {
		s.umbra.must(t, http.MethodGet, path, nil, want, nil)
	}
	s.umbra.must(t, http.MethodPost, "/v1/conversations/"+v.ID+"/messages", written("not mine"), http.StatusNotFound, nil)
	s.umbra.must(t, http.MethodPost, "/v1/conversations/"+v.ID+"/close", object{}, http.StatusNotFound, nil)
	if got := s.umbra.api(t, http.MethodPost, "/v1/channels", s.umbra.channelBody(t, c.stub, object{"id": c.id})); got.status != http.StatusConflict {
		t.Errorf("an id that is taken: %d %s", got.status, got.raw)
	}
	// The numbers of two accounts may be the same, and mean different things.
	s.umbra.must(t, http.MethodPatch, "/v1/queues/"+number, object{"name": "theirs"}, http.StatusOK, nil)
	var queue struct {
		Name string `json:"name"`
	}
	if s.acme.must(t, http.MethodGet, "/v1/queues/"+number, nil, http.StatusOK, &queue); queue.Name != "line" {
		t.Errorf("the queue is called %q", queue.Name)
	}
}

// accountDisabled: nobody gets in, nothing that was logged in stays, and what is
// open is closed.
func accountDisabled(t *testing.T, s *kit) { //nolint:thelper // a test
	a := s.account(t, "gone-soon")
	c := a.channel(t)
	kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
	disable := func(disabled bool) {
		t.Helper()
		got := s.do(t, http.MethodPatch, "/v1/accounts/"+a.name, map[string]string{"Authorization": "Bearer " + s.parley.Token},
			encode(t, object{"disabled": disabled}))
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.raw)
		}
	}
	disable(true)
	kitRefused(t, s.login(t, a.name, c.token, c.id), http.StatusUnauthorized)
	if got := s.refreshes(t, c.refresh); got.status/100 != 4 {
		t.Errorf("refresh: %d %s", got.status, got.raw)
	}
	if got := c.post(t, c.says(kitClient, "anybody?")); got.status/100 != 4 {
		t.Errorf("an event: %d %s", got.status, got.raw)
	}
	a.must(t, http.MethodGet, "/v1/channels", nil, http.StatusUnauthorized, nil)
	if told := kitTold(c.stub.gets(t, 1)); !slices.Equal(told, []string{"CLOSED_BY_UNKNOWN_REASON"}) {
		t.Errorf("told %q", told)
	}
	disable(false)
	c.access, c.refresh = kitTokens(t, s.login(t, a.name, c.token, c.id))
	if v := c.hears(t, kitClient, "back again"); v.Episode != 2 {
		t.Errorf("%+v", v)
	}
}

// saltRotated: a new salt comes with a check, and signs from then on.
func saltRotated(t *testing.T, s *kit) { //nolint:thelper // a test
	c := s.acme.channel(t)
	c.stub.signed(nil, nil) // the new salt is not known before
	var v struct {
		Salt string `json:"security_salt"`
	}
	s.acme.must(t, http.MethodPost, "/v1/channels/"+c.id+"/rotate", object{}, http.StatusOK, &v)
	if v.Salt == kitSalt || len(v.Salt) != 32 {
		t.Fatalf("the salt is %q", v.Salt)
	}
	c.stub.signed(v.Salt, kitToken)
	checks := c.stub.checks()
	if len(checks) != 2 {
		t.Fatalf("%d checks", len(checks))
	}
	isCheck(t, checks[1], http.MethodGet, kitSign(v.Salt, kitToken))
	c.replies(t, c.hears(t, kitClient, "hello"), "signed anew")
	c.stub.gets(t, 1)

	c.stub.checked(func(_ kitCall, w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) })
	c.stub.signed(nil, nil)
	kitUnsaved(t, s.acme.api(t, http.MethodPost, "/v1/channels/"+c.id+"/rotate", object{}), "403")
	c.stub.signed(v.Salt, kitToken)
	c.replies(t, c.conversation(t, kitClient), "signed as before")
	c.stub.gets(t, 2)
}

// keysRotated: a new key of the installation leaves what is logged in as it is.
func keysRotated(t *testing.T, s *kit) { //nolint:thelper // a test
	c := s.acme.channel(t)
	for range 2 {
		got := s.do(t, http.MethodPost, "/v1/keys/rotate", map[string]string{"Authorization": "Bearer " + s.parley.Token}, `{}`)
		if got.status != http.StatusCreated || strings.Contains(string(got.raw), "secret") {
			t.Fatalf("%d %s", got.status, got.raw)
		}
	}
	kitAccepted(t, c.post(t, c.says(kitClient, "with the token of before")))
	c.access, c.refresh = kitTokens(t, s.refreshes(t, c.refresh))
	kitAccepted(t, c.post(t, c.says(kitClient, "with a new one")))
}

// functionHangs: a function that hangs on one conversation holds up neither the
// others nor what an operator says in the same one.
func functionHangs(t *testing.T, s *kit) { //nolint:thelper // a test
	c, f := s.acme.answered(t)
	f.answers(func(call kitAsked) any {
		if call.body.Conversation.ClientID == "stuck" {
			return nil
		}
		return object{"text": "I am a bot.", "payload": []any{}}
	})
	v := c.hears(t, "stuck", "hello")
	f.gets(t, 1)
	for range 3 {
		kitAccepted(t, c.post(t, c.says("free", "hello")))
	}
	c.stub.getsOf(t, "free", 3)
	c.replies(t, v, "I am an operator.")
	if told := kitTold(c.stub.getsOf(t, "stuck", 1)); !slices.Equal(told, []string{"I am an operator."}) {
		t.Errorf("told %q", told)
	}
}

// functionTooLate: a function that asks for a transfer when somebody else has the
// conversation, or for its end when the contact has written since, asks in vain.
func functionTooLate(t *testing.T, s *kit) { //nolint:thelper // a test
	c, f := s.acme.answered(t)
	release := make(chan struct{})
	f.answers(func(call kitAsked) any {
		if call.body.Text == "more" {
			return object{"text": "Yes?", "payload": []any{}}
		}
		<-release
		if call.body.Conversation.ClientID == "taken" {
			return object{"text": "", "payload": []any{command("transfer_to_queue", object{"queue": object{"queue_id": s.acme.queue}})}}
		}
		return object{"text": "Goodbye.", "payload": []any{command("finish_request", nil)}}
	})
	taken := c.hears(t, "taken", "hello")
	c.hears(t, "goes on", "hello")
	f.gets(t, 2)
	c.replies(t, taken, "mine")
	kitAccepted(t, c.post(t, c.says("goes on", "more")))
	close(release)
	if told := kitTold(c.stub.getsOf(t, "goes on", 2)); !slices.Equal(told, []string{"Goodbye.", "Yes?"}) {
		t.Errorf("told %q", told)
	}
	eventually(t, 20*time.Second, "all answers", func() bool {
		var list struct {
			Data []object `json:"data"`
		}
		s.acme.read(t, "/v1/deliveries?state=delivered&kind=function&channel="+c.id, &list)
		return len(list.Data) == 3
	})
	if v := c.conversation(t, "taken"); v.Handler.Type != "agent" || v.Handler.Agent != strconv.FormatInt(s.acme.petra, 10) {
		t.Errorf("%+v", v)
	}
	if v := c.conversation(t, "goes on"); v.Status != "open" || v.Handler.Type != "bot" {
		t.Errorf("%+v", v)
	}
}

// distribution: those who are ready get as many each, and no more than they may.
func distribution(t *testing.T, s *kit) { //nolint:thelper // a test
	queue := s.acme.makes(t, "queues", object{"name": "shared out"})
	agents := map[string]int{}
	for _, name := range []string{"anna", "berta"} {
		agents[strconv.FormatInt(s.acme.makes(t, "agents", object{"username": name, "ready": true, "most_open": 3, "queues": []int64{queue}}), 10)] = 0
	}
	c := s.acme.channel(t, object{"redirect": object{"queue_id": queue}})
	const clients = 7
	for i := range clients {
		kitAccepted(t, c.post(t, c.says(crashClient(i), "hello")))
	}
	var waits, taken string
	eventually(t, 20*time.Second, "all but one with an agent", func() bool {
		waiting := 0
		for agent := range agents {
			agents[agent] = 0
		}
		for i := range clients {
			switch v := c.conversation(t, crashClient(i)); v.Handler.Type {
			case "agent":
				agents[v.Handler.Agent]++
				taken = v.ContactRef
			case "queue":
				waiting, waits = waiting+1, v.ContactRef
			}
		}
		return waiting == 1
	})
	for agent, n := range agents {
		if n != 3 {
			t.Errorf("agent %s has %d", agent, n)
		}
	}
	// Who has closed one has room for the next.
	c.closes(t, c.conversation(t, taken))
	c.becomes(t, waits, "with an agent", func(v kitConversation) bool { return v.Handler.Type == "agent" })
}

// readiness: nobody is given a conversation who is not ready; who becomes ready
// is given the one that has waited longest.
func readiness(t *testing.T, s *kit) { //nolint:thelper // a test
	queue := s.acme.makes(t, "queues", object{"name": "nobody is there"})
	agent := s.acme.makes(t, "agents", object{"username": "late riser", "most_open": 1, "queues": []int64{queue}})
	c := s.acme.channel(t, object{"redirect": object{"queue_id": queue}})
	first := c.hears(t, "first", "hello")
	c.hears(t, "second", "hello")
	var list struct {
		Data []kitConversation `json:"data"`
	}
	if s.acme.read(t, "/v1/conversations?handler=queue&queue="+strconv.FormatInt(queue, 10), &list); len(list.Data) != 2 {
		t.Errorf("%+v wait", list.Data)
	}
	s.acme.must(t, http.MethodPatch, "/v1/agents/"+strconv.FormatInt(agent, 10), object{"ready": true}, http.StatusOK, nil)
	v := c.becomes(t, "first", "with the agent", func(v kitConversation) bool { return v.Handler.Type == "agent" })
	if v.Handler.Agent != strconv.FormatInt(agent, 10) || v.ID != first.ID {
		t.Errorf("%+v", v)
	}
	if v := c.conversation(t, "second"); v.Handler.Type != "queue" {
		t.Errorf("%+v", v)
	}
	list.Data = nil
	if s.acme.read(t, "/v1/conversations?agent="+strconv.FormatInt(agent, 10), &list); len(list.Data) != 1 || list.Data[0].ID != first.ID {
		t.Errorf("the agent has %+v", list.Data)
	}
}
