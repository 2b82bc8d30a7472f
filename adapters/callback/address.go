package callback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// inner are the ranges that no callback reaches unless the operator allows it:
// all that is not a public unicast address (the special-purpose registries of
// IANA), cloud metadata included, which is link-local or in these ranges.
func inner() []netip.Prefix {
	ranges := []string{
		"0.0.0.0/8",       // this network
		"10.0.0.0/8",      // private
		"100.64.0.0/10",   // carrier-grade NAT; 100.100.100.200 is a metadata service
		"127.0.0.0/8",     // loopback
		"169.254.0.0/16",  // link-local; 169.254.169.254 is the metadata service
		"172.16.0.0/12",   // private
		"192.0.0.0/24",    // protocol assignments; 192.0.0.192 is a metadata service
		"192.0.2.0/24",    // documentation
		"192.88.99.0/24",  // 6to4 relays
		"192.168.0.0/16",  // private
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"224.0.0.0/4",     // multicast
		"240.0.0.0/4",     // reserved, broadcast

		"::/96",          // unspecified, loopback, IPv4-compatible
		"64:ff9b::/96",   // NAT64: an inner IPv4 address may hide in it
		"64:ff9b:1::/48", // NAT64, local
		"100::/64",       // discard
		"2001::/23",      // Teredo and protocol assignments
		"2001:db8::/32",  // documentation
		"2002::/16",      // 6to4: an inner IPv4 address may hide in it
		"3fff::/20",      // documentation
		"5f00::/16",      // segment routing
		"fc00::/7",       // unique local; fd00:ec2::254 is a metadata service
		"fe80::/10",      // link-local
		"fec0::/10",      // site-local
		"ff00::/8",       // multicast
	}
	prefixes := make([]netip.Prefix, len(ranges))
	for i, r := range ranges {
		prefixes[i] = netip.MustParsePrefix(r)
	}
	return prefixes
}

// refusedError tells that the operator does not allow callbacks to an address.
type refusedError struct{ addr netip.Addr }

func (e *refusedError) Error() string {
	return fmt.Sprintf("%s is not a public address; to allow it, name its range in PARLEY_CALLBACK_ALLOW", e.addr)
}

// gate decides which addresses may be connected to.
type gate struct {
	allow, refuse []netip.Prefix
}

func newGate(allow []netip.Prefix) *gate {
	g := &gate{refuse: inner()}
	for _, p := range allow {
		// The same range written as IPv4 inside IPv6 means the IPv4 range.
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		g.allow = append(g.allow, p.Masked())
	}
	return g
}

// check gives an refusedError unless addr may be reached.
func (g *gate) check(addr netip.Addr) error {
	plain := addr.Unmap().WithZone("")
	for _, p := range g.allow {
		if p.Contains(plain) {
			return nil
		}
	}
	for _, p := range g.refuse {
		if p.Contains(plain) {
			return &refusedError{addr: plain}
		}
	}
	if !plain.IsValid() {
		return &refusedError{addr: plain}
	}
	return nil
}

// passedKey is where the context of a dial counts the addresses that may be reached.
type passedKey struct{}

// control is run by the dialer on every connection, after names were resolved
// and before the first packet: what DNS says cannot get around it.
func (g *gate) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address to connect to: %w", err)
	}
	if err := g.check(to.Addr()); err != nil {
		return err
	}
	if passed, ok := ctx.Value(passedKey{}).(*atomic.Bool); ok {
		passed.Store(true)
	}
	return nil
}

var errNoneAnswers = errors.New("none of its addresses that are allowed can be reached")

// dial connects to an address that may be reached, of those that a name has. Only a
// name that has none is refused: where one is refused and another is down, the
// endpoint is down, and may come back.
func (g *gate) dial(dialer *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer.ControlContext = g.control
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var passed atomic.Bool
		conn, err := dialer.DialContext(context.WithValue(ctx, passedKey{}, &passed), network, address)
		if _, refused := errors.AsType[*refusedError](err); refused && passed.Load() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errNoneAnswers}
		}
		return conn, err
	}
}
