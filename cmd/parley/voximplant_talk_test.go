package main

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// kitConversation is a conversation as the platform API shows it.
type kitConversation struct {
	ID          string     `json:"id"`
	ContactRef  string     `json:"contact_ref"`
	Status      string     `json:"status"`
	Episode     int        `json:"episode"`
	Handler     kitHandler `json:"handler"`
	Count       int        `json:"message_count"`
	OpenedAt    time.Time  `json:"opened_at"`
	ClosedAt    *time.Time `json:"closed_at"`
	CloseReason string     `json:"close_reason"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// kitHandler is who looks after a conversation.
type kitHandler struct {
	Type     string `json:"type"`
	Agent    string `json:"agent_id"`
	Queue    int64  `json:"queue_id"`
	Function int64  `json:"function_id"`
}

// kitMessage is a message as the platform API shows it.
type kitMessage struct {
	ID          string    `json:"id"`
	Direction   string    `json:"direction"`
	Text        string    `json:"text"`
	ExternalID  string    `json:"external_id"`
	Status      string    `json:"status"`
	Reason      string    `json:"status_reason"`
	Attachments []object  `json:"attachments"`
	RecordedAt  time.Time `json:"recorded_at"`
}

// kitMessageOf gives the message of an inbound event.
func kitMessageOf(event object) object {
	return event["event_data"].(object)["message"].(object)
}

// says makes an inbound event with a text, with ids of its own.
func (c *kitChan) says(client, text string) object {
	id := c.account.suite.name()
	return object{
		"client_data": object{"client_id": client}, "event_id": "e-" + id, "event_type": "send_message",
		"event_data": object{"message": object{"message_id": "m-" + id, "text": text}},
	}
}

// post posts a body to the channel as the integration does.
func (c *kitChan) post(t *testing.T, body any) answered {
	t.Helper()
	return c.postWith(t, c.access, body)
}

func (c *kitChan) postWith(t *testing.T, access string, body any) answered {
	t.Helper()
	text, ok := body.(string)
	if !ok {
		text = encode(t, body)
	}
	return c.account.suite.do(t, http.MethodPost, "/"+c.id, map[string]string{
		"Authorization": "Bearer " + access, "Content-Type": "application/json",
	}, text)
}

// hears lets a client write a text, and gives the conversation.
func (c *kitChan) hears(t *testing.T, client, text string) kitConversation {
	t.Helper()
	kitAccepted(t, c.post(t, c.says(client, text)))
	return c.conversation(t, client)
}

// conversation gives the one conversation of a client.
func (c *kitChan) conversation(t *testing.T, client string) kitConversation {
	t.Helper()
	var list struct {
		Data []kitConversation `json:"data"`
	}
	c.account.read(t, "/v1/conversations?channel="+c.id+"&contact="+url.QueryEscape(client), &list)
	if len(list.Data) != 1 {
		t.Fatalf("%s has %d conversations", client, len(list.Data))
	}
	return list.Data[0]
}

// becomes waits until the conversation of a client is as asked.
func (c *kitChan) becomes(t *testing.T, client, what string, is func(kitConversation) bool) (v kitConversation) {
	t.Helper()
	eventually(t, 20*time.Second, client+" "+what, func() bool {
		v = c.conversation(t, client)
		return is(v)
	})
	return v
}

// messages gives all messages of a client, oldest first.
func (c *kitChan) messages(t *testing.T, client string) []kitMessage {
	t.Helper()
	var list struct {
		Data []kitMessage `json:"data"`
	}
	c.account.read(t, "/v1/conversations/"+c.conversation(t, client).ID+"/messages?limit=200", &list)
	return list.Data
}

// only gives the one message of a client.
func (c *kitChan) only(t *testing.T, client string) kitMessage {
	t.Helper()
	all := c.messages(t, client)
	if len(all) != 1 {
		t.Fatalf("%d messages: %+v", len(all), all)
	}
	return all[0]
}

// contact gives the one contact of a client.
func (c *kitChan) contact(t *testing.T, client string) object {
	t.Helper()
	var list struct {
		Data []object `json:"data"`
	}
	c.account.read(t, "/v1/contacts?channel="+c.id, &list)
	if len(list.Data) != 1 || list.Data[0]["contact_ref"] != client {
		t.Fatalf("contacts: %v", list.Data)
	}
	return list.Data[0]
}

// writes lets an agent write, and gives the message.
func (c *kitChan) writes(t *testing.T, conversation string, agent int64, body object) (m kitMessage) {
	t.Helper()
	body["agent_id"] = strconv.FormatInt(agent, 10)
	c.account.must(t, http.MethodPost, "/v1/conversations/"+conversation+"/messages", body, http.StatusAccepted, &m)
	return m
}

// replies lets petra write a text.
func (c *kitChan) replies(t *testing.T, v kitConversation, text string) kitMessage {
	t.Helper()
	return c.writes(t, v.ID, c.account.petra, written(text))
}

// closes lets petra close a conversation.
func (c *kitChan) closes(t *testing.T, v kitConversation) {
	t.Helper()
	c.account.must(t, http.MethodPost, "/v1/conversations/"+v.ID+"/close", object{"agent_id": strconv.FormatInt(c.account.petra, 10)}, http.StatusAccepted, nil)
}

// assigns says who looks after a conversation.
func (c *kitChan) assigns(t *testing.T, v kitConversation, to object) {
	t.Helper()
	c.account.must(t, http.MethodPost, "/v1/conversations/"+v.ID+"/assign", to, http.StatusAccepted, nil)
}

// outcome waits until a message is no longer queued, and gives it.
func (c *kitChan) outcome(t *testing.T, id string) (m kitMessage) {
	t.Helper()
	eventually(t, 20*time.Second, "an outcome of message "+id, func() bool {
		c.account.read(t, "/v1/messages/"+id, &m)
		return m.Status != "queued"
	})
	return m
}
