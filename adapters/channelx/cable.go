package channelx

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/parley-im/parley/domain"
)

// tail reads the log as it grows.
type tail interface {
	// Follow shows every event of the dialect that is appended after it returns,
	// those of an account in order, one at a time, until ctx ends. done is closed
	// after the last call of show.
	Follow(ctx context.Context, show func(domain.Recorded)) (done <-chan struct{}, err error)
}

// staff tells who may act in an account: all its tokens, also those that exist by
// configuration.
type staff interface {
	ActingTokens(account string) []domain.Token
}

// How many sockets a node takes when its settings say nothing.
const (
	DefaultSockets    = 20_000
	DefaultPerAddress = 10_000
)

// subprotocol is the one that the standard client wants to see chosen (channelx.md
// 7.1).
const subprotocol = "actioncable-v1-json"

const (
	pingEvery  = 2500 * time.Millisecond // clients give up after 6 s of silence
	pingRounds = 25                      // parts of that time, so that not all sockets are written to at once
	maxLookups = 32                      // of tokens at a time
	// socketBuffer is what a socket keeps of what it reads, and of what it writes, in
	// bytes. Frames may be larger.
	socketBuffer = 512
)

// Sockets wires the sockets of a Door. All of it must be set but the numbers.
type Sockets struct {
	Tail       tail
	Staff      staff
	Most       int // on this node; 0 = DefaultSockets
	PerAddress int // of them; 0 = DefaultPerAddress
}

// cable is the sockets of this node (channelx.md 7): it lets clients listen, and
// shows them what the tail of the log tells. Nothing of it is kept: what a client
// misses it reads again.
type cable struct {
	cfg     Config
	metrics *cableMetrics
	logger  *slog.Logger
	now     func() time.Time
	index   *cableIndex
	view    *view
	roll    *roll
	abreast *abreast
	crew    *crew
	teller  *teller
	buffers sync.Pool     // of *[]byte
	lookups chan struct{} // holds one for each look-up of a token that runs

	most, perAddress int // sockets

	ctx     context.Context // ends when the cable is stopped
	cancel  context.CancelFunc
	running sync.WaitGroup  // everything that the cable has started
	tailed  <-chan struct{} // closed when the tail shows nothing any more

	mu        sync.Mutex // guards what follows
	open      bool
	sockets   int
	addresses map[string]int
	rounds    [pingRounds]map[*socket]struct{}
	round     int // the one that was pinged last
}

// newCable makes a cable that takes no sockets before start; nil where there are
// to be none.
func newCable(cfg Config, roll *roll, abreast *abreast) (*cable, error) {
	if cfg.Sockets == nil {
		return nil, nil //nolint:nilnil // as the comment says
	}
	m, err := newCableMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	c := &cable{
		cfg: cfg, most: cmp.Or(cfg.Sockets.Most, DefaultSockets), perAddress: cmp.Or(cfg.Sockets.PerAddress, DefaultPerAddress),
		metrics: m, logger: cfg.Logger, now: cfg.Now, index: newCableIndex(), roll: roll, abreast: abreast, view: newView(cfg),
		crew:    &crew{directory: cfg.Directory, staff: cfg.Sockets.Staff, now: cfg.Now},
		buffers: sync.Pool{New: func() any { return new([]byte) }}, addresses: map[string]int{},
		lookups: make(chan struct{}, maxLookups),
	}
	c.teller = newTeller(c)
	for i := range c.rounds {
		c.rounds[i] = map[*socket]struct{}{}
	}
	return c, nil
}

// start follows the log and takes sockets from then on. A subscription that is
// confirmed is so shown everything that is appended afterwards.
func (c *cable) start(ctx context.Context) error {
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	tailed, err := c.cfg.Sockets.Tail.Follow(c.ctx, c.teller.show) //nolint:contextcheck // it goes on until the stop, not until the start is over
	if err != nil {
		c.cancel()
		return fmt.Errorf("follow the log for sockets: %w", err)
	}
	c.tailed = tailed
	c.running.Go(func() { c.ping(c.ctx) })
	c.running.Go(func() { c.roll.run(c.ctx) })
	c.mu.Lock()
	c.open = true
	c.mu.Unlock()
	return nil
}

// stop takes no more sockets and asks all clients to connect elsewhere. It gives
// them until ctx ends to take leave, and returns when nothing of the cable runs.
func (c *cable) stop(ctx context.Context) {
	if c.tailed == nil {
		return // it was not started
	}
	c.mu.Lock()
	c.open = false
	all := make([]*socket, 0, c.sockets)
	for _, round := range c.rounds {
		for s := range round {
			all = append(all, s)
		}
	}
	c.mu.Unlock()
	for _, s := range all {
		s.dismiss(cutStopping)
	}
	c.cancel()
	gone := make(chan struct{})
	go func() {
		c.running.Wait()
		<-c.tailed
		close(gone)
	}()
	select {
	case <-gone:
	case <-ctx.Done():
		for _, s := range all {
			s.raw.Close()
		}
		<-gone
	}
}

// serve takes a socket.
func (c *cable) serve(w http.ResponseWriter, r *http.Request) {
	address := addressOf(r.RemoteAddr)
	if reason, ok := c.admit(address); !ok {
		c.metrics.cut[reason].Inc()
		w.Header().Set("Retry-After", "5")
		status := http.StatusServiceUnavailable
		if reason == cutAddress {
			status = http.StatusTooManyRequests
		}
		http.Error(w, "Retry later", status)
		return
	}
	taken := &hijacker{ResponseWriter: w}
	conn, err := websocket.Accept(taken, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // any origin (channelx.md 7.1): the token is in the subscription, not in a cookie
	})
	if err != nil {
		c.dismissed(address) // it has been answered
		return
	}
	conn.SetReadLimit(maxCommand)
	s := &socket{cable: c, conn: conn, raw: taken.conn, address: address, limit: rate.NewLimiter(commandsASecond, commandBurst)}
	s.heard.Store(c.now().Unix())
	round, ok := c.join(s)
	if !ok {
		c.metrics.cut[cutStopping].Inc()
		c.dismissed(address)
		_ = conn.CloseNow() // what is wrong with it is of no interest any more
		return
	}
	// The request ends here, the socket goes on.
	go func() {
		defer c.running.Done()
		defer c.leave(s, round)
		s.send(frameWelcome, nil, welcomeFrame)
		s.read(c.ctx)
	}()
}

// admit counts a socket in, unless there are too many.
func (c *cable) admit(address string) (cutReason, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.open:
		return cutStopping, false
	case c.sockets >= c.most:
		return cutNode, false
	case c.addresses[address] >= c.perAddress:
		return cutAddress, false
	}
	c.sockets++
	c.addresses[address]++
	c.metrics.sockets.Inc()
	return "", true
}

// dismissed counts a socket out.
func (c *cable) dismissed(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets--
	if c.addresses[address]--; c.addresses[address] <= 0 {
		delete(c.addresses, address)
	}
	c.metrics.sockets.Dec()
}

// join lists a socket to be pinged, and counts its reader as running; false when
// the cable is being stopped.
func (c *cable) join(s *socket) (round int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		return 0, false
	}
	c.running.Add(1)
	c.rounds[c.round][s] = struct{}{} // its first ping is a whole period away
	return c.round, true
}

// leave takes a socket off all lists and closes it.
func (c *cable) leave(s *socket, round int) {
	for _, sub := range s.subscriptions {
		if c.index.remove(sub) {
			c.metrics.subscriptions.Dec()
		}
	}
	s.mu.Lock()
	closing := s.ending != nil && s.writing
	if s.ending == nil {
		s.queue, s.bytes, s.ending = nil, 0, &ending{websocket.StatusNormalClosure, ""}
	}
	s.mu.Unlock()
	if !closing {
		s.raw.Close()
		_ = s.conn.CloseNow() // what is wrong with it is of no interest any more
	}
	c.mu.Lock()
	delete(c.rounds[round], s)
	c.mu.Unlock()
	c.dismissed(s.address)
}

// ping pings every socket once in its time, a part of them in each round.
func (c *cable) ping(ctx context.Context) {
	ticker := time.NewTicker(pingEvery / pingRounds)
	defer ticker.Stop()
	started, rounds := time.Now(), 0
	var due []*socket
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		// A ticker leaves out what comes too late; sockets must not be left out.
		for ; rounds < int(time.Since(started)/(pingEvery/pingRounds)); rounds++ {
			c.mu.Lock()
			c.round = (c.round + 1) % pingRounds
			for s := range c.rounds[c.round] {
				due = append(due, s)
			}
			c.mu.Unlock()
			now := c.now()
			frame := pingFrame(now)
			for _, s := range due {
				s.send(framePing, nil, frame)
				s.probe(ctx, now)
			}
			clear(due)
			due = due[:0]
		}
	}
}

// hijacker hands over the connection below a WebSocket, and gives it buffers of a
// size that thousands can have.
type hijacker struct {
	http.ResponseWriter

	conn net.Conn
}

// Hijack takes the connection over from net/http.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, had, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early := had.Reader.Buffered() // what came before the answer
	reader := bufio.NewReaderSize(had.Reader, max(socketBuffer, early))
	if _, err := reader.Peek(early); err != nil {
		conn.Close()
		return nil, nil, err
	}
	h.conn = conn
	return conn, bufio.NewReadWriter(reader, bufio.NewWriterSize(conn, socketBuffer)), nil
}

// cableRoutes registers the sockets.
func (d *Door) cableRoutes(mux *http.ServeMux) {
	if d.cable != nil {
		both(mux, "GET /cable", d.cable.serve)
	}
}

// Start waits for the rows from now on, follows the log for the sockets, and opens
// them. It is called before the first request, if at all; Stop must be called
// afterwards, also when it has failed.
func (d *Door) Start(ctx context.Context) error {
	d.abreast.begin(ctx)
	if d.cable == nil {
		return nil
	}
	return d.cable.start(ctx)
}

// Stop asks the clients of all sockets to connect to another node, and ends them
// when they have gone, or when ctx ends. It may be called more than once.
func (d *Door) Stop(ctx context.Context) {
	if d.cable != nil {
		d.cable.stop(ctx)
	}
	d.abreast.end()
}
