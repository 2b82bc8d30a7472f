package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-im/parley/adapters/embedded"
)

// Ends of a network.
const (
	toParley   = "parley"
	toKafka    = "kafka"
	toPostgres = "postgres"
	toReceiver = "receiver"
)

// networkFaults are the cases in which processes live and do not reach each other.
func networkFaults() []fault {
	var list []fault
	for _, pair := range []struct{ to, promise, between, without string }{
		{toParley, "accepted means kept, once", "integrations and Parley", "ids that are derived from the sender's: rows that are there twice"},
		{toKafka, "accepted means kept, in order", "Parley and the log", "the error of a failed append: accepted posts are not in the log"},
		{toPostgres, "ingest needs only the log", "Parley and Postgres", "the repetition of a failed batch and the conditional move of the checkpoint: messages are not in the rows"},
		{toReceiver, "at least once, in order", "Parley and the receiver", "the retry of what got no answer: 86 replies were lost of 2726 posts in 1 round"},
	} {
		list = append(list, fault{
			name: "network-" + pair.to, promise: pair.promise, without: pair.without, beside: true,
			breaks: "latency, a cut, a half-open network, 8 KB/s, and answers that are cut off, between " + pair.between,
			logs:   []string{onEmbedded, onKafka}, rounds: 10, play: brokenNetwork(pair.to),
			// The wires to the brokers are those of all cases.
			breaksKafka: pair.to == toKafka,
		})
	}
	return list
}

// wires are the networks of an installation.
type wires map[string]network

// wired is an installation of one node whose every connection goes over a wire.
func (r *run) wired(ctx context.Context) (*stand, wires, *receiver, error) {
	s, ways := &stand{run: r}, wires{}
	lay := func(end, to string) (string, error) {
		w, err := newWire(ctx, to)
		if err != nil {
			return "", err
		}
		ways[end] = append(ways[end], w)
		r.onEnd(func() error { w.proxy.Stop(); return nil })
		return w.addr(), nil
	}
	if err := s.wiredLog(ctx, ways, lay); err != nil {
		return nil, nil, nil, err
	}
	if err := s.base(ctx); err != nil {
		return nil, nil, nil, err
	}
	database, err := s.wiredDatabase(ctx, lay)
	if err != nil {
		return nil, nil, nil, err
	}
	s.env = append(s.env, "PARLEY_DATABASE_URL="+database, "PARLEY_CALLBACK_TIMEOUT=1s")
	hooks, err := s.newReceiver(ctx, 5*time.Millisecond)
	if err != nil {
		return nil, nil, nil, err
	}
	if hooks.addr, err = lay(toReceiver, hooks.addr); err != nil {
		return nil, nil, nil, err
	}
	if err := s.add(ctx, allRoles); err != nil {
		return nil, nil, nil, err
	}
	// It listens where it did; who asks for it is led over the wire.
	if s.nodes[0].addr, err = lay(toParley, s.nodes[0].addr); err != nil {
		return nil, nil, nil, err
	}
	s.open(ctx, s.nodes...)
	return s, ways, hooks, nil
}

// wiredLog leads to each broker over a wire, also those that ask a broker where to
// go: brokers name the wires.
func (s *stand) wiredLog(ctx context.Context, ways wires, lay func(end, to string) (string, error)) error {
	if s.log == onKafka {
		cluster, err := s.run.kafka.get(ctx, s.bench)
		if err != nil {
			return err
		}
		ways[toKafka] = s.run.kafka.wires
		s.kafka, s.brokers = cluster, ways[toKafka].addrs()
		// Others use them, too.
		s.onEnd(func() error { return ways[toKafka].mend(context.WithoutCancel(ctx)) })
		return nil
	}
	log, err := embedded.Start(ctx, embedded.Config{
		Dir: filepath.Join(s.dir, "log"),
		Listen: func(kind, address string) (net.Listener, error) {
			l, err := new(net.ListenConfig).Listen(ctx, kind, address)
			if err != nil {
				return nil, err
			}
			front, err := lay(toKafka, l.Addr().String())
			if err != nil {
				return nil, err
			}
			addr, err := net.ResolveTCPAddr("tcp", front)
			return fronted{Listener: l, addr: addr}, err
		},
	})
	if err != nil {
		return err
	}
	s.onEnd(log.Close)
	s.brokers = log.Brokers()
	return nil
}

// fronted is a listener that names what stands before it.
type fronted struct {
	net.Listener

	addr net.Addr
}

// Addr implements net.Listener.
func (f fronted) Addr() net.Addr { return f.addr }

// wiredDatabase leads to the database over a wire.
func (s *stand) wiredDatabase(ctx context.Context, lay func(end, to string) (string, error)) (string, error) {
	u, err := url.Parse(s.database.url())
	if err != nil {
		return "", fmt.Errorf("read the database's URL: %w", err)
	}
	query := u.Query()
	b, err := newBridge(ctx, filepath.Join(query.Get("host"), ".s.PGSQL."+query.Get("port")))
	if err != nil {
		return "", err
	}
	s.onEnd(b.close)
	if u.Host, err = lay(toPostgres, b.addr()); err != nil {
		return "", err
	}
	query.Del("host")
	query.Del("port")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// brokenNetwork breaks the network between two parts in all ways, one after the
// other, under load that goes on.
func brokenNetwork(end string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		s, ways, hooks, err := r.wired(ctx)
		if err != nil {
			return err
		}
		ch, err := s.makeChannels(ctx, hooks)
		if err != nil {
			return err
		}
		slowest := map[string]time.Duration{}
		err = s.each(ctx, func(ctx context.Context, n int) error {
			t := s.begin(ctx, ch, hooks, fmt.Sprintf("r%02d", n))
			err := func() error {
				defer t.end()
				for _, b := range breakages() {
					if err := t.reached(ctx, contacts); err != nil {
						return err
					}
					back, err := s.breakFor(ctx, t, ways[end], b)
					if err != nil {
						return fmt.Errorf("%s: %w", b.name, err)
					}
					slowest[b.name] = max(slowest[b.name], back)
				}
				return t.reached(ctx, contacts*2)
			}()
			if err != nil {
				return err
			}
			s.sayf("round %d/%d: %d accepted", n+1, s.rounds, t.accepted.Load())
			return t.check(ctx)
		})
		var told []string
		for _, b := range breakages() {
			told = append(told, fmt.Sprintf("%s %s", b.name, slowest[b.name].Round(10*time.Millisecond)))
		}
		r.result.notef("%d posts were accepted after the network was whole again within, at the slowest: %s", contacts, strings.Join(told, ", "))
		return err
	}
}

// breakFor breaks a network for a while. It tells how long it took until posts were
// accepted again.
func (s *stand) breakFor(ctx context.Context, t *traffic, n network, b breakage) (time.Duration, error) {
	over := t.strike()
	defer over()
	if err := n.spoil(b); err != nil {
		return 0, err
	}
	length := 600 * time.Millisecond
	switch {
	case s.full() && b.long:
		length = s.moment(6*time.Second, 14*time.Second)
	case s.full():
		length = s.moment(2*time.Second, 5*time.Second)
	case b.long:
		length = 2 * time.Second
	}
	if err := pause(ctx, length); err != nil {
		return 0, err
	}
	if err := n.mend(ctx); err != nil {
		return 0, err
	}
	whole := time.Now()
	err := t.reached(ctx, contacts)
	return time.Since(whole), err
}
