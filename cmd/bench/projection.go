package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-im/parley/domain"
)

const (
	projectionChannels = 10
	million            = 1_000_000
)

// measureProjection measures how fast the read models of conversations are made
// out of a log that is there, with the real program and an empty database: what
// a rebuild, or catching up after an outage, comes to. The ceiling writes the
// same rows with pgx into a Postgres of the same settings.
func measureProjection(ctx context.Context, b *bench) (err error) {
	n := b.size(80_000, 25_000)
	if b.cfg.full {
		n = million
	}
	contacts := n / 20 // each writes 20 times
	data := filepath.Join(b.dir, "projection")
	channels := make([]channel, projectionChannels)
	for i := range channels {
		channels[i].ID = fmt.Sprintf("%012d", 620418000100+i)
	}
	b.sayf("filling a log with %d events of %d conversations", n, contacts)
	if err := os.MkdirAll(data, 0o755); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	now := time.Now()
	event := func(i int) domain.Event {
		at := i % contacts
		return received(channels[at%len(channels)], at/len(channels), i, now.Add(time.Duration(i)*time.Millisecond))
	}
	if err := b.fill(ctx, data, n, event); err != nil {
		return err
	}
	writer, err := newSetWriter(ctx, filepath.Join(b.dir, "projection-ceiling"), n, event)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, writer.close(ctx)) }()

	var alone, whole, ceiling []float64
	for round := range b.cfg.rounds {
		rate, err := writer.write(ctx)
		if err != nil {
			return err
		}
		ceiling = append(ceiling, rate)
		if rate, err = b.catchUp(ctx, data, n, "PARLEY_ROLES=projector"); err != nil {
			return err
		}
		alone = append(alone, rate)
		if rate, err = b.catchUp(ctx, data, n); err != nil {
			return err
		}
		whole = append(whole, rate)
		b.sayf("round %d: role projector %.0f/s, all roles %.0f/s, ceiling %.0f/s", round+1, alone[round], whole[round], ceiling[round])
	}
	const against = "pgx, same rows set-based, unfolded"
	b.report.add(Figure{
		Group: "projection", Name: "events into conversations, role projector", Unit: "1/s", Rounds: alone,
		Ceiling: against, CeilingRounds: ceiling, Aim: 0.5,
	})
	b.report.add(Figure{
		Group: "projection", Name: "events into all read models, all roles", Unit: "1/s", Rounds: whole,
		Ceiling: against, CeilingRounds: ceiling,
	})
	how := "extrapolated"
	if b.cfg.full {
		how = "real"
	}
	b.report.add(Figure{
		Group: "projection", Name: "rebuild of one million events (" + how + ")", Unit: "s", Rounds: secondsFor(alone),
		Ceiling: against, CeilingRounds: secondsFor(ceiling), Less: true,
	})
	return nil
}

func secondsFor(rates []float64) []float64 {
	list := make([]float64, len(rates))
	for i, r := range rates {
		list[i] = million / r
	}
	return list
}

// catchUp starts the product on a log of n events without a database, and gives
// the rate from its first answer until it has projected all of them.
func (b *bench) catchUp(ctx context.Context, data string, n int, env ...string) (_ float64, err error) {
	if err := os.RemoveAll(filepath.Join(data, "postgres")); err != nil {
		return 0, fmt.Errorf("drop the database: %w", err)
	}
	p, err := b.product(ctx, data, env...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	first := -1
	var began, ended time.Time
	err = until(ctx, 10*time.Minute, 50*time.Millisecond, "wait for the projection", func() (bool, error) {
		applied, err := p.applied(ctx, "conversations")
		if err != nil {
			return false, err
		}
		if ended = time.Now(); first < 0 {
			first, began = applied, ended
		}
		return applied >= n, nil
	})
	if err != nil {
		return 0, err
	}
	if first > n/2 {
		return 0, fmt.Errorf("%d of %d events were projected before the first look: take more events", first, n)
	}
	return float64(n-first) / ended.Sub(began).Seconds(), nil
}
