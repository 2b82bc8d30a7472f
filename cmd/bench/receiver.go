package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// receiver is the callback: a server that reads a request, notes the number in
// it and answers at once with an id of its own, at as little cost as possible.
type receiver struct {
	listener net.Listener
	served   atomic.Int64
	expected atomic.Pointer[arrivals]

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	done  sync.WaitGroup
}

// arrivals notes when each of a known number of messages came.
type arrivals struct {
	base     int // number of the first one
	at       []atomic.Int64
	count    atomic.Int64
	repeated atomic.Int64
	first    atomic.Int64 // Unix nanoseconds
	last     atomic.Int64
}

func listen(ctx context.Context) (*receiver, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for callbacks: %w", err)
	}
	r := &receiver{listener: l, conns: map[net.Conn]struct{}{}}
	r.done.Go(r.accept)
	return r, nil
}

func (r *receiver) url() string { return "http://" + r.listener.Addr().String() }

// close ends the receiver and waits for its connections.
func (r *receiver) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.done.Wait()
}

// expect begins to note n messages, numbered from base on.
func (r *receiver) expect(base, n int) *arrivals {
	a := &arrivals{base: base, at: make([]atomic.Int64, n)}
	r.expected.Store(a)
	return a
}

func (r *receiver) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		r.mu.Lock()
		r.conns[c] = struct{}{}
		r.mu.Unlock()
		r.done.Go(func() {
			defer func() {
				_ = c.Close()
				r.mu.Lock()
				delete(r.conns, c)
				r.mu.Unlock()
			}()
			_ = r.serve(c) // the caller has gone
		})
	}
}

var errNoLength = errors.New("a request without Content-Length")

// serve answers the requests of one connection.
func (r *receiver) serve(c net.Conn) error {
	in := bufio.NewReaderSize(c, 8<<10)
	var body, out []byte
	for {
		length := -1
		if _, err := in.ReadSlice('\n'); err != nil {
			return err
		}
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
			if !ok {
				break
			}
			if len(name) == 14 && bytes.EqualFold(name, []byte("Content-Length")) {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
					return err
				}
			}
		}
		if length < 0 {
			return errNoLength
		}
		if cap(body) < length {
			body = make([]byte, length)
		}
		body = body[:length]
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		if a := r.expected.Load(); a != nil {
			a.note(numberOf(body), time.Now())
		}
		out = append(out[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{\"mId\":\"r-"...)
		out = append(digits(out, int(r.served.Add(1)), 9), "\"}"...)
		if _, err := c.Write(out); err != nil {
			return err
		}
	}
}

// numbered is what stands before the number of a message in its text.
const numbered = "message no. "

// numberOf reads the number out of a body; -1 without one.
func numberOf(body []byte) int {
	_, rest, ok := bytes.Cut(body, []byte(numbered))
	if !ok || len(rest) < 9 {
		return -1
	}
	n, err := strconv.Atoi(string(rest[:9]))
	if err != nil {
		return -1
	}
	return n
}

func (a *arrivals) note(n int, now time.Time) {
	i := n - a.base
	if i < 0 || i >= len(a.at) {
		return // of an earlier run
	}
	at := now.UnixNano()
	if !a.at[i].CompareAndSwap(0, at) {
		a.repeated.Add(1)
		return
	}
	a.first.CompareAndSwap(0, at)
	a.last.Store(at)
	a.count.Add(1)
}

// wait waits until n messages have come.
func (a *arrivals) wait(ctx context.Context, n int, limit time.Duration) error {
	err := until(ctx, limit, 5*time.Millisecond, "wait for callbacks", func() (bool, error) {
		return a.count.Load() >= int64(n), nil
	})
	if err != nil {
		return fmt.Errorf("%d of %d messages arrived: %w", a.count.Load(), n, err)
	}
	return nil
}

// span is the time from the first arrival to the last.
func (a *arrivals) span() time.Duration { return time.Duration(a.last.Load() - a.first.Load()) }
