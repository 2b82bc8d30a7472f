//go:build mutations

package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// mutationWorld is a Parley with two accounts.
type mutationWorld struct {
	*kit

	sender, victim *tenant
	mark           string // in all that is the victim's, and nowhere else
	logs           *logWatch

	freshly sync.Mutex
	fresh   map[string]*ring // kind → what was made on the way and may be spoilt

	removed removals
}

// newMutationWorld starts Parley and furnishes both accounts.
func newMutationWorld(t *testing.T) *mutationWorld {
	t.Helper()
	logs := &logWatch{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var set settings
	parser, err := kong.New(&set)
	if err == nil {
		_, err = parser.Parse(nil) // what a node runs on that is told nothing
	}
	if err != nil {
		t.Fatal(err)
	}
	set.Addr, set.AdminToken, set.CallbackTimeout, set.DatabaseURL = "127.0.0.1:0", testToken, 2*time.Second, pgtest.URL(t)
	dev, err := startDev(ctx, set, t.TempDir(), slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})), io.Discard)
	if err != nil {
		t.Fatalf("start Parley: %v", err)
	}
	p := &parley{t: t, dev: dev, set: set, URL: dev.node.cfg.publicURL, Token: testToken}
	t.Cleanup(p.stop)
	s := &kit{parley: p, client: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	w := &mutationWorld{kit: s, mark: "mark" + unguessable(t), logs: logs, fresh: map[string]*ring{}}
	s.account(t, "spare") // what the operator may spoil
	w.sender = w.tenant(t, "acme", "plain")
	w.victim = w.tenant(t, "umbra", w.mark)
	w.victim.shut(t)
	w.logs.secrets(append(slices.Clone(w.sender.secrets), append(w.victim.secrets, testToken)...))
	return w
}

// unguessable gives 16 digits.
func unguessable(t *testing.T) string {
	t.Helper()
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(random)
}

// tenant is an account with something of everything.
type tenant struct {
	*kitAccount

	mark      string
	stub      *mutationStub
	agent     string              // platform token of role agent
	reader    string              // platform token of role reader
	ids       map[string][]string // kind → ids
	cursors   []string
	secrets   []string
	door      string // token of the respond.io channel
	doorID    string
	ism       string // token of the IS-Messenger channel
	ismID     string
	kitID     string
	kitSecret string // api_token of the Voximplant Kit channel
	desk      *mutationOffice
	access    string
	refresh   string
}

// keyOf is an Idempotency-Key that both accounts use.
func keyOf(n int) string { return fmt.Sprintf("key-of-everybody-%d", n) }

// tenant makes an account and puts its mark into everything.
func (w *mutationWorld) tenant(t *testing.T, name, mark string) *tenant {
	t.Helper()
	a := &tenant{kitAccount: w.account(t, name), mark: mark, stub: newMutationStub(t, mark), ids: map[string][]string{}}
	a.secrets = append(a.secrets, a.token)
	a.ids["queues"], a.ids["agents"] = []string{fmt.Sprint(a.queue)}, []string{fmt.Sprint(a.petra)}
	keys := 0
	post := func(path string, body object) object {
		t.Helper()
		keys++
		got := w.do(t, http.MethodPost, path, map[string]string{
			"Authorization": "Bearer " + a.token, "Content-Type": "application/json", "Idempotency-Key": keyOf(keys),
		}, encode(t, body))
		var made object
		if err := json.Unmarshal(got.raw, &made); err != nil || got.status/100 != 2 {
			t.Fatalf("%s %v: %d %s", path, body, got.status, got.raw)
		}
		if kind := strings.TrimPrefix(path, "/v1/"); made["id"] != nil && !strings.Contains(kind, "/") {
			a.ids[kind] = append(a.ids[kind], fmt.Sprint(made["id"]))
		}
		for _, field := range []string{"token", "api_token", "security_salt", "value"} {
			if secret, ok := made[field].(string); ok && len(secret) > 6 {
				a.secrets = append(a.secrets, secret)
			}
		}
		return made
	}
	a.agent, _ = post("/v1/tokens", object{"name": "desk " + mark, "role": "agent"})["token"].(string)
	a.reader, _ = post("/v1/tokens", object{"name": "eyes " + mark, "role": "reader"})["token"].(string)
	post("/v1/api-tokens", object{"name": "site " + mark, "value": "value-" + unguessable(t)})
	queue := post("/v1/queues", object{"name": "sales " + mark, "max_wait": 600})["id"]
	function := post("/v1/functions", object{"name": "hours " + mark, "url": a.stub.URL + "/function"})["id"]
	tag := post("/v1/tags", object{"name": "refund " + mark})["id"]
	skill := post("/v1/skills", object{"name": "czech " + mark})["id"]
	topics := post("/v1/topic-sets", object{"name": "why " + mark, "topics": []any{object{"name": "late " + mark}}})["id"]
	post("/v1/agents", object{
		"username": "quinn" + mark, "display_name": "Quinn " + mark, "email": mark + "@example.com", "avatar": "https://a.example/" + mark,
		"ready": true, "queues": []any{queue}, "skills": []any{object{"skill_id": skill, "level": 3}},
	})

	custom := post("/v1/channels", object{"dialect": "respondio", "name": "chat " + mark, "id_type": "custom", "callback_url": a.stub.URL + "/respond"})
	a.doorID, a.door = fmt.Sprint(custom["id"]), fmt.Sprint(custom["api_token"])
	ism := post("/v1/channels", object{"dialect": "ismessenger", "name": "phone " + mark, "id_type": "phone", "callback_url": a.stub.URL + "/respond"})
	a.ismID, a.ism = fmt.Sprint(ism["id"]), fmt.Sprint(ism["api_token"])
	broken := post("/v1/channels", object{
		"dialect": "respondio", "name": "broken " + mark, "id_type": "custom", "callback_url": a.stub.URL + "/broken", "delivery": object{"schedule": []any{}},
	})
	shop := post("/v1/channels", object{
		"dialect": "voximplant", "name": "shop " + mark, "callback_url": a.stub.URL + "/kit", "redirect": object{"queue_id": queue},
		"use_tags": true, "topic_set_id": topics, "security_salt": "salt-" + unguessable(t), "api_token": "token-" + unguessable(t),
	})
	a.kitID, a.kitSecret = fmt.Sprint(shop["id"]), fmt.Sprint(shop["api_token"])
	bot := post("/v1/channels", object{
		"dialect": "voximplant", "name": "bot " + mark, "callback_url": a.stub.URL + "/kit", "redirect": object{"function_id": function},
	})
	a.access, a.refresh = kitTokens(t, w.login(t, name, a.kitSecret, a.kitID))
	botAccess, _ := kitTokens(t, w.login(t, name, fmt.Sprint(bot["api_token"]), fmt.Sprint(bot["id"])))
	a.secrets = append(a.secrets, a.access, a.refresh)

	send := func(path, token, body string) {
		t.Helper()
		if got := w.do(t, http.MethodPost, path, map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"}, body); got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, got.status, got.raw)
		}
	}
	send("/custom/channel/webhook/", a.door, inboundBody(a.doorID, "client_1", "hello "+mark))
	send("/custom/channel/webhook/", a.ism, inboundBody(a.ismID, "+15550100", "ring "+mark))
	kitBody := func(id string) string {
		return `{"client_data":{"client_id":"u-1","client_display_name":"Jana ` + mark + `"},"event_id":"e-` + id + `","event_type":"send_message",` +
			`"event_data":{"message":{"message_id":"m-` + id + `","text":"in stock? ` + mark + `"}}}`
	}
	send("/"+a.kitID, a.access, kitBody("1"))
	send("/"+fmt.Sprint(bot["id"]), botAccess, kitBody("2"))
	send("/custom/channel/webhook/", fmt.Sprint(broken["api_token"]), inboundBody(fmt.Sprint(broken["id"]), "client_2", "anybody "+mark))
	post("/v1/channels/"+a.doorID+"/messages", object{"contact_ref": "client_1", "type": "text", "text": "reply " + mark})
	post("/v1/channels/"+fmt.Sprint(broken["id"])+"/messages", object{"contact_ref": "client_2", "type": "text", "text": "lost " + mark})
	post("/v1/files?name="+mark+".txt", object{"text": mark})
	a.office(t, w, post)
	a.settle(t)
	for _, kind := range []string{"contacts", "conversations", "deliveries"} {
		a.ids[kind] = a.list(t, "/v1/"+kind)
	}
	for _, id := range a.ids["conversations"] {
		a.ids["messages"] = append(a.ids["messages"], a.list(t, "/v1/conversations/"+id+"/messages")...)
		if strings.Contains(string(a.api(t, http.MethodGet, "/v1/conversations/"+id, nil).raw), a.kitID) {
			post("/v1/conversations/"+id+"/marks", object{"tags": []any{tag}, "variables": object{"order": mark}, "custom_data": object{"note": `"` + mark + `"`}})
		}
	}
	a.settle(t)
	eventually(t, 20*time.Second, "the conversation in the queue is given to the agent", func() bool {
		var list struct {
			Data []struct {
				Handler struct {
					Type string `json:"type"`
				} `json:"handler"`
			} `json:"data"`
		}
		a.read(t, "/v1/conversations?channel="+a.kitID, &list)
		return len(list.Data) == 1 && list.Data[0].Handler.Type == "agent"
	})
	return a
}

// settle waits until the deliveries have their outcomes.
func (a *tenant) settle(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, "deliveries of "+a.name, func() bool {
		for _, state := range []string{"pending", "retrying"} {
			var list struct {
				Data []object `json:"data"`
			}
			if a.read(t, "/v1/deliveries?state="+state, &list); len(list.Data) > 0 {
				return false
			}
		}
		return true
	})
}

// list gives the ids of a list of at least one part, and keeps a cursor of it.
func (a *tenant) list(t *testing.T, path string) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		var list struct {
			Data []object `json:"data"`
			Next *string  `json:"next_cursor"`
		}
		a.read(t, path+"?limit=1&cursor="+url.QueryEscape(cursor), &list)
		for _, e := range list.Data {
			ids = append(ids, fmt.Sprint(e["id"]))
		}
		if list.Next == nil {
			return ids
		}
		cursor = *list.Next
		a.cursors = append(a.cursors, cursor)
	}
}

// state is all that an account can see of itself, its part of the log included.
func (a *tenant) state(t *testing.T) string {
	t.Helper()
	a.settle(t)
	var text strings.Builder
	add := func(path string) {
		var raw json.RawMessage
		a.read(t, path, &raw)
		fmt.Fprintf(&text, "%s\n%s\n", path, raw)
	}
	add("/v1/account")
	for _, kind := range []string{
		"agents", "api-tokens", "channels", "contacts", "conversations", "deliveries", "functions", "queues", "skills", "tags", "tokens", "topic-sets",
	} {
		add("/v1/" + kind + "?limit=200")
		for _, id := range a.ids[kind] {
			if kind != "tokens" {
				add("/v1/" + kind + "/" + id)
			}
			if kind == "conversations" {
				add("/v1/" + kind + "/" + id + "/messages?limit=200")
			}
		}
	}
	for _, id := range a.ids["messages"] {
		add("/v1/messages/" + id)
	}
	text.WriteString(a.desk.shown(t, a))
	got := a.api(t, http.MethodGet, "/v1/events", nil)
	if got.status != http.StatusOK {
		t.Fatalf("events: %d %s", got.status, got.raw)
	}
	// Events of one millisecond stand in no order of the log between partitions.
	lines := strings.Split(strings.TrimSpace(string(got.raw)), "\n")
	slices.Sort(lines)
	text.WriteString(strings.Join(lines, "\n"))
	return text.String()
}

// readable walks through what has come together in an account: all of it can be
// read, and is text that every store can keep.
func (a *tenant) readable(t *testing.T, v *verdicts) {
	t.Helper()
	for _, kind := range []string{
		"agents", "api-tokens", "channels", "contacts", "conversations", "deliveries", "functions", "queues", "skills", "tags", "tokens", "topic-sets",
	} {
		for cursor, parts := "", 0; parts < 20; parts++ {
			path := "/v1/" + kind + "?limit=200&cursor=" + url.QueryEscape(cursor)
			got := a.api(t, http.MethodGet, path, nil)
			var list struct {
				Data []object `json:"data"`
				Next *string  `json:"next_cursor"`
			}
			if err := json.Unmarshal(got.raw, &list); err != nil || got.status != http.StatusOK || !utf8.Valid(got.raw) ||
				bytes.Contains(bytes.ReplaceAll(got.raw, []byte(`\\`), nil), []byte(`\u0000`)) {
				v.mu.Lock()
				v.fault("stored nonsense", fmt.Sprintf("%s: %d %v %.300s", path, got.status, err, got.raw))
				v.mu.Unlock()
			}
			if list.Next == nil {
				break
			}
			cursor = *list.Next
		}
	}
	gone := a.gone(t, &v.world.removed)
	for _, r := range a.lists() {
		path := r.path
		got := a.desk.call(t, http.MethodGet, path, nil)
		if gone[r.conversation] {
			if got.status != http.StatusNotFound {
				v.mu.Lock()
				v.fault("what was removed is there", fmt.Sprintf("%s: %d %.300s", path, got.status, got.raw))
				v.mu.Unlock()
			}
			continue
		}
		if got.status != http.StatusOK || !json.Valid(got.raw) || !utf8.Valid(got.raw) ||
			bytes.Contains(bytes.ReplaceAll(got.raw, []byte(`\\`), nil), []byte(`\u0000`)) {
			v.mu.Lock()
			v.fault("stored nonsense", fmt.Sprintf("%s: %d %.300s", path, got.status, got.raw))
			v.mu.Unlock()
		}
	}
}

// caughtUp waits until the projections have all that was accepted, and insists
// that none of it was set aside.
func (w *mutationWorld) caughtUp(t *testing.T) {
	t.Helper()
	var list json.RawMessage
	for _, kind := range []string{"conversations", "deliveries"} {
		eventually(t, time.Minute, "projection of "+kind, func() bool {
			got := w.sender.api(t, http.MethodGet, "/v1/"+kind+"?limit=1", nil)
			return got.status == http.StatusOK && got.header.Get("Parley-Stale") == "" && json.Unmarshal(got.raw, &list) == nil
		})
	}
	metrics := w.do(t, http.MethodGet, "/metrics", nil, "")
	for row := range strings.SplitSeq(string(metrics.raw), "\n") {
		if !strings.HasPrefix(row, "#") && (strings.Contains(row, "quarantine") || strings.Contains(row, "panics")) && !strings.HasSuffix(row, " 0") {
			t.Errorf("after the run: %s", row)
		}
	}
}

// mutationStub is an integration of an account, and its function.
type mutationStub struct {
	*httptest.Server

	count atomic.Int64
	asked atomic.Value // the conversation_uuid that its function was told last
}

func newMutationStub(t *testing.T, mark string) *mutationStub {
	t.Helper()
	s := &mutationStub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.count.Add(1)
		var call struct {
			Conversation struct {
				UUID string `json:"uuid"`
			} `json:"conversation"`
		}
		if raw, err := io.ReadAll(r.Body); err == nil && json.Unmarshal(raw, &call) == nil && call.Conversation.UUID != "" {
			s.asked.Store(call.Conversation.UUID)
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/respond"):
			fmt.Fprintf(w, `{"mId":"%s-%s"}`, mark, r.Header.Get("Idempotency-Key"))
		case strings.HasPrefix(r.URL.Path, "/function"):
			fmt.Fprintf(w, `{"text":"from eight to six %s","payload":[]}`, mark)
		case strings.HasPrefix(r.URL.Path, "/broken"):
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"message":"no such client %s"}`, mark)
		default:
			fmt.Fprint(w, "OK")
		}
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// logWatch is a log whose lines are looked through and thrown away.
type logWatch struct {
	lines, errors atomic.Int64

	mu     sync.Mutex
	hidden []string
	bad    []string
}

// secrets sets what no line may hold.
func (l *logWatch) secrets(hidden []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hidden = append(l.hidden, hidden...)
}

// Write takes one line.
func (l *logWatch) Write(p []byte) (int, error) {
	l.lines.Add(1)
	text := string(p)
	if os.Getenv("PARLEY_TEST_LOG") != "" {
		fmt.Fprint(os.Stderr, text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.Contains(text, "level=ERROR") || strings.Contains(text, "panic") {
		l.errors.Add(1)
		l.bad = append(l.bad, text)
	}
	for _, secret := range l.hidden {
		if strings.Contains(text, secret) {
			l.bad = append(l.bad, "a secret: "+text)
		}
	}
	return len(p), nil
}

func (l *logWatch) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.bad) > 0 {
		t.Errorf("%d lines of the log are errors or show secrets, such as\n%s", len(l.bad), strings.Join(l.bad[:min(10, len(l.bad))], ""))
	}
}
