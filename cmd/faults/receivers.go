package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// receiverFaults are the cases in which receivers of callbacks behave badly.
func receiverFaults() []fault {
	both := []string{onEmbedded, onKafka}
	return []fault{{
		name: "receivers", promise: "delivered in order, or a dead letter", beside: true,
		breaks: "receivers that hang, trickle, answer 500 or 429, redirect inside, answer 2 GiB or fail in TLS, all beside a good one",
		logs:   both, rounds: 20, play: badReceivers,
		without: "the refusal to follow redirects: 19 calls came to the inner server and 19 replies were lost of 2379 posts; the check of certificates: " +
			"28 calls came over bad ones; the bound on an answer's size: the node held 1575 MiB; the retry after 500: 11 replies were lost; the call's timeout: 33, and only its hold on the body: 30; " +
			"Retry-After and the slower pace after a 429: 13 calls came too early in 3 rounds",
	}, {
		name: "receiver-moves-inside", promise: "callbacks reach allowed addresses only", beside: true,
		breaks: "the name of a receiver comes to lead to an inner address, and back",
		logs:   []string{onEmbedded}, rounds: 10, slow: true, needs: mayMount, play: movesInside,
		without: "the look at the address when a connection is made: 162 replies went to the inner address",
	}, {
		name: "receiver-dead", promise: "one bad endpoint hurts nobody", beside: true,
		breaks: "one receiver of a hundred hangs, under load", logs: both, rounds: 5, play: oneOfHundred,
		without: "the slots of an endpoint: the p95 of the others was 2.3 s, undisturbed 0.8 s (on a busy machine)",
	}}
}

// inner is a place that no callback may come to.
type inner struct {
	addr string
	hits atomic.Int64
}

func (r *run) newInner(ctx context.Context, addr string) (*inner, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen inside: %w", err)
	}
	in := &inner{addr: l.Addr().String()}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		in.hits.Add(1)
		fmt.Fprint(w, `{"mId":"inside"}`)
	})}
	go func() { _ = server.Serve(l) }() // until it is closed
	r.onEnd(server.Close)
	return in, nil
}

// drip prepares light load on a channel: a few contacts, so that a lane that waits
// for its retry is soon through.
func (s *stand) drip(ch channel, hooks *receiver, prefix string) *traffic {
	return &traffic{
		stand: s, channel: ch, receiver: hooks, prefix: prefix, contacts: 6, pause: 150 * time.Millisecond, began: time.Now(), stop: make(chan struct{}), strict: true,
	}
}

// badReceivers has receivers of all manners at once.
func badReceivers(ctx context.Context, r *run) error {
	s, err := r.bare(ctx)
	if err != nil {
		return err
	}
	inside, err := r.newInner(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	certs, err := makeCertificates(filepath.Join(r.dir, "roots.pem"))
	if err != nil {
		return err
	}
	s.env = append(s.env, "PARLEY_CALLBACK_TIMEOUT=1s", "SSL_CERT_FILE="+certs.roots)
	if err := s.add(ctx, allRoles); err != nil {
		return err
	}
	s.open(ctx, s.nodes...)
	var receivers []*counted
	var channels []channel
	for _, m := range badManners("http://" + inside.addr + "/") {
		c, err := r.newMannered(ctx, m, certs)
		if err != nil {
			return err
		}
		ch, err := s.makeChannel(ctx, c.url)
		if err != nil {
			return err
		}
		receivers, channels = append(receivers, c), append(channels, ch)
	}
	length, calm := 10*time.Second, 5*time.Second
	if !r.full() {
		length, calm = 3*time.Second, time.Second
	}
	watching := watch(ctx, s.nodes[0], 200*time.Millisecond)
	defer watching.close()
	dead := 0
	var before, beside []time.Duration // of the one that is always good
	phase := func(ctx context.Context, name string, well bool, d time.Duration) ([]*traffic, error) {
		var load []*traffic
		for i, c := range receivers {
			c.well.Store(well)
			t := s.drip(channels[i], c.receiver, name+c.manners.name)
			t.mayFail = c.manners.final
			t.run(ctx)
			load = append(load, t)
		}
		err := pause(ctx, d)
		for _, t := range load {
			t.end()
		}
		return load, err
	}
	err = s.each(ctx, func(ctx context.Context, n int) error {
		good, err := phase(ctx, fmt.Sprintf("calm%02d", n), true, calm)
		if err != nil {
			return err
		}
		bad, err := phase(ctx, fmt.Sprintf("bad%02d", n), false, length)
		if err != nil {
			return err
		}
		for _, t := range slices.Concat(good, bad) {
			if err := t.check(ctx); err != nil {
				return fmt.Errorf("%s: %w", t.prefix, err)
			}
			if err := t.buried(ctx); err != nil {
				return err
			}
			dead += len(t.dead)
		}
		before = append(before, delays(receivers[0].receiver, good[:1])...)
		beside = append(beside, delays(receivers[0].receiver, bad[:1])...)
		return nil
	})
	if hits := inside.hits.Load(); hits > 0 {
		r.result.problemf("%d callbacks followed a redirect", hits)
	}
	var shown []string
	for _, c := range receivers {
		if c.manners.every > 0 {
			shown = append(shown, fmt.Sprintf("%s %d of %d", c.manners.name, c.bad.Load(), c.calls.Load()))
		}
		if n := c.astray.Load(); n > 0 {
			r.result.problemf("%s: %d calls came over a bad certificate, or before the time that a 429 had told", c.manners.name, n)
		}
		if c.manners.name == "errors" {
			r.result.retries(c.seen(), r.full())
		}
	}
	if top := most(watching.seen(), ofMemory); top > mostMemory {
		r.result.problemf("the node held %s, more than %s", mib(top), mib(mostMemory))
	}
	r.result.notef("calls that were treated badly: %s; %d dead letters, all by redirects; resident memory of the node %s at most",
		strings.Join(shown, ", "), dead, mib(most(watching.seen(), ofMemory)))
	r.result.disturbed("of the good one", "while all behave", "beside all the bad ones", before, beside)
	return err
}

// buried looks for what the oracle took for dead letters among the deliveries: each
// is there, with the reason.
func (t *traffic) buried(ctx context.Context) error {
	if len(t.dead) == 0 {
		return nil
	}
	found := 0
	for cursor := ""; ; {
		var page struct {
			Data []struct {
				ContactRef string `json:"contact_ref"`
			} `json:"data"`
			NextCursor string `json:"next_cursor"`
		}
		if err := t.stand.doors.read(ctx, "/v1/deliveries?state=dead&limit=200&channel="+t.channel.ID+"&cursor="+cursor, &page); err != nil {
			return fmt.Errorf("read dead letters: %w", err)
		}
		for _, d := range page.Data {
			if strings.HasPrefix(d.ContactRef, t.prefix+"_") {
				found++
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if found != len(t.dead) {
		t.stand.result.problemf("%s: %d replies have failed, and %d are dead letters", t.prefix, len(t.dead), found)
	}
	return nil
}

// movesInside has the name of a receiver lead to an address that is not allowed.
func movesInside(ctx context.Context, r *run) error {
	s, err := r.bare(ctx)
	if err != nil {
		return err
	}
	hooks, err := s.newReceiver(ctx, 0)
	if err != nil {
		return err
	}
	hooks.server.SetKeepAlivesEnabled(false) // a look at the name for each call
	_, port, err := net.SplitHostPort(hooks.addr)
	if err != nil {
		return fmt.Errorf("read the receiver's address: %w", err)
	}
	inside, err := r.newInner(ctx, net.JoinHostPort("127.0.0.2", port))
	if err != nil {
		return err
	}
	hosts := filepath.Join(r.dir, "hosts")
	lead := func(to string) error {
		// Written in place: it is mounted.
		return os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"+to+" hooks.example.com\n"), 0o644) //nolint:gosec // read by the node
	}
	if err := lead("127.0.0.1"); err != nil {
		return err
	}
	s.env = append(s.env, "PARLEY_CALLBACK_ALLOW=127.0.0.1/32", "GODEBUG=netdns=go")
	n, err := s.newNode(ctx, "named", append(slices.Clone(s.env), "PARLEY_ROLES="+allRoles), "serve")
	if err != nil {
		return err
	}
	n.args = append([]string{"--mount", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts, n.program}, n.args...)
	n.program = "unshare"
	s.nodes = append(s.nodes, n)
	if err := n.start(ctx); err != nil {
		return err
	}
	s.open(ctx, n)
	ch, err := s.makeChannel(ctx, "http://hooks.example.com:"+port)
	if err != nil {
		return err
	}
	dead := 0
	err = s.each(ctx, func(ctx context.Context, round int) error {
		t := s.drip(ch, hooks, fmt.Sprintf("r%02d", round))
		t.mayFail = true
		t.run(ctx)
		err := func() error {
			defer t.end()
			// A look at the file is good for 5 s.
			const remembered = 6 * time.Second
			if err := t.reached(ctx, contacts); err != nil {
				return err
			}
			if err := lead("127.0.0.2"); err != nil {
				return err
			}
			if err := pause(ctx, remembered+time.Second); err != nil {
				return err
			}
			if err := lead("127.0.0.1"); err != nil {
				return err
			}
			return pause(ctx, remembered)
		}()
		if err != nil {
			return err
		}
		if err := t.check(ctx); err != nil {
			return err
		}
		if len(t.dead) == 0 {
			r.result.problemf("no callback noticed that the name led inside")
		}
		dead += len(t.dead)
		return t.buried(ctx)
	})
	if hits := inside.hits.Load(); hits > 0 {
		r.result.problemf("%d callbacks came to the inner address", hits)
	}
	r.result.notef("%d callbacks were refused, %d came to the inner address", dead, inside.hits.Load())
	return err
}

// unhurt is a p95 from reply to callback that says more about the machine than about
// who hangs: of two below it neither is the slower one.
const unhurt = 100 * time.Millisecond

// oneOfHundred has one of a hundred receivers hang.
func oneOfHundred(ctx context.Context, r *run) error {
	s, err := r.bare(ctx)
	if err != nil {
		return err
	}
	s.env = append(s.env, "PARLEY_CALLBACK_TIMEOUT=3s")
	if err := s.add(ctx, allRoles); err != nil {
		return err
	}
	s.open(ctx, s.nodes...)
	many, length := 100, 15*time.Second
	if !r.full() {
		many, length = 25, 2*time.Second
	}
	var hangs atomic.Bool
	good, err := r.newReceiver(ctx, 5*time.Millisecond)
	if err != nil {
		return err
	}
	bad, err := r.newReceiver(ctx, 5*time.Millisecond)
	if err != nil {
		return err
	}
	bad.answer = func(_ http.ResponseWriter, req *http.Request) bool {
		if !hangs.Load() {
			return false
		}
		<-req.Context().Done()
		return true
	}
	var channels []channel
	for i := range many {
		to := good.url()
		if i == 0 {
			to = bad.url()
		}
		ch, err := s.makeChannel(ctx, to)
		if err != nil {
			return err
		}
		channels = append(channels, ch)
	}
	return s.each(ctx, func(ctx context.Context, n int) error {
		phase := func(name string) ([]*traffic, error) {
			var load []*traffic
			for i, ch := range channels {
				t := &traffic{
					stand: s, channel: ch, receiver: good, prefix: fmt.Sprintf("%s%02dx%03d", name, n, i), contacts: 1, pause: 500 * time.Millisecond,
					began: time.Now(), stop: make(chan struct{}), strict: true,
				}
				if i == 0 { // the one that will hang has much to do
					t.receiver, t.contacts, t.pause = bad, 30, 200*time.Millisecond
				}
				t.run(ctx)
				load = append(load, t)
			}
			err := pause(ctx, length)
			for _, t := range load {
				t.end()
			}
			return load, err
		}
		calm, err := phase("calm")
		if err != nil {
			return err
		}
		hangs.Store(true)
		hurt, err := phase("hurt")
		hangs.Store(false)
		if err != nil {
			return err
		}
		for _, t := range slices.Concat(calm, hurt) {
			if err := t.check(ctx); err != nil {
				return err
			}
		}
		before, after := delays(good, calm[1:]), delays(good, hurt[1:])
		r.result.disturbed(fmt.Sprintf("of the %d others", many-1), "undisturbed", "beside the one that hangs", before, after)
		if r.full() && share(after, 95) > 2*max(share(before, 95), unhurt) {
			r.result.problemf("beside one that hangs the p95 of the others was %s, undisturbed %s", share(after, 95), share(before, 95))
		}
		return nil
	})
}
