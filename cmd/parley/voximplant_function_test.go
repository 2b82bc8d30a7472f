package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// kitAsked is one call that a function got (voximplant-kit.md 7).
type kitAsked struct {
	at     time.Time
	header http.Header
	raw    []byte
	body   struct {
		ID     int64  `json:"id"`
		Text   string `json:"text"`
		Type   string `json:"type"`
		Sender struct {
			Bot *bool `json:"is_bot"`
		} `json:"sender"`
		Conversation struct {
			ID         int64  `json:"id"`
			UUID       string `json:"uuid"`
			ClientID   string `json:"client_id"`
			CustomData struct {
				Client       object `json:"client_data"`
				Conversation object `json:"conversation_data"`
				Request      struct {
					ID        int64             `json:"id"`
					Completed *bool             `json:"completed"`
					Start     int64             `json:"start_sequence"`
					End       int64             `json:"end_sequence"`
					Variables map[string]string `json:"variables"`
					Tags      []any             `json:"tags"`
				} `json:"request_data"`
			} `json:"custom_data"`
			Status  string `json:"current_status"`
			Request struct {
				ID        int64 `json:"id"`
				Completed *bool `json:"completed"`
			} `json:"current_request"`
			Channel object `json:"channel"`
		} `json:"conversation"`
		Payload  []object `json:"payload"`
		Customer struct {
			Name    string `json:"customer_display_name"`
			Clients []struct {
				ID   string `json:"client_id"`
				Type string `json:"client_type"`
			} `json:"customer_client_ids"`
		} `json:"customer"`
	}
}

// kitFunction is an account's function: it notes every call, checks what must
// hold for each, and answers as told.
type kitFunction struct {
	*httptest.Server

	t       testing.TB
	account string
	number  int64
	mu      sync.Mutex
	calls   []kitAsked
	answer  func(call kitAsked) any // an object is answered 200, an int is a status; nil hangs
}

// answered makes a function and a channel that it answers.
func (a *kitAccount) answered(t *testing.T, settings ...object) (*kitChan, *kitFunction) {
	t.Helper()
	f := a.function(t)
	return a.channel(t, append([]object{{"redirect": object{"function_id": f.number}}}, settings...)...), f
}

// function makes a function that says nothing.
func (a *kitAccount) function(t *testing.T) *kitFunction {
	t.Helper()
	f := &kitFunction{t: t, account: a.name, answer: func(kitAsked) any { return object{"text": nil, "payload": []any{}} }}
	f.Server = httptest.NewServer(f)
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	number := a.makes(t, "functions", object{"name": t.Name(), "url": f.URL})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number = number
	return f
}

// answers sets what the next calls are answered.
func (f *kitFunction) answers(answer func(call kitAsked) any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// ServeHTTP notes a call, checks it and answers.
func (f *kitFunction) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := kitAsked{at: time.Now(), header: r.Header.Clone()}
	var err error
	if call.raw, err = io.ReadAll(r.Body); err != nil {
		return // the caller has gone
	}
	if err := json.Unmarshal(call.raw, &call.body); err != nil {
		f.t.Errorf("a function was sent %s: %v", call.raw, err)
	}
	f.mu.Lock()
	f.calls = append(f.calls, call)
	answer, number := f.answer, f.number
	f.mu.Unlock()
	f.expect(r, call, number)
	switch reply := answer(call).(type) {
	case nil:
		<-r.Context().Done()
	case int:
		w.WriteHeader(reply)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(reply) // the caller may have gone
	}
}

// expect checks what holds for every call.
func (f *kitFunction) expect(r *http.Request, call kitAsked, number int64) {
	wrong := func(what string, got any) { f.t.Errorf("the function's call has %s %v: %s", what, got, call.raw) }
	for header, want := range map[string]string{
		"X-Kit-Event-Type": "incoming_message", "X-Kit-Domain": f.account, "X-Kit-Function-Id": strconv.FormatInt(number, 10),
	} {
		if got := call.header.Get(header); got != want {
			wrong(header, got)
		}
	}
	if host := call.header.Get("X-Kit-Api-Url"); host == "" || strings.Contains(host, "://") {
		wrong("x-kit-api-url", host)
	}
	if call.header.Get("X-Kit-Access-Token") == "" || r.Method != http.MethodPost || !strings.HasPrefix(call.header.Get("Content-Type"), "application/json") {
		wrong("method or headers", call.header)
	}
	b, c := call.body, call.body.Conversation
	if b.ID <= 0 || b.Type != "custom" || b.Sender.Bot == nil || *b.Sender.Bot || b.Payload == nil {
		wrong("message", b)
	}
	if c.ID <= 0 || len(c.UUID) != 36 || c.ClientID == "" || c.Status != "processed_by_function" || c.CustomData.Client["client_id"] != c.ClientID ||
		c.CustomData.Conversation["last_message_text"] != b.Text || c.CustomData.Conversation["last_message_sender_type"] != "client" {
		wrong("conversation", c)
	}
	request := c.CustomData.Request
	if c.Request.ID <= 0 || request.ID != c.Request.ID || request.Variables == nil || request.Tags == nil || request.Start < 1 ||
		request.End < request.Start || request.Completed == nil || *request.Completed || c.Request.Completed == nil || *c.Request.Completed {
		wrong("request", request)
	}
	if c.Channel["channel_type"] != "custom" || c.Channel["processing_method"] != "function" || c.Channel["processing_function"] != float64(number) {
		wrong("channel", c.Channel)
	}
	if len(b.Customer.Clients) != 1 || b.Customer.Clients[0].ID != c.ClientID || b.Customer.Clients[0].Type != "custom" {
		wrong("customer", b.Customer)
	}
	if text := string(call.raw); strings.Contains(text, kitToken) || strings.Contains(text, kitSalt) {
		wrong("secrets", "")
	}
}

// asked gives the calls up to now.
func (f *kitFunction) asked() []kitAsked {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]kitAsked{}, f.calls...)
}

// gets waits for n calls, and gives them.
func (f *kitFunction) gets(t *testing.T, n int) []kitAsked {
	t.Helper()
	eventually(t, 20*time.Second, strconv.Itoa(n)+" calls of the function", func() bool { return len(f.asked()) >= n })
	calls := f.asked()
	if len(calls) != n {
		t.Fatalf("%d calls of the function, want %d", len(calls), n)
	}
	return calls
}

// command is a payload item of a function's reply.
func command(name string, more object) object {
	item := object{"type": "cmd", "name": name}
	maps.Copy(item, more)
	return item
}
