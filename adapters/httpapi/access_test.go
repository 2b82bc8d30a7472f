package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// route is one operation of the API with a request that works.
type route struct {
	method, path, body string
	need               domain.Role
	owned              bool // its path names a thing of the account
	installation       bool // only for the account default
}

// routesOf lists every operation, over things that exist in the world.
func routesOf(w *world) []route {
	channel := w.makeChannel(adminToken, "custom")
	conversation := w.receive(channel, "u1", "e1", "hello")
	sent := w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/messages", `{"type":"text","text":"hi"}`).want(202).field("id")
	delivery := w.fail(sent)
	contact := domain.ContactID(channel, "u1").String()
	const text = `{"type":"text","text":"hi"}`
	kit := w.makeKit(adminToken, "")
	waiting := w.receive(kit, "u2", "e1", "hello")
	apiToken := w.call(adminToken, "POST", "/v1/api-tokens", `{"name":"app"}`).want(201).field("id")
	w.call(adminToken, "POST", "/v1/accounts", `{"name":"acme"}`).want(201)
	redrive := w.call(adminToken, "POST", "/v1/redrives", "").want(202).field("id")
	subscription := w.call(adminToken, "POST", "/v1/subscriptions", `{"url":"https://desk.example.com"}`).want(201).field("id")
	routes := []route{
		{"GET", "/v1/subscriptions", "", domain.RoleReader, false, false},
		{"POST", "/v1/subscriptions", `{"url":"https://desk.example.com"}`, domain.RoleAdmin, false, false},
		{"GET", "/v1/subscriptions/" + subscription, "", domain.RoleReader, true, false},
		{"PATCH", "/v1/subscriptions/" + subscription, `{"name":"b"}`, domain.RoleAdmin, true, false},
		{"POST", "/v1/subscriptions/" + subscription + "/rotate", "", domain.RoleAdmin, true, false},
		{"POST", "/v1/subscriptions/" + subscription + "/test", "", domain.RoleAdmin, true, false},
		{"DELETE", "/v1/subscriptions/" + subscription, "", domain.RoleAdmin, true, false},
		{"POST", "/v1/conversations/" + waiting + "/marks", `{"variables":{"a":"b"}}`, domain.RoleAgent, true, false},
		{"POST", "/v1/conversations/close", `{"channel_id":"` + kit + `"}`, domain.RoleAdmin, false, false},
		{"GET", "/v1/account", "", domain.RoleReader, false, false},
		{"GET", "/v1/accounts", "", domain.RoleAdmin, false, true},
		{"POST", "/v1/accounts", `{"name":"beta"}`, domain.RoleAdmin, false, true},
		{"GET", "/v1/accounts/acme", "", domain.RoleAdmin, false, true},
		{"PATCH", "/v1/accounts/acme", `{"title":"Acme"}`, domain.RoleAdmin, false, true},
		{"GET", "/v1/keys", "", domain.RoleAdmin, false, true},
		{"POST", "/v1/keys/rotate", "", domain.RoleAdmin, false, true},
		{"GET", "/v1/api-tokens", "", domain.RoleReader, false, false},
		{"POST", "/v1/api-tokens", `{"name":"b"}`, domain.RoleAdmin, false, false},
		{"GET", "/v1/api-tokens/" + apiToken, "", domain.RoleReader, true, false},
		{"DELETE", "/v1/api-tokens/" + apiToken, "", domain.RoleAdmin, true, false},
	}
	for path, bodies := range map[string][2]string{
		"queues":     {`{"name":"%s"}`, `{"max_wait":5}`},
		"functions":  {`{"name":"%s","url":"https://bot.example.com"}`, `{"name":"c"}`},
		"tags":       {`{"name":"%s"}`, `{"name":"c"}`},
		"topic-sets": {`{"name":"%s"}`, `{"topics":[{"name":"c"}]}`},
		"skills":     {`{"name":"%s"}`, `{"name":"c"}`},
		"agents":     {`{"username":"%s"}`, `{"ready":true}`},
	} {
		path = "/v1/" + path
		id := w.call(adminToken, "POST", path, fmt.Sprintf(bodies[0], "a")).want(201).field("id")
		change := domain.RoleAdmin
		if path == "/v1/agents" {
			change = domain.RoleAgent
		}
		routes = append(
			routes,
			route{"GET", path, "", domain.RoleReader, false, false},
			route{"POST", path, fmt.Sprintf(bodies[0], "b"), domain.RoleAdmin, false, false},
			route{"GET", path + "/" + id, "", domain.RoleReader, true, false},
			route{"PATCH", path + "/" + id, bodies[1], change, true, false},
			route{"DELETE", path + "/" + id, "", domain.RoleAdmin, true, false},
		)
	}
	return append(
		routes,
		[]route{
			{"GET", "/v1/channels", "", domain.RoleReader, false, false},
			{"POST", "/v1/channels", `{"dialect":"respondio","name":"a","callback_url":"https://cb.example.com","id_type":"phone"}`, domain.RoleAdmin, false, false},
			{"GET", "/v1/channels/" + channel, "", domain.RoleReader, true, false},
			{"PATCH", "/v1/channels/" + channel, `{"name":"b"}`, domain.RoleAdmin, true, false},
			{"POST", "/v1/channels/" + channel + "/rotate", "", domain.RoleAdmin, true, false},
			{"POST", "/v1/channels/" + channel + "/test", "", domain.RoleAdmin, true, false},
			{"POST", "/v1/channels/" + channel + "/messages", `{"contact_ref":"u1","type":"text","text":"hi"}`, domain.RoleAgent, true, false},
			{"GET", "/v1/contacts", "", domain.RoleReader, false, false},
			{"GET", "/v1/contacts/" + contact, "", domain.RoleReader, true, false},
			{"GET", "/v1/conversations", "", domain.RoleReader, false, false},
			{"GET", "/v1/conversations/" + conversation, "", domain.RoleReader, true, false},
			{"GET", "/v1/conversations/" + conversation + "/messages", "", domain.RoleReader, true, false},
			{"POST", "/v1/conversations/" + conversation + "/messages", text, domain.RoleAgent, true, false},
			{"POST", "/v1/conversations/" + conversation + "/assign", `{"to":"bot"}`, domain.RoleAgent, true, false},
			{"POST", "/v1/conversations/" + conversation + "/close", "", domain.RoleAgent, true, false},
			{"GET", "/v1/messages/" + sent, "", domain.RoleReader, true, false},
			{"GET", "/v1/deliveries", "", domain.RoleReader, false, false},
			{"GET", "/v1/deliveries/" + delivery, "", domain.RoleReader, true, false},
			{"POST", "/v1/deliveries/" + delivery + "/redrive", "", domain.RoleAdmin, true, false},
			{"POST", "/v1/deliveries/" + delivery + "/drop", "", domain.RoleAdmin, true, false},
			{"GET", "/v1/endpoints", "", domain.RoleReader, false, false},
			{"GET", "/v1/endpoints/" + channel, "", domain.RoleReader, true, false},
			{"POST", "/v1/endpoints/" + channel + "/pause", "", domain.RoleAdmin, true, false},
			{"POST", "/v1/endpoints/" + channel + "/resume", "", domain.RoleAdmin, true, false},
			{"GET", "/v1/redrives", "", domain.RoleReader, false, false},
			{"POST", "/v1/redrives", `{"dry_run":true}`, domain.RoleAdmin, false, false},
			{"GET", "/v1/redrives/" + redrive, "", domain.RoleReader, true, false},
			{"POST", "/v1/redrives/" + redrive + "/cancel", "", domain.RoleAdmin, true, false},
			{"GET", "/v1/events", "", domain.RoleReader, false, false},
			{"POST", "/v1/files?name=a.pdf", "%PDF", domain.RoleAgent, false, false},
			{"GET", "/v1/tokens", "", domain.RoleAdmin, false, false},
			{"POST", "/v1/tokens", `{"name":"desk","role":"agent"}`, domain.RoleAdmin, false, false},
			{"DELETE", "/v1/tokens/t3", "", domain.RoleAdmin, true, false},
			{"DELETE", "/v1/channels/" + channel, "", domain.RoleAdmin, true, false},
		}...)
}

// Ensure nobody gets in where they don't belong: every operation without a
// token, with an unknown one, with too small a role, and from another account.
func TestAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	routes := routesOf(w)
	before := len(w.events)
	for _, r := range routes {
		name := r.method + " " + r.path
		for _, token := range []string{"", "wrong", strings.Repeat("x", 5000)} {
			a := w.call(token, r.method, r.path, r.body)
			if a.status != 401 || a.problem().Code != domain.CodeUnauthorized || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s with token %.10q: %d %s", name, token, a.status, a.body)
			}
			if strings.Contains(string(a.body), "wrong") {
				t.Errorf("%s repeats the token: %s", name, a.body)
			}
		}
		if a := w.call("", r.method, r.path, r.body, "Authorization", "Basic "+adminToken); a.status != 401 {
			t.Errorf("%s with Basic: %d", name, a.status)
		}
		for token, role := range map[string]domain.Role{readerToken: domain.RoleReader, agentToken: domain.RoleAgent} {
			if role.Allows(r.need) {
				continue
			}
			if a := w.call(token, r.method, r.path, r.body); a.status != 403 || a.problem().Code != domain.CodeForbidden {
				t.Errorf("%s as %s: %d %s", name, role, a.status, a.body)
			}
		}
		switch {
		case r.installation:
			if a := w.call(otherToken, r.method, r.path, r.body); a.status != 403 || a.problem().Code != domain.CodeForbidden {
				t.Errorf("%s from another account: %d %s", name, a.status, a.body)
			}
		case r.owned:
			if a := w.call(otherToken, r.method, r.path, r.body); a.status != 404 || a.problem().Code != domain.CodeNotFound {
				t.Errorf("%s from another account: %d %s", name, a.status, a.body)
			}
		case r.method == "GET" && r.path != "/v1/tokens":
			if a := w.call(otherToken, r.method, r.path, r.body); a.status != 200 || (len(a.body) > 0 && a.field("data", 0) != "<none>") {
				t.Errorf("%s from another account: %d %s", name, a.status, a.body)
			}
		}
	}
	if len(w.events) != before {
		t.Errorf("%d events were appended by requests that were refused", len(w.events)-before)
	}
	// The same requests work for who may; drop and close need what came before
	// them in the list undone.
	for _, r := range routes {
		token := map[domain.Role]string{domain.RoleAdmin: adminToken, domain.RoleAgent: agentToken, domain.RoleReader: readerToken}[r.need]
		a := w.call(token, r.method, r.path, r.body)
		conflict := strings.HasSuffix(r.path, "/drop") && a.status == 409
		if a.status/100 != 2 && !conflict {
			t.Errorf("%s %s as %s: %d %s", r.method, r.path, r.need, a.status, a.body)
		}
	}
}

// Ensure the table of access knows every operation that is described.
func TestAccessIsComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tested := map[string]bool{}
	for _, r := range routesOf(w) {
		tested[r.method+" "+generic(r.path)] = true
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Security []map[string][]string `json:"security"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(w.call("", "GET", "/v1/openapi.json", "").want(200).body, &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if name := strings.ToUpper(method) + " " + path; !tested[name] {
				t.Errorf("%s is not in the table", name)
			}
			if len(op.Security) != 1 {
				t.Errorf("%s %s says nothing about its token", method, path)
			}
		}
	}
}

// generic puts {id} where a path names a thing.
func generic(path string) string {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	switch {
	case path == "/v1/conversations/close" || path == "/v1/keys/rotate":
	case len(parts) > 3 && parts[2] == "accounts":
		parts[3] = "{name}"
	case len(parts) > 3:
		parts[3] = "{id}"
	}
	return strings.Join(parts, "/")
}

// Ensure secrets are shown only to those who may see them, and only where they
// are said to be.
func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.makeChannel(adminToken, "phone")
	ch, _ := w.Channel(id)
	secret := ch.Credentials.APIToken
	if got := w.call(adminToken, "GET", "/v1/channels/"+id, "").want(200).field("api_token"); got != secret {
		t.Errorf("admin reads token %q", got)
	}
	for _, a := range []answer{
		w.call(readerToken, "GET", "/v1/channels/"+id, ""), w.call(agentToken, "GET", "/v1/channels/"+id, ""),
		w.call(adminToken, "GET", "/v1/channels", ""),
	} {
		if strings.Contains(string(a.want(200).body), secret) {
			t.Errorf("secret in %s", a.body)
		}
	}
	rotated := w.call(adminToken, "POST", "/v1/channels/"+id+"/rotate", "").want(200).field("api_token")
	if ch, _ := w.Channel(id); rotated == secret || ch.Credentials.APIToken != rotated {
		t.Errorf("rotated to %q, kept %q", rotated, ch.Credentials.APIToken)
	}

	made := w.call(adminToken, "POST", "/v1/tokens", `{"name":"desk","role":"agent"}`).want(201)
	w.call(made.field("token"), "GET", "/v1/channels", "").want(200)
	if l := w.call(adminToken, "GET", "/v1/tokens", "").want(200); strings.Contains(string(l.body), made.field("token")) {
		t.Errorf("secret in %s", l.body)
	}
	w.call(adminToken, "DELETE", "/v1/tokens/"+made.field("id"), "").want(204)
	w.call(made.field("token"), "GET", "/v1/channels", "").want(401)
	w.call(adminToken, "DELETE", "/v1/tokens/"+made.field("id"), "").want(404)
	if logs := w.logs.String(); strings.Contains(logs, secret) || strings.Contains(logs, made.field("token")) {
		t.Errorf("a secret was logged: %s", logs)
	}
}

// Ensure ids that are no ids name nothing.
func TestUnknownThings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"x", uuid.NewString(), "%00", "%ff", strings.Repeat("9", 3000)} {
		for _, path := range []string{"/v1/contacts/", "/v1/conversations/", "/v1/messages/", "/v1/deliveries/", "/v1/channels/"} {
			w.call(adminToken, "GET", path+id, "").want(404)
		}
	}
	w.call(adminToken, "POST", "/v1/conversations/"+uuid.NewString()+"/messages", `{"type":"text","text":"a"}`).want(404)
}
