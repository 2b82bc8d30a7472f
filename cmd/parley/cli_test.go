package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// cli runs a command line in this process and gives its exit code and output.
func cli(t testing.TB, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// must runs a command against a Parley; it has to succeed.
func (p *parley) must(args ...string) string {
	p.t.Helper()
	code, out, errOut := cli(p.t, append(args, "--url", p.URL, "--token", p.Token)...)
	if code != 0 {
		p.t.Fatalf("parley %s: exit code %d\n%s", strings.Join(args, " "), code, errOut)
	}
	return out
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 0, "Usage: parley <command>"},
		{[]string{"--help"}, 0, "PARLEY_KAFKA_BROKERS"},
		{[]string{"help"}, 0, "Usage: parley <command>"},
		{[]string{"help", "dev"}, 0, "--callback-allow"},
		{[]string{"dev", "--help"}, 0, "$PARLEY_DATA"},
		{[]string{"version"}, 0, "parley devel"},
		{[]string{"fly"}, 2, "unexpected argument fly"},
		{[]string{"channels", "show"}, 2, "<id>"},
		{[]string{"queues", "--help"}, 0, "queues create"},
		{[]string{"queues", "show", "sales"}, 2, "<id>"},
		{[]string{"queues", "create", "--max-wait", "1.5s"}, 2, "whole seconds such as 90s"},
		{[]string{"agents", "create", "--queues", "sales"}, 2, "numbers such as 1,2"},
		{[]string{"agents", "create", "--skills", "3"}, 2, "such as 3=5,7=2"},
		{[]string{"topic-sets", "create", "--topic", "a=b"}, 2, "such as 3=Returns"},
		{[]string{"channels", "create", "--help"}, 0, "Only for voximplant:"},
		{[]string{"channels", "create", "--queue", "1", "--function", "2"}, 2, "can't be used together"},
		{[]string{"conversations", "assign", "c-1"}, 1, "--agent, --queue, --function, --bot or --unassigned"},
		{[]string{"conversations", "assign", "c-1", "--bot", "--unassigned"}, 2, "can't be used together"},
		{[]string{"serve"}, 1, "PARLEY_KAFKA_BROKERS is needed"},
		{[]string{"serve", "--kafka-brokers", "127.0.0.1:1"}, 1, "PARLEY_DATABASE_URL is needed"},
		{[]string{"serve", "--kafka-brokers", "127.0.0.1:1", "--database-url", "postgres://x"}, 1, "PARLEY_SECRET_KEY is needed"},
		{[]string{"serve", "--kafka-brokers", "127.0.0.1:1", "--database-url", "postgres://x", "--secret-key", "short"}, 1, "openssl rand -base64 32"},
		{[]string{"channels", "list", "--data", t.TempDir(), "--url", "http://127.0.0.1:9"}, 1, "no token"},
		{[]string{"channels", "list", "--token", "x", "--url", "http://127.0.0.1:9"}, 1, "reach Parley at http://127.0.0.1:9"},
		{[]string{"replay", "--kafka-brokers", "127.0.0.1:9", "--from", "yesterday"}, 1, "--from must be a date"},
		{[]string{"projections", "skip", "conversations", "3", "--database-url", "postgres://x"}, 1, `"3" is not a position`},
	} {
		code, out, errOut := cli(t, c.args...)
		if code != c.code || !strings.Contains(out+errOut, c.says) {
			t.Errorf("parley %s: exit code %d, want %d with %q:\n%s%s", strings.Join(c.args, " "), code, c.code, c.says, out, errOut)
		}
	}
}

// TestSettingsAreChecked: a wrong setting ends the start with the variable's name.
func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, value, says string }{
		{"--public-url", "parley.example.com", "PARLEY_PUBLIC_URL"},
		{"--roles", "api,cook", "PARLEY_ROLES"},
		{"--callback-allow", "10.0.0.1", "PARLEY_CALLBACK_ALLOW"},
		{"--callback-timeout", "0s", "PARLEY_CALLBACK_TIMEOUT"},
		{"--inbound-rate", "-1", "PARLEY_INBOUND_RATE"},
		{"--secret-key", "AAAA", "PARLEY_SECRET_KEY"},
		{"--partitions", "-1", "PARLEY_PARTITIONS"},
		{"--max-waiting", "0", "PARLEY_MAX_WAITING"},
		{"--redrive-rate", "0", "PARLEY_REDRIVE_RATE"},
		{"--files-s3-endpoint", "http://s3.example.com", "PARLEY_FILES_S3_ENDPOINT"},
		{"--files-s3-endpoint", "s3.example.com", "PARLEY_FILES_S3_BUCKET"},
		{"--max-attachment-mb", "-1", "PARLEY_MAX_ATTACHMENT_MB"},
		{"--max-attachment-mb", "4096", "PARLEY_MAX_ATTACHMENT_MB"},
		{"--addr", "127.0.0.1:99999", "PARLEY_ADDR"},
	} {
		args := []string{"dev", "--data", t.TempDir(), c.flag + "=" + c.value}
		if c.flag != "--addr" {
			args = append(args, "--addr", "127.0.0.1:0")
		}
		code, _, errOut := cli(t, args...)
		if code != 1 || !strings.Contains(errOut, c.says) {
			t.Errorf("%s %s: exit code %d, %s", c.flag, c.value, code, errOut)
		}
	}
}

// TestBucketVariables: the variables of a bucket have the names that the
// documentation gives them, which a digit in them would spoil.
func TestBucketVariables(t *testing.T) {
	t.Parallel()
	_, out, errOut := cli(t, "serve", "--help")
	for _, name := range []string{"ENDPOINT", "BUCKET", "REGION", "ACCESS_KEY", "SECRET_KEY", "USE_TLS"} {
		if !strings.Contains(out+errOut, "$PARLEY_FILES_S3_"+name) {
			t.Errorf("help does not name PARLEY_FILES_S3_%s", name)
		}
	}
}

func TestChannelsCommand(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	var calls atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		fmt.Fprint(w, `{"mId":"probe"}`)
	}))
	t.Cleanup(hook.Close)

	var made channelAnswer
	if err := json.Unmarshal([]byte(p.must("channels", "create", "--name", "Desk", "--callback-url", hook.URL, "--schedule", "1s,2s", "--rate", "7")), &made); err != nil {
		t.Fatal(err)
	}
	shown := p.must("channels", "show", made.ID)
	for _, want := range []string{made.APIToken, `"rate_per_second": 7`, `"1s"`, "/custom/channel/webhook/"} {
		if !strings.Contains(shown, want) {
			t.Errorf("show lacks %s:\n%s", want, shown)
		}
	}
	if list := p.must("channels", "list"); !strings.Contains(list, made.ID) || strings.Contains(list, made.APIToken) {
		t.Errorf("list:\n%s", list)
	}
	if changed := p.must("channels", "change", made.ID, "--name", "Front desk", "--single-try"); !strings.Contains(changed, "Front desk") || !strings.Contains(changed, `"schedule": []`) {
		t.Errorf("change:\n%s", changed)
	}
	var rotated channelAnswer
	if err := json.Unmarshal([]byte(p.must("channels", "rotate", made.ID)), &rotated); err != nil || rotated.APIToken == made.APIToken {
		t.Errorf("rotate: %v, the token is %q still", err, rotated.APIToken)
	}
	for token, want := range map[string]int{made.APIToken: http.StatusUnauthorized, rotated.APIToken: http.StatusOK} {
		if status, _, raw := p.do(http.MethodPost, "/custom/channel/webhook/", token, inboundBody(made.ID, "+15550100", "m1")); status != want {
			t.Errorf("a post after rotate: %d, want %d: %s", status, want, raw)
		}
	}
	if p.must("channels", "test", made.ID); calls.Load() != 1 {
		t.Errorf("test made %d calls", calls.Load())
	}
	p.must("channels", "delete", made.ID)
	if code, _, errOut := cli(t, "channels", "show", made.ID, "--url", p.URL, "--token", p.Token); code != 1 || errOut == "" {
		t.Errorf("a deleted channel is shown: %d %s", code, errOut)
	}
}

func TestTokensCommand(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	var made struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(p.must("tokens", "create", "--name", "wallboard", "--role", "reader")), &made); err != nil {
		t.Fatal(err)
	}
	if list := p.must("tokens", "list"); !strings.Contains(list, "wallboard") || strings.Contains(list, made.Token) {
		t.Errorf("list:\n%s", list)
	}
	if status, _, _ := p.do(http.MethodGet, "/v1/conversations", made.Token, ""); status != http.StatusOK {
		t.Errorf("a reader may not read: %d", status)
	}
	if status, _, _ := p.do(http.MethodPost, "/v1/channels", made.Token, `{}`); status != http.StatusForbidden {
		t.Errorf("a reader may make channels: %d", status)
	}
	p.must("tokens", "revoke", made.ID)
	if status, _, _ := p.do(http.MethodGet, "/v1/conversations", made.Token, ""); status != http.StatusUnauthorized {
		t.Errorf("a revoked token reads: %d", status)
	}
}

// TestDeadLetterCommands: a dead letter is found, inspected and redriven, and its
// follower comes after it; another one is dropped.
func TestDeadLetterCommands(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	var broken atomic.Bool
	broken.Store(true)
	hooks := newReceiver(t)
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(w, "out of order", http.StatusServiceUnavailable)
			return
		}
		hooks.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(gate.Close)
	ch := p.channel(fmt.Sprintf(`{"dialect":"respondio","name":"Dead","id_type":"phone","callback_url":%q,"delivery":{"schedule":["50ms"]}}`, gate.URL))
	for _, contact := range []string{"+15550100", "+15550101"} {
		for _, text := range []string{"first", "second"} {
			p.do(http.MethodPost, "/v1/channels/"+ch.ID+"/messages", p.Token, fmt.Sprintf(`{"contact_ref":%q,"type":"text","text":%q}`, contact, text))
		}
	}
	type delivery struct {
		ID         string `json:"id"`
		ContactRef string `json:"contact_ref"`
	}
	dead := func(state string) (list []delivery) {
		var page struct {
			Data []delivery `json:"data"`
		}
		if err := json.Unmarshal([]byte(p.must("deliveries", "list", "--state", state, "--json")), &page); err != nil {
			t.Fatal(err)
		}
		return page.Data
	}
	eventually(t, 30*time.Second, "two dead letters", func() bool { return len(dead("dead")) == 2 })
	broken.Store(false)
	for _, d := range dead("dead") {
		contains(t, "deliveries show", p.must("deliveries", "show", d.ID), `"request": {`, `"method": "POST"`, `/message"`, `"body": "{\"channelId\":`,
			`"name": "Authorization",
        "value": "…"`, `"name": "User-Agent",
        "value": "Parley/`)
		if shown := p.must("deliveries", "show", d.ID); !strings.Contains(shown, "out of order") {
			t.Errorf("show:\n%s", shown)
		}
		if d.ContactRef == "+15550100" {
			p.must("deliveries", "redrive", d.ID)
		} else {
			p.must("deliveries", "drop", d.ID)
		}
	}
	want := map[string]string{"+15550100": "[first second]", "+15550101": "[second]"}
	for contact, texts := range want {
		eventually(t, 30*time.Second, "what was parked for "+contact, func() bool { return fmt.Sprint(hooks.got(contact)) == texts })
	}
	if table := p.must("deliveries", "list"); !strings.Contains(table, "dropped") || !strings.Contains(table, "delivered") {
		t.Errorf("list:\n%s", table)
	}
}

func TestReplayCommand(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	ch := p.channel(`{"dialect":"respondio","name":"Past","id_type":"phone","callback_url":"http://127.0.0.1:9"}`)
	other := p.channel(`{"dialect":"respondio","name":"Other","id_type":"phone","callback_url":"http://127.0.0.1:9"}`)
	for i := range 5 {
		for _, c := range []channelAnswer{ch, other} {
			if status, _, raw := p.do(http.MethodPost, "/custom/channel/webhook/", c.APIToken, inboundBody(c.ID, "+15550100", fmt.Sprintf("m%d", i))); status != http.StatusOK {
				t.Fatalf("%d %s", status, raw)
			}
		}
	}
	lines := func(out string) (list []string) {
		for line := range strings.Lines(out) {
			var e struct {
				Type    string `json:"type"`
				Subject string `json:"subject"`
				Data    struct {
					ExternalID string `json:"external_id"`
				} `json:"data"`
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			list = append(list, e.Type+" "+e.Subject+" "+e.Data.ExternalID)
		}
		return list
	}
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf("message.received.v1 %s/+15550100 m%d", ch.ID, i))
	}
	direct := func(args ...string) string {
		code, out, errOut := cli(t, append([]string{"replay", "--kafka-brokers", strings.Join(p.dev.node.cfg.KafkaBrokers, ","), "--topic-prefix", p.set.TopicPrefix}, args...)...)
		if code != 0 {
			t.Fatalf("replay: %d %s", code, errOut)
		}
		return out
	}
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.DateOnly)
	for _, c := range []struct {
		what string
		out  string
		want []string
	}{
		{"from the API", p.must("replay", "--channel", ch.ID), want},
		{"from the log", direct("--channel", ch.ID), want},
		{"one type", p.must("replay", "--channel", ch.ID, "--type", "message"), want},
		{"another type", direct("--channel", ch.ID, "--type", "receipt"), nil},
		{"one stream", direct("--stream", ch.ID+"/+15550100"), want},
		{"a time to come", p.must("replay", "--from", tomorrow), nil},
		{"until today", direct("--to", "2020-01-01"), nil},
		{"all of today", p.must("replay", "--channel", ch.ID, "--from", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "--to", tomorrow), want},
	} {
		if got := lines(c.out); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("replay %s: %v, want %v", c.what, got, c.want)
		}
	}
}

// TestTraceInTheLog: what a request is traced under stands in the envelope of its
// events.
func TestTraceInTheLog(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	ch := p.channel(`{"dialect":"respondio","name":"Traced","id_type":"phone","callback_url":"http://127.0.0.1:9"}`)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/custom/channel/webhook/", strings.NewReader(inboundBody(ch.ID, "+15550100", "m1")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+ch.APIToken)
	req.Header.Set("Traceparent", trace)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if out := p.must("replay", "--channel", ch.ID); !strings.Contains(out, `"traceparent":"`+trace+`"`) {
		t.Errorf("%d, and the log has %s", resp.StatusCode, out)
	}
}

func TestProjectionsCommand(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	ch := p.channel(`{"dialect":"respondio","name":"Rows","id_type":"phone","callback_url":"http://127.0.0.1:9"}`)
	p.do(http.MethodPost, "/custom/channel/webhook/", ch.APIToken, inboundBody(ch.ID, "+15550100", "m1"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, name := range []string{"conversations", "deliveries"} {
		if err := p.dev.node.Fresh(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errOut := cli(t, "projections", "list", "--database-url", p.set.DatabaseURL,
		"--kafka-brokers", strings.Join(p.dev.node.cfg.KafkaBrokers, ","), "--topic-prefix", p.set.TopicPrefix)
	if code != 0 || strings.Count(out, "\n") != 9 || !strings.Contains(out, "deliveries") {
		t.Errorf("list: %d %s\n%s", code, errOut, out)
	}
	if code, out, errOut := cli(t, "projections", "quarantine", "--database-url", p.set.DatabaseURL); code != 0 || strings.Count(out, "\n") != 1 {
		t.Errorf("quarantine: %d %s\n%s", code, errOut, out)
	}
	if code, _, errOut := cli(t, "projections", "retry", "conversations", "0:12", "--database-url", p.set.DatabaseURL); code != 1 || !strings.Contains(errOut, "no quarantined record at 0:12") {
		t.Errorf("retry of nothing: %d %s", code, errOut)
	}
}
