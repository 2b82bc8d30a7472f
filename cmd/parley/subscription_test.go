package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// hook is one call to a subscription's endpoint.
type hook struct {
	ID         string
	Time       int64
	Signatures []string
	Raw        []byte
	Body       struct {
		Type      string         `json:"type"`
		Timestamp string         `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}
}

// signedBy counts the signatures that a secret has made.
func (h hook) signedBy(t testing.TB, secret string) (n int) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || !strings.HasPrefix(secret, "whsec_") || len(key) < 24 {
		t.Fatalf("secret %q: %v", secret, err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", h.ID, h.Time, h.Raw)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, s := range h.Signatures {
		if s == want {
			n++
		}
	}
	return n
}

// text is the text of the message that is told of.
func (h hook) text() string {
	data, _ := h.Body.Data["data"].(map[string]any)
	content, _ := data["content"].(map[string]any)
	text, _ := content["text"].(string)
	return text
}

func (h hook) stream() string {
	subject, _ := h.Body.Data["subject"].(string)
	return subject
}

// hooks is a receiver of a subscription that notes every call.
type hooks struct {
	*httptest.Server

	mu     sync.Mutex
	calls  []hook
	answer func(n int, h hook) int // status of the nth call, from 0
}

func newHooks(t testing.TB) *hooks {
	t.Helper()
	r := &hooks{answer: func(int, hook) int { return http.StatusNoContent }}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(req.Body)
		at, timeErr := strconv.ParseInt(req.Header.Get("Webhook-Timestamp"), 10, 64)
		h := hook{ID: req.Header.Get("Webhook-Id"), Time: at, Raw: raw, Signatures: strings.Fields(req.Header.Get("Webhook-Signature"))}
		jsonErr := json.Unmarshal(raw, &h.Body)
		if err != nil || timeErr != nil || jsonErr != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
			t.Errorf("call %s %v: %v %v %v", req.Method, req.Header, err, timeErr, jsonErr)
		}
		if age := time.Since(time.Unix(at, 0)); age > 10*time.Second || age < -10*time.Second {
			t.Errorf("call %s is %s old", h.ID, age)
		}
		r.mu.Lock()
		n := len(r.calls)
		r.calls = append(r.calls, h)
		status := r.answer(n, h)
		r.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *hooks) got() []hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// gets waits for n calls.
func (r *hooks) gets(t testing.TB, n int) []hook {
	t.Helper()
	eventually(t, 30*time.Second, fmt.Sprintf("%d calls to a subscription", n), func() bool { return len(r.got()) >= n })
	return r.got()
}

type subscriptionAnswer struct {
	ID     string   `json:"id"`
	Secret string   `json:"secret"`
	Events []string `json:"events"`
}

func (p *parley) subscribe(token, body string) subscriptionAnswer {
	p.t.Helper()
	status, _, raw := p.do(http.MethodPost, "/v1/subscriptions", token, body)
	var s subscriptionAnswer
	if status != http.StatusCreated || json.Unmarshal(raw, &s) != nil || s.ID == "" || s.Secret == "" {
		p.t.Fatalf("subscribe: %d %s", status, raw)
	}
	return s
}

func (p *parley) expect(want int, method, path, token, body string) []byte {
	p.t.Helper()
	status, _, raw := p.do(method, path, token, body)
	if status != want {
		p.t.Fatalf("%s %s: %d %s", method, path, status, raw)
	}
	return raw
}

func (p *parley) hear(ch channelAnswer, contact, text string) {
	p.t.Helper()
	p.expect(http.StatusOK, http.MethodPost, "/custom/channel/webhook/", ch.APIToken, inboundBody(ch.ID, contact, text))
}

func (p *parley) shopChannel(name, callback string) channelAnswer {
	p.t.Helper()
	return p.channel(fmt.Sprintf(`{"dialect":"respondio","name":%q,"id_type":"phone","callback_url":%q,"rate_per_second":0}`, name, callback))
}

// told lists the deliveries to subscriptions, by id, as the API shows them.
func (p *parley) told() map[string]map[string]any {
	p.t.Helper()
	all := map[string]map[string]any{}
	for cursor := ""; ; {
		var page struct {
			Data       []map[string]any `json:"data"`
			NextCursor string           `json:"next_cursor"`
		}
		if err := json.Unmarshal(p.expect(http.StatusOK, http.MethodGet, "/v1/deliveries?kind=subscription&limit=200&cursor="+cursor, p.Token, ""), &page); err != nil {
			p.t.Fatal(err)
		}
		for _, d := range page.Data {
			all[d["id"].(string)] = d
		}
		if cursor = page.NextCursor; cursor == "" {
			return all
		}
	}
}

// settled waits until every delivery to a subscription is.
func (p *parley) settled(n int) map[string]map[string]any {
	p.t.Helper()
	var all map[string]map[string]any
	eventually(p.t, 30*time.Second, fmt.Sprintf("%d deliveries settled", n), func() bool {
		all = p.told()
		for _, d := range all {
			if d["settled_at"] == nil {
				return false
			}
		}
		return len(all) >= n
	})
	if len(all) != n {
		p.t.Fatalf("%d deliveries to subscriptions, want %d", len(all), n)
	}
	return all
}

// inOrder checks that the calls of each stream bring what was written there, in
// order and once.
func inOrder(t testing.TB, calls []hook, want map[string][]string) {
	t.Helper()
	got := map[string][]string{}
	for _, h := range calls {
		got[h.stream()] = append(got[h.stream()], h.text())
	}
	if !maps.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("told\n%v, want\n%v", got, want)
	}
}

// TestSubscription_TellsWhatWasChosen: each subscription is told the events that
// it has chosen, signed, once, in the order of the log within a conversation, as
// the lines that GET /v1/events gives; telling is no event that is told; nobody is
// told of another account. After a restart, and after the database was dropped,
// the rows are the same and nothing is sent again.
func TestSubscription_TellsWhatWasChosen(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	callbacks := newReceiver(t)
	one, two := p.shopChannel("One", callbacks.URL), p.shopChannel("Two", callbacks.URL)
	messages, everything, deliveries := newHooks(t), newHooks(t), newHooks(t)
	p.hear(one, "+15550100", "before") // before anybody has subscribed
	var subs [3]subscriptionAnswer
	var making sync.WaitGroup
	for i, body := range []string{
		fmt.Sprintf(`{"url":%q,"name":"Desk","events":["message.received"],"channel_id":%q}`, messages.URL, one.ID),
		fmt.Sprintf(`{"url":%q}`, everything.URL),
		fmt.Sprintf(`{"url":%q,"events":["delivery.*"]}`, deliveries.URL),
	} {
		making.Go(func() { subs[i] = p.subscribe(p.Token, body) })
	}
	making.Wait()

	want, wantAll := map[string][]string{}, map[string][]string{}
	for i := range 12 {
		contact, text := fmt.Sprintf("+1555010%d", i%3), fmt.Sprintf("m-%02d", i)
		p.hear(one, contact, text)
		want[one.ID+"/"+contact] = append(want[one.ID+"/"+contact], text)
		wantAll[one.ID+"/"+contact] = append(wantAll[one.ID+"/"+contact], text)
	}
	p.hear(two, "+15550100", "other channel")
	p.hear(one, "+15550100", "m-00") // a repeat of what was told
	wantAll[two.ID+"/+15550100"] = []string{"other channel", "yes"}
	p.expect(http.StatusAccepted, http.MethodPost, "/v1/channels/"+two.ID+"/messages", p.Token, `{"contact_ref":"+15550100","type":"text","text":"yes"}`)

	const rows = 12 + 14 + 1
	before := p.settled(rows)
	inOrder(t, messages.gets(t, 12), want)
	inOrder(t, everything.gets(t, 14), wantAll)
	if calls := deliveries.gets(t, 1); len(calls) != 1 || calls[0].Body.Type != "delivery.attempted" {
		t.Errorf("told of deliveries: %v", calls)
	}
	for i, r := range []*hooks{messages, everything, deliveries} {
		for _, h := range r.got() {
			if h.signedBy(t, subs[i].Secret) != 1 || len(h.Signatures) != 1 || !strings.HasSuffix(h.ID, "_"+subs[i].ID) || strings.Contains(h.ID, ".") {
				t.Errorf("call %q has signatures %q", h.ID, h.Signatures)
			}
		}
	}
	asInTheLog(t, p, everything.got())

	other := p.otherAccount("umbra")
	if list := p.expect(http.StatusOK, http.MethodGet, "/v1/subscriptions", other, ""); !bytes.Contains(list, []byte(`"data":[]`)) {
		t.Errorf("another account sees %s", list)
	}
	for method, path := range map[string]string{http.MethodGet: "", http.MethodDelete: "", http.MethodPost: "/rotate"} {
		p.expect(http.StatusNotFound, method, "/v1/subscriptions/"+subs[0].ID+path, other, "")
	}
	p.expect(http.StatusBadRequest, http.MethodPost, "/v1/subscriptions", other, fmt.Sprintf(`{"url":%q,"channel_id":%q}`, messages.URL, one.ID))

	p.stop()
	p.start()
	same(t, before, p.settled(rows))
	p.stop()
	replaceDatabase(t, p.set.DatabaseURL)
	p.start()
	same(t, before, p.settled(rows))
	p.hear(one, "+15550101", "after")
	p.settled(rows + 2)
	if n := len(messages.got()) + len(everything.got()) + len(deliveries.got()); n != rows+2 {
		t.Errorf("%d calls for %d deliveries", n, rows+2)
	}
}

// same compares deliveries.
func same(t testing.TB, before, after map[string]map[string]any) {
	t.Helper()
	for id, d := range before {
		if fmt.Sprint(d) != fmt.Sprint(after[id]) {
			t.Errorf("delivery %s was\n%v, is\n%v", id, d, after[id])
		}
	}
}

// asInTheLog compares what was told with the lines of GET /v1/events.
func asInTheLog(t testing.TB, p *parley, calls []hook) {
	t.Helper()
	lines := map[string]map[string]any{}
	for text := range bytes.SplitSeq(bytes.TrimSpace(p.expect(http.StatusOK, http.MethodGet, "/v1/events", p.Token, "")), []byte("\n")) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatal(err)
		}
		delete(line, "traceparent") // of the request, and not of the event
		id := line["id"].(string)
		if lines[id] == nil { // a repeat lies further behind
			lines[id] = line
		}
	}
	for _, h := range calls {
		line := lines[h.Body.Data["id"].(string)]
		if fmt.Sprint(line) != fmt.Sprint(h.Body.Data) || h.Body.Timestamp != line["time"] || h.Body.Type+".v1" != line["type"] {
			t.Errorf("told %s, the log says\n%v", h.Raw, line)
		}
	}
}

// TestSubscription_Repeats: a call that failed is made again under its id, and
// what follows in the conversation waits; while a secret is replaced both sign;
// what happens while a subscription is disabled is not told, and what is left of
// a deleted one ends.
func TestSubscription_Repeats(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	ch := p.shopChannel("One", "http://127.0.0.1:9")
	r := newHooks(t)
	r.answer = func(n int, h hook) int {
		if n < 2 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	s := p.subscribe(p.Token, fmt.Sprintf(`{"url":%q,"events":["message.*"],"delivery":{"schedule":["50ms","50ms","50ms"]},"secret":"whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u"}`, r.URL))
	path := "/v1/subscriptions/" + s.ID
	if s.Secret != "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u" {
		t.Errorf("the secret is %q", s.Secret)
	}
	p.hear(ch, "+15550100", "a")
	p.hear(ch, "+15550100", "b")
	calls := r.gets(t, 4)
	if calls[0].ID != calls[1].ID || calls[1].ID != calls[2].ID || calls[3].ID == calls[0].ID || calls[3].text() != "b" {
		t.Errorf("calls %q %q %q %q", calls[0].ID, calls[1].ID, calls[2].ID, calls[3].ID)
	}
	for _, h := range calls {
		if h.signedBy(t, s.Secret) != 1 {
			t.Errorf("call %s is not signed", h.ID)
		}
	}

	var rotated subscriptionAnswer
	if err := json.Unmarshal(p.expect(http.StatusOK, http.MethodPost, path+"/rotate", p.Token, ""), &rotated); err != nil || rotated.Secret == s.Secret {
		t.Fatalf("rotated to %q: %v", rotated.Secret, err)
	}
	p.hear(ch, "+15550100", "c")
	if h := r.gets(t, 5)[4]; len(h.Signatures) != 2 || h.signedBy(t, s.Secret) != 1 || h.signedBy(t, rotated.Secret) != 1 {
		t.Errorf("signatures after the rotation: %q", h.Signatures)
	}
	var tested struct {
		Delivered bool `json:"delivered"`
	}
	if err := json.Unmarshal(p.expect(http.StatusOK, http.MethodPost, path+"/test", p.Token, ""), &tested); err != nil || !tested.Delivered {
		t.Errorf("test: %v %v", tested, err)
	}
	if h := r.gets(t, 6)[5]; h.Body.Type != "subscription.test" || h.signedBy(t, rotated.Secret) != 1 {
		t.Errorf("test call %s", h.Raw)
	}

	p.expect(http.StatusOK, http.MethodPatch, path, p.Token, `{"disabled":true}`)
	p.hear(ch, "+15550100", "unheard")
	p.expect(http.StatusOK, http.MethodPatch, path, p.Token, `{"disabled":false}`)
	p.hear(ch, "+15550100", "d")
	if h := r.gets(t, 7)[6]; h.text() != "d" {
		t.Errorf("told %s", h.Raw)
	}
	p.settled(4)

	r.mu.Lock()
	r.answer = func(int, hook) int { return http.StatusServiceUnavailable }
	r.mu.Unlock()
	p.expect(http.StatusOK, http.MethodPatch, path, p.Token, `{"delivery":{"schedule":["1h"]}}`)
	p.hear(ch, "+15550100", "e")
	r.gets(t, 8)
	p.hear(ch, "+15550101", "f")
	r.gets(t, 9)
	p.expect(http.StatusNoContent, http.MethodDelete, path, p.Token, "")
	p.expect(http.StatusNotFound, http.MethodGet, path, p.Token, "")
	if list := p.expect(http.StatusOK, http.MethodGet, "/v1/subscriptions", p.Token, ""); !bytes.Contains(list, []byte(`"data":[]`)) {
		t.Errorf("there are still %s", list)
	}
}

// TestSubscription_Refusals: what is wrong with a subscription is said.
func TestSubscription_Refusals(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	for body, field := range map[string]string{
		`{"url":"ftp://x"}`: "url",
		`{"url":"https://x.example.com","events":["message.recieved"]}`:      "events[0]",
		`{"url":"https://x.example.com","events":["message.received.v1"]}`:   "events[0]",
		`{"url":"https://x.example.com","events":["*"]}`:                     "events[0]",
		`{"url":"https://x.example.com","events":["message.*","message.*"]}`: "events[1]",
		`{"url":"https://x.example.com","secret":"whsec_c2hvcnQ="}`:          "secret",
		`{"url":"https://x.example.com","channel_id":"nobody"}`:              "channel_id",
		`{"url":"https://x.example.com","delivery":{"schedule":["soon"]}}`:   "delivery.schedule[0]",
	} {
		raw := p.expect(http.StatusBadRequest, http.MethodPost, "/v1/subscriptions", p.Token, body)
		if !bytes.Contains(raw, []byte(field)) {
			t.Errorf("%s: %s, want %s named", body, raw, field)
		}
	}
}

// otherAccount makes an account and gives a token of its admin.
func (p *parley) otherAccount(name string) string {
	p.t.Helper()
	var made struct {
		Token struct {
			Secret string `json:"token"`
		} `json:"token"`
	}
	raw := p.expect(http.StatusCreated, http.MethodPost, "/v1/accounts", p.Token, fmt.Sprintf(`{"name":%q}`, name))
	if err := json.Unmarshal(raw, &made); err != nil || made.Token.Secret == "" {
		p.t.Fatalf("account: %s", raw)
	}
	return made.Token.Secret
}

// TestSubscriptionCommands: what the commands ask for is what there is.
func TestSubscriptionCommands(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	r := newHooks(t)
	run := func(args ...string) string {
		t.Helper()
		code, out, errOut := cli(t, append([]string{"subscriptions"}, append(args, "--url", p.URL, "--token", p.Token)...)...)
		if code != 0 {
			t.Fatalf("subscriptions %v: %d %s", args, code, errOut)
		}
		return out
	}
	var made, changed subscriptionAnswer
	if err := json.Unmarshal([]byte(run("create", r.URL, "--name", "Desk", "--events", "message.received,conversation.*", "--schedule", "1s")), &made); err != nil {
		t.Fatal(err)
	}
	if list := run("list"); !strings.Contains(list, made.ID) || !strings.Contains(list, "Desk") || strings.Contains(list, "whsec_") {
		t.Errorf("listed as\n%s", list)
	}
	if shown := run("show", made.ID); !strings.Contains(shown, made.Secret) || !strings.Contains(shown, `"conversation.*"`) || !strings.Contains(shown, `"1s"`) {
		t.Errorf("shown as\n%s", shown)
	}
	if err := json.Unmarshal([]byte(run("change", made.ID, "--events", "receipt.recorded", "--disabled", "--endpoint", r.URL+"/2")), &changed); err != nil {
		t.Fatal(err)
	}
	if shown := run("show", made.ID); !slices.Equal(changed.Events, []string{"receipt.recorded"}) || !strings.Contains(shown, `"disabled": true`) || !strings.Contains(shown, r.URL+"/2") {
		t.Errorf("changed to\n%s", shown)
	}
	if rotated := run("rotate", made.ID); strings.Contains(rotated, made.Secret) || !strings.Contains(rotated, "whsec_") {
		t.Errorf("rotated to\n%s", rotated)
	}
	if tested := run("test", made.ID); !strings.Contains(tested, `"delivered": true`) {
		t.Errorf("tested:\n%s", tested)
	}
	if deleted := run("delete", made.ID); !strings.Contains(deleted, "deleted "+made.ID) {
		t.Errorf("deleted:\n%s", deleted)
	}
	if code, _, errOut := cli(t, "subscriptions", "show", made.ID, "--url", p.URL, "--token", p.Token); code != 1 || !strings.Contains(errOut, "subscription") {
		t.Errorf("shown after its end: %d %s", code, errOut)
	}
}
