package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/parley-im/parley/domain"
)

// size is how much a product has to carry before it is measured.
type size struct {
	name     string
	channels int
	contacts int // of all channels
	messages int // of history, over all contacts
	backlog  int // replies that wait for a callback of another channel, which takes one a second
}

// growthAim is how much dearer a message may get when one thing is ten times as
// much, and still count as flat: a little above what two runs of the same differ by.
const growthAim = 1.25

// measureGrowth measures the cost of a message of the ring on products that carry
// ten times as much of one thing, each held against the same base.
func measureGrowth(ctx context.Context, b *bench) error {
	base := size{channels: 10, contacts: 1000, messages: b.size(10_000, 2_000), backlog: b.size(1_000, 500)}
	history, contacts, channels, backlog := base, base, base, base
	history.name, history.messages = "history", 10*base.messages
	contacts.name, contacts.contacts = "conversations", 10*base.contacts
	channels.name, channels.channels = "channels", 10*base.channels
	backlog.name, backlog.backlog = "backlog", 10*base.backlog
	base.name = "base"

	first, err := b.growthCost(ctx, base)
	if err != nil {
		return err
	}
	sizes := []size{history, backlog, contacts, channels}
	if b.cfg.quick {
		sizes = sizes[:2]
	}
	for _, s := range sizes {
		cost, err := b.growthCost(ctx, s)
		if err != nil {
			return fmt.Errorf("10 times the %s: %w", s.name, err)
		}
		b.sayf("10 times the %s: %.3f CPU-ms a message, base %.3f", s.name, median(cost), median(first))
		b.report.add(Figure{
			Group: "growth", Name: "cost of a message, 10 times the " + s.name, Unit: "CPU-ms", Rounds: cost, Less: true,
			Ceiling: "the same on the base", CeilingRounds: first, Aim: growthAim,
		})
	}
	return nil
}

// growthCost starts a product that carries s, and measures a few turns of the ring.
func (b *bench) growthCost(ctx context.Context, s size) (_ []float64, err error) {
	callbacks, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	defer callbacks.close()
	data := filepath.Join(b.dir, "growth-"+s.name)
	p, err := b.product(ctx, data, "PARLEY_ROLES=api")
	if err != nil {
		return nil, err
	}
	channels, err := p.makeChannels(ctx, s.channels, callbacks.url(), 0)
	var slow []channel
	if err == nil {
		slow, err = p.makeChannels(ctx, 1, callbacks.url(), 1)
	}
	if err := errors.Join(err, p.stop()); err != nil {
		return nil, err
	}
	now := time.Now()
	err = b.fill(ctx, data, s.messages+s.backlog, func(i int) domain.Event {
		if i < s.messages {
			at := i % s.contacts
			return received(channels[at%s.channels], at/s.channels, i, now)
		}
		return sent(slow[0], i%(s.backlog/10), i, now) // ten to a conversation
	})
	if err != nil {
		return nil, err
	}
	if p, err = b.product(ctx, data); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.settle(ctx); err != nil {
		return nil, err
	}
	r := &ring{
		bench: b, product: p, channels: channels, contacts: s.contacts / s.channels, callbacks: callbacks,
		next: s.messages + s.backlog, // numbers of what was filled in are not used again
	}
	if _, err := r.turn(ctx, ringOffered, time.Second); err != nil {
		return nil, err
	}
	var cost []float64
	for range min(b.cfg.rounds, 2) {
		x, err := r.turn(ctx, ringOffered, b.span(2*time.Second, time.Second))
		if err != nil {
			return nil, err
		}
		cost = append(cost, x.cpuMillis)
	}
	return cost, nil
}
