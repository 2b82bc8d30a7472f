package channelx

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/parley-im/parley/domain"
)

// Bounds of what is counted.
const (
	window      = time.Minute
	maxCounted  = 50_000 // names that are remembered
	maxSweeping = 100    // of them that are looked at to forget one
)

// limiter counts what names do in a minute. A window begins with the first thing
// that a name does and ends a minute later.
type limiter struct {
	most int // 0 = no limit

	mu      sync.Mutex
	counted map[string]spell
}

type spell struct {
	since time.Time
	count int
}

func newLimiter(most int) *limiter { return &limiter{most: most, counted: map[string]spell{}} }

// take counts one thing that a name does; CodeRateLimited when it is one too many.
func (l *limiter) take(name string, now time.Time) error {
	if l.most <= 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, known := l.counted[name]
	if now.Sub(s.since) >= window || now.Before(s.since) {
		s = spell{since: now}
	}
	if s.count >= l.most {
		return &domain.Error{Code: domain.CodeRateLimited, Message: "Retry later", RetryAfter: s.since.Add(window).Sub(now)}
	}
	s.count++
	if !known && len(l.counted) >= maxCounted {
		l.sweep(now)
	}
	l.counted[name] = s
	return nil
}

// sweep forgets names whose window has ended, of some; when none has, one that has
// not, which lets that name do some things too many.
func (l *limiter) sweep(now time.Time) {
	seen, some := 0, ""
	for name, s := range l.counted {
		if now.Sub(s.since) >= window {
			delete(l.counted, name)
		}
		some = name
		if seen++; seen == maxSweeping {
			break
		}
	}
	if len(l.counted) >= maxCounted {
		delete(l.counted, some)
	}
}

// addressOf gives what counts as one address: an IPv4 address, or the network of
// an IPv6 address, of which one customer has all 2^64 addresses.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return "" // all that have none count together
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
