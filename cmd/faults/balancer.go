package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// healthEvery is how often the balancer asks a node whether it is ready.
const healthEvery = 100 * time.Millisecond

// callLimit is how long a call may take; a request that is not answered by then
// counts as unanswered.
const callLimit = 40 * time.Second

// client keeps connections open, as integrations and balancers do.
var client = &http.Client{
	Timeout:   callLimit,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second},
}

// balancer hands out nodes in turn, and leaves those out that say at /readyz that
// they are not ready: what any load balancer does.
type balancer struct {
	nodes  []*node
	ready  []atomic.Bool
	turn   atomic.Int64
	cancel context.CancelFunc
	all    sync.WaitGroup
}

func balance(ctx context.Context, nodes []*node) *balancer {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b := &balancer{nodes: nodes, ready: make([]atomic.Bool, len(nodes)), cancel: cancel}
	for i, n := range nodes {
		b.ready[i].Store(true)
		b.all.Go(func() {
			for ctx.Err() == nil {
				asked, done := context.WithTimeout(ctx, time.Second)
				status, _, err := call(asked, n.url(), "", http.MethodGet, "/readyz", "")
				done()
				b.ready[i].Store(err == nil && status == http.StatusOK)
				_ = pause(ctx, healthEvery)
			}
		})
	}
	return b
}

func (b *balancer) close() {
	b.cancel()
	b.all.Wait()
	client.CloseIdleConnections()
}

// pick gives the next node that is ready; the next of all when none is: a node
// whose database is away is not ready and takes in messages all the same.
func (b *balancer) pick() *node {
	turn := int(b.turn.Add(1))
	for i := range b.nodes {
		if at := (turn + i) % len(b.nodes); b.ready[at].Load() {
			return b.nodes[at]
		}
	}
	return b.nodes[turn%len(b.nodes)]
}

// call makes one call and reads its answer.
func call(ctx context.Context, base, token, method, path, body string) (int, []byte, error) {
	status, _, raw, err := ask(ctx, base, token, method, path, body)
	return status, raw, err
}

// ask makes one call and reads its answer, headers and all.
func ask(ctx context.Context, base, token, method, path, body string) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("make a request: %w", err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, raw, err
}

// callInto makes a call with the admin token and reads a good answer into v.
func callInto(ctx context.Context, base, method, path, body string, v any) (int, []byte, error) {
	status, raw, err := call(ctx, base, adminToken, method, path, body)
	if err != nil || status >= http.StatusMultipleChoices {
		return status, raw, err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return status, raw, fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	return status, raw, nil
}

// errAway is a read that cannot be made at the moment.
var errAway = errors.New("not to be read at the moment")

// read makes a read at one of the doors; errAway while it is refused.
func (b *balancer) read(ctx context.Context, path string, v any) error {
	status, raw, err := callInto(ctx, b.pick().url(), http.MethodGet, path, "", v)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errAway, err)
	case status == http.StatusNotFound:
		return nil
	case status != http.StatusOK:
		return fmt.Errorf("%w: %d %s", errAway, status, raw)
	default:
		return nil
	}
}
