//go:build mutations

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// mutationOffice is what an account has of ChannelX.
type mutationOffice struct {
	*cxOffice

	member, stranger, reader string // tokens: of the inbox's member, of an agent who is none, of a reader
	hmacToken                string
}

// office furnishes the account with an inbox, people, conversations and messages;
// its mark is in all of them. post makes a thing with the platform API.
func (a *tenant) office(t *testing.T, w *mutationWorld, post func(string, object) object) {
	t.Helper()
	o := &cxOffice{suite: &cx{parley: w.parley, client: w.client}, name: a.name, admin: a.token}
	bound := func(name, role string) (int64, string) {
		id := post("/v1/agents", object{"username": name + a.mark, "display_name": name + " " + a.mark, "email": name + a.mark + "@example.com"})["id"]
		number := int64(id.(float64))
		token, _ := post("/v1/tokens", object{"name": name + " " + a.mark, "role": role, "agent_id": number})["token"].(string)
		return number, token
	}
	a.desk = &mutationOffice{cxOffice: o}
	var member int64
	o.rui, o.token = bound("rui", "admin")
	member, a.desk.member = bound("bia", "agent")
	_, a.desk.stranger = bound("leo", "agent")
	_, a.desk.reader = bound("eva", "reader")
	profile := o.gets(t, o.call(t, http.MethodGet, "/api/v1/profile", nil))
	o.number = profile.at("accounts", 0, "id").integer()

	made := post("/v1/channels", object{"dialect": "channelx", "name": "window", "callback_url": a.stub.URL + "/cx"})
	o.channel, o.identifier = fmt.Sprint(made["id"]), fmt.Sprint(made["inbox_identifier"])
	o.inbox, a.desk.hmacToken = int64(made["inbox_id"].(float64)), fmt.Sprint(made["hmac_token"])
	o.posts(t, "/inbox_members", object{"inbox_id": o.inbox, "user_ids": []int64{member}})
	keep := func(kind string, id any) { a.ids[kind] = append(a.ids[kind], fmt.Sprint(id)) }
	keep("cx-accounts", o.number)
	keep("cx-inboxes", o.inbox)
	keep("cx-users", o.rui)
	keep("cx-users", member)
	hide := func(secret string) { a.secrets = append(a.secrets, secret) }
	hide(profile.at("pubsub_token").text())
	for _, name := range []string{"hmac_token", "secret"} {
		hide(fmt.Sprint(made[name]))
	}
	for _, n := range []string{"1", "2"} {
		hook := o.posts(t, "/webhooks", object{"url": a.stub.URL + "/hook" + n + "?" + a.mark, "name": "hook " + a.mark})
		keep("cx-webhooks", hook.at("payload", "webhook", "id").integer())
		hide(hook.at("payload", "webhook", "secret").text())
	}
	for i := range 4 {
		identifier := "everybody-" + fmt.Sprint(i) // both accounts have them
		c := o.contact(t, object{
			"name": "Ana " + a.mark, "identifier": identifier, "email": identifier + "@example.com", "phone_number": fmt.Sprintf("+155501%02d", i),
			"custom_attributes": object{"note": a.mark}, "additional_attributes": object{"city": a.mark},
		})
		if i > 0 {
			c = o.visitor(t, object{"identifier": identifier})
		}
		keep("cx-contacts", c.id)
		keep("cx-sources", c.source)
		hide(o.clientReads(t, c.clientPath("")).at("pubsub_token").text())
		v := c.talk(t)
		keep("cx-conversations", v.id)
		keep("cx-talks", c.source+"/conversations/"+fmt.Sprint(v.id))
		said := v.post(t, object{"content": "in " + a.mark, "message_type": "incoming", "source_id": "s-" + fmt.Sprint(i), "content_attributes": object{"note": a.mark}})
		keep("cx-messages", said.at("id").integer())
		for _, id := range []int64{v.says(t, "out "+a.mark), v.notes(t, "note "+a.mark), v.writes(t, "client "+a.mark)} {
			keep("cx-messages", id)
		}
		got := o.suite.send(t, http.MethodPost, fmt.Sprintf("/api/v1/accounts/%d%s", o.number, v.path("/messages")), cxHeaders{
			"api_access_token": o.token, "Content-Type": "multipart/form-data; boundary=bbbb",
		}, "--bbbb\r\nContent-Disposition: form-data; name=\"attachments[]\"; filename=\""+a.mark+".txt\"\r\nContent-Type: text/plain\r\n\r\n"+a.mark+"\r\n--bbbb--\r\n")
		o.gets(t, got).at("attachments", 0).isObject()
		o.posts(t, v.path("/labels"), object{"labels": []string{"refund " + a.mark}})
		o.posts(t, v.path("/custom_attributes"), object{"custom_attributes": object{"order": a.mark}})
		o.posts(t, c.path("/labels"), object{"labels": []string{"refund " + a.mark}})
	}
	for _, id := range a.ids["cx-messages"] {
		n := slices.Index(a.ids["cx-messages"], id) / 4
		keep("cx-posts", a.ids["cx-conversations"][n]+"/messages/"+id)
		keep("cx-said", a.ids["cx-talks"][n]+"/messages/"+id)
	}
}

// shut makes the inbox one that takes in nobody who cannot prove who they are; no
// answer to others may name it.
func (a *tenant) shut(t *testing.T) {
	t.Helper()
	a.desk.mandatory(t, true)
	a.secrets = append(a.secrets, a.desk.identifier)
}

// shown is all that the application API says of the account.
func (o *mutationOffice) shown(t *testing.T, a *tenant) string {
	t.Helper()
	var text strings.Builder
	paths := []string{"/inboxes", "/contacts", "/contacts?page=2", "/contacts/search?q=" + a.mark, "/conversations?status=all", "/conversations/meta?status=all", "/webhooks", "/agents", "/teams", "/labels"}
	for _, id := range a.ids["cx-inboxes"] {
		paths = append(paths, "/inboxes/"+id, "/inbox_members/"+id)
	}
	for _, id := range a.ids["cx-contacts"] {
		paths = append(paths, "/contacts/"+id, "/contacts/"+id+"/conversations", "/contacts/"+id+"/labels", "/contacts/"+id+"/contactable_inboxes")
	}
	for _, id := range a.ids["cx-conversations"] {
		paths = append(paths, "/conversations/"+id, "/conversations/"+id+"/messages?after=0", "/conversations/"+id+"/labels")
	}
	for _, path := range paths {
		fmt.Fprintf(&text, "%s\n%s\n", path, o.reads(t, path))
	}
	return text.String()
}

// reading is a path that must be readable at the end, unless the conversation that it
// is of is gone.
type reading struct{ path, conversation string }

// lists are the lists of the application API that must be readable, whatever came
// together in them.
func (a *tenant) lists() []reading {
	var all []reading
	of := ""
	add := func(path string) {
		all = append(all, reading{fmt.Sprintf("/api/v1/accounts/%d%s", a.desk.number, path), of})
	}
	for _, path := range []string{"/inboxes", "/webhooks", "/agents", "/teams", "/labels"} {
		add(path)
	}
	for page := range 20 {
		add(fmt.Sprintf("/contacts?page=%d", page+1))
		add(fmt.Sprintf("/conversations?status=all&page=%d", page+1))
	}
	for i, id := range a.ids["cx-conversations"] {
		of = id
		add("/conversations/" + id + "/messages")
		add("/conversations/" + id + "/messages?after=0&before=9000000000000000000")
		talk := "/public/api/v1/inboxes/" + a.desk.identifier + "/contacts/" + a.ids["cx-talks"][i]
		all = append(all, reading{talk, id}, reading{talk + "/messages", id})
	}
	return all
}

// channelxMade notes what an answer says was made.
func (w *mutationWorld) channelxMade(m *mutant, body []byte) {
	var made struct {
		ID      json.Number `json:"id"`
		Source  string      `json:"source_id"`
		Payload struct {
			Contact struct {
				ID json.Number `json:"id"`
			} `json:"contact"`
			Webhook struct {
				ID json.Number `json:"id"`
			} `json:"webhook"`
		} `json:"payload"`
		Conversation json.Number `json:"conversation_id"`
	}
	if json.Unmarshal(body, &made) != nil {
		return
	}
	note := func(kind string, id string) {
		if id != "" && len(id) < 300 {
			w.made(kind, id)
		}
	}
	switch m.name {
	case "channelx POST /inboxes":
		note("cx-inboxes", made.ID.String())
	case "channelx POST /contacts":
		note("cx-contacts", made.Payload.Contact.ID.String())
	case "channelx POST /webhooks":
		note("cx-webhooks", made.Payload.Webhook.ID.String())
	case "channelx POST /conversations":
		note("cx-conversations", made.ID.String())
	case "channelx POST /conversations/{cx-conversations}/messages":
		if made.ID != "" && made.Conversation != "" {
			note("cx-posts", made.Conversation.String()+"/messages/"+made.ID.String())
		}
	case "channelx client POST /contacts":
		note("cx-contacts", made.ID.String())
		note("cx-sources", url.PathEscape(made.Source))
	}
}

// spareOffice keeps what all requests to ChannelX rest on, and does not give a
// stranger the two things that together are the key of a contact of the victim.
func (w *mutationWorld) spareOffice(m *mutant) {
	if m.method != http.MethodGet && m.method != http.MethodHead {
		for _, id := range w.sender.ids["cx-inboxes"] {
			m.path = strings.Replace(m.path, "/inboxes/"+id, "/inboxes/999999", 1)
		}
	}
	if m.method == http.MethodDelete {
		for _, id := range w.sender.ids["cx-contacts"] {
			m.path = strings.Replace(m.path, "/contacts/"+id, "/contacts/999999", 1)
		}
	}
	if strings.Contains(m.path, w.victim.desk.identifier) {
		for _, source := range w.victim.ids["cx-sources"] {
			m.path = strings.ReplaceAll(m.path, source, "nobody")
		}
	}
}

// hashed is the identifier_hash of an identifier.
func hashed(key, identifier string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(identifier))
	return hex.EncodeToString(mac.Sum(nil))
}

// channelxTold tells whether a refusal has one of the shapes of channelx.md 10.1.
func channelxTold(m *mutant, status int, kind string, body []byte) bool {
	switch {
	case m.area == "cable":
		return true // what a WebSocket library says to what is no handshake
	case status == http.StatusTooManyRequests:
		return string(body) == "Retry later"
	case status == http.StatusNotFound && len(body) == 0:
		return strings.Contains(m.path, "/contact_inboxes/filter") || strings.Contains(m.path, "/reset_secret")
	}
	var told struct {
		Status     *int      `json:"status"`
		Error      string    `json:"error"`
		Errors     []string  `json:"errors"`
		Message    string    `json:"message"`
		Attributes *[]string `json:"attributes"`
	}
	return strings.HasPrefix(kind, "application/json") && json.Unmarshal(body, &told) == nil && (told.Status == nil || *told.Status == status) &&
		(told.Error != "" || len(told.Errors) > 0 || told.Message != "")
}

// channelxToken is a token of the sender's, mostly of the administrator.
func (w *mutationWorld) channelxToken(rng *rand.Rand) string {
	d := w.sender.desk
	if rng.IntN(6) > 0 {
		return d.token
	}
	return oneOf(rng, w.sender.token, w.sender.agent, d.member, d.stranger)
}
