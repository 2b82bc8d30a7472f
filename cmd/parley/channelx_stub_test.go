package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// cxWait is how long a test waits for a signal that should come at once. The rest
// is for a machine that is busy with other tests.
const cxWait = 30 * time.Second

// cxSign is the signature of channelx.md 6.1.
func cxSign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// cxHook is one call that a receiver got.
type cxHook struct {
	at       time.Time
	path     string // with the query
	header   http.Header
	raw      []byte
	body     cxValue
	event    string
	delivery string
}

// says tells the call in a word or two: its event, and the content of a message.
func (h cxHook) says() string {
	if content, ok := h.body.at("content").v.(string); ok && strings.HasPrefix(h.event, "message_") {
		return h.event + " " + content
	}
	return h.event
}

// cxReceiver is an integration's callback: it notes every call, verifies the
// signature of each and answers as told.
type cxReceiver struct {
	*httptest.Server

	t       testing.TB
	mu      sync.Mutex
	calls   []cxHook
	secret  string
	answer  func(n int, call cxHook, w http.ResponseWriter, r *http.Request) // n counts calls from 1
	changed chan struct{}                                                    // closed at the next call
}

func newCXReceiver(t testing.TB) *cxReceiver {
	t.Helper()
	r := &cxReceiver{t: t, changed: make(chan struct{})}
	r.Server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

// signed says what calls are signed with from now on; "" when that is not known.
func (r *cxReceiver) signed(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

// answers sets what the next calls are answered.
func (r *cxReceiver) answers(f func(n int, call cxHook, w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// answersStatus answers calls with a status from now on.
func (r *cxReceiver) answersStatus(status int) {
	r.answers(func(_ int, _ cxHook, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// ServeHTTP notes a call and answers it.
func (r *cxReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	call := cxHook{at: time.Now(), path: req.RequestURI, header: req.Header.Clone(), delivery: req.Header.Get("X-Chatwoot-Delivery")}
	var err error
	if call.raw, err = io.ReadAll(req.Body); err != nil {
		return // the caller has gone
	}
	r.mu.Lock()
	secret := r.secret
	r.mu.Unlock()
	if err := call.check(req, secret); err != nil {
		r.t.Errorf("a callback: %v: %s", err, call.raw)
	}
	call.body = cxRead(r.t, "callback", call.raw)
	if event, ok := call.body.at("event").v.(string); ok {
		call.event = event
	}
	r.mu.Lock()
	r.calls = append(r.calls, call)
	n, answer := len(r.calls), r.answer
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	if answer != nil {
		answer(n, call, w, req)
	}
}

// check looks at what every call has (channelx.md 6.1).
func (h cxHook) check(r *http.Request, secret string) error {
	timestamp := r.Header.Get("X-Chatwoot-Timestamp")
	if seconds, err := strconv.ParseInt(timestamp, 10, 64); err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		return fmt.Errorf("its timestamp is %q", timestamp)
	}
	if _, err := uuid.Parse(h.delivery); err != nil {
		return fmt.Errorf("its delivery is %q", h.delivery)
	}
	if kind := r.Header.Get("Content-Type"); r.Method != http.MethodPost || kind != "application/json" || r.Header.Get("Accept") != "application/json" {
		return fmt.Errorf("it is a %s of %s for %s", r.Method, kind, r.Header.Get("Accept"))
	}
	if want := cxSign(secret, timestamp, h.raw); secret != "" && r.Header.Get("X-Chatwoot-Signature") != want {
		return fmt.Errorf("it is signed %s, want %s", r.Header.Get("X-Chatwoot-Signature"), want)
	}
	return nil
}

// got gives the calls up to now, and a channel that is closed at the next one.
func (r *cxReceiver) got() ([]cxHook, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]cxHook(nil), r.calls...), r.changed
}

// calledFor gives the calls up to now about a conversation.
func (r *cxReceiver) calledFor(conversation int64) []cxHook {
	all, _ := r.got()
	var list []cxHook
	for _, call := range all {
		if call.about(conversation) {
			list = append(list, call)
		}
	}
	return list
}

// about tells whether the call is about a conversation.
func (h cxHook) about(conversation int64) bool {
	return h.body.at("conversation", "id").equals(conversation) || strings.HasPrefix(h.event, "conversation_") && h.body.at("id").equals(conversation)
}

// await waits for a call that is as wanted, and gives it.
func (r *cxReceiver) await(t testing.TB, what string, wanted func(cxHook) bool) cxHook {
	t.Helper()
	deadline := time.After(cxWait)
	seen := 0
	for {
		calls, changed := r.got()
		for _, call := range calls[seen:] {
			if wanted(call) {
				call.body.t = t
				return call
			}
		}
		seen = len(calls)
		select {
		case <-changed:
		case <-deadline:
			for _, call := range calls {
				t.Logf("called %s", call.raw)
			}
			t.Fatalf("no callback within %s: %s", cxWait, what)
		}
	}
}

// event waits for an event of a name, and gives it. pairs are names of members and
// what they must be.
func (r *cxReceiver) event(t testing.TB, name string, pairs ...any) cxHook {
	t.Helper()
	return r.await(t, fmt.Sprint(name, " with ", pairs), func(h cxHook) bool { return h.event == name && h.body.has(pairs) })
}

// changes gives the names of what an update says that has changed.
func (h cxHook) changes() []string {
	var names []string
	for _, item := range h.body.at("changed_attributes").list() {
		members, ok := item.v.(object)
		if !ok {
			h.body.t.Fatalf("changed_attributes is %s", h.body.at("changed_attributes"))
		}
		for name := range members {
			names = append(names, name)
		}
	}
	return names
}

// fence makes something that is told after all that has happened before in the
// conversation, waits until it is told, and gives the calls about the conversation
// before it.
func (v *cxTalk) fence(t *testing.T) []cxHook {
	t.Helper()
	id := v.says(t, "fence "+v.office.suite.name())
	v.office.receiver.event(t, "message_created", "id", id)
	calls := v.office.receiver.calledFor(v.id)
	for i, call := range calls {
		call.body.t = t
		if call.event == "message_created" && call.body.at("id").equals(id) {
			return calls[:i]
		}
	}
	return nil
}

// told waits until all up to now is told, and says it in words.
func (v *cxTalk) told(t *testing.T) []string {
	t.Helper()
	var words []string
	for _, call := range v.fence(t) {
		words = append(words, call.says())
	}
	return words
}
