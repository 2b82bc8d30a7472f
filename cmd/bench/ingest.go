package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	ingestConns    = 64
	ingestContacts = 5000
	ingestOffered  = 1000 // webhooks a second at the fixed rate
	warmUp         = 500 * time.Millisecond
)

// measureIngest measures webhooks accepted a second, at full speed and at a
// fixed offered rate.
//
// The product is measured twice. With role api alone it does what the handler
// with an append does, and is held against that. As a whole it also projects
// what it takes in, on the same two cores; that is shown, and costs what the
// projection costs.
func measureIngest(ctx context.Context, b *bench) (err error) {
	var running []*process
	defer func() {
		for _, p := range running {
			err = errors.Join(err, p.stop())
		}
	}()
	keep := func(p *process, failure error) (*process, error) {
		if failure == nil {
			running = append(running, p)
		}
		return p, failure
	}
	b.sayf("starting two products and two ceilings")
	bare, err := keep(b.ceiling(ctx, "ceiling-handler", filepath.Join(b.dir, "ingest-handler")))
	if err != nil {
		return err
	}
	behind, err := keep(b.ceiling(ctx, "ceiling-append", filepath.Join(b.dir, "ingest-append"), "-partitions", strconv.Itoa(b.cfg.partitions)))
	if err != nil {
		return err
	}
	alone, err := keep(b.product(ctx, filepath.Join(b.dir, "ingest-api"), "PARLEY_ROLES=api"))
	if err != nil {
		return err
	}
	whole, err := keep(b.product(ctx, filepath.Join(b.dir, "ingest-whole")))
	if err != nil {
		return err
	}
	targets := []*ingestTarget{
		{name: "bare handler", process: bare},
		{name: "handler + append", process: behind},
		{name: "api", process: alone, product: true},
		{name: "whole", process: whole, product: true},
	}
	for _, t := range targets {
		if t.channel = (channel{ID: "620418000017", Token: "none"}); t.product {
			made, err := t.process.makeChannels(ctx, 1, "http://127.0.0.1:9/", 0)
			if err != nil {
				return err
			}
			t.channel = made[0]
		}
	}
	full, fixed := b.span(3*time.Second, time.Second), b.span(3*time.Second, time.Second)
	for round := range b.cfg.rounds {
		for _, t := range targets {
			if err := t.saturate(ctx, full); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			if t == targets[3] { // its projections must not run on into the next turn
				if err := whole.settle(ctx); err != nil {
					return err
				}
			}
		}
		b.sayf("round %d: %s", round+1, describe(targets))
		for _, t := range targets[1:] {
			if err := t.offer(ctx, fixed); err != nil {
				return fmt.Errorf("%s at a fixed rate: %w", t.name, err)
			}
		}
	}
	b.reportIngest(targets)
	return nil
}

// ingestTarget is what takes webhooks.
type ingestTarget struct {
	name    string
	process *process
	product bool
	channel channel
	sent    int // messages so far: no number is used twice

	rates      []float64
	cost       []float64 // CPU-milliseconds a webhook, at full speed
	slowCost   []float64 // at the fixed rate
	p50s, p99s []float64 // milliseconds, by round
}

func (t *ingestTarget) step() step {
	base := t.sent
	return func(c *conn, n int, _ time.Time) error {
		c.post(t.channel, (base+n)%ingestContacts, base+n)
		status, err := c.send()
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return refused{status}
		}
		return nil
	}
}

func (t *ingestTarget) run(ctx context.Context, rate int, d time.Duration) (outcome, error) {
	out, err := load(ctx, t.process.addr, ingestConns, rate, warmUp+d, t.step())
	t.sent += len(out.samples) + int(out.failed) + ingestConns
	if err == nil && out.failed > 0 {
		err = fmt.Errorf("%d webhooks were refused: %s", out.failed, out.example)
	}
	return out, err
}

func (t *ingestTarget) saturate(ctx context.Context, d time.Duration) error {
	before, err := t.process.cpu()
	if err != nil {
		return err
	}
	out, err := t.run(ctx, 0, d)
	if err != nil {
		return err
	}
	after, err := t.process.cpu()
	t.rates = append(t.rates, out.rate(warmUp, warmUp+d))
	t.cost = append(t.cost, after.since(before).each(len(out.samples)))
	return err
}

func (t *ingestTarget) offer(ctx context.Context, d time.Duration) error {
	before, err := t.process.cpu()
	if err != nil {
		return err
	}
	out, err := t.run(ctx, ingestOffered, d)
	if err != nil {
		return err
	}
	after, err := t.process.cpu()
	t.slowCost = append(t.slowCost, after.since(before).each(len(out.samples)))
	latencies := out.latencies(warmUp)
	t.p50s = append(t.p50s, millis(percentile(latencies, 50)))
	t.p99s = append(t.p99s, millis(percentile(latencies, 99)))
	return err
}

func describe(targets []*ingestTarget) string {
	words := make([]string, len(targets))
	for i, t := range targets {
		words[i] = fmt.Sprintf("%s %.0f/s", t.name, t.rates[len(t.rates)-1])
	}
	return strings.Join(words, ", ")
}

func (b *bench) reportIngest(targets []*ingestTarget) {
	bare, behind, alone, whole := targets[0], targets[1], targets[2], targets[3]
	b.report.add(Figure{
		Group: "ingest", Name: "webhooks accepted, role api", Unit: "1/s", Rounds: alone.rates,
		Ceiling: "handler + append, as durable", CeilingRounds: behind.rates, Aim: 0.8,
	})
	b.report.add(Figure{
		Group: "ingest", Name: "webhooks accepted, role api", Unit: "1/s", Rounds: alone.rates,
		Ceiling: "bare handler, parses", CeilingRounds: bare.rates,
	})
	b.report.add(Figure{
		Group: "ingest", Name: "webhooks accepted while projecting, all roles", Unit: "1/s", Rounds: whole.rates,
		Ceiling: "handler + append, as durable", CeilingRounds: behind.rates,
	})
	b.report.add(Figure{
		Group: "ingest", Name: "cost of a webhook at full speed, role api", Unit: "CPU-ms", Rounds: alone.cost,
		Ceiling: "handler + append, as durable", CeilingRounds: behind.cost, Less: true,
	})
	at := fmt.Sprintf(" at %d/s", ingestOffered)
	b.report.add(Figure{
		Group: "ingest", Name: "cost of a webhook" + at + ", role api", Unit: "CPU-ms", Rounds: alone.slowCost,
		Ceiling: "handler + append, as durable", CeilingRounds: behind.slowCost, Less: true,
	})
	for _, t := range []*ingestTarget{alone, whole} {
		roles := map[bool]string{true: "role api", false: "all roles"}[t == alone]
		b.report.add(Figure{
			Group: "ingest", Name: "p50" + at + ", " + roles, Unit: "ms", Rounds: t.p50s,
			Ceiling: "handler + append, as durable", CeilingRounds: behind.p50s, Less: true,
		})
		b.report.add(Figure{
			Group: "ingest", Name: "p99" + at + ", " + roles, Unit: "ms", Rounds: t.p99s,
			Ceiling: "handler + append, as durable", CeilingRounds: behind.p99s, Less: true,
		})
	}
}
