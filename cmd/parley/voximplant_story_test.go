package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestVoximplantStory: a client opens a conversation, a function answers it and
// hands it to a queue, an agent who can takes it out of there and answers, and
// the timer closes it. The integration is told of all that, in order, each call
// signed; the rows tell it afterwards, and again when they are built anew.
func TestVoximplantStory(t *testing.T) {
	t.Parallel()
	s, clock := newMovableKit(t)
	a := s.acme
	queue := a.makes(t, "queues", object{"name": "experts", "max_wait": 100})
	skill, urgent, boots := a.makes(t, "skills", object{"name": "boots"}), a.makes(t, "tags", object{"name": "urgent"}), a.makes(t, "tags", object{"name": "boots"})
	a.makes(t, "agents", object{"username": "novice", "ready": true, "queues": []int64{queue}, "skills": []object{{"skill_id": skill, "level": 2}}})
	olga := a.makes(t, "agents", object{
		"username": "olga", "display_name": "Olga", "email": "olga@acme.example", "ready": true, "queues": []int64{queue},
		"skills": []object{{"skill_id": skill, "level": 5}},
	})
	c, f := a.answered(t, object{"close_after": 120, "bot_close_after": 60, "use_tags": true})
	f.answers(func(call kitAsked) any {
		if call.body.Text == "hello" {
			return object{"text": "What is it about?", "variables": object{"order": "A-17"}, "payload": []any{
				object{"type": "properties", "message_type": "text"}, command("bind_tags", object{"tags": []int64{urgent}, "replace": false}),
				object{"type": "custom_data", "name": "crm", "data": `{"id":7}`},
			}}
		}
		return object{"text": "One moment, I will find a colleague.", "payload": []any{
			command("transfer_to_queue", object{
				"queue": object{"queue_id": queue, "queue_name": nil}, "skills": []object{{"skill_id": skill, "level": 4}}, "priority": 3,
			}),
			command("bind_tags", object{"tags": []int64{boots}, "replace": false}),
		}}
	})

	kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
	c.stub.gets(t, 1)
	v := c.conversation(t, kitClient)
	if v.Status != "open" || v.Handler.Type != "bot" || v.Handler.Function != f.number {
		t.Errorf("after the function's answer: %+v", v)
	}
	first := f.gets(t, 1)[0]
	if first.body.Text != "hello" || len(first.body.Conversation.CustomData.Request.Variables) != 0 || len(first.body.Conversation.CustomData.Request.Tags) != 0 {
		t.Errorf("the function was sent %s", first.raw)
	}
	// The token of the call is good for the account's API, and the UUID of the
	// conversation is not the id that others see.
	if got := s.do(t, http.MethodGet, "/v1/conversations/"+v.ID, map[string]string{"Authorization": "Bearer " + first.header.Get("X-Kit-Access-Token")}, ""); got.status != http.StatusOK {
		t.Errorf("x-kit-access-token: %d %s", got.status, got.raw)
	}
	if first.body.Conversation.UUID == v.ID {
		t.Error("the function's UUID of the conversation is its public id")
	}

	kitAccepted(t, c.post(t, c.says(kitClient, "an expert, please")))
	c.stub.gets(t, 2)
	second := f.gets(t, 2)[1].body.Conversation
	if request := second.CustomData.Request; request.Variables["order"] != "A-17" || !slices.Equal(request.Tags, []any{float64(urgent)}) {
		t.Errorf("the function was told of %+v", request)
	}
	if second.UUID != first.body.Conversation.UUID || second.Request.ID != first.body.Conversation.Request.ID {
		t.Errorf("the function was told of conversation %s, then %s", first.body.Conversation.UUID, second.UUID)
	}
	c.becomes(t, kitClient, "with olga", func(v kitConversation) bool {
		return v.Handler.Type == "agent" && v.Handler.Agent == strconv.FormatInt(olga, 10)
	})
	said := c.writes(t, v.ID, olga, written("These are waterproof."))
	if call := c.stub.gets(t, 3)[2]; call.sender["sender_id"] != float64(olga) || call.sender["sender_username"] != "olga" || call.sender["is_bot"] != false {
		t.Errorf("told %s", call.raw)
	}
	spoke := c.outcome(t, said.ID).RecordedAt
	clock.to(t, spoke.Add(119*time.Second))
	c.stillOpen(t, kitClient)
	c.closedIn(t, clock, kitClient, 4, spoke.Add(2*time.Minute))

	want := []string{"What is it about?", "One moment, I will find a colleague.", "These are waterproof.", "CLOSED_BY_CLIENT_TIMEOUT"}
	if told := kitTold(c.stub.gets(t, 4)); !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	kitRefused(t, s.late(t, second.UUID, object{"text": "too late", "payload": []any{}}), http.StatusNotFound)
	c.storyRows(t, urgent, boots)

	// The next message begins the next request, which knows what the function kept.
	kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
	c.stub.gets(t, 5)
	third := f.gets(t, 3)[2].body.Conversation
	if request := third.CustomData.Request; request.Variables["order"] != "A-17" || len(request.Tags) != 0 || third.UUID != second.UUID || request.ID == second.Request.ID {
		t.Errorf("the next request is %+v", third)
	}
	c.rebuilt(t)
}

// storyRows checks what the read models tell of the story.
func (c *kitChan) storyRows(t *testing.T, tags ...int64) {
	t.Helper()
	texts := make([]string, 0, 5)
	for _, m := range c.messages(t, kitClient) {
		texts = append(texts, m.Direction+" "+m.Text)
		if m.Direction == "out" {
			c.outcome(t, m.ID)
		}
	}
	want := []string{"in hello", "out What is it about?", "in an expert, please", "out One moment, I will find a colleague.", "out These are waterproof."}
	if !slices.Equal(texts, want) {
		t.Errorf("messages are %q", texts)
	}
	var shown struct {
		kitConversation

		Request struct {
			Status    string            `json:"status"`
			Tags      []int64           `json:"tags"`
			Variables map[string]string `json:"variables"`
			Custom    map[string]string `json:"custom_data"`
		} `json:"request"`
	}
	c.account.read(t, "/v1/conversations/"+c.conversation(t, kitClient).ID, &shown)
	slices.Sort(tags)
	if shown.Status != "closed" || shown.Episode != 1 || shown.Count != len(want) || shown.Request.Status != "done" ||
		!slices.Equal(shown.Request.Tags, tags) || shown.Request.Variables["order"] != "A-17" || shown.Request.Custom["crm"] != `{"id":7}` {
		t.Errorf("%+v, want tags %v", shown, tags)
	}
	for kind, n := range map[string]int{"message": 3, "close": 1, "function": 2} {
		var list struct {
			Data []struct {
				State string `json:"state"`
			} `json:"data"`
		}
		c.account.read(t, "/v1/deliveries?channel="+c.id+"&kind="+kind, &list)
		if len(list.Data) != n || slices.ContainsFunc(list.Data, func(d struct {
			State string `json:"state"`
		},
		) bool {
			return d.State != "delivered"
		}) {
			t.Errorf("deliveries of kind %s: %+v", kind, list.Data)
		}
	}
}

// rows gives what the read models know of the channel.
func (c *kitChan) rows(t *testing.T) string {
	t.Helper()
	text := ""
	paths := []string{"/v1/conversations?channel=" + c.id, "/v1/contacts?channel=" + c.id, "/v1/deliveries?limit=200&channel=" + c.id}
	var list struct {
		Data []kitConversation `json:"data"`
	}
	c.account.read(t, paths[0], &list)
	for _, v := range list.Data {
		paths = append(paths, "/v1/conversations/"+v.ID, "/v1/conversations/"+v.ID+"/messages?limit=200")
	}
	for _, path := range paths {
		var v object
		c.account.read(t, path, &v)
		text += path + " " + encode(t, v) + "\n"
	}
	return text
}

// rebuilt drops the database while Parley is down, and expects the same rows
// afterwards and that nobody is told again.
func (c *kitChan) rebuilt(t *testing.T) {
	t.Helper()
	p := c.account.suite.parley
	for _, m := range c.messages(t, kitClient) {
		if m.Direction == "out" {
			c.outcome(t, m.ID)
		}
	}
	var before string
	eventually(t, 20*time.Second, "no delivery under way", func() bool {
		before = c.rows(t)
		var list struct {
			Data []struct {
				State string `json:"state"`
			} `json:"data"`
		}
		c.account.read(t, "/v1/deliveries?state=pending&channel="+c.id, &list)
		return len(list.Data) == 0
	})
	told := len(c.stub.events())
	p.stop()
	replaceDatabase(t, p.set.DatabaseURL)
	p.start()
	if after := c.rows(t); after != before {
		t.Errorf("the rows were\n%s\nand are\n%s", before, after)
	}
	kitAccepted(t, c.post(t, c.says(kitClient, "hello"))) // answered, so the worker is at work again
	c.stub.gets(t, told+1)
}

// late makes a late reply of a function.
func (s *kit) late(t *testing.T, conversation string, reply object) answered {
	t.Helper()
	return s.do(t, http.MethodPost, "/api/v3/botService/sendResponse?conversation_uuid="+conversation,
		map[string]string{"Content-Type": "application/json"}, encode(t, reply))
}

// TestVoximplantLife: what else can become of a conversation.
func TestVoximplantLife(t *testing.T) {
	t.Parallel()
	s := newKit(t)
	for name, run := range map[string]func(*testing.T, *kit){
		"late reply": lateReply, "function fails": functionFails, "operator after close": operatorAfterClose,
		"operator takes over": operatorTakesOver, "channel disabled": channelDisabled, "bulk close": bulkClose,
		"agent deleted": agentDeleted, "transfer to user": transferToUser, "signature refused": signatureRefused,
		"salt changed": saltChanged, "callback moved": callbackMoved, "channel deleted": channelDeleted, "closed by many": closedByMany,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, s)
		})
	}
}

// lateReply: a function that answers later says what it wants through sendResponse.
func lateReply(t *testing.T, s *kit) { //nolint:thelper // a test
	c, f := s.acme.answered(t)
	kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
	id := f.gets(t, 1)[0].body.Conversation.UUID
	for i := range 3 {
		kitAccepted(t, s.late(t, id, object{"text": fmt.Sprint("thought ", i), "payload": []any{}}))
	}
	kitAccepted(t, s.late(t, id, object{"text": "", "variables": object{"a": "b"}, "payload": []any{command("finish_request", nil)}}))
	if told := kitTold(c.stub.gets(t, 4)); !slices.Equal(told, []string{"thought 0", "thought 1", "thought 2", "CLOSED_BY_BOT"}) {
		t.Errorf("told %q", told)
	}
	kitRefused(t, s.late(t, id, object{"text": "done", "payload": []any{}}), http.StatusNotFound)
	for _, wrong := range []string{"c4a7e0d9-2b58-4f13-8e6c-0a1b2c3d4e5f", c.conversation(t, kitClient).ID} {
		kitRefused(t, s.late(t, wrong, object{"text": "guessed", "payload": []any{}}), http.StatusNotFound)
	}
	c.stub.gets(t, 4)
}
