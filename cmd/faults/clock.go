package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// clockFaults are the cases in which a machine's clock is wrong.
func clockFaults() []fault {
	return []fault{{
		name: "clock-jumps", promise: "order, once and in time do not hang on clocks",
		breaks: "one of two nodes is on a machine whose clock jumps an hour ahead, half an hour back and home, while conversations fall due",
		logs:   []string{onEmbedded, onKafka}, rounds: 50, slow: true, play: clockJumps,
		without: "the database's clock: good logins were refused, and timers acted up to an hour off",
	}}
}

// restartEvery is how many rounds go by until the node is started again while its
// machine's clock is wrong.
const restartEvery = 5

// clockJumps has the clock of one of two machines jump under load, and under load
// that falls due.
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
	s.env = append(s.env, "PARLEY_TEST_PROGRAM=1", "PARLEY_TEST_MACHINE_CLOCK="+ahead)
	if err := s.add(ctx, allRoles); err != nil {
		return err
	}
	s.env[len(s.env)-1] = "PARLEY_TEST_MACHINE_CLOCK=" // the other one's clock is right
	if err := s.add(ctx, allRoles); err != nil {
		return err
	}
	s.open(ctx, s.nodes...)
	d, err := s.fallDue(ctx)
	if err != nil {
		return err
	}
	rounds := 0
	err = pause(ctx, d.first())
	if err == nil {
		err = s.underLoad(ctx, func(ctx context.Context, t *traffic) error {
			rounds++
			over := d.strike()
			defer over()
			for _, by := range []time.Duration{time.Hour, -30 * time.Minute, 0} {
				if err := setAhead(ahead, by); err != nil {
					return err
				}
				if by != 0 && rounds%restartEvery == 1 {
					if err := errors.Join(s.nodes[0].stop(), s.nodes[0].start(ctx)); err != nil {
						return err
					}
				}
				if err := t.reached(ctx, contacts*3); err != nil {
					return fmt.Errorf("with a clock that is %s ahead: %w", by, err)
				}
				if err := pause(ctx, s.moment(200*time.Millisecond, 2*time.Second)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	d.end()
	return errors.Join(err, d.check(ctx))
}

// setAhead has a clock jump. Its file is there whole or not at all.
func setAhead(file string, by time.Duration) error {
	err := os.WriteFile(file+".new", []byte(by.String()), 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}
