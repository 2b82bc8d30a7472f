package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// made reads the id that a command printed.
func made(t testing.TB, out string) string {
	t.Helper()
	var thing struct {
		ID any `json:"id"`
	}
	in := json.NewDecoder(strings.NewReader(out))
	in.UseNumber()
	if err := in.Decode(&thing); err != nil || thing.ID == nil {
		t.Fatalf("no id (%v):\n%s", err, out)
	}
	return fmt.Sprint(thing.ID)
}

// refused runs a command that the API must refuse, and gives what it says.
func (p *parley) refused(args ...string) string {
	p.t.Helper()
	code, _, errOut := cli(p.t, append(args, "--url", p.URL, "--token", p.Token)...)
	if code != 1 {
		p.t.Errorf("parley %s: exit code %d, want 1:\n%s", strings.Join(args, " "), code, errOut)
	}
	return errOut
}

// contains tells the test about every text that out lacks.
func contains(t testing.TB, what, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%s lacks %q:\n%s", what, text, out)
		}
	}
}

// TestNumberedCommands: whatever an account numbers is created, listed, shown,
// changed and deleted.
func TestNumberedCommands(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	queue := made(t, p.must("queues", "create", "--name", "Sales", "--max-wait", "5m", "--priority", "2"))
	skill := made(t, p.must("skills", "create", "--name", "Czech"))
	for _, c := range []struct {
		noun           string
		create, change []string
		shows, changed []string
	}{
		{"queues", []string{"--name", "Care"}, []string{"--max-wait", "1h"}, []string{"Care"}, []string{"3600"}},
		{"functions", []string{"--name", "Hours", "--function-url", "http://127.0.0.1:9/hours"}, []string{"--name", "Opening hours"},
			[]string{"Hours", "http://127.0.0.1:9/hours"}, []string{"Opening hours"}},
		{"tags", []string{"--name", "urgent"}, []string{"--name", "very urgent"}, []string{"urgent"}, []string{"very urgent"}},
		{"skills", []string{"--name", "Dutch"}, []string{"--name", "Flemish"}, []string{"Dutch"}, []string{"Flemish"}},
		{"topic-sets", []string{"--name", "Shop", "--topic", "Returns", "--topic", "Size, colour"}, []string{"--topic", "Delivery"},
			[]string{"Shop", "Returns", "Size, colour"}, []string{"Delivery"}},
		{"agents", []string{"--username", "petra", "--display-name", "Petra Mala", "--queues", queue, "--skills", skill + "=5"}, []string{"--ready", "--most-open", "9"},
			[]string{"petra", "Petra Mala", "false"}, []string{"true", "9"}},
	} {
		id := made(t, p.must(append([]string{c.noun, "create"}, c.create...)...))
		contains(t, c.noun+" list", p.must(c.noun, "list"), append([]string{"ID  ", id + "  "}, c.shows...)...)
		contains(t, c.noun+" show", p.must(c.noun, "show", id), c.shows...)
		contains(t, c.noun+" change", p.must(append([]string{c.noun, "change", id}, c.change...)...), c.changed...)
		contains(t, c.noun+" list --json", p.must(c.noun, "list", "--json"), append([]string{`"data": [`}, c.changed...)...)
		contains(t, c.noun+" delete", p.must(c.noun, "delete", id), "deleted "+id)
		contains(t, c.noun+" show", p.refused(c.noun, "show", id), "no ")
	}
	contains(t, "a queue that waits too long", p.refused("queues", "create", "--name", "Long", "--max-wait", "168h"), "max_wait")
}

// TestAccountCommands: an account is made, works with its own token, and is
// disabled; API tokens are shown and revoked; keys are rotated.
func TestAccountCommands(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	var account struct {
		Name  string `json:"name"`
		Token struct {
			Token string `json:"token"`
		} `json:"token"`
	}
	if err := json.Unmarshal([]byte(p.must("accounts", "create", "acme", "--title", "Acme Ltd")), &account); err != nil || account.Token.Token == "" {
		t.Fatalf("%v: %+v", err, account)
	}
	contains(t, "accounts list", p.must("accounts", "list"), "default", "acme", "Acme Ltd")
	contains(t, "accounts show", p.must("accounts", "show", "acme"), "Acme Ltd")
	contains(t, "an account twice", p.refused("accounts", "create", "acme"), "taken")

	acme := *p
	acme.Token = account.Token.Token
	acme.must("tags", "create", "--name", "urgent")
	if out := p.must("tags", "list"); strings.Contains(out, "urgent") {
		t.Errorf("a tag of another account:\n%s", out)
	}
	contains(t, "accounts of an account", acme.refused("accounts", "list"), "default")

	id := made(t, acme.must("api-tokens", "create", "--name", "Shop app", "--value", "kt_4f9a2c7be1d84c55"))
	if list := acme.must("api-tokens", "list"); !strings.Contains(list, "Shop app") || strings.Contains(list, "kt_4f9a2c7be1d84c55") {
		t.Errorf("api-tokens list:\n%s", list)
	}
	contains(t, "api-tokens show", acme.must("api-tokens", "show", id), "kt_4f9a2c7be1d84c55")
	contains(t, "api-tokens revoke", acme.must("api-tokens", "revoke", id), "revoked "+id)
	if shown := acme.must("api-tokens", "show", id); strings.Contains(shown, `"revoked_at": null`) {
		t.Errorf("a revoked API token:\n%s", shown)
	}

	p.must("accounts", "change", "acme", "--disabled")
	acme.refused("tags", "list")
	p.must("accounts", "change", "acme", "--no-disabled")
	acme.must("tags", "list")

	key := made(t, p.must("keys", "rotate"))
	contains(t, "keys list", p.must("keys", "list"), key, "login")
}

// kitCallback is an integration that takes whatever it is told.
type kitCallback struct {
	*httptest.Server

	mu   sync.Mutex
	seen []string // methods and bodies
}

func newKitCallback(t testing.TB) *kitCallback {
	t.Helper()
	k := &kitCallback{}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.seen = append(k.seen, r.Method+" "+string(raw))
		fmt.Fprint(w, "OK")
	}))
	t.Cleanup(k.Close)
	return k
}

// got tells whether something was called with all texts.
func (k *kitCallback) got(texts ...string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, call := range k.seen {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(call, text)
		}
		if all {
			return true
		}
	}
	return false
}

// TestConversationCommands: a channel of dialect voximplant is made from the
// command line with what an integration has already, and its conversations are
// listed, assigned, marked and closed.
func TestConversationCommands(t *testing.T) {
	t.Parallel()
	p, hook := startParley(t), newKitCallback(t)
	const uuid, token, salt = "3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33", "kt_4f9a2c7be1d84c55", "b3f1c9d27a5e4f08"
	queue := made(t, p.must("queues", "create", "--name", "Sales", "--max-wait", "5m"))
	tag := made(t, p.must("tags", "create", "--name", "urgent"))
	p.must("agents", "create", "--username", "petra", "--display-name", "Petra Mala")

	contains(t, "a channel that nobody answers for", p.refused("channels", "create", "--dialect", "voximplant", "--name", "Deaf", "--callback-url", "http://127.0.0.1:9"), "check")
	contains(t, "a closing time below the wait", p.refused("channels", "create", "--dialect", "voximplant", "--name", "Short", "--callback-url", hook.URL,
		"--queue", queue, "--close-after", "5m"), "close_after")
	contains(t, "an id type", p.refused("channels", "create", "--dialect", "voximplant", "--name", "Odd", "--callback-url", hook.URL, "--id-type", "phone"), "id_type")
	shown := p.must("channels", "create", "--dialect", "voximplant", "--name", "Shop app", "--callback-url", hook.URL, "--id", strings.ToUpper(uuid),
		"--api-token", token, "--security-salt", salt, "--queue", queue, "--close-after", "1h")
	contains(t, "channels create", shown, uuid, token, salt, p.URL+"/"+uuid, `"close_after": 3600`, `"bot_close_after": 86400`, `"use_tags": false`)
	contains(t, "channels list", p.must("channels", "list"), "voximplant", "Shop app")
	contains(t, "channels change", p.must("channels", "change", uuid, "--close-after", "2h", "--use-tags"), `"close_after": 7200`, `"use_tags": true`)

	for i, client := range []string{"u-1", "u-2"} {
		p.kitMessage(t, uuid, token, client, fmt.Sprintf("m-%d", i))
	}
	var page struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(p.must("conversations", "list", "--channel", uuid, "--contact", "u-1", "--json")), &page); err != nil || len(page.Data) != 1 {
		t.Fatalf("%v: %+v", err, page)
	}
	id := page.Data[0].ID
	contains(t, "conversations list", p.must("conversations", "list", "--queue", queue), id, "queue", "u-1", "u-2")
	if first := p.must("conversations", "list", "--limit", "1"); strings.Count(first, "\n") != 2 {
		t.Errorf("a part of the list:\n%s", first)
	}
	contains(t, "conversations assign", p.must("conversations", "assign", id, "--agent", "petra"), `"agent"`)
	contains(t, "conversations list --handler", p.must("conversations", "list", "--handler", "agent", "--agent", "1"), id)
	contains(t, "conversations mark", p.must("conversations", "mark", id, "--tags", tag, "--variable", "order=A-17, B=2", "--custom-data", `cart={"items":[1,2]}`),
		"A-17, B=2", `{\"items\":[1,2]}`)
	contains(t, "conversations list --tag", p.must("conversations", "list", "--tag", tag), id)
	contains(t, "conversations assign", p.must("conversations", "assign", id, "--queue", queue, "--priority", "7"), `"queue"`)
	contains(t, "conversations assign", p.must("conversations", "assign", id, "--unassigned"), `"unassigned"`)
	contains(t, "conversations close", p.must("conversations", "close", id, "--agent", "petra"), `"closed"`, `"agent"`)
	contains(t, "a second close", p.refused("conversations", "close", id), "closed")
	eventually(t, 30*time.Second, "the close, as told", func() bool { return hook.got("POST", "CLOSED_BY_AGENT", `"sender_username":"petra"`) })
	p.must("conversations", "close-all", "--channel", uuid)
	eventually(t, 30*time.Second, "the close of the rest, as told", func() bool { return hook.got("POST", "CLOSED_BY_UNKNOWN_REASON", "u-2") })
	contains(t, "conversations show", p.must("conversations", "show", id), `"closed"`, "u-1")
	contains(t, "deliveries list", p.must("deliveries", "list", "--kind", "close"), "u-1", "u-2", "close")
}

// kitMessage logs in and posts what a client writes.
func (p *parley) kitMessage(t testing.TB, channel, token, client, message string) {
	t.Helper()
	query := url.Values{"domain": {"default"}, "access_token": {token}}
	status, _, raw := p.do(http.MethodPost, "/api/v3/botService/login?"+query.Encode(), "", fmt.Sprintf(`{"channel_uuid":%q}`, channel))
	var login struct {
		Result struct {
			AccessToken string `json:"access_token"`
		} `json:"result"`
	}
	if err := json.Unmarshal(raw, &login); err != nil || status != http.StatusOK {
		t.Fatalf("login: %d %s", status, raw)
	}
	body := fmt.Sprintf(`{"client_data":{"client_id":%q},"event_id":%[2]q,"event_type":"send_message","event_data":{"message":{"message_id":%[2]q,"text":"hello"}}}`, client, message)
	if status, _, raw = p.do(http.MethodPost, "/"+channel, login.Result.AccessToken, body); status != http.StatusOK {
		t.Fatalf("a message: %d %s", status, raw)
	}
}
