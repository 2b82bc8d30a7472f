package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a kept-open HTTP/1.1 connection that does as little as a client can,
// because load and product share the machine.
type conn struct {
	net      net.Conn
	in       *bufio.Reader
	out      []byte // the request being sent
	position []byte // Parley-Position of the last answer
}

// dial opens a connection that lives for limit at most.
func dial(ctx context.Context, addr string, limit time.Duration) (*conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &conn{net: c, in: bufio.NewReaderSize(c, 16<<10)}, nil
}

// send writes what is in out and reads the answer to its end.
func (c *conn) send() (status int, err error) {
	if _, err := c.net.Write(c.out); err != nil {
		return 0, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, fmt.Errorf("bad status line %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, fmt.Errorf("bad status line %q", line)
	}
	length := -1
	c.position = c.position[:0]
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		if !ok {
			break
		}
		switch {
		case len(name) == 14 && bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, fmt.Errorf("bad Content-Length: %w", err)
			}
		case len(name) == 15 && bytes.EqualFold(name, []byte("Parley-Position")):
			c.position = append(c.position, bytes.TrimSpace(value)...)
		}
	}
	if length < 0 {
		return 0, errors.New("an answer without Content-Length")
	}
	_, err = c.in.Discard(length)
	return status, err
}

// sample is one request that was answered as wanted.
type sample struct {
	done    time.Duration // since the start of the run
	latency time.Duration
}

// outcome is what a run of load came to.
type outcome struct {
	samples []sample
	failed  int64  // answered otherwise
	example string // one of them
}

// step makes one exchange over a connection; n counts from 0 over the whole run.
// begun is when it was due.
type step func(c *conn, n int, begun time.Time) error

// refused is an answer that was not wanted. The connection stays usable.
type refused struct{ status int }

func (r refused) Error() string { return "answered " + strconv.Itoa(r.status) }

// load drives steps over kept-open connections for a time. With a rate, each
// step is due by a timetable and its latency counts from then, however long the
// ones before it took: a stall counts for every request that came due in it.
// Where the connection was free and only our own timer was late, it counts from
// when the timer fired. Without a rate a step follows the one before it.
func load(ctx context.Context, addr string, conns, rate int, d time.Duration, do step) (outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	list := make([]*conn, 0, conns)
	defer func() {
		for _, c := range list {
			_ = c.net.Close()
		}
	}()
	for range conns {
		c, err := dial(ctx, addr, d+2*time.Minute)
		if err != nil {
			return outcome{}, err
		}
		list = append(list, c)
	}
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		out    outcome
		next   atomic.Int64
		start  = time.Now()
		finish = start.Add(d)
	)
	for _, c := range list {
		all.Go(func() {
			mine := make([]sample, 0, 1<<14)
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				out.samples = append(out.samples, mine...)
			}()
			for ctx.Err() == nil {
				n := int(next.Add(1) - 1)
				begun := time.Now()
				if rate > 0 {
					due := start.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
					if wait := due.Sub(begun); wait <= 0 {
						begun = due
					} else if due.After(finish) || pause(ctx, wait) != nil {
						return
					} else {
						begun = time.Now()
					}
				}
				if begun.After(finish) {
					return
				}
				err := do(c, n, begun)
				if no, ok := errors.AsType[refused](err); ok {
					mu.Lock()
					out.failed++
					out.example = no.Error()
					mu.Unlock()
					continue
				}
				if err != nil {
					cancel(fmt.Errorf("load on %s: %w", addr, err))
					return
				}
				now := time.Now()
				mine = append(mine, sample{done: now.Sub(start), latency: now.Sub(begun)})
			}
		})
	}
	all.Wait()
	return out, context.Cause(ctx)
}

// rate is how many a second were answered within [from, to) of the run.
func (o outcome) rate(from, to time.Duration) float64 {
	n := 0
	for _, s := range o.samples {
		if s.done >= from && s.done < to {
			n++
		}
	}
	return float64(n) / (to - from).Seconds()
}

// latencies are those of the answers that came from a moment of the run on.
func (o outcome) latencies(from time.Duration) []time.Duration {
	var list []time.Duration
	for _, s := range o.samples {
		if s.done >= from {
			list = append(list, s.latency)
		}
	}
	return list
}

// request starts a POST in c.out; the body, of a length known before, follows.
func (c *conn) request(path, token string, length int) {
	c.out = append(c.out[:0], "POST "...)
	c.out = append(c.out, path...)
	c.out = append(c.out, " HTTP/1.1\r\nHost: bench.example.com\r\nAuthorization: Bearer "...)
	c.out = append(c.out, token...)
	c.out = append(c.out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(length), 10)
	c.out = append(c.out, "\r\n\r\n"...)
}

// digits appends n with leading zeroes, so that bodies have one length.
func digits(to []byte, n, width int) []byte {
	at := len(to)
	for range width {
		to = append(to, '0')
	}
	for i := at + width - 1; i >= at && n > 0; i-- {
		to[i] = byte('0' + n%10)
		n /= 10
	}
	return to
}
