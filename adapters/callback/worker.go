package callback

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// log keeps events. Append returns nil once they are durable; after an error they
// may or may not be, and are appended again with the same ids. It is called from
// many goroutines.
type log interface {
	Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error)
}

// channels knows the channels, in memory, as they are now.
type channels interface {
	Channel(id string) (domain.Channel, bool)
}

// leases says who may send a partition's callbacks, by one clock for all nodes.
// Lease gives epoch 0 and the time that another's lease still runs when it is
// not free; steal says that the other owner is known to be gone. Renew tells
// whether the lease was still this one.
type leases interface {
	Lease(ctx context.Context, partition int, owner string, ttl time.Duration, steal bool) (epoch int64, wait time.Duration, err error)
	Renew(ctx context.Context, partition int, owner string, epoch int64, ttl time.Duration) (bool, error)
	Release(ctx context.Context, partition int, owner string, epoch int64) error
}

// rows are the deliveries as projected, by target and lane (domain.Delivery). What
// Applied has told is in them.
type rows interface {
	OpenTargets(ctx context.Context, partition int) ([]string, error)
	ParkedLanes(ctx context.Context, partition int, target string, limit int) ([]string, error)
	OpenHeads(ctx context.Context, partition int, target string, due time.Time, fresh, retried, depth int, known []string) ([]domain.Delivery, error)
	LaneRows(ctx context.Context, lanes []string, after []int64, limit int) ([]domain.Delivery, error)
}

// tellings are what the projection knows besides the rows: how many deliveries
// there are by state, and which a record of the run told last has made. A record
// that is a repeat, or that took no effect, has made none.
type tellings interface {
	Depth(ctx context.Context, partitions []int) (map[domain.DeliveryState]int64, error)
	Made(partition int, offset int64) []domain.Delivery
}

// Store is what the worker needs of the deliveries projection.
type Store interface {
	leases
	rows
	tellings
}

// Dialect is what a delivery looks like on one wire: a callback, and a function's
// call where the dialect has them. Its functions are pure. An error of Request
// means that the delivery cannot be told on this wire.
type Dialect interface {
	Request(ch domain.Channel, d domain.Delivery) (domain.Call, error)
	Outcome(d domain.Delivery, a domain.Answer, now time.Time) domain.Outcome
}

// replier is a Dialect whose answers have consequences. Replies is asked when an
// attempt was the last one, with o.Verdict Delivered, Refused or Exhausted; what it
// gives lands with the outcome, in one append, or not at all. All of it must be of
// the delivery's stream, with ids derived from the delivery: a call that is repeated
// after a crash then says nothing twice. a.Fault is ReasonInternal when no call
// could be made up.
type replier interface {
	Replies(ch domain.Channel, d domain.Delivery, a domain.Answer, o domain.Outcome, now time.Time) []domain.Event
}

// Config wires a Worker. Log, Channels, Store, Dialects and Ends must be set.
type Config struct {
	Log      log
	Channels channels // must be complete before the first Gained
	Store    Store
	Dialects map[domain.Dialect]Dialect
	// Endpoints tells which endpoints are paused; nil = none ever is.
	Endpoints Endpoints
	// Ends gives the offset behind the last record of a partition of the log.
	Ends func(ctx context.Context, partition int) (int64, error)

	// Partitions is how many the log has; a channel's rate is shared out by it.
	Partitions int
	// Owner names this worker in leases. Default: the host's name, pid and a random word.
	Owner string
	// StealLease takes a lease that still runs: only where something else proves
	// that no other worker lives.
	StealLease bool
	// Allow lists address ranges that callbacks may reach besides public addresses.
	Allow []netip.Prefix
	// UserAgent names this program and its version in calls; default DefaultUserAgent.
	UserAgent string

	Timeout    time.Duration // of one call; default 30 s
	LeaseTTL   time.Duration // default 10 s
	Grace      time.Duration // for calls in hand when a partition is lost; default 3.5 s
	Slots      int           // calls to one endpoint at a time; default 16
	TotalSlots int           // calls of this process at a time; default 512
	Window     int           // lanes of an endpoint in memory; default 1024
	WindowRows int           // deliveries of an endpoint in memory; default 4096

	Now        func() time.Time  // default time.Now; must carry the monotonic clock. Leases go by the machine's, whatever it says
	Jitter     func() float64    // from [0,1), called from many goroutines; default random
	Transport  http.RoundTripper // default: one that checks addresses against Allow
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	mostParked int // names of parked lanes in memory, of a target and partition; default 4096
}

func (c *Config) complete() error {
	switch {
	case c.Log == nil, c.Channels == nil, c.Store == nil, c.Ends == nil:
		return errors.New("callback: Log, Channels, Store and Ends must be set")
	case c.Partitions <= 0:
		return errors.New("callback: Partitions must be set")
	}
	setDefault(&c.Timeout, 30*time.Second)
	setDefault(&c.LeaseTTL, 10*time.Second)
	setDefault(&c.Grace, 3500*time.Millisecond)
	setDefault(&c.Slots, 16)
	setDefault(&c.TotalSlots, 512)
	setDefault(&c.Window, 1024)
	setDefault(&c.WindowRows, 4096)
	setDefault(&c.mostParked, 4096)
	if c.Owner == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unnamed"
		}
		c.Owner = fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8])
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Jitter == nil {
		c.Jitter = mathrand.Float64
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return nil
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

// Worker sends the callbacks of the partitions that it is given. It is a
// projections.Follower of the deliveries projection.
type Worker struct {
	cfg     Config
	sender  *Sender
	metrics *metrics
	// departed gets a value when an endpoint has answered 410.
	departed chan struct{}

	mu        sync.Mutex
	tenures   map[int]*tenure
	endpoints map[string]*endpoint // by target
	turn      []*endpoint          // those that may have something to send, each once
	held      held                 // those with nothing but retries while the process's share of those is used up
	minorHeld held                 // the same of what is minor
	cramped   []*endpoint          // those that got no slot because the process had few, and would have room for it
	calls     int                  // being made
	retries   int                  // of them, those that are not first tries
	minors    int                  // and those of what is minor
	outcomes  int                  // calls that have ended and whose outcome is not acknowledged
	away      int                  // outcomes that the log did not take at first
}

// NewWorker makes a Worker. It does nothing until it is given a partition.
func NewWorker(cfg Config) (*Worker, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	w := &Worker{cfg: cfg, tenures: map[int]*tenure{}, endpoints: map[string]*endpoint{}, departed: make(chan struct{}, 1)}
	w.sender = NewSender(cfg.Allow, cfg.Timeout, cfg.TotalSlots).As(cfg.UserAgent) // endpoints may share a host
	if cfg.Transport != nil {
		w.sender.use(cfg.Transport, cfg.Transport)
	}
	m, err := newMetrics(cfg.Registerer, cfg.Dialects, w)
	if err != nil {
		return nil, fmt.Errorf("callback: register metrics: %w", err)
	}
	w.metrics = m
	return w, nil
}

// Gained makes the worker responsible for a partition that is projected up to
// next. It sends nothing before the partition's lease is its own and Applied
// has told of everything that the log held then.
func (w *Worker) Gained(ctx context.Context, partition int, next int64) {
	w.Lost(partition)
	t := newTenure(ctx, w, partition, next)
	w.mu.Lock()
	w.tenures[partition] = t
	w.mu.Unlock()
	go t.run() //nolint:contextcheck // the tenure has it
}

// Lost ends the responsibility for a partition. Nothing is started any more;
// calls in hand have Config.Grace, counted from when the context of Gained
// ended, then they are cut off and count as not made. It returns when their
// outcomes are appended and the lease is released.
func (w *Worker) Lost(partition int) {
	w.mu.Lock()
	t := w.tenures[partition]
	w.mu.Unlock()
	if t == nil {
		return
	}
	t.end()
	<-t.done
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tenures[partition] == t {
		delete(w.tenures, partition)
	}
}

// Applied takes in events that are projected now.
func (w *Worker) Applied(partition int, events []domain.Recorded, next int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tenures[partition]
	if t == nil {
		return
	}
	if t.listening {
		for _, r := range events {
			t.follow(r)
		}
	}
	t.reach(next)
	w.pump()
}

// follow takes in one event. It runs under the lock.
func (t *tenure) follow(r domain.Recorded) {
	switch e := r.Data.(type) {
	case domain.DeliveryAttempted:
		t.returned(r, e)
	case domain.DeliveryRedriven:
		if !t.sentAfter(r, e) {
			t.decided(r, e.DeliveryID)
		}
	case domain.DeliveryDropped:
		t.decided(r, e.DeliveryID)
	}
	// Which events ask for a delivery is the projection's to tell.
	for _, d := range t.w.cfg.Store.Made(r.Position.Partition, r.Position.Offset) {
		t.arrived(d)
	}
}
