package voximplant

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds of failed logins (section 8.1).
const (
	maxFailures   = 60 // a minute and address; then nobody there may try
	failureWindow = time.Minute
	maxAddresses  = 10_000 // that are remembered
)

// limiter counts failed logins per address. A window begins with the first
// failure of an address and ends a minute later.
type limiter struct {
	mu        sync.Mutex
	addresses map[netip.Prefix]failures
}

type failures struct {
	since time.Time
	count int
}

func newLimiter() *limiter { return &limiter{addresses: map[netip.Prefix]failures{}} }

// blocked gives how long an address has to wait before it may try again; 0 is not
// at all.
func (l *limiter) blocked(remote string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.addresses[addressOf(remote)]
	if f.count < maxFailures {
		return 0
	}
	return max(0, f.since.Add(failureWindow).Sub(now))
}

// failed counts a login that failed.
func (l *limiter) failed(remote string, now time.Time) {
	address := addressOf(remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	f, known := l.addresses[address]
	if now.Sub(f.since) >= failureWindow {
		f = failures{since: now}
	}
	f.count++
	if !known && len(l.addresses) >= maxAddresses {
		l.sweep(now)
	}
	l.addresses[address] = f
}

// sweep forgets windows that have ended; when there is none, one that has not,
// which lets that address fail some times too many.
func (l *limiter) sweep(now time.Time) {
	var some netip.Prefix
	for address, f := range l.addresses {
		if now.Sub(f.since) >= failureWindow {
			delete(l.addresses, address)
		}
		some = address
	}
	if len(l.addresses) >= maxAddresses {
		delete(l.addresses, some)
	}
}

// addressOf gives what counts as one address: an IPv4 address, or the network of
// an IPv6 address, of which one customer has all 2^64 addresses.
func addressOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{} // all that have none count together
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
