package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-im/parley/domain"
)

// Ensure the settings of a channel are checked, with the field and the limit named.
func TestChannelSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := func(replace ...string) string {
		return strings.NewReplacer(replace...).Replace(
			`{"dialect":"ismessenger","name":"Shop","callback_url":"https://cb.example.com/x","id_type":"custom"}`)
	}
	for _, c := range []struct{ body, field, says string }{
		{body("ismessenger", "voximplant"), "id_type", "only for respondio"},
		{body("ismessenger", "channelx"), "id_type", "only for respondio"},
		{body("ismessenger", "smoke"), "dialect", "one of"},
		{body("Shop", ""), "name", "1"},
		{body("Shop", long(256)), "name", "255"},
		{body("https:", "ftp:"), "callback_url", "http"},
		{body("https://cb.example.com/x", "https://cb.example.com/"+long(2000)), "callback_url", "2000"},
		{body(`"callback_url":"https://cb.example.com/x",`, ""), "callback_url", "required"},
		{body(`,"id_type":"custom"`, ""), "id_type", "phone or custom"},
		{body("custom", "other"), "id_type", "one of"},
		{body(`}`, `,"rate_per_second":-1}`), "rate_per_second", "0"},
		{body(`}`, `,"rate_per_second":100001}`), "rate_per_second", "100000"},
		{body(`}`, `,"delivery":{"schedule":["soon"]}}`), "delivery.schedule[0]", "duration"},
		{body(`}`, `,"delivery":{"schedule":["0s"]}}`), "delivery.schedule[0]", "above"},
		{body(`}`, `,"delivery":{"schedule":["1s","25h"]}}`), "delivery.schedule[1]", "24h"},
		{body(`}`, `,"delivery":{"max_age":"721h"}}`), "delivery.max_age", "720h"},
		{body(`}`, `,"delivery":{"on_exhausted":"explode"}}`), "delivery.on_exhausted", "park"},
		{body(`}`, `,"delivery":{"retries":3}}`), "delivery.retries", "unexpected"},
		{body(`}`, `,"colour":"red"}`), "colour", "unexpected"},
	} {
		a := w.call(adminToken, "POST", "/v1/channels", c.body).want(400)
		p := a.problem()
		if len(p.Errors) == 0 || p.Errors[0].Field != c.field || !strings.Contains(p.Errors[0].Message, c.says) || p.Errors[0].In != "body" {
			t.Errorf("%.90s: %s", c.body, a.body)
		}
	}
	for _, body := range []string{body("Shop", `a\u0000`), `{"na\u0000me":1}`, `{"delivery":{"schedule":["\u0000"]}}`} {
		if a := w.call(adminToken, "POST", "/v1/channels", body).want(400); !strings.Contains(string(a.body), "U+0000") {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	if len(w.channels) != 0 {
		t.Fatalf("%d channels were made", len(w.channels))
	}

	once := w.call(adminToken, "POST", "/v1/channels", body(`}`, `,"rate_per_second":0,"delivery":{"schedule":[]}}`)).want(201)
	if once.field("delivery", "schedule") != "[]" || once.field("delivery", "on_exhausted") != "continue" || once.field("rate_per_second") != "0" {
		t.Errorf("single attempt: %s", once.body)
	}
	id := once.field("id")
	changed := w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"name":"Other","delivery":{"schedule":["1s","90s"],"max_age":"2h","on_exhausted":"continue"}}`).want(200)
	if changed.field("delivery", "schedule") != "[1s 1m30s]" || changed.field("name") != "Other" || changed.field("callback_url") != "https://cb.example.com/x" {
		t.Errorf("changed: %s", changed.body)
	}
	if back := w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"delivery":{}}`).want(200); back.field("delivery", "schedule") != "<none>" {
		t.Errorf("default again: %s", back.body)
	}
	w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"callback_url":"x"}`).want(400)
	w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"id_type":"phone"}`).want(200)
	w.receive(id, "+15550100", "e", "hello")
	w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"id_type":"custom"}`).want(409)
	w.call(adminToken, "PATCH", "/v1/channels/"+id, `{"id_type":"phone"}`).want(200)
	w.call(adminToken, "DELETE", "/v1/channels/"+id, "").want(204)
	w.call(adminToken, "GET", "/v1/channels/"+id, "").want(404)
	conversation := domain.ConversationID(id, "+15550100").String()
	w.call(readerToken, "GET", "/v1/conversations/"+conversation, "").want(200)
	w.call(agentToken, "POST", "/v1/conversations/"+conversation+"/messages", `{"type":"text","text":"a"}`).want(409)
}

// Ensure a test call is told as it went.
func TestChannelTest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.makeChannel(adminToken, "phone")
	if a := w.call(adminToken, "POST", "/v1/channels/"+id+"/test", "").want(200); a.field("delivered") != "true" || a.field("external_id") != "m1" {
		t.Errorf("delivered: %s", a.body)
	}
	w.probe = func(domain.Channel) (domain.Outcome, error) {
		return domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonTimeout, Detail: "no answer"}, nil
	}
	if a := w.call(adminToken, "POST", "/v1/channels/"+id+"/test", "").want(200); a.field("delivered") != "false" || a.field("reason") != "timeout" {
		t.Errorf("timeout: %s", a.body)
	}
}

// Ensure lists come in parts that join without a gap.
func TestCursors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var channels []string
	for range 5 {
		channels = append(channels, w.makeChannel(adminToken, "custom"))
	}
	for i := range 7 {
		w.receive(channels[0], fmt.Sprintf("u%d", i), "e", "hello")
	}
	for path, want := range map[string]int{"/v1/channels": 5, "/v1/contacts": 7, "/v1/conversations": 7, "/v1/tokens": 3} {
		seen, cursor, parts := map[string]bool{}, "", 0
		for {
			a := w.call(adminToken, "GET", path+"?limit=2&cursor="+cursor, "").want(200)
			for i := range 2 {
				if id := a.field("data", i, "id"); id != "<none>" {
					if seen[id] {
						t.Errorf("%s: %s came twice", path, id)
					}
					seen[id] = true
				}
			}
			parts++
			if cursor = a.field("next_cursor"); cursor == "<none>" {
				break
			}
		}
		if len(seen) != want || parts != (want+1)/2 {
			t.Errorf("%s: %d entries in %d parts, want %d", path, len(seen), parts, want)
		}
		w.call(adminToken, "GET", path+"?cursor=%21", "").want(400)
		for _, limit := range []string{"0", "201", "-1", "x", "1.5"} {
			p := w.call(adminToken, "GET", path+"?limit="+limit, "").want(400).problem()
			if p.Errors[0].In != "query" || p.Errors[0].Field != "limit" {
				t.Errorf("limit %s: %+v", limit, p)
			}
		}
		w.call(adminToken, "GET", path+"?limit=200", "").want(200)
		p := w.call(adminToken, "GET", path+"?colour=red", "").want(400).problem()
		if p.Errors[0].Field != "colour" {
			t.Errorf("unknown parameter: %+v", p)
		}
		w.call(adminToken, "GET", path+"?limit=1&limit=2", "").want(400)
		w.call(adminToken, "GET", path+"?cursor=%00", "").want(400)
		w.call(adminToken, "GET", path+"?cursor=%ff", "").want(400)
		w.call(adminToken, "GET", path+"?cursor=%zz", "").want(400)
	}
	// An entry that went away between two parts does no harm.
	a := w.call(adminToken, "GET", "/v1/channels?limit=2", "").want(200)
	w.call(adminToken, "DELETE", "/v1/channels/"+channels[1], "").want(204)
	if b := w.call(adminToken, "GET", "/v1/channels?limit=2&cursor="+a.field("next_cursor"), "").want(200); b.field("data", 0, "id") != channels[2] {
		t.Errorf("after a deletion: %s", b.body)
	}
	w.call(adminToken, "GET", "/v1/conversations?status=ajar", "").want(400)
	w.call(adminToken, "GET", "/v1/deliveries?state=lost", "").want(400)
}

// Ensure a repeated write gets its first answer again and does nothing new.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"dialect":"respondio","name":"Shop","callback_url":"https://cb.example.com/x","id_type":"custom"}`
	first := w.call(adminToken, "POST", "/v1/channels", body, keyHeader, "k1").want(201)
	again := w.call(adminToken, "POST", "/v1/channels", body, keyHeader, "k1").want(201)
	if string(first.body) != string(again.body) || again.header.Get("Location") != first.header.Get("Location") ||
		again.header.Get(replayedHeader) != "true" || first.header.Get(replayedHeader) != "" || len(w.channels) != 1 ||
		again.header.Get("Content-Type") != first.header.Get("Content-Type") {
		t.Errorf("first %v %s, again %v %s", first.header, first.body, again.header, again.body)
	}
	for _, c := range w.claims {
		if strings.Contains(string(c.answer), first.field("api_token")) {
			t.Error("the stored answer shows its secret")
		}
	}
	w.call(adminToken, "POST", "/v1/channels", strings.Replace(body, "Shop", "Other", 1), keyHeader, "k1").want(422)
	w.call(adminToken, "POST", "/v1/tokens", `{"name":"a","role":"agent"}`, keyHeader, "k1").want(422)
	w.call(otherToken, "POST", "/v1/channels", body, keyHeader, "k1").want(201)
	w.call("wrong", "POST", "/v1/channels", body, keyHeader, "k1").want(401)

	channel := first.field("id")
	conversation := w.receive(channel, "u1", "e", "hello")
	path := "/v1/conversations/" + conversation + "/messages"
	m1 := w.call(agentToken, "POST", path, `{"type":"text","text":"a"}`, keyHeader, "m").want(202)
	m2 := w.call(agentToken, "POST", path, `{"type":"text","text":"a"}`, keyHeader, "m").want(202)
	if m1.field("id") != m2.field("id") || m1.header.Get(positionHeader) != m2.header.Get(positionHeader) || len(w.events) != 2 {
		t.Errorf("messages %s and %s", m1.body, m2.body)
	}
	// The answer was not stored, as after a crash: the repeat is the same message.
	clear(w.claims)
	if m3 := w.call(agentToken, "POST", path, `{"type":"text","text":"a"}`, keyHeader, "m").want(202); m3.field("id") != m1.field("id") {
		t.Errorf("after a crash: %s", m3.body)
	}
	if c := w.call(adminToken, "POST", "/v1/channels", body, keyHeader, "k1").want(201); c.field("id") != channel {
		t.Errorf("after a crash: %s", c.body)
	}
	if other := w.call(agentToken, "POST", path, `{"type":"text","text":"a"}`).want(202); other.field("id") == m1.field("id") {
		t.Error("a message without a key has the id of another")
	}

	// An answer opens only for the account and the key that it was sealed for.
	stored := w.claims[domain.DefaultAccount+"\x00k1"]
	w.claims["other\x00k1"], w.claims[domain.DefaultAccount+"\x00k2"] = stored, stored
	w.call(otherToken, "POST", "/v1/channels", body, keyHeader, "k1").want(500)
	w.call(adminToken, "POST", "/v1/channels", body, keyHeader, "k2").want(500)

	// What did nothing is not kept.
	w.call(agentToken, "POST", path, `{"type":"text"}`, keyHeader, "bad").want(400)
	w.call(agentToken, "POST", path, `{"type":"text","text":"a"}`, keyHeader, "bad").want(202)
	w.appendErr = &domain.Error{Code: domain.CodeUnavailable, Message: "the log is away"}
	w.call(agentToken, "POST", path, `{"type":"text","text":"b"}`, keyHeader, "away").want(503)
	w.appendErr = nil
	w.call(agentToken, "POST", path, `{"type":"text","text":"b"}`, keyHeader, "away").want(202)
	w.readErr = errors.New("the database is away")
	w.call(agentToken, "POST", path, `{"type":"text","text":"c"}`, keyHeader, "c").want(503)
	w.readErr = nil

	for _, key := range []string{long(256), "a b", "ä"} {
		if p := w.call(agentToken, "POST", path, `{"type":"text","text":"a"}`, keyHeader, key).want(400).problem(); p.Errors[0].In != "header" {
			t.Errorf("key %.10q: %+v", key, p)
		}
	}
	w.call(agentToken, "POST", path, `{"type":"text","text":"a"}`, keyHeader, long(255)).want(202)
}

// Ensure only one of many equal requests at the same time is served.
func TestIdempotencyKeyConcurrently(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.makeChannel(adminToken, "phone")
	entered, leave := make(chan struct{}), make(chan struct{})
	w.probe = func(domain.Channel) (domain.Outcome, error) {
		close(entered)
		<-leave
		return domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK}, nil
	}
	var all sync.WaitGroup
	all.Go(func() { w.call(adminToken, "POST", "/v1/channels/"+id+"/test", "", keyHeader, "k").want(200) })
	<-entered
	busy := w.call(adminToken, "POST", "/v1/channels/"+id+"/test", "", keyHeader, "k").want(409)
	if busy.header.Get("Retry-After") == "" {
		t.Error("no Retry-After while the first request is being served")
	}
	close(leave)
	all.Wait()
	w.call(adminToken, "POST", "/v1/channels/"+id+"/test", "", keyHeader, "k").want(200)
}

// Ensure reads wait for what they must see, and tell when they saw less.
func TestFreshness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testFreshness)
}

func testFreshness(t *testing.T) {
	w := newWorld(t)
	channel := w.makeChannel(adminToken, "custom")
	conversation := w.receive(channel, "u1", "e", "hello")
	paths := []string{
		"/v1/contacts", "/v1/conversations", "/v1/conversations/" + conversation, "/v1/conversations/" + conversation + "/messages",
		"/v1/contacts/" + domain.ContactID(channel, "u1").String(), "/v1/deliveries",
	}
	for _, path := range paths {
		if a := w.call(readerToken, "GET", path, "").want(200); a.header.Get("Parley-Stale") != "" {
			t.Errorf("%s is marked stale", path)
		}
		w.call(readerToken, "GET", path, "", positionHeader, "0:17").want(200)
		for _, bad := range []string{"x", "1", "1:-1", "1:2:3", "1:99999999999999999999"} {
			if p := w.call(readerToken, "GET", path, "", positionHeader, bad).want(400).problem(); p.Errors[0].In != "header" {
				t.Errorf("position %s: %+v", bad, p)
			}
		}
	}
	w.freshErr = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, path := range paths {
		started := time.Now()
		if a := w.call(readerToken, "GET", path, "").want(200); a.header.Get("Parley-Stale") != "true" {
			t.Errorf("%s is not marked stale", path)
		}
		if took := time.Since(started); took != freshWait {
			t.Errorf("%s took %s", path, took)
		}
	}
	// A position is waited for longer, and not passed over.
	w.reached.Offset = 3
	started := time.Now()
	if a := w.call(readerToken, "GET", paths[0], "", positionHeader, "0:4").want(503); a.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	if took := time.Since(started); took != reachedWait {
		t.Errorf("waited %s for a position", took)
	}
	// One that the log does not have is refused, once the log has said so twice.
	asked := 0
	refused := func(position, want string) {
		t.Helper()
		asked, started = 0, time.Now()
		p := w.call(readerToken, "GET", paths[0], "", positionHeader, position).want(400).problem()
		if e := p.Errors[0]; e.In != "header" || e.Field != positionHeader || !strings.Contains(e.Message, want) {
			t.Errorf("position %s: %+v", position, p)
		}
		if took := time.Since(started); took != 2*freshWait || asked != 2 {
			t.Errorf("position %s: refused after %s and %d questions", position, took, asked)
		}
	}
	w.ends = func(_ context.Context, partition int) (int64, bool, error) { asked++; return 7, partition < 2, nil }
	refused("0:7", "partition 0 ends before offset 7")
	refused("1:9223372036854775807", "partition 1 ends before offset 7")
	refused("2:7", "names partition 2")
	for _, c := range []struct {
		name  string
		ends  func(asked int) (int64, bool, error)
		asked int
	}{
		{"in the log", func(int) (int64, bool, error) { return 8, true, nil }, 1},
		{"in the log at the second look", func(asked int) (int64, bool, error) { return int64(6 + asked), true, nil }, 2},
		{"the log is away", func(int) (int64, bool, error) { return 0, false, errors.New("away") }, 1},
	} {
		asked, started = 0, time.Now()
		w.ends = func(context.Context, int) (int64, bool, error) { asked++; return c.ends(asked) }
		w.call(readerToken, "GET", paths[0], "", positionHeader, "0:7").want(503)
		if took := time.Since(started); took != reachedWait || asked != c.asked {
			t.Errorf("%s: 503 after %s and %d questions", c.name, took, asked)
		}
	}
	// A log that does not answer takes nothing from the position's own time.
	w.ends = func(ctx context.Context, _ int) (int64, bool, error) { <-ctx.Done(); return 0, false, ctx.Err() }
	started = time.Now()
	w.call(readerToken, "GET", paths[0], "", positionHeader, "0:7").want(503)
	if took := time.Since(started); took != reachedWait {
		t.Errorf("503 after %s", took)
	}
}

// Ensure a write does not act on rows that lack the newest events: what is not
// there yet is waited for, and so is the state of what is closed. A reply to what
// is there waits for nothing.
func TestWritesWaitForTheirConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.makeChannel(adminToken, "custom")
	waits := 0
	w.freshErr = func(context.Context) error {
		if waits++; waits == 1 {
			w.receive(channel, "u1", "e", "hello")
		}
		return nil
	}
	path := "/v1/conversations/" + domain.ConversationID(channel, "u1").String()
	const text = `{"type":"text","text":"a"}`
	w.call(agentToken, "POST", path+"/messages", text).want(202)
	if waits != 1 {
		t.Errorf("a reply to a new conversation waited %d times", waits)
	}
	w.call(agentToken, "POST", path+"/messages", text).want(202)
	if waits != 1 {
		t.Errorf("a reply to a known conversation waited %d times", waits-1)
	}
	w.call(agentToken, "POST", path+"/close", "").want(202)
	if waits != 2 {
		t.Errorf("a close waited %d times", waits-1)
	}
}

// Ensure trouble of the parts behind the API is told as what it is.
func TestTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.makeChannel(adminToken, "phone")
	send := func() answer {
		return w.call(agentToken, "POST", "/v1/channels/"+channel+"/messages", `{"contact_ref":"+15550100","type":"text","text":"a"}`)
	}
	w.appendErr = &domain.Error{Code: domain.CodeUnavailable, Message: "the log is away", RetryAfter: 2500 * time.Millisecond}
	if a := send().want(503); a.header.Get("Retry-After") != "3" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	w.appendErr = &domain.Error{Code: domain.CodeRateLimited, Message: "slow down"}
	if a := send().want(429); a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	w.appendErr = nil
	w.readErr = fmt.Errorf("list: %w", &net.OpError{Op: "dial", Err: errors.New("refused")})
	w.call(readerToken, "GET", "/v1/contacts", "").want(503)
	send().want(202) // what needs no database goes on
	w.readErr = stateError("57P01")
	w.call(readerToken, "GET", "/v1/contacts", "").want(503)
	w.readErr = stateError("42601")
	w.call(readerToken, "GET", "/v1/contacts", "").want(500)
	w.readErr = errors.New("password hunter2 did not work")
	if a := w.call(readerToken, "GET", "/v1/contacts", "").want(500); strings.Contains(string(a.body), "hunter2") {
		t.Errorf("an internal error is told: %s", a.body)
	}
	if !strings.Contains(w.logs.String(), "hunter2") {
		t.Error("an internal error is not logged")
	}
}

// stateError is an error of a database.
type stateError string

func (e stateError) Error() string    { return "database: " + string(e) }
func (e stateError) SQLState() string { return string(e) }
