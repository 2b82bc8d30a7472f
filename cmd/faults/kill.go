package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// killFaults are the cases in which processes of Parley end without a word.
func killFaults() []fault {
	both := []string{onEmbedded, onKafka}
	list := []fault{{
		name: "kill-all-in-one", promise: "accepted means kept", breaks: "kill -9 of parley dev, log and all, and a start on the same folder",
		logs: []string{onEmbedded}, rounds: 50, short: 2, play: killAllInOne,
		without: "an answer before the log's: 5 of 254 accepted posts were lost in 2 rounds",
	}}
	for _, role := range []struct{ name, promise, without string }{
		{roleAPI, "accepted means kept", "an answer before the log's: 7 of 811 accepted posts were lost in 3 rounds"},
		{roleProjector, "the rows are the log's", "a checkpoint that moves before its rows: 56 of 87 messages were missing in 1 round"},
		{roleDelivery, "only in-flight twice, in order", "a checkpoint that moves before its rows: 43 replies were never told in 1 round"},
	} {
		list = append(list, fault{
			name: "kill-" + role.name, promise: role.promise, breaks: "kill -9 of the node with role " + role.name,
			logs: both, rounds: 50, play: killRole(role.name), without: role.without,
			beside: role.name == roleProjector || role.name == roleDelivery, // its group has to notice
		})
	}
	return list
}

// killAllInOne kills the one process that has everything.
func killAllInOne(ctx context.Context, r *run) error {
	s, err := r.alone(ctx)
	if err != nil {
		return err
	}
	return killRounds(ctx, s, s.nodes[0])
}

// killRole kills the node with a role among nodes that have one role each.
func killRole(role string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		s, err := r.apart(ctx)
		if err != nil {
			return err
		}
		return killRounds(ctx, s, s.named(role))
	}
}

// killRounds kills a node at a random moment under load and starts it again, round
// after round.
func killRounds(ctx context.Context, s *stand, victim *node) error {
	return s.underLoad(ctx, func(ctx context.Context, _ *traffic) error {
		victim.kill()
		if err := pause(ctx, s.moment(0, 500*time.Millisecond)); err != nil {
			return err
		}
		return victim.start(ctx)
	})
}

// underLoad plays the rounds of a case: load, something that breaks at a random
// moment and is mended, some more load, and the oracle.
func (s *stand) underLoad(ctx context.Context, breaks func(ctx context.Context, t *traffic) error) error {
	hooks, err := s.newReceiver(ctx, 5*time.Millisecond)
	if err != nil {
		return err
	}
	ch, err := s.makeChannels(ctx, hooks)
	if err != nil {
		return err
	}
	return s.each(ctx, func(ctx context.Context, n int) error {
		t := s.begin(ctx, ch, hooks, fmt.Sprintf("r%02d", n))
		after := s.moment(300*time.Millisecond, 1500*time.Millisecond)
		if err := s.disturb(ctx, t, after, func() error { return breaks(ctx, t) }); err != nil {
			return err
		}
		s.sayf("round %d/%d: broken after %s, %d accepted", n+1, s.rounds, after.Round(time.Millisecond), t.accepted.Load())
		return t.check(ctx)
	})
}

// disturb breaks something after a while of load, has it mended, and lets the load
// go on for a little before it ends.
func (s *stand) disturb(ctx context.Context, t *traffic, after time.Duration, breaks func() error) (err error) {
	defer func() {
		t.end()
		if err != nil {
			err = errors.Join(err, t.failures())
		}
	}()
	if err := pause(ctx, after); err != nil {
		return err
	}
	over := t.strike()
	err = breaks()
	over()
	if err != nil {
		return err
	}
	return t.reached(ctx, contacts*4)
}
