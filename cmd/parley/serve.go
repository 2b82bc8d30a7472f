package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

type serveCommand struct {
	settings

	Drain time.Duration `help:"How long a node that is asked to end goes on taking requests after /readyz has said so: as long as the load balancer needs to notice." default:"1s"`
}

// longestDrain is how long a stop may be drawn out.
const longestDrain = 5 * time.Minute

// Run runs one node of a cluster until ctx ends.
func (c *serveCommand) Run(ctx context.Context, s streams, cli *commands) error {
	switch {
	case len(c.KafkaBrokers) == 0:
		return errors.New("PARLEY_KAFKA_BROKERS is needed: the brokers to start from, host:port, separated by commas (parley dev brings its own)")
	case c.DatabaseURL == "":
		return errors.New("PARLEY_DATABASE_URL is needed, such as postgres://user:secret@host/parley (parley dev brings its own)")
	case c.SecretKey == "":
		return errors.New("PARLEY_SECRET_KEY is needed: 32 bytes in base64, the same on every node (make one with: openssl rand -base64 32)")
	}
	if c.Drain < 0 || c.Drain > longestDrain {
		return fmt.Errorf("PARLEY_DRAIN must be 0s to %s", longestDrain)
	}
	if _, err := c.check(); err != nil {
		return err // before an address is taken
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s (PARLEY_ADDR chooses another address): %w", c.Addr, err)
	}
	c.Addr = listener.Addr().String() // port 0 has become a number
	cfg, err := c.check()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	cfg.logger = cli.logger(s.err)
	if cfg.has(roleAPI) {
		cfg.drain = c.Drain
	}
	n, err := startNode(ctx, cfg, listener)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(s.out, "parley serves at %s\n", cfg.publicURL)
	select {
	case <-ctx.Done():
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.drain+stopGrace)
		defer cancel()
		return n.stop(stopping)
	case err := <-n.failed:
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.drain+stopGrace)
		defer cancel()
		return errors.Join(err, n.stop(stopping))
	}
}
