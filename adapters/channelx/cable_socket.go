package channelx

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

// Bounds of a socket.
const (
	maxSubscriptions = 32       // more are rejected
	maxCommand       = 16 << 10 // bytes of a frame of the client
	maxQueued        = 256      // frames that wait for the client
	maxQueuedBytes   = 1 << 20  // of such frames; one alone may be larger
	commandsASecond  = 10       // that are read; a client that sends more is read later
	commandBurst     = 2 * maxSubscriptions
	writeWithin      = 10 * time.Second // a frame
	closeWithin      = 3 * time.Second  // the handshake at the end
	quiet            = 30 * time.Second // from a client, after which it is asked whether it is there
	answerWithin     = 20 * time.Second // that question
	maxBufferKept    = 64 << 10         // bytes of a frame in the making
)

// socket is one client. A goroutine of its own reads; another one writes, and is
// there only while there is something to write.
type socket struct {
	cable   *cable
	conn    *websocket.Conn
	raw     net.Conn // below conn: for its deadlines, and to end it at once
	address string
	limit   *rate.Limiter
	heard   atomic.Int64 // when the client was last heard of, in unix seconds
	asking  atomic.Bool  // whether it is there

	subscriptions []*subscription // used by the reading goroutine alone

	mu      sync.Mutex // guards what follows
	queue   []queued
	bytes   int // of the queue
	writing bool
	ending  *ending // no more is taken then
}

// queued is one frame that waits: told to a subscription, or as it is.
type queued struct {
	kind       frameKind
	identifier []byte // nil = the frame is payload alone
	payload    []byte // shared with other sockets
}

// ending is how a socket ends.
type ending struct {
	code   websocket.StatusCode
	reason string
}

// read takes what the client sends, until it goes or is cut.
func (s *socket) read(ctx context.Context) {
	// The connection ends the read: a context here would be one more thing to keep
	// for each socket.
	waiting := context.WithoutCancel(ctx)
	for {
		kind, frame, err := s.conn.Read(waiting)
		if err != nil {
			if errors.Is(err, websocket.ErrMessageTooBig) {
				s.cable.metrics.cut[cutFrame].Inc()
			}
			return
		}
		s.heard.Store(s.cable.now().Unix())
		if kind != websocket.MessageText || !utf8.Valid(frame) {
			s.cut(cutFrame, websocket.StatusInvalidFramePayloadData, "frames are text")
			return
		}
		c, ok := readCommand(frame)
		if !ok {
			continue // what is not known is nothing
		}
		if s.limit.Wait(ctx) != nil {
			return
		}
		s.handle(ctx, c)
	}
}

// handle carries out a command. Unknown ones do nothing (channelx.md 7.1).
func (s *socket) handle(ctx context.Context, c cableCommand) {
	switch c.Command {
	case commandSubscribe:
		s.subscribe(ctx, c.Identifier)
	case commandUnsubscribe:
		s.unsubscribe(c.Identifier)
	case commandMessage:
		if i := s.find(c.Identifier); i >= 0 && c.action() == actionPresence {
			s.cable.attend(ctx, s.subscriptions[i])
		}
	}
}

// find gives the place of a subscription, -1 when there is none.
func (s *socket) find(identifier []byte) int {
	for i, sub := range s.subscriptions {
		if sameText(sub.identifier, identifier) {
			return i
		}
	}
	return -1
}

// send puts a frame into the queue, and cuts the socket when it does not keep up.
func (s *socket) send(kind frameKind, identifier, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return
	}
	size := len(identifier) + len(payload)
	if len(s.queue) > 0 && (len(s.queue) >= maxQueued || s.bytes+size > maxQueuedBytes) {
		s.end(cutSlow, websocket.StatusTryAgainLater, "the client reads too slowly")
		return
	}
	s.queue = append(s.queue, queued{kind: kind, identifier: identifier, payload: payload})
	s.bytes += size
	s.wake()
}

// wake lets what waits be written. s.mu is held.
func (s *socket) wake() {
	if !s.writing {
		s.writing = true
		s.cable.running.Go(s.write)
	}
}

// cut ends a socket from this side: what waits is not written any more.
func (s *socket) cut(reason cutReason, code websocket.StatusCode, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(reason, code, text)
}

// end is cut. s.mu is held.
func (s *socket) end(reason cutReason, code websocket.StatusCode, text string) {
	if s.ending != nil {
		return
	}
	s.queue, s.bytes, s.ending = nil, 0, &ending{code, text}
	// A write that is under way has this long, too. An error is a connection that is gone.
	_ = s.raw.SetWriteDeadline(time.Now().Add(closeWithin))
	s.cable.metrics.cut[reason].Inc()
	s.cable.logger.Info("cable.cut", "reason", string(reason), "address", s.address)
	s.wake()
}

// dismiss ends a socket in order: what waits is written, then the client is asked
// to connect anew.
func (s *socket) dismiss(reason cutReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return
	}
	s.queue = append(s.queue, queued{kind: frameDisconnect, payload: disconnectFrame})
	s.ending = &ending{websocket.StatusGoingAway, "server restart"}
	s.cable.metrics.cut[reason].Inc()
	s.wake()
}

// write writes what waits, and then ends the socket if that was asked for.
func (s *socket) write() {
	buffer := s.cable.buffers.Get().(*[]byte) //nolint:forcetypeassert // nothing else is put there
	defer func() {
		if cap(*buffer) <= maxBufferKept {
			s.cable.buffers.Put(buffer)
		}
	}()
	for {
		s.mu.Lock()
		waiting, end := s.queue, s.ending
		s.queue, s.bytes = nil, 0
		if s.writing = len(waiting) > 0 || end != nil; !s.writing {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if len(waiting) == 0 {
			s.close(end)
			return
		}
		for _, q := range waiting {
			frame := q.payload
			if q.identifier != nil {
				*buffer = appendTold((*buffer)[:0], q.identifier, q.payload)
				frame = *buffer
			}
			if err := s.writeFrame(frame); err != nil {
				s.failed(err)
				return
			}
			s.cable.metrics.frames[q.kind].Inc()
		}
	}
}

// writeFrame writes one frame within its time.
func (s *socket) writeFrame(frame []byte) error {
	if err := s.raw.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	return s.conn.Write(context.Background(), websocket.MessageText, frame)
}

// failed ends a socket that could not be written to. writing stays: nothing more
// is written.
func (s *socket) failed(err error) {
	s.mu.Lock()
	s.queue, s.bytes = nil, 0
	if s.ending == nil {
		s.ending = &ending{websocket.StatusAbnormalClosure, ""}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.cable.metrics.cut[cutStuck].Inc()
			s.cable.logger.Info("cable.cut", "reason", string(cutStuck), "address", s.address)
		}
	}
	s.mu.Unlock()
	s.raw.Close() // ends the read, too
}

// close ends the connection with a close frame, as far as the client takes part.
func (s *socket) close(e *ending) {
	// An error is a connection that is gone.
	_ = s.raw.SetDeadline(time.Now().Add(closeWithin))
	_ = s.conn.Close(e.code, e.reason)
	s.raw.Close()
}

// probe asks a client that has been quiet whether it is there: without that, one
// whose network went away is noticed only when the kernel gives up.
func (s *socket) probe(ctx context.Context, now time.Time) {
	if now.Unix()-s.heard.Load() < int64(quiet/time.Second) || !s.asking.CompareAndSwap(false, true) {
		return
	}
	s.cable.running.Go(func() {
		defer s.asking.Store(false)
		asking, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		if err := s.conn.Ping(asking); err == nil {
			s.heard.Store(s.cable.now().Unix())
		} else if asking.Err() != nil && ctx.Err() == nil {
			s.cut(cutSilent, websocket.StatusPolicyViolation, "the client does not answer")
		}
	})
}
