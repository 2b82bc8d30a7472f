package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/parley-im/parley/domain"
)

const (
	ringChannels = 4
	ringContacts = 100 // a channel; the peers were measured with 100 keys
	ringConns    = 64
	ringOffered  = 300 // exchanges a second, as the peers were offered events
	ringProbe    = 30  // every so many exchanges, the row of the webhook is read
	ringAim      = 0.4 // CPU-milliseconds a message
	peerOffered  = 1.8 // CPU-milliseconds an event of the thriftiest peer at 300/s
	peerFull     = 1.1 // at full speed
)

// measureRing measures the whole way: a webhook comes in, it is answered by a
// reply over the platform API, the reply is called back, its outcome comes back
// through the log into the rows. An exchange is two messages: one in, one out.
//
// CPU time is that of parley with everything in it, the log included, and of its
// Postgres with all its processes. It is the fairest of the figures on a machine
// that does other things too.
func measureRing(ctx context.Context, b *bench) (err error) {
	callbacks, err := listen(ctx)
	if err != nil {
		return err
	}
	defer callbacks.close()
	p, err := b.product(ctx, filepath.Join(b.dir, "ring"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	channels, err := p.makeChannels(ctx, ringChannels, callbacks.url(), 0)
	if err != nil {
		return err
	}
	r := &ring{bench: b, product: p, channels: channels, contacts: ringContacts, callbacks: callbacks}
	if _, err := r.turn(ctx, ringOffered, b.span(4*time.Second, time.Second)); err != nil { // warm caches and pools
		return err
	}
	var offered, full ringRounds
	for round := range b.cfg.rounds {
		if err := offered.turn(ctx, r, ringOffered, b.span(5*time.Second, 2*time.Second)); err != nil {
			return err
		}
		if err := full.turn(ctx, r, 0, b.span(4*time.Second, time.Second)); err != nil {
			return err
		}
		b.sayf("round %d: at %d/s %.3f CPU-ms a message, reply to callback p50 %.1f p99 %.1f ms; full speed %.0f/s %.3f CPU-ms", round+1,
			ringOffered, offered.cpu[round], offered.called50[round], offered.called99[round], full.rate[round], full.cpu[round])
	}
	at := fmt.Sprintf(" at %d/s", ringOffered)
	for _, f := range []struct {
		name   string
		rounds []float64
	}{
		{"webhook accepted p50" + at, offered.accepted50},
		{"webhook accepted p99" + at, offered.accepted99},
		{"webhook to row readable p50" + at, offered.read50},
		{"webhook to row readable p95" + at, offered.read95},
		{"webhook to row readable p99" + at, offered.read99},
		{"reply to callback p50" + at, offered.called50},
		{"reply to callback p95" + at, offered.called95},
		{"reply to callback p99" + at, offered.called99},
	} {
		b.report.add(Figure{Group: "ring", Name: f.name, Unit: "ms", Rounds: f.rounds, Less: true})
	}
	b.report.add(Figure{
		Group: "ring", Name: "cost of a message" + at, Unit: "CPU-ms", Rounds: offered.cpu, Less: true, AimValue: ringAim,
		Ceiling: "thriftiest peer" + at, CeilingRounds: constant(peerOffered, b.cfg.rounds),
	})
	b.report.add(Figure{Group: "ring", Name: "of it Postgres" + at, Unit: "CPU-ms", Rounds: offered.postgres, Less: true})
	b.report.add(Figure{
		Group: "ring", Name: "cost of an exchange (2 messages)" + at, Unit: "CPU-ms", Rounds: times(offered.cpu, 2), Less: true,
		Ceiling: "thriftiest peer" + at, CeilingRounds: constant(peerOffered, b.cfg.rounds),
	})
	b.report.add(Figure{
		Group: "ring", Name: "cost of a message at full speed", Unit: "CPU-ms", Rounds: full.cpu, Less: true, AimValue: ringAim,
		Ceiling: "thriftiest peer at full speed", CeilingRounds: constant(peerFull, b.cfg.rounds),
	})
	b.report.add(Figure{Group: "ring", Name: "of it Postgres, at full speed", Unit: "CPU-ms", Rounds: full.postgres, Less: true})
	b.report.add(Figure{Group: "ring", Name: "exchanges at full speed, all called back", Unit: "1/s", Rounds: full.rate})
	return nil
}

func constant(v float64, n int) []float64 { return times(make([]float64, n), 0, v) }

// times multiplies values and adds what is given.
func times(values []float64, by float64, plus ...float64) []float64 {
	list := make([]float64, len(values))
	for i, v := range values {
		list[i] = v * by
		for _, p := range plus {
			list[i] += p
		}
	}
	return list
}

// ring drives exchanges through one product.
type ring struct {
	bench     *bench
	product   *process
	channels  []channel
	contacts  int // of each channel
	callbacks *receiver
	next      int // number of the next exchange
}

// exchanges is what a turn came to. Latencies of webhooks count from when they
// were due, those of callbacks from when the reply was posted.
type exchanges struct {
	n                      int
	rate                   float64 // a second, until the last callback
	cpuMillis              float64 // a message
	postgresMillis         float64 // of it Postgres
	accepted, read, called []time.Duration
}

// place gives the channel and the contact of an exchange.
func (r *ring) place(n int) (channel, int) {
	at := n % (len(r.channels) * r.contacts)
	return r.channels[at%len(r.channels)], at / len(r.channels)
}

// most bounds what one turn may reach, for the arrays of its times.
const most = 200_000

// turn drives exchanges for a time, at a rate or at full speed, and waits until
// all callbacks and the rows of their outcomes are there.
func (r *ring) turn(ctx context.Context, rate int, d time.Duration) (exchanges, error) {
	base := r.next
	came := r.callbacks.expect(base, most)
	posted := make([]time.Time, most)
	var (
		out    exchanges
		mu     sync.Mutex
		probes sync.WaitGroup
	)
	before, err := r.product.cpu()
	if err != nil {
		return out, err
	}
	started := time.Now()
	result, err := load(ctx, r.product.addr, ringConns, rate, d, func(c *conn, n int, begun time.Time) error {
		if n >= most {
			return errors.New("more exchanges than were planned for")
		}
		ch, contact := r.place(base + n)
		c.post(ch, contact, base+n)
		if status, err := c.send(); err != nil || status != http.StatusOK {
			return orRefused(err, status)
		}
		accepted := time.Since(begun)
		if rate > 0 && n%ringProbe == 0 {
			position := string(c.position)
			probes.Go(func() {
				readable, err := r.probe(ctx, ch, contact, position, begun)
				if err != nil {
					r.bench.sayf("read a row: %v", err)
					return
				}
				mu.Lock()
				out.read = append(out.read, readable)
				mu.Unlock()
			})
		}
		c.reply(ch, contact, base+n)
		posted[n] = time.Now()
		if status, err := c.send(); err != nil || status != http.StatusAccepted {
			return orRefused(err, status)
		}
		mu.Lock()
		out.accepted = append(out.accepted, accepted)
		mu.Unlock()
		return nil
	})
	probes.Wait()
	if err != nil {
		return out, err
	}
	if result.failed > 0 {
		return out, fmt.Errorf("%d exchanges failed: %s", result.failed, result.example)
	}
	out.n = len(result.samples)
	r.next += out.n + ringConns
	if err := came.wait(ctx, out.n, time.Minute); err != nil {
		return out, err
	}
	out.rate = float64(out.n) / time.Unix(0, came.last.Load()).Sub(started).Seconds()
	if err := pause(ctx, 300*time.Millisecond); err != nil { // the outcomes of the last ones become rows
		return out, err
	}
	after, err := r.product.cpu()
	if err != nil {
		return out, err
	}
	cost := after.since(before)
	out.cpuMillis, out.postgresMillis = cost.each(2*out.n), used{below: cost.below}.each(2*out.n)
	for n := range posted {
		if at := came.at[n].Load(); at > 0 && !posted[n].IsZero() {
			out.called = append(out.called, time.Unix(0, at).Sub(posted[n]))
		}
	}
	return out, nil
}

// probe reads a conversation as soon as it has the event at a position, and
// gives the time since the webhook was due.
func (r *ring) probe(ctx context.Context, ch channel, contact int, position string, begun time.Time) (time.Duration, error) {
	status, answer, err := r.product.call(ctx, http.MethodGet,
		"/v1/conversations/"+domain.ConversationID(ch.ID, contactRef(contact)).String(), nil, "Parley-Position", position)
	if err != nil {
		return 0, err
	}
	if status != http.StatusOK {
		return 0, fmt.Errorf("answered %d: %s", status, answer)
	}
	return time.Since(begun), nil
}

func orRefused(err error, status int) error {
	if err != nil {
		return err
	}
	return refused{status}
}

// ringRounds keeps the turns of one kind.
type ringRounds struct {
	rate, cpu, postgres          []float64
	accepted50, accepted99       []float64
	read50, read95, read99       []float64
	called50, called95, called99 []float64
}

func (s *ringRounds) turn(ctx context.Context, r *ring, rate int, d time.Duration) error {
	x, err := r.turn(ctx, rate, d)
	if err != nil {
		return err
	}
	s.rate, s.cpu, s.postgres = append(s.rate, x.rate), append(s.cpu, x.cpuMillis), append(s.postgres, x.postgresMillis)
	keep := func(list *[]float64, of []time.Duration, p float64) { *list = append(*list, millis(percentile(of, p))) }
	keep(&s.accepted50, x.accepted, 50)
	keep(&s.accepted99, x.accepted, 99)
	keep(&s.read50, x.read, 50)
	keep(&s.read95, x.read, 95)
	keep(&s.read99, x.read, 99)
	keep(&s.called50, x.called, 50)
	keep(&s.called95, x.called, 95)
	keep(&s.called99, x.called, 99)
	return nil
}
