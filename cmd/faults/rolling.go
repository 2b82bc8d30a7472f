package main

import (
	"context"
	"fmt"
	"time"
)

// rollingFaults are the cases in which nothing is broken, only restarted.
func rollingFaults() []fault {
	return []fault{{
		name: "rolling-restart", promise: "a restart is not noticed", breaks: "SIGTERM of each of three nodes in turn, and a start; no request may fail",
		logs: []string{onEmbedded, onKafka}, rounds: 50, play: rollingRestart,
		without: "no drain: 2 of 1593 requests were cut in 6 rounds",
	}}
}

// rollingRestart restarts every node under load. No post may fail and no call may
// be made twice: there is nothing that could excuse it.
func rollingRestart(ctx context.Context, r *run) error {
	s, err := r.alike(ctx, 3)
	if err != nil {
		return err
	}
	hooks, err := s.newReceiver(ctx, 5*time.Millisecond)
	if err != nil {
		return err
	}
	ch, err := s.makeChannels(ctx, hooks)
	if err != nil {
		return err
	}
	var slowest time.Duration
	err = s.each(ctx, func(ctx context.Context, n int) error {
		t := s.begin(ctx, ch, hooks, fmt.Sprintf("r%02d", n))
		t.strict = true
		err := func() error {
			defer t.end()
			for _, node := range s.nodes {
				if err := t.reached(ctx, contacts*2); err != nil {
					return err
				}
				asked := time.Now()
				if err := node.stop(); err != nil {
					return err
				}
				slowest = max(slowest, time.Since(asked))
				if err := node.start(ctx); err != nil {
					return err
				}
			}
			return t.reached(ctx, contacts*2)
		}()
		if err != nil {
			return err
		}
		s.sayf("round %d/%d: %d accepted", n+1, s.rounds, t.accepted.Load())
		return t.check(ctx)
	})
	r.result.notef("a node had ended %s after it was asked to, at the slowest", slowest.Round(10*time.Millisecond))
	return err
}
