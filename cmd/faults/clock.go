package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// clockFaults are the cases in which a machine's clock is wrong.
func clockFaults() []fault {
	return []fault{{
		name: "clock-jumps", promise: "order and once do not hang on clocks", breaks: "one of two nodes has a clock that jumps an hour ahead, half an hour back and home",
		logs: []string{onEmbedded, onKafka}, rounds: 50, slow: true, play: clockJumps,
	}}
}

// clockJumps has the clock of one of two nodes jump under load.
func clockJumps(ctx context.Context, r *run) error {
	program, err := r.withClock(ctx)
	if err != nil {
		return err
	}
	s, err := r.bare(ctx)
	if err != nil {
		return err
	}
	ahead := filepath.Join(r.dir, "ahead")
	s.program = program
	s.env = append(s.env, "PARLEY_TEST_PROGRAM=1", "PARLEY_TEST_CLOCK="+ahead)
	if err := s.add(ctx, allRoles); err != nil {
		return err
	}
	s.env[len(s.env)-1] = "PARLEY_TEST_CLOCK=" // the other one's clock is right
	if err := s.add(ctx, allRoles); err != nil {
		return err
	}
	s.open(ctx, s.nodes...)
	return s.underLoad(ctx, func(ctx context.Context, t *traffic) error {
		for _, by := range []time.Duration{time.Hour, -30 * time.Minute, 0} {
			// The file is there whole or not at all.
			if err := os.WriteFile(ahead+".new", []byte(by.String()), 0o600); err != nil {
				return fmt.Errorf("set the clock: %w", err)
			}
			if err := os.Rename(ahead+".new", ahead); err != nil {
				return fmt.Errorf("set the clock: %w", err)
			}
			if err := t.reached(ctx, contacts*3); err != nil {
				return fmt.Errorf("with a clock that is %s ahead: %w", by, err)
			}
		}
		return nil
	})
}
