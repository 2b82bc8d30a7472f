package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"
)

const (
	ticketConns   = 64
	ticketThreads = 512 // conversations that the messages go to in turn
)

// measureTickets measures messages of contacts that the application API of
// ChannelX takes: each is decided under a lock, in the log, and in the rows before
// it is answered. The handler with an append does the first half of that.
func measureTickets(ctx context.Context, b *bench) (err error) {
	var running []*process
	defer func() {
		for _, p := range running {
			err = errors.Join(err, p.stop())
		}
	}()
	b.sayf("starting the product and a ceiling")
	behind, err := b.ceiling(ctx, "ceiling-append", filepath.Join(b.dir, "tickets-append"), "-partitions", strconv.Itoa(b.cfg.partitions))
	if err != nil {
		return err
	}
	running = append(running, behind)
	whole, err := b.product(ctx, filepath.Join(b.dir, "tickets"), "PARLEY_CHANNELX_MESSAGES_PER_MINUTE=0")
	if err != nil {
		return err
	}
	running = append(running, whole)
	threads, err := whole.makeThreads(ctx, ticketThreads)
	if err != nil {
		return err
	}
	ceiling := &ingestTarget{name: "handler + append", process: behind, channel: channel{ID: "620418000017", Token: "none"}}
	var rates, cost, p50s, p99s, one []float64
	span := b.span(3*time.Second, time.Second)
	for round := range b.cfg.rounds {
		if err := ceiling.saturate(ctx, span); err != nil {
			return fmt.Errorf("%s: %w", ceiling.name, err)
		}
		alone, err := load(ctx, whole.addr, 1, 0, warmUp+span, threads.step())
		if err != nil {
			return err
		}
		before, err := whole.cpu()
		if err != nil {
			return err
		}
		out, err := load(ctx, whole.addr, ticketConns, 0, warmUp+span, threads.step())
		if err == nil && out.failed+alone.failed > 0 {
			err = fmt.Errorf("%d messages were refused: %s%s", out.failed+alone.failed, out.example, alone.example)
		}
		if err != nil {
			return err
		}
		after, err := whole.cpu()
		if err != nil {
			return err
		}
		latencies := out.latencies(warmUp)
		rates, cost = append(rates, out.rate(warmUp, warmUp+span)), append(cost, after.since(before).each(len(out.samples)))
		p50s, p99s = append(p50s, millis(percentile(latencies, 50))), append(p99s, millis(percentile(latencies, 99)))
		one = append(one, millis(percentile(alone.latencies(warmUp), 50)))
		b.sayf("round %d: %.0f/s of %.0f/s; %.1f ms at one client, %.1f ms at %d", round+1,
			rates[round], ceiling.rates[round], one[round], p50s[round], ticketConns)
	}
	at := fmt.Sprintf(", %d clients", ticketConns)
	b.report.add(Figure{
		Group: "tickets", Name: "ChannelX messages answered out of the rows" + at, Unit: "1/s", Rounds: rates,
		Ceiling: "handler + append, as durable", CeilingRounds: ceiling.rates,
	})
	b.report.add(Figure{Group: "tickets", Name: "cost of a message with its rows" + at, Unit: "CPU-ms", Rounds: cost, Less: true})
	b.report.add(Figure{Group: "tickets", Name: "p50, 1 client", Unit: "ms", Rounds: one, Less: true})
	b.report.add(Figure{Group: "tickets", Name: "p50" + at, Unit: "ms", Rounds: p50s, Less: true})
	b.report.add(Figure{Group: "tickets", Name: "p99" + at, Unit: "ms", Rounds: p99s, Less: true})
	return nil
}

// threads are the numbers of conversations.
type threads []int

// makeThreads makes an inbox with so many people, each with a conversation.
func (p *process) makeThreads(ctx context.Context, n int) (threads, error) {
	var inbox struct {
		ID int `json:"inbox_id"`
	}
	if err := p.make(ctx, "/v1/channels", map[string]any{"dialect": "channelx", "name": "bench"}, &inbox); err != nil {
		return nil, err
	}
	list := make(threads, n)
	for i := range list {
		source := fmt.Sprintf("bench-%d", i)
		if err := p.make(ctx, accountPath+"/contacts", map[string]any{"inbox_id": inbox.ID, "source_id": source, "name": source}, nil); err != nil {
			return nil, err
		}
		var made struct {
			ID int `json:"id"`
		}
		if err := p.make(ctx, accountPath+"/conversations", map[string]any{"source_id": source}, &made); err != nil {
			return nil, err
		}
		list[i] = made.ID
	}
	return list, nil
}

// accountPath is where the application API of ChannelX has the default account.
const accountPath = "/api/v1/accounts/1"

// make posts a body and reads the answer into to, unless that is nil.
func (p *process) make(ctx context.Context, path string, body, to any) error {
	status, answer, err := p.call(ctx, http.MethodPost, path, body)
	if err == nil && status != http.StatusOK && status != http.StatusCreated {
		err = fmt.Errorf("answered %d: %s", status, answer)
	}
	if err == nil && to != nil {
		err = json.Unmarshal(answer, to)
	}
	if err != nil {
		return fmt.Errorf("post to %s: %w", path, err)
	}
	return nil
}

// step writes into one conversation after another.
func (t threads) step() step {
	const head, tail = `{"content":"Is the shop open today? `, `","message_type":"incoming"}`
	return func(c *conn, n int, _ time.Time) error {
		c.request(fmt.Sprintf("%s/conversations/%d/messages", accountPath, t[n%len(t)]), adminToken, len(head)+8+len(tail))
		c.out = append(digits(append(c.out, head...), n%100_000_000, 8), tail...)
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
