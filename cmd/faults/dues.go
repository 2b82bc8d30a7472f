package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// dues are conversations that fall due, and what was done to make them.
type dues struct {
	stand  *stand
	hooks  *closings
	wait   time.Duration // longest wait in their queue
	closes bool          // they are there long enough to be closed
	began  time.Time
	stop   chan struct{}
	all    sync.WaitGroup

	channel, account, secret string

	mu     sync.Mutex
	access string // token of the last login
	since  time.Time
	said   []utterance
	struck []strike
	failed []string
	counts struct{ refused, unanswered int }
}

// utterance is a message of a contact that was accepted.
type utterance struct {
	contact, text    string
	posted, answered time.Time
}

// makeChannel makes a queue that nobody serves, and a channel that leads into it.
func (d *dues) makeChannel(ctx context.Context) error {
	node := d.stand.doors.pick() // another one may hear of the queue a moment later
	var queue struct {
		ID int64 `json:"id"`
	}
	status, raw, err := callInto(ctx, node.url(), http.MethodPost, "/v1/queues",
		fmt.Sprintf(`{"name":"nobody serves it","max_wait":%d}`, int(d.wait.Seconds())), &queue)
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("make a queue: %d %s: %w", status, raw, errors.Join(err))
	}
	var made struct {
		ID      string `json:"id"`
		Token   string `json:"api_token"`
		Account string `json:"account_name"`
	}
	status, raw, err = callInto(ctx, node.url(), http.MethodPost, "/v1/channels", fmt.Sprintf(
		`{"dialect":"voximplant","name":"Falls due","callback_url":%q,"redirect":{"queue_id":%d},"close_after":%d,"delivery":{"schedule":["1s","1s","1s","1s","1s"]}}`,
		d.hooks.url, queue.ID, int(dueClose.Seconds())), &made)
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("make a channel of Voximplant Kit: %d %s: %w", status, raw, errors.Join(err))
	}
	d.channel, d.account, d.secret = made.ID, made.Account, made.Token
	return nil
}

// login gets a token; a node that does not know the channel yet is asked again.
func (d *dues) login(ctx context.Context) error {
	path := "/api/v3/botService/login?" + url.Values{"domain": {d.account}, "access_token": {d.secret}}.Encode()
	var answer struct {
		Result struct {
			AccessToken string `json:"access_token"`
		} `json:"result"`
	}
	return until(ctx, postPatience, 50*time.Millisecond, "log in", func() (bool, error) {
		began := time.Now()
		status, raw, err := call(ctx, d.stand.doors.pick().url(), "", http.MethodPost, path, fmt.Sprintf(`{"channel_uuid":%q}`, d.channel))
		if err != nil || status != http.StatusOK {
			return false, nil
		}
		if err := json.Unmarshal(raw, &answer); err != nil {
			return false, fmt.Errorf("read a login: %w", err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.access, d.since = answer.Result.AccessToken, began
		return true, nil
	})
}

// say posts a message until it is accepted, as integrations do.
func (d *dues) say(ctx context.Context, contact, text string) {
	body := fmt.Sprintf(`{"client_data":{"client_id":%q},"event_id":"e-%s","event_type":"send_message","event_data":{"message":{"message_id":%q,"text":%q}}}`,
		contact, text, text, text)
	posted := time.Now()
	for deadline := posted.Add(postPatience); ctx.Err() == nil; {
		d.mu.Lock()
		token, since := d.access, d.since
		d.mu.Unlock()
		status, raw, err := call(ctx, d.stand.doors.pick().url(), token, http.MethodPost, "/"+d.channel, body)
		switch {
		case err == nil && status == http.StatusOK:
			d.mu.Lock()
			d.said = append(d.said, utterance{contact, text, posted, time.Now()})
			d.mu.Unlock()
			return
		case time.Now().After(deadline):
			d.failf("%s was not accepted for %s: %d %s %v", text, postPatience, status, raw, err)
			return
		case err == nil && status == http.StatusUnauthorized && time.Since(since) >= dueTokenTime:
			if err := d.login(ctx); err != nil {
				d.failf("%v", err)
				return
			}
			continue
		case err == nil && status < 500 && status != http.StatusTooManyRequests:
			d.failf("%s was answered %d: %s", text, status, raw)
			return
		}
		d.mu.Lock()
		if err != nil {
			d.counts.unanswered++
		} else {
			d.counts.refused++
		}
		d.mu.Unlock()
		_ = pause(ctx, postPause)
	}
}

func (d *dues) failf(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = append(d.failed, fmt.Sprintf(format, args...))
}

// strike notes that something is broken until the returned function is called.
func (d *dues) strike() (over func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := len(d.struck)
	d.struck = append(d.struck, strike{from: time.Now()})
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.struck[at].to = time.Now()
	}
}

// closing is a callback as it came.
type closing struct {
	contact, id, kind, reason string
	began, ended              time.Time
}

// closings is where the integration is told of closes.
type closings struct {
	url string

	mu    sync.Mutex
	calls []closing
}

func (r *run) newClosings(ctx context.Context) (*closings, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for closes: %w", err)
	}
	h := &closings{url: "http://" + l.Addr().String()}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // until it is closed
	r.onEnd(server.Close)
	return h, nil
}

// ServeHTTP takes a callback of Voximplant Kit. A GET asks whether anybody is there.
func (h *closings) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		return
	}
	c := closing{began: time.Now()}
	var body struct {
		Kind   string `json:"event_type"`
		ID     string `json:"event_id"`
		Client struct {
			ID string `json:"client_id"`
		} `json:"client_data"`
		Data struct {
			Reason string `json:"close_reason"`
		} `json:"event_data"`
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		http.Error(w, "not a callback", http.StatusBadRequest)
		return
	}
	c.contact, c.id, c.kind, c.reason, c.ended = body.Client.ID, body.ID, body.Kind, body.Data.Reason, time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
}

// seen gives the callbacks of each contact, in the order in which they came.
func (h *closings) seen() map[string][]closing {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string][]closing{}
	for _, c := range h.calls {
		all[c.contact] = append(all[c.contact], c)
	}
	return all
}
