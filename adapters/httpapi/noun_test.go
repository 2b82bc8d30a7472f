package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// Ensure queues, functions and the like are made, listed in parts, read, changed
// and deleted in one way, and that numbers are of the account.
func TestNouns(t *testing.T) {
	t.Parallel()
	for path, c := range map[string]struct {
		made   string // %s is a name
		name   string
		unique bool
	}{
		"queues":     {`{"name":"%s"}`, "name", true},
		"functions":  {`{"name":"%s","url":"https://bot.example.com"}`, "name", false},
		"tags":       {`{"name":"%s"}`, "name", true},
		"topic-sets": {`{"name":"%s"}`, "name", true},
		"skills":     {`{"name":"%s"}`, "name", true},
		"agents":     {`{"username":"%s"}`, "username", true},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			path := "/v1/" + path
			for i := range 5 {
				made := w.call(adminToken, "POST", path, fmt.Sprintf(c.made, fmt.Sprint("n", i))).want(201)
				if want := fmt.Sprint(i + 1); made.field("id") != want || made.header.Get("Location") != path+"/"+want {
					t.Errorf("made %s at %s", made.body, made.header.Get("Location"))
				}
			}
			if one := w.call(otherToken, "POST", path, fmt.Sprintf(c.made, "n0")).want(201); one.field("id") != "1" {
				t.Errorf("another account's first: %s", one.body)
			}
			var names []string
			cursor := ""
			for cursor != "<none>" {
				a := w.call(readerToken, "GET", path+"?limit=2&cursor="+cursor, "").want(200)
				for i := 0; a.field("data", i, c.name) != "<none>" && i < 2; i++ {
					names = append(names, a.field("data", i, c.name))
				}
				cursor = a.field("next_cursor")
			}
			if fmt.Sprint(names) != "[n0 n1 n2 n3 n4]" {
				t.Errorf("listed %v", names)
			}
			again := w.call(adminToken, "POST", path, fmt.Sprintf(c.made, "n3"))
			if c.unique && (again.status != 409 || again.problem().Errors[0].Field != c.name || !strings.Contains(again.problem().Detail, "id 4")) {
				t.Errorf("a name that is taken: %d %s", again.status, again.body)
			}
			rename := fmt.Sprintf(`{"%s":"n3"}`, c.name)
			if c.unique {
				w.call(adminToken, "PATCH", path+"/1", rename).want(409)
			}
			w.call(adminToken, "PATCH", path+"/4", rename).want(200) // its own name
			if a := w.call(adminToken, "PATCH", path+"/1", strings.Replace(rename, "n3", "new", 1)).want(200); a.field(c.name) != "new" {
				t.Errorf("changed: %s", a.body)
			}
			if a := w.call(readerToken, "GET", path+"/1", "").want(200); a.field(c.name) != "new" {
				t.Errorf("read: %s", a.body)
			}
			if a := w.call(otherToken, "GET", path+"/1", "").want(200); a.field(c.name) != "n0" {
				t.Errorf("another account reads %s", a.body)
			}
			for _, id := range []string{"99", "0", "-1", "x", "1.0", "99999999999999999999"} {
				w.call(adminToken, "GET", path+"/"+id, "").want(404)
				w.call(adminToken, "PATCH", path+"/"+id, rename).want(404)
				w.call(adminToken, "DELETE", path+"/"+id, "").want(404)
			}
			w.call(adminToken, "DELETE", path+"/4", "").want(204)
			w.call(adminToken, "GET", path+"/4", "").want(404)
			for _, name := range []string{"", long(256)} {
				w.call(adminToken, "POST", path, fmt.Sprintf(c.made, name)).want(400)
			}
			w.call(adminToken, "POST", path, strings.Replace(fmt.Sprintf(c.made, "m"), "{", `{"colour":"red",`, 1)).want(400)
			if made := w.call(adminToken, "POST", path, fmt.Sprintf(c.made, "last")).want(201); made.field("id") == "4" {
				t.Error("a number was given twice")
			}
		})
	}
}

// Ensure the settings of queues and agents are checked, with field and limit named.
func TestNounSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(adminToken, "POST", "/v1/skills", `{"name":"Czech"}`).want(201)
	for _, c := range []struct {
		path, body string
		status     int
		field      string
	}{
		{"queues", `{"name":"a","max_wait":-1}`, 400, "max_wait"},
		{"queues", `{"name":"a","max_wait":604800}`, 400, "max_wait"},
		{"queues", `{"name":"a","priority":0}`, 400, "priority"},
		{"queues", `{"name":"a","priority":11}`, 400, "priority"},
		{"functions", `{"name":"a","url":"ftp://x"}`, 400, "url"},
		{"functions", `{"name":"a"}`, 400, "url"},
		{"topic-sets", `{"name":"a","topics":[{"name":""}]}`, 400, "topics[0].name"},
		{"topic-sets", `{"name":"a","topics":[{"id":7,"name":"b"}]}`, 422, "topics[0].id"},
		{"agents", `{"username":"a","most_open":0}`, 400, "most_open"},
		{"agents", `{"username":"a","avatar":"x"}`, 400, "avatar"},
		{"agents", `{"username":"a","skills":[{"skill_id":1,"level":6}]}`, 400, "skills[0].level"},
		{"agents", `{"username":"a","queues":[9]}`, 422, "queues[0]"},
		{"agents", `{"username":"a","skills":[{"skill_id":1,"level":5},{"skill_id":2,"level":5}]}`, 422, "skills[1].skill_id"},
	} {
		p := w.call(adminToken, "POST", "/v1/"+c.path, c.body).want(c.status).problem()
		if len(p.Errors) == 0 || (p.Errors[0].Field != c.field && c.field != "url") {
			t.Errorf("%s %s: %+v", c.path, c.body, p)
		}
	}
	q := w.call(adminToken, "POST", "/v1/queues", `{"name":"a"}`).want(201)
	if q.field("max_wait") != "0" || q.field("priority") != "10" {
		t.Errorf("defaults: %s", q.body)
	}
	a := w.call(adminToken, "POST", "/v1/agents", `{"username":"petra","queues":[1],"skills":[{"skill_id":1,"level":5}]}`).want(201)
	if a.field("ready") != "false" || a.field("most_open") != "5" || a.field("queues") != "[1]" || a.field("skills", 0, "level") != "5" {
		t.Errorf("defaults: %s", a.body)
	}
	for i := range 19 {
		w.call(adminToken, "POST", "/v1/queues", fmt.Sprintf(`{"name":"q%d"}`, i)).want(201)
	}
	if p := w.call(adminToken, "POST", "/v1/queues", `{"name":"one more"}`).want(409).problem(); !strings.Contains(p.Detail, "20") {
		t.Errorf("the 21st queue: %s", p.Detail)
	}
}

// Ensure an account has no more of a kind than every node can hold in memory.
func TestMostThings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range int64(mostThings) {
		if _, err := w.CreateTag(t.Context(), domain.Tag{Account: "default", Number: i + 1, Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if p := w.call(adminToken, "POST", "/v1/tags", `{"name":"one more"}`).want(409).problem(); !strings.Contains(p.Detail, fmt.Sprint(mostThings)) {
		t.Errorf("one more: %+v", p)
	}
	w.call(otherToken, "POST", "/v1/tags", `{"name":"one more"}`).want(201)
}

// Ensure an agent may say that it is ready with a token of role agent, and no more.
func TestAgentSaysReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(adminToken, "POST", "/v1/agents", `{"username":"petra"}`).want(201)
	if a := w.call(agentToken, "PATCH", "/v1/agents/1", `{"ready":true}`).want(200); a.field("ready") != "true" {
		t.Errorf("ready: %s", a.body)
	}
	for _, body := range []string{`{"ready":false,"most_open":9}`, `{"username":"x"}`, `{"queues":[]}`, `{"skills":[]}`, `{"email":""}`} {
		w.call(agentToken, "PATCH", "/v1/agents/1", body).want(403)
	}
	w.call(readerToken, "PATCH", "/v1/agents/1", `{"ready":false}`).want(403)
}

// Ensure a topic keeps its number as long as it is in the set, and none is given
// twice in an account.
func TestTopics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(adminToken, "POST", "/v1/topic-sets", `{"name":"a","topics":[{"name":"one"},{"name":"two"}]}`).want(201)
	if made.field("topics") != "[map[id:1 name:one] map[id:2 name:two]]" {
		t.Errorf("made: %s", made.body)
	}
	changed := w.call(adminToken, "PATCH", "/v1/topic-sets/1", `{"topics":[{"id":1,"name":"uno"},{"name":"three"}]}`).want(200)
	if changed.field("topics") != "[map[id:1 name:uno] map[id:3 name:three]]" || changed.field("name") != "a" {
		t.Errorf("changed: %s", changed.body)
	}
	for _, body := range []string{`{"topics":[{"id":2,"name":"two"}]}`, `{"topics":[{"id":1,"name":"a"},{"id":1,"name":"b"}]}`} {
		w.call(adminToken, "PATCH", "/v1/topic-sets/1", body).want(422)
	}
	if other := w.call(adminToken, "POST", "/v1/topic-sets", `{"name":"b","topics":[{"name":"one"}]}`).want(201); other.field("topics", 0, "id") != "4" {
		t.Errorf("another set: %s", other.body)
	}
	if empty := w.call(adminToken, "PATCH", "/v1/topic-sets/1", `{"topics":[]}`).want(200); empty.field("topics") != "[]" {
		t.Errorf("empty: %s", empty.body)
	}
}

// Ensure a function has a platform token of role agent as long as it is there.
func TestFunctionToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"name":"hours","url":"https://bot.example.com"}`
	made := w.call(adminToken, "POST", "/v1/functions", body, keyHeader, "k").want(201)
	f, _ := w.Function("default", 1)
	if strings.Contains(string(made.body), f.AccessToken) || f.AccessToken == "" {
		t.Errorf("made %s", made.body)
	}
	token, ok := w.Token(f.AccessToken)
	if !ok || token.Name != "function hours" || token.Role != "agent" || token.ID != made.field("token_id") {
		t.Errorf("token %+v", token)
	}
	clear(w.claims) // as after a crash before the answer was stored
	if again := w.call(adminToken, "POST", "/v1/functions", body, keyHeader, "k").want(201); again.field() != made.field() {
		t.Errorf("a repeat made %s", again.body)
	}
	// A crash between token and function: the repeat takes the token's place.
	if err := w.DeleteFunction(t.Context(), "default", 1); err != nil {
		t.Fatal(err)
	}
	clear(w.claims)
	w.call(adminToken, "POST", "/v1/functions", body, keyHeader, "k").want(201)
	if n := len(w.Tokens("default")); n != 4 {
		t.Errorf("%d tokens, want 3 and that of the function", n)
	}
	f, _ = w.Function("default", 2)
	w.call(f.AccessToken, "GET", "/v1/channels", "").want(200)
	w.call(adminToken, "DELETE", "/v1/tokens/"+f.TokenID, "").want(409)
	w.call(adminToken, "DELETE", "/v1/functions/2", "").want(204)
	w.call(f.AccessToken, "GET", "/v1/channels", "").want(401)
}

// Ensure nothing is deleted that something else names, and that the conflict says
// what does.
func TestInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(adminToken, "POST", "/v1/queues", `{"name":"Sales"}`).want(201)
	w.call(adminToken, "POST", "/v1/queues", `{"name":"Night"}`).want(201)
	w.call(adminToken, "POST", "/v1/queues", `{"name":"Petra's"}`).want(201)
	w.call(adminToken, "POST", "/v1/queues", `{"name":"Full"}`).want(201)
	w.call(adminToken, "POST", "/v1/functions", `{"name":"hours","url":"https://bot.example.com"}`).want(201)
	w.call(adminToken, "POST", "/v1/topic-sets", `{"name":"a"}`).want(201)
	w.call(adminToken, "POST", "/v1/skills", `{"name":"Czech"}`).want(201)
	w.call(adminToken, "POST", "/v1/skills", `{"name":"Slovak"}`).want(201)
	w.call(adminToken, "POST", "/v1/agents", `{"username":"petra","queues":[3],"skills":[{"skill_id":2,"level":1}]}`).want(201)
	one := w.makeKit(adminToken, `,"redirect":{"queue_id":1},"skills":[{"skill_id":1,"level":2}]`)
	two := w.makeKit(adminToken, `,"redirect":{"function_id":1},"fallback_queue_id":2,"topic_set_id":1`)
	waiting := w.receive(one, "u1", "e1", "hello")
	w.call(adminToken, "POST", "/v1/conversations/"+waiting+"/assign", `{"to":"queue","queue_id":4}`).want(202)
	for path, by := range map[string]string{
		"queues/1": one, "queues/2": two, "queues/3": "petra", "queues/4": waiting,
		"functions/1": two, "topic-sets/1": two, "skills/1": one, "skills/2": "petra",
	} {
		if p := w.call(adminToken, "DELETE", "/v1/"+path, "").want(409).problem(); !strings.Contains(p.Detail, by) {
			t.Errorf("%s: %s", path, p.Detail)
		}
	}
	w.call(adminToken, "PATCH", "/v1/agents/1", `{"queues":[],"skills":[]}`).want(200)
	w.call(adminToken, "POST", "/v1/conversations/"+waiting+"/close", "").want(202)
	w.call(adminToken, "PATCH", "/v1/channels/"+one, `{"redirect":{},"skills":[]}`).want(200)
	w.call(adminToken, "PATCH", "/v1/channels/"+two, `{"redirect":{},"fallback_queue_id":0,"topic_set_id":0}`).want(200)
	for _, path := range []string{"queues/1", "queues/2", "queues/3", "queues/4", "functions/1", "topic-sets/1", "skills/1", "skills/2"} {
		w.call(adminToken, "DELETE", "/v1/"+path, "").want(204)
	}
}

// Ensure deleting an agent closes what it has, with reason unknown.
func TestDeleteAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(adminToken, "POST", "/v1/agents", `{"username":"petra","ready":true}`).want(201)
	w.call(adminToken, "POST", "/v1/agents", `{"username":"marek"}`).want(201)
	channel := w.makeKit(adminToken, "")
	var hers []string
	for i := range 3 {
		c := w.receive(channel, fmt.Sprint("u", i), "e", "hello")
		w.call(agentToken, "POST", "/v1/conversations/"+c+"/assign", `{"to":"agent","agent_id":"petra"}`).want(202)
		hers = append(hers, c)
	}
	his := w.receive(channel, "u9", "e", "hello")
	w.call(agentToken, "POST", "/v1/conversations/"+his+"/assign", `{"to":"agent","agent_id":"2"}`).want(202)
	w.call(adminToken, "DELETE", "/v1/agents/1", "").want(204)
	w.call(adminToken, "GET", "/v1/agents/1", "").want(404)
	for _, c := range hers {
		a := w.call(readerToken, "GET", "/v1/conversations/"+c, "").want(200)
		if a.field("status") != "closed" || a.field("close_reason") != "unknown" || a.field("request", "agent_id") != "1" {
			t.Errorf("hers: %s", a.body)
		}
	}
	if a := w.call(readerToken, "GET", "/v1/conversations/"+his, "").want(200); a.field("status") != "open" {
		t.Errorf("his: %s", a.body)
	}
}
