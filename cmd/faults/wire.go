package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wire is the network between two processes: what is sent to its address comes out
// at another one, in the way that it is broken at the moment.
type wire struct {
	proxy *toxiproxy.Proxy
}

// newWire leads to an address.
func newWire(ctx context.Context, to string) (*wire, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	zerolog.SetGlobalLevel(zerolog.Disabled) // the toxics have a logger of their own
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{proxy: toxiproxy.NewProxy(server, to, addr, to)}
	if err := w.proxy.Start(); err != nil {
		return nil, fmt.Errorf("lay a wire to %s: %w", to, err)
	}
	return w, nil
}

// addr is where it begins.
func (w *wire) addr() string {
	if w == nil {
		return ""
	}
	return w.proxy.Listen
}

// network is all wires between two of the parts of an installation. They break
// together.
type network []*wire

func (n network) addrs() []string {
	list := make([]string, len(n))
	for i, w := range n {
		list[i] = w.addr()
	}
	return list
}

func (n network) close() {
	for _, w := range n {
		w.proxy.Stop()
	}
}

// breakage is a way in which a network is broken.
type breakage struct {
	name   string
	toxics []string // none: it is cut
	long   bool     // as long as the timeouts that have to notice it
}

// breakages are all of them.
func breakages() []breakage {
	both := func(toxic string) []string {
		return []string{
			fmt.Sprintf(`{"name":"up","stream":"upstream",%s}`, toxic),
			fmt.Sprintf(`{"name":"down","stream":"downstream",%s}`, toxic),
		}
	}
	return []breakage{
		{name: "latency", toxics: both(`"type":"latency","attributes":{"latency":150,"jitter":100}`)},
		{name: "cut"},
		{name: "half-open", toxics: both(`"type":"timeout","attributes":{"timeout":0}`), long: true},
		{name: "slow", toxics: both(`"type":"bandwidth","attributes":{"rate":8}`)},
		{name: "unanswered", toxics: []string{`{"name":"down","stream":"downstream","type":"reset_peer","attributes":{"timeout":0}}`}},
	}
}

// spoil breaks all wires.
func (n network) spoil(b breakage) error {
	for _, w := range n {
		if len(b.toxics) == 0 {
			w.proxy.Stop()
		}
		for _, toxic := range b.toxics {
			if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				return fmt.Errorf("break the network: %s: %w", b.name, err)
			}
		}
	}
	return nil
}

// mend makes all wires whole. What was swallowed stays away.
func (n network) mend(ctx context.Context) error {
	for _, w := range n {
		w.proxy.Toxics.ResetToxics(ctx)
		if err := w.proxy.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			return fmt.Errorf("mend the network: %w", err)
		}
	}
	return nil
}

// bridge leads from a loopback port to a socket of the file system: a wire knows
// ports only.
type bridge struct {
	listener net.Listener
	all      sync.WaitGroup
}

func newBridge(ctx context.Context, socket string) (*bridge, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen before %s: %w", socket, err)
	}
	b := &bridge{listener: l}
	ctx = context.WithoutCancel(ctx)
	b.all.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return // closed
			}
			b.all.Go(func() { join(ctx, from, socket) })
		}
	})
	return b, nil
}

func (b *bridge) addr() string { return b.listener.Addr().String() }

// join copies both ways until one side ends.
func join(ctx context.Context, from net.Conn, socket string) {
	defer from.Close()
	to, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return // as if nobody listened
	}
	defer to.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(from, to)
		from.Close()
	})
	_, _ = io.Copy(to, from)
	to.Close()
	back.Wait()
}

// close ends it; connections end with their clients.
func (b *bridge) close() error { return b.listener.Close() }
