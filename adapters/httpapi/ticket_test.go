package httpapi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// ticketWorld decides about tickets as a dialect does that has them, as far as the
// platform can tell: what it is asked for is noted, and said in the log.
type ticketWorld struct {
	world *world
	asked []string // what was asked for, by whom
	keys  map[string]uuid.UUID
	err   error
	leave func() // what an assignment does; nil = nothing
}

func (w *ticketWorld) note(by domain.Token, format string, args ...any) error {
	w.asked = append(w.asked, fmt.Sprintf("%s as %d: ", by.Name, by.Agent)+fmt.Sprintf(format, args...))
	return w.err
}

func (w *ticketWorld) say(conversation uuid.UUID, ch domain.Channel, content domain.Content, key string) (uuid.UUID, error) {
	if id, ok := w.keys[key]; ok && key != "" {
		return id, nil
	}
	e := ch.Send("dev-1", uuid.New(), content, "desk", w.world.time())
	sent := e.Data.(domain.MessageSent)
	sent.ConversationID, sent.Posted = conversation, &domain.Posted{Post: domain.Post{ID: 1, Message: e.ID}}
	e.Data = sent
	if w.keys == nil {
		w.keys = map[string]uuid.UUID{}
	}
	w.keys[key] = e.ID
	_, err := w.world.Append(context.Background(), e)
	return e.ID, err
}

// Reply implements tickets.
func (w *ticketWorld) Reply(_ context.Context, by domain.Token, conversation uuid.UUID, content domain.Content, key string) (uuid.UUID, error) {
	if err := w.note(by, "reply %s %q", content.Type, content.Text); err != nil {
		return uuid.Nil, err
	}
	return w.say(conversation, w.world.Channels(by.Account)[0], content, key)
}

// Start implements tickets.
func (w *ticketWorld) Start(_ context.Context, by domain.Token, ch domain.Channel, ref string, content domain.Content, key string) (uuid.UUID, error) {
	if err := w.note(by, "start with %s %q", ref, content.Text); err != nil {
		return uuid.Nil, err
	}
	return w.say(domain.TicketID(by.Account, 1), ch, content, key)
}

// Close implements tickets.
func (w *ticketWorld) Close(_ context.Context, by domain.Token, _ uuid.UUID) error {
	return w.note(by, "close")
}

// Assign implements tickets.
func (w *ticketWorld) Assign(_ context.Context, by domain.Token, _ uuid.UUID, agent, team *int64) error {
	show := func(n *int64) string {
		if n == nil {
			return "whoever"
		}
		return fmt.Sprint(*n)
	}
	return w.note(by, "assign to %s of %s", show(agent), show(team))
}

// CloseAll implements manyTickets.
func (w *ticketWorld) CloseAll(_ context.Context, by domain.Token, ids []uuid.UUID) (int, error) {
	return len(ids), w.note(by, "close %d", len(ids))
}

// LeaveAll implements manyTickets.
func (w *ticketWorld) LeaveAll(_ context.Context, by domain.Token, ids []uuid.UUID) (int, error) {
	if w.leave != nil {
		w.leave()
	}
	return len(ids), w.note(by, "leave %d", len(ids))
}

// Label implements tickets.
func (w *ticketWorld) Label(_ context.Context, by domain.Token, _ uuid.UUID, labels []string, replace bool) error {
	return w.note(by, "label %v, replacing: %t", labels, replace)
}

// ticket is a world with a ticket of a contact, an agent, a queue and two tags.
func ticket(t *testing.T) (w *world, channel, conversation string) {
	t.Helper()
	w = newWorld(t)
	channel = w.makeInbox("").field("id")
	w.call(adminToken, "POST", "/v1/agents", `{"username":"petra"}`).want(201)
	w.call(adminToken, "POST", "/v1/queues", `{"name":"Sales"}`).want(201)
	w.call(adminToken, "POST", "/v1/tags", `{"name":"refund"}`).want(201)
	w.call(adminToken, "POST", "/v1/tags", `{"name":"angry"}`).want(201)
	return w, channel, w.openTicket(channel, 1).String()
}

// openTicket appends a ticket of a contact.
func (w *world) openTicket(channel string, number int64) uuid.UUID {
	w.t.Helper()
	ch, _ := w.Channel(channel)
	source := fmt.Sprintf("dev-%d", number)
	now, id := w.time(), domain.TicketID(ch.Account, number)
	e := domain.Identity{Channel: ch.ID, SourceID: source}.About(ch.Account, now)
	e.ID = uuid.New()
	e.Data = domain.ConversationOpened{
		ConversationID: id, ContactID: domain.ContactID(ch.ID, source),
		Turned: domain.Turned{Scene: domain.Scene{Ticket: domain.Ticket{ID: id, Number: number, Revision: 1, Status: domain.TicketOpen}}},
	}
	if _, err := w.Append(w.t.Context(), e); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// Ensure that what is asked of a conversation with a ticket is asked of its
// dialect, which alone appends, and shown as it is then.
func TestTicketCalls(t *testing.T) {
	t.Parallel()
	w, channel, conversation := ticket(t)
	path := "/v1/conversations/" + conversation
	const by = "agent of default as 0: "
	for _, c := range []struct{ path, body, asked string }{
		{path + "/messages", `{"type":"text","text":"hi"}`, by + `reply text "hi"`},
		{path + "/messages", `{"type":"text","text":"hi","agent_id":"petra"}`, `agent of default as 1: reply text "hi"`},
		{path + "/messages", `{"type":"text","attachments":[{"type":"image","url":"https://cdn.example.com/a.png"}]}`, by + `reply text ""`},
		{path + "/messages", `{"type":"quick_reply","title":"Which?","replies":["blue"]}`, by + `reply quick_reply ""`},
		{path + "/messages", `{"type":"text","text":"` + strings.Repeat("x", 10_000) + `"}`, by + `reply text "` + strings.Repeat("x", 10_000) + `"`},
		{"/v1/channels/" + channel + "/messages", `{"contact_ref":"dev-1","type":"text","text":"hi"}`, by + `start with dev-1 "hi"`},
		{path + "/close", "", by + "close"},
		{path + "/close", `{"reason":"agent","agent_id":"1"}`, "agent of default as 1: close"},
		{path + "/assign", `{"to":"agent","agent_id":"petra"}`, by + "assign to 1 of whoever"},
		{path + "/assign", `{"to":"queue","queue_id":1}`, by + "assign to whoever of 1"},
		{path + "/assign", `{"to":"unassigned"}`, by + "assign to 0 of 0"},
		{path + "/marks", `{"tags":[1,2,1]}`, by + "label [angry refund], replacing: false"},
		{path + "/marks", `{"replace_tags":true}`, by + "label [], replacing: true"},
	} {
		w.tickets.asked = nil
		before := len(w.events)
		a := w.call(agentToken, "POST", c.path, c.body).want(202)
		if !slices.Equal(w.tickets.asked, []string{c.asked}) {
			t.Errorf("%s %.80s asked for %.100q, want %.100q", c.path, c.body, w.tickets.asked, c.asked)
		}
		said := strings.HasSuffix(c.path, "/messages")
		if appended := len(w.events) - before; said != (appended == 1) || appended > 1 {
			t.Errorf("%s %.80s: %d events", c.path, c.body, appended)
		}
		if said && (a.header.Get("Parley-Position") == "" || a.header.Get("Location") != "/v1/messages/"+a.field("id") || a.field("direction") != "out") {
			t.Errorf("%s %.80s: %v %s", c.path, c.body, a.header, a.body)
		}
		if !said && a.field("id") != conversation {
			t.Errorf("%s %.80s shows %s", c.path, c.body, a.body)
		}
	}
	w.call(readerToken, "POST", path+"/messages", `{"type":"text","text":"hi"}`).want(403)
	w.call(otherToken, "POST", path+"/close", "").want(404)

	first := w.call(agentToken, "POST", path+"/messages", `{"type":"text","text":"once"}`, "Idempotency-Key", "k1").want(202)
	again := w.call(agentToken, "POST", path+"/messages", `{"type":"text","text":"once"}`, "Idempotency-Key", "k1").want(202)
	if first.field("id") != again.field("id") {
		t.Error("one key said two things")
	}
}

// Ensure that what tickets do not have is refused before the dialect is asked, and
// that what the dialect refuses is told.
func TestTicketRefusals(t *testing.T) {
	t.Parallel()
	w, channel, conversation := ticket(t)
	path := "/v1/conversations/" + conversation
	for _, c := range []struct {
		path, body string
		status     int
		field      string
	}{
		{"/messages", `{"type":"text"}`, 400, "text"},
		{"/messages", `{"type":"text","text":"` + strings.Repeat("x", 150_001) + `"}`, 400, "text"},
		{"/messages", `{"type":"location","latitude":1,"longitude":2}`, 422, "type"},
		{"/messages", `{"type":"text","text":"a","attachments":[{"type":"contact","number":"1"}]}`, 422, "attachments[0].type"},
		{"/messages", `{"type":"text","text":"a","sender":"bot"}`, 422, "sender"},
		{"/messages", `{"type":"text","text":"a","agent_id":"nobody"}`, 422, "agent_id"},
		{"/close", `{"reason":"timeout"}`, 422, "reason"},
		{"/close", `{"agent_id":"nobody"}`, 422, "agent_id"},
		{"/assign", `{"to":"bot","function_id":1}`, 422, "to"},
		{"/assign", `{"to":"agent","agent_id":"nobody"}`, 422, "agent_id"},
		{"/assign", `{"to":"queue","queue_id":9}`, 422, "queue_id"},
		{"/assign", `{"to":"queue"}`, 422, "queue_id"},
		{"/marks", `{"tags":[9]}`, 422, "tags[0]"},
		{"/marks", `{"topic_id":1}`, 422, "topic_id"},
		{"/marks", `{"variables":{"a":"b"}}`, 422, "variables"},
	} {
		p := w.call(agentToken, "POST", path+c.path, c.body).want(c.status).problem()
		if len(p.Errors) != 1 || p.Errors[0].Field != c.field {
			t.Errorf("%s %.80s: %+v", c.path, c.body, p)
		}
	}
	if len(w.tickets.asked) != 0 {
		t.Errorf("the dialect was asked for %q", w.tickets.asked)
	}
	w.tickets.err = domain.Errorf(domain.CodeConflict, "conversation is closed already")
	w.call(agentToken, "POST", path+"/close", "").want(409)
	w.tickets.err = &domain.Error{Code: domain.CodeUnavailable, Message: "not now", RetryAfter: 1}
	w.call(agentToken, "POST", path+"/messages", `{"type":"text","text":"a"}`).want(503)
	w.call(agentToken, "POST", "/v1/channels/"+channel+"/messages", `{"contact_ref":"dev-1","type":"text","text":"a"}`).want(503)
}

// Ensure that the tickets of a channel are resolved together, and that an agent who
// is deleted only leaves theirs.
func TestTicketsOfChannelAndAgent(t *testing.T) {
	t.Parallel()
	w, channel, conversation := ticket(t)
	a := w.call(adminToken, "POST", "/v1/conversations/close", `{"channel_id":"`+channel+`"}`).want(202)
	if a.field("closed") != "1" || !slices.Equal(w.tickets.asked, []string{"admin of default as 0: close 1"}) {
		t.Errorf("closed %s, asked for %q", a.body, w.tickets.asked)
	}
	for n := range closePage + 3 {
		w.openTicket(channel, int64(n+2))
	}
	w.tickets.asked = nil
	a = w.call(adminToken, "POST", "/v1/conversations/close", `{"channel_id":"`+channel+`"}`).want(202)
	if a.field("closed") != fmt.Sprint(closePage+4) || !slices.Equal(w.tickets.asked, []string{fmt.Sprintf("admin of default as 0: close %d", closePage), "admin of default as 0: close 4"}) {
		t.Errorf("closed %s, asked for %q", a.body, w.tickets.asked)
	}
	w.tickets.err = &domain.Error{Code: domain.CodeUnavailable, Message: "not now", RetryAfter: 1}
	w.call(adminToken, "POST", "/v1/conversations/close", `{"channel_id":"`+channel+`"}`).want(503)
	w.tickets.asked, w.tickets.err = nil, nil
	w.set(func() {
		c := w.thread.Conversations[uuid.MustParse(conversation)]
		c.Handler, c.AgentID = domain.HandlerAgent, "1"
	})
	w.tickets.leave = func() { w.set(func() { w.thread.Conversations[uuid.MustParse(conversation)].AgentID = "" }) }
	w.call(adminToken, "DELETE", "/v1/agents/1", "").want(204)
	if !slices.Equal(w.tickets.asked, []string{"admin of default as 0: leave 1"}) {
		t.Errorf("asked for %q", w.tickets.asked)
	}
}
