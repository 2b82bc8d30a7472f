package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/parley-im/parley/domain"
)

const (
	deliveryChannels = 8
	deliverySlots    = 16 // calls to one endpoint at a time, the product's default
)

// measureDelivery measures callbacks a second out of a backlog. Queued replies
// are put into the log while no product runs; the product then starts, projects
// them and sends them. It is timed from the first callback to the last.
func measureDelivery(ctx context.Context, b *bench) error {
	callbacks, err := listen(ctx)
	if err != nil {
		return err
	}
	defer callbacks.close()
	data := filepath.Join(b.dir, "delivery")
	n, conversations := b.size(30_000, 10_000), b.size(3_000, 1_000)

	p, err := b.product(ctx, data, "PARLEY_ROLES=api")
	if err != nil {
		return err
	}
	channels, err := p.makeChannels(ctx, deliveryChannels, callbacks.url(), 0)
	if err := errors.Join(err, p.stop()); err != nil {
		return err
	}
	var rates, ceiling, cpu []float64
	for round := range b.cfg.rounds {
		rate, err := b.clientCeiling(ctx, callbacks)
		if err != nil {
			return err
		}
		ceiling = append(ceiling, rate)
		drained, err := b.drain(ctx, data, channels, callbacks, round*n, n, conversations)
		if err != nil {
			return err
		}
		rates, cpu = append(rates, drained.rate), append(cpu, drained.cpuMillis)
		b.sayf("round %d: %.0f/s of %.0f/s, %.3f CPU-ms each", round+1, drained.rate, rate, drained.cpuMillis)
	}
	b.report.add(Figure{
		Group: "delivery", Name: fmt.Sprintf("callbacks out of a backlog of %d", n), Unit: "1/s", Rounds: rates,
		Ceiling: fmt.Sprintf("http.Client, %d at a time", deliveryChannels*deliverySlots), CeilingRounds: ceiling, Aim: 0.5,
	})
	b.report.add(Figure{
		Group: "delivery", Name: "cost of a callback with its outcome and rows", Unit: "CPU-ms", Rounds: cpu, Less: true,
	})
	return nil
}

// drained is what sending a backlog came to.
type drained struct {
	rate      float64 // callbacks a second
	cpuMillis float64 // for each, of all processes, from ready to settled
}

// drain queues n replies and lets the product send them.
func (b *bench) drain(ctx context.Context, data string, channels []channel, callbacks *receiver, base, n, conversations int) (_ drained, err error) {
	now := time.Now()
	err = b.fill(ctx, data, n, func(i int) domain.Event {
		at := i % conversations
		return sent(channels[at%len(channels)], at/len(channels), base+i, now)
	})
	if err != nil {
		return drained{}, err
	}
	came := callbacks.expect(base, n)
	p, err := b.product(ctx, data)
	if err != nil {
		return drained{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := came.wait(ctx, n, 2*time.Minute); err != nil {
		return drained{}, err
	}
	if err := p.settle(ctx); err != nil {
		return drained{}, err
	}
	cost, err := p.cpu()
	if again := came.repeated.Load(); again > 0 {
		b.sayf("%d callbacks were repeated", again)
	}
	return drained{
		rate:      float64(n-1) / came.span().Seconds(),
		cpuMillis: cost.each(n),
	}, err
}

// clientCeiling lets a tuned http.Client post to the same receiver.
func (b *bench) clientCeiling(ctx context.Context, callbacks *receiver) (float64, error) {
	callbacks.expect(0, 0)
	child := exec.CommandContext(ctx, b.self, "ceiling-client", "-url", callbacks.url()+"/message",
		"-workers", strconv.Itoa(deliveryChannels*deliverySlots), "-for", b.span(3*time.Second, time.Second).String())
	child.Stderr = b.stderr
	out, err := child.Output()
	if err != nil {
		return 0, fmt.Errorf("post with a tuned client: %w", err)
	}
	var result clientResult
	if err := json.Unmarshal(out, &result); err != nil {
		return 0, fmt.Errorf("read what the tuned client says: %w", err)
	}
	return float64(result.Posted) / result.Seconds, nil
}

func decode(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	return nil
}
