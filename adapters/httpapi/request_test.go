package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// desk is a world with what conversations of a voximplant channel are looked after with.
func desk(t *testing.T) (w *world, channel, conversation string) {
	t.Helper()
	w = newWorld(t)
	w.call(adminToken, "POST", "/v1/queues", `{"name":"Sales","max_wait":60}`).want(201)
	w.call(adminToken, "POST", "/v1/queues", `{"name":"Patient","max_wait":3600}`).want(201)
	w.call(adminToken, "POST", "/v1/functions", `{"name":"hours","url":"https://bot.example.com"}`).want(201)
	w.call(adminToken, "POST", "/v1/tags", `{"name":"refund"}`).want(201)
	w.call(adminToken, "POST", "/v1/tags", `{"name":"angry"}`).want(201)
	w.call(adminToken, "POST", "/v1/skills", `{"name":"Czech"}`).want(201)
	w.call(adminToken, "POST", "/v1/topic-sets", `{"name":"a","topics":[{"name":"one"}]}`).want(201)
	w.call(adminToken, "POST", "/v1/topic-sets", `{"name":"b","topics":[{"name":"two"}]}`).want(201)
	w.call(adminToken, "POST", "/v1/agents", `{"username":"petra","display_name":"Petra Mala","email":"petra@example.com"}`).want(201)
	channel = w.makeKit(adminToken, `,"redirect":{"queue_id":1},"close_after":3600,"use_tags":true,"topic_set_id":1`)
	return w, channel, w.receive(channel, "u 20417", "e1", "hello")
}

// Ensure a conversation shows its request as it moves through its statuses.
func TestRequest(t *testing.T) {
	t.Parallel()
	w, _, conversation := desk(t)
	path := "/v1/conversations/" + conversation
	status := func(a answer, want string) {
		t.Helper()
		if got := a.field("request", "status"); got != want {
			t.Errorf("status %s, want %s", got, want)
		}
	}
	a := w.call(readerToken, "GET", path, "").want(200)
	status(a, "waiting_agent")
	for field, want := range map[string]string{
		"number": "1", "queue_id": "1", "function_id": "<none>", "agent_id": "<none>", "priority": "0", "skills": "[]", "tags": "[]",
		"topic_id": "<none>", "variables": "map[]", "custom_data": "map[]", "handled_at": "<none>", "closed_at": "<none>", "close_reason": "<none>",
		"opened_at": "2026-03-01T12:00:10Z", "waits_until": "2026-03-01T12:01:10Z", "closes_at": "2026-03-01T13:00:10Z",
	} {
		if got := a.field("request", field); got != want && field != "opened_at" && field != "waits_until" && field != "closes_at" {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
	if a.field("handler", "type") != "queue" || a.field("handler", "queue_id") != "1" {
		t.Errorf("handler: %s", a.body)
	}

	a = w.call(agentToken, "POST", path+"/assign", `{"to":"bot","function_id":1}`).want(202)
	status(a, "processed_by_function")
	if a.field("request", "closes_at") != "<none>" || a.field("handler", "function_id") != "1" {
		t.Errorf("bot: %s", a.body)
	}
	a = w.call(agentToken, "POST", path+"/assign", `{"to":"queue","queue_id":1,"skills":[{"skill_id":1,"level":4}],"priority":7}`).want(202)
	status(a, "waiting_agent")
	if a.field("request", "priority") != "7" || a.field("request", "skills") != "[map[level:4 skill_id:1]]" || a.field("request", "waits_until") == "<none>" {
		t.Errorf("queue: %s", a.body)
	}
	for _, id := range []string{"petra", "1"} {
		a = w.call(agentToken, "POST", path+"/assign", `{"to":"agent","agent_id":"`+id+`"}`).want(202)
		status(a, "processed_by_agent")
		if a.field("handler", "agent_id") != "1" || a.field("request", "agent_id") != "1" || a.field("request", "handled_at") == "<none>" {
			t.Errorf("agent %s: %s", id, a.body)
		}
	}
	if a = w.call(agentToken, "POST", path+"/assign", `{"to":"agent","agent_id":"desk-7"}`).want(202); a.field("handler", "agent_id") != "desk-7" {
		t.Errorf("somebody else: %s", a.body)
	}
	status(w.call(agentToken, "POST", path+"/assign", `{"to":"unassigned"}`).want(202), "unassigned")
	for body, c := range map[string]struct {
		status int
		field  string
	}{
		`{"to":"queue","queue_id":9}`:                {422, "queue_id"},
		`{"to":"queue","queue_id":2}`:                {422, "queue_id"}, // waits as long as the channel's closing time
		`{"to":"queue"}`:                             {400, "queue_id"},
		`{"to":"bot","function_id":9}`:               {422, "function_id"},
		`{"to":"bot"}`:                               {400, "function_id"},
		`{"to":"agent"}`:                             {400, "agent_id"},
		`{"to":"bot","agent_id":"x"}`:                {400, "function_id"},
		`{"to":"agent","agent_id":"x","priority":3}`: {400, "priority"},
		`{"to":"queue","queue_id":1,"skills":[{"skill_id":9,"level":1}]}`: {422, "skills[0].skill_id"},
		`{"to":"queue","queue_id":1,"priority":11}`:                       {400, "priority"},
	} {
		if p := w.call(agentToken, "POST", path+"/assign", body).want(c.status).problem(); p.Errors[0].Field != c.field {
			t.Errorf("%s: %+v", body, p)
		}
	}

	closed := w.call(agentToken, "POST", path+"/close", `{"reason":"agent","agent_id":"petra"}`).want(202)
	status(closed, "done")
	if closed.field("request", "close_reason") != "agent" || closed.field("request", "closed_at") == "<none>" || closed.field("request", "closes_at") != "<none>" {
		t.Errorf("closed: %s", closed.body)
	}
	w.call(agentToken, "POST", path+"/assign", `{"to":"unassigned"}`).want(409)
	w.call(agentToken, "POST", path+"/marks", `{"variables":{"a":"b"}}`).want(409)
	d := w.call(readerToken, "GET", "/v1/deliveries?kind=close", "").want(200)
	if d.field("data", 0, "kind") != "close" || d.field("data", 0, "close_reason") != "agent" || d.field("data", 0, "message_id") != "<none>" ||
		d.field("data", 0, "target") != closed.field("channel_id") {
		t.Errorf("delivery of the close: %s", d.body)
	}
	for _, e := range w.events {
		if c, ok := e.Data.(domain.ConversationClosed); ok && (c.Sender == nil || c.Sender.Number != 1 || c.Sender.Email != "petra@example.com") {
			t.Errorf("closed by %+v", c.Sender)
		}
	}
}

// Ensure marks are noted, and need what they name.
func TestMarks(t *testing.T) {
	t.Parallel()
	w, channel, conversation := desk(t)
	path := "/v1/conversations/" + conversation + "/marks"
	a := w.call(agentToken, "POST", path, `{"tags":[2,1],"topic_id":1,"variables":{"order":"A-17"},"custom_data":{"crm":"{\"id\":5}"}}`).want(202)
	for field, want := range map[string]string{
		"tags": "[1 2]", "topic_id": "1", "variables": "map[order:A-17]", "custom_data": `map[crm:{"id":5}]`,
	} {
		if got := a.field("request", field); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
	if l := w.call(readerToken, "GET", "/v1/conversations?tag=2", "").want(200); l.field("data", 0, "id") != conversation {
		t.Errorf("by tag: %s", l.body)
	}
	if a = w.call(agentToken, "POST", path, `{"tags":[2],"replace_tags":true,"topic_id":0}`).want(202); a.field("request", "tags") != "[2]" || a.field("request", "topic_id") != "<none>" {
		t.Errorf("replaced: %s", a.body)
	}
	if a = w.call(agentToken, "POST", path, `{"replace_tags":true}`).want(202); a.field("request", "tags") != "[]" {
		t.Errorf("without tags: %s", a.body)
	}
	for body, field := range map[string]string{
		`{"tags":[1,9]}`: "tags[1]", `{"topic_id":2}`: "topic_id", `{"topic_id":9}`: "topic_id",
	} {
		if p := w.call(agentToken, "POST", path, body).want(422).problem(); p.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	w.call(agentToken, "POST", path, `{}`).want(400)
	w.call(agentToken, "POST", path, `{"variables":{"a":"`+long(64<<10)+`"}}`).want(400)
	w.call(adminToken, "PATCH", "/v1/channels/"+channel, `{"use_tags":false,"topic_set_id":0}`).want(200)
	w.call(agentToken, "POST", path, `{"tags":[1]}`).want(422)
	w.call(agentToken, "POST", path, `{"topic_id":1}`).want(422)
	w.call(agentToken, "POST", path, `{"topic_id":0}`).want(202)
}

// Ensure conversations are found by who has them.
func TestConversationFilters(t *testing.T) {
	t.Parallel()
	w, channel, waiting := desk(t)
	hers := w.receive(channel, "u2", "e1", "hello")
	w.call(agentToken, "POST", "/v1/conversations/"+hers+"/assign", `{"to":"agent","agent_id":"petra"}`).want(202)
	bots := w.receive(channel, "u3", "e1", "hello")
	w.call(agentToken, "POST", "/v1/conversations/"+bots+"/assign", `{"to":"bot","function_id":1}`).want(202)
	for query, want := range map[string]string{
		"handler=queue": waiting, "queue=1": waiting, "queue=2": "<none>", "handler=agent": hers, "agent=petra": hers, "agent=1": hers,
		"agent=2": "<none>", "handler=bot": bots, "handler=unassigned": "<none>", "tag=1": "<none>", "contact=u+20417": waiting, "contact=u%2020417": waiting,
	} {
		l := w.call(readerToken, "GET", "/v1/conversations?"+query, "").want(200)
		if l.field("data", 0, "id") != want || l.field("data", 1) != "<none>" {
			t.Errorf("%s: %s", query, l.body)
		}
	}
	w.call(readerToken, "GET", "/v1/conversations?handler=nobody", "").want(400)
	w.call(readerToken, "GET", "/v1/conversations?queue=x", "").want(400)
}

// Ensure all open conversations of a channel are closed at once, and no others.
func TestCloseAll(t *testing.T) {
	t.Parallel()
	w, channel, _ := desk(t)
	for i := range closePage + 5 {
		w.receive(channel, fmt.Sprint("c", i), "e", "hello")
	}
	other := w.receive(w.makeKit(adminToken, ""), "u1", "e1", "hello")
	a := w.call(adminToken, "POST", "/v1/conversations/close", `{"channel_id":"`+channel+`"}`).want(202)
	if a.field("closed") != fmt.Sprint(closePage+6) || a.header.Get(positionHeader) == "" {
		t.Errorf("closed: %v %s", a.header, a.body)
	}
	l := w.call(readerToken, "GET", "/v1/conversations?status=open", "").want(200)
	if l.field("data", 0, "id") != other || l.field("data", 1) != "<none>" {
		t.Errorf("open: %s", l.body)
	}
	if one := w.call(readerToken, "GET", "/v1/conversations?limit=1&status=closed", "").want(200); one.field("data", 0, "close_reason") != "unknown" {
		t.Errorf("reason: %s", one.body)
	}
	if a := w.call(adminToken, "POST", "/v1/conversations/close", `{"channel_id":"`+channel+`"}`).want(202); a.field("closed") != "0" {
		t.Errorf("again: %s", a.body)
	}
	w.call(adminToken, "POST", "/v1/conversations/close", `{"channel_id":"nobody"}`).want(422)
}

// Ensure a channel takes no open conversation with it that nobody could close any more.
func TestDeleteChannelCloses(t *testing.T) {
	t.Parallel()
	w, channel, conversation := desk(t)
	w.call(adminToken, "DELETE", "/v1/channels/"+channel, "").want(204)
	c := w.call(readerToken, "GET", "/v1/conversations/"+conversation, "").want(200)
	if c.field("status") != "closed" || c.field("close_reason") != "unknown" {
		t.Errorf("after the channel was deleted: %s", c.body)
	}
}

// Ensure the integration is told who speaks, and one operator is one number.
func TestSenders(t *testing.T) {
	t.Parallel()
	w, channel, conversation := desk(t)
	path := "/v1/conversations/" + conversation + "/messages"
	say := func(more string) answer {
		t.Helper()
		return w.call(agentToken, "POST", path, `{"type":"text","text":"a"`+more+`}`).want(202)
	}
	sender := func(a answer) string { return a.field("sender", "type") + " " + a.field("sender", "username") }
	mine := say("")
	if mine.field("sender", "type") != "agent" || mine.field("sender", "username") != "agent of default" || mine.field("sender", "id") == "0" {
		t.Errorf("nobody named: %s", mine.body)
	}
	if again := say(""); again.field("sender") != mine.field("sender") {
		t.Errorf("the next one is of %s", again.field("sender"))
	}
	for _, named := range []string{"petra", "1"} {
		if a := say(`,"agent_id":"` + named + `"`); a.field("sender") != "map[display_name:Petra Mala email:petra@example.com id:1 type:agent username:petra]" {
			t.Errorf("%s: %s", named, a.body)
		}
	}
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/assign", `{"to":"agent","agent_id":"desk-7"}`).want(202)
	theirs := say("")
	if sender(theirs) != "agent desk-7" {
		t.Errorf("who has it: %s", theirs.body)
	}
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/assign", `{"to":"unassigned"}`).want(202)
	if named := say(`,"agent_id":"desk-7"`); named.field("sender") != theirs.field("sender") {
		t.Errorf("by name: %s", named.body)
	}
	if next := say(""); next.field("sender") != theirs.field("sender") {
		t.Errorf("who took it: %s", next.body)
	}
	bot := say(`,"sender":"bot"`)
	if bot.field("sender") != "map[display_name:Bot id:0 type:bot username:]" {
		t.Errorf("bot: %s", bot.body)
	}
	w.call(agentToken, "POST", path, `{"type":"text","text":"a","sender":"bot","agent_id":"petra"}`).want(422)
	l := w.call(readerToken, "GET", path+"?limit=200", "").want(200)
	if l.field("data", 0, "sender") != "<none>" || l.field("data", 1, "sender") != mine.field("sender") {
		t.Errorf("listed: %s", l.body)
	}

	// A contact that never wrote cannot be written to (voximplant-kit.md has no call for it).
	start := "/v1/channels/" + channel + "/messages"
	if p := w.call(agentToken, "POST", start, `{"contact_ref":"nobody","type":"text","text":"a"}`).want(409).problem(); p.Errors[0].Field != "contact_ref" {
		t.Errorf("nobody: %+v", p)
	}
	if a := w.call(agentToken, "POST", start, `{"contact_ref":"u 20417","type":"text","text":"a","agent_id":"petra"}`).want(202); a.field("conversation_id") != conversation || sender(a) != "agent petra" {
		t.Errorf("started: %s", a.body)
	}
	w.call(adminToken, "PATCH", "/v1/channels/"+channel, `{"disabled":true}`).want(200)
	w.call(agentToken, "POST", path, `{"type":"text","text":"a"}`).want(409)
}

// Ensure a text goes out with all that is attached to it, in one message.
func TestAttachments(t *testing.T) {
	t.Parallel()
	w, _, conversation := desk(t)
	path := "/v1/conversations/" + conversation + "/messages"
	a := w.call(agentToken, "POST", path, `{"type":"text","text":"","attachments":[
		{"type":"file","url":"https://x.example.com/a.pdf","file_name":"a.pdf","mime_type":"application/pdf"},
		{"type":"contact","name":"Showroom","number":"+15550100"},
		{"type":"location","latitude":50.08,"longitude":14.42,"address":"Main Street 1"}]}`).want(202)
	want := "[map[fileName:a.pdf mimeType:application/pdf type:file url:https://x.example.com/a.pdf] " +
		"map[name:Showroom number:+15550100 type:contact] map[address:Main Street 1 latitude:50.08 longitude:14.42 type:location]]"
	if a.field("attachments") != want || a.field("text") != "<none>" {
		t.Errorf("sent: %s", a.body)
	}
	if l := w.call(readerToken, "GET", path, "").want(200); l.field("data", 1, "attachments") != want {
		t.Errorf("listed: %s", l.body)
	}
	item := `{"type":"file","url":"https://x.example.com/a"}`
	for body, field := range map[string]string{
		`{"type":"text"}`: "text",
		`{"type":"text","attachments":[{"type":"sticker"}]}`:                              "attachments[0].type",
		`{"type":"text","attachments":[` + item + `,{"type":"image","url":"x"}]}`:         "attachments[1].url",
		`{"type":"text","attachments":[{"type":"contact","name":"a"}]}`:                   "attachments[0].number",
		`{"type":"text","attachments":[{"type":"location","latitude":91,"longitude":0}]}`: "attachments[0].latitude",
		`{"type":"text","attachments":[` + strings.Repeat(item+",", 100) + item + `]}`:    "attachments",
		`{"type":"quick_reply","title":"Day?","replies":["Monday"]}`:                      "type",
	} {
		if p := w.call(agentToken, "POST", path, body).want(400).problem(); p.Errors[0].Field != field {
			t.Errorf("%.80s: %+v", body, p)
		}
	}
}

// Ensure what goes to a function is told apart from what goes to the callback.
func TestFunctionDelivery(t *testing.T) {
	t.Parallel()
	w, channel, conversation := desk(t)
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/assign", `{"to":"bot","function_id":1}`).want(202)
	w.receive(channel, "u 20417", "e2", "are you open?")
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/messages", `{"type":"text","text":"yes"}`).want(202)
	d := w.call(readerToken, "GET", "/v1/deliveries?kind=function", "").want(200)
	if d.field("data", 0, "function_id") != "1" || d.field("data", 0, "target") != channel+"#1" || d.field("data", 0, "message_id") == "<none>" || d.field("data", 1) != "<none>" {
		t.Errorf("to the function: %s", d.body)
	}
	d = w.call(readerToken, "GET", "/v1/deliveries?kind=message", "").want(200)
	if d.field("data", 0, "target") != channel || d.field("data", 0, "function_id") != "<none>" || d.field("data", 1) != "<none>" {
		t.Errorf("to the callback: %s", d.body)
	}
	w.call(readerToken, "GET", "/v1/deliveries?kind=letter", "").want(400)
}

// Ensure a reply to a known conversation waits for no projection, whoever speaks.
func TestReplyOfAgentWaitsForNothing(t *testing.T) {
	t.Parallel()
	w, _, conversation := desk(t)
	waits := 0
	set := w.freshErr
	w.set(func() {
		w.freshErr = func(ctx context.Context) error { waits++; return set(ctx) }
	})
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/messages", `{"type":"text","text":"a","agent_id":"petra"}`).want(202)
	if waits != 0 {
		t.Errorf("waited %d times", waits)
	}
}
