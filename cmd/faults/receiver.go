package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// landed is a call as the receiver of callbacks saw it.
type landed struct {
	heard

	body  [sha256.Size]byte
	began time.Time
	ended time.Time // zero: it was not answered
	taken bool      // it was answered 200
}

// receiver is where callbacks go. It keeps every call, in the order in which they
// began.
type receiver struct {
	server *http.Server
	addr   string
	takes  time.Duration                                     // for each call
	answer func(w http.ResponseWriter, r *http.Request) bool // says something else than 200; nil never does

	mu     sync.Mutex
	voices map[string]voice // by path; of respond.io where none is named
	calls  []*landed
}

// newReceiver starts one that ends with the case.
func (r *run) newReceiver(ctx context.Context, takes time.Duration) (*receiver, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for callbacks: %w", err)
	}
	h := &receiver{addr: l.Addr().String(), takes: takes}
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = h.server.Serve(l) }() // until it is closed
	r.onEnd(h.server.Close)
	return h, nil
}

func (h *receiver) url() string { return "http://" + h.addr }

// hears has callbacks to a path read in a voice.
func (h *receiver) hears(path string, v voice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.voices == nil {
		h.voices = map[string]voice{}
	}
	h.voices[path] = v
}

// at gives the voice of a path.
func (h *receiver) at(path string) voice {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, ok := h.voices[path]; ok {
		return v
	}
	return respondIO{}
}

// ServeHTTP takes a callback. A GET looks whether there is somebody to take them.
func (h *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		return
	}
	began := time.Now()
	raw, err := io.ReadAll(req.Body)
	var call heard
	if err == nil {
		call, err = h.at(req.URL.Path).heard(req.Header, raw)
	}
	if err != nil {
		http.Error(w, "not a callback", http.StatusBadRequest)
		return
	}
	c := &landed{heard: call, body: sha256.Sum256(raw), began: began}
	h.mu.Lock()
	h.calls = append(h.calls, c)
	h.mu.Unlock()
	if h.takes > 0 && pause(req.Context(), h.takes) != nil {
		return // the caller has gone
	}
	taken := h.answer == nil || !h.answer(w, req)
	h.mu.Lock()
	c.ended, c.taken = time.Now(), taken
	h.mu.Unlock()
	if taken {
		fmt.Fprintf(w, `{"mId":"x-%s"}`, c.id) //nolint:gosec // to ourselves
	}
}

// seen copies the calls so far.
func (h *receiver) seen() []landed {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]landed, len(h.calls))
	for i, c := range h.calls {
		list[i] = *c
	}
	return list
}
