package httpapi

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// silentFor is how long a connection may say nothing before a stop with a grace
// closes it: more than a client needs that has something to say.
func silentFor(grace time.Duration) time.Duration { return min(time.Second, grace/4) }

// silent are the connections on which no request has come yet. Clients open some
// that they never use; net/http would wait for those as if they were requests, and
// for longer than a stop may take.
type silent struct {
	mu    sync.Mutex
	since map[net.Conn]time.Time
}

// changed follows a connection.
func (s *silent) changed(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateNew {
		if s.since == nil {
			s.since = map[net.Conn]time.Time{}
		}
		s.since[c] = time.Now()
		return
	}
	delete(s.since, c)
}

// close closes those that have been silent for so long, until ctx ends.
func (s *silent) close(ctx context.Context, long time.Duration) {
	tick := time.NewTicker(max(long/10, time.Millisecond))
	defer tick.Stop()
	for {
		s.mu.Lock()
		for c, since := range s.since {
			if time.Since(since) >= long {
				_ = c.Close() // nobody has said anything that could be lost
				delete(s.since, c)
			}
		}
		s.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
