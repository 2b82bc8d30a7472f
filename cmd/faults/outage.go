package main

import (
	"context"
	"fmt"
	"time"
)

// outageFaults are the cases in which what Parley stands on ends without a word.
func outageFaults() []fault {
	return []fault{{
		name: "kill-database", promise: "ingest needs only the log", breaks: "kill -9 of Postgres, which is back after 2 to 4 s",
		logs: []string{onEmbedded, onKafka}, rounds: 50, play: killDatabase,
		without: "a look at the database before each append: no post was accepted while it was away",
	}, {
		name: "kill-broker", promise: "accepted means kept", breaks: "kill -9 of one broker of three, which is back after 5 to 8 s",
		logs: []string{onKafka}, rounds: 50, breaksKafka: true, play: killBroker,
		without: "acks=1: 2 of 6402 accepted posts were lost in 2 rounds",
	}}
}

// killDatabase ends Postgres under load. Messages of contacts have to be taken in
// while it is away.
func killDatabase(ctx context.Context, r *run) error {
	s, err := r.apart(ctx)
	if err != nil {
		return err
	}
	var slowest time.Duration
	err = s.underLoad(ctx, func(ctx context.Context, t *traffic) error {
		if err := s.database.kill(ctx); err != nil {
			return err
		}
		away := time.Now()
		if err := t.reached(ctx, contacts*3); err != nil {
			return fmt.Errorf("while the database is away: %w", err)
		}
		slowest = max(slowest, time.Since(away))
		if err := pause(ctx, s.moment(2*time.Second, 4*time.Second)-time.Since(away)); err != nil {
			return err
		}
		return s.database.start(ctx)
	})
	r.result.notef("%d posts were accepted within %s of the kill, at the slowest, with the database away", contacts*3, slowest.Round(10*time.Millisecond))
	return err
}

// killBroker ends one broker under load. Posts have to be taken in again while it
// is away.
func killBroker(ctx context.Context, r *run) error {
	s, err := r.apart(ctx)
	if err != nil {
		return err
	}
	var slowest time.Duration
	err = s.underLoad(ctx, func(ctx context.Context, t *traffic) error {
		victim := s.random.IntN(brokers)
		if err := s.kafka.Kill(victim); err != nil { //nolint:contextcheck // it is over at once
			return err
		}
		away := time.Now()
		back := func() error {
			if err := s.kafka.StartBroker(victim); err != nil { //nolint:contextcheck // it has a bound of its own
				return err
			}
			return s.kafka.InSync(ctx)
		}
		if err := t.reached(ctx, contacts*3); err != nil {
			_ = back() // for the cases that follow
			return fmt.Errorf("while broker %d is away: %w", victim, err)
		}
		slowest = max(slowest, time.Since(away))
		if err := pause(ctx, s.moment(5*time.Second, 8*time.Second)-time.Since(away)); err != nil {
			return err
		}
		return back()
	})
	r.result.notef("%d posts were accepted within %s of the kill, at the slowest, with the broker away", contacts*3, slowest.Round(10*time.Millisecond))
	return err
}
