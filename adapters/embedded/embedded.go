// Package embedded runs the log inside this process: a broker that speaks Kafka's
// protocol on a loopback address and keeps its data in one directory. It is for one
// machine and a modest history, since the log's index and records are read at every
// start.
//
// The broker (kfake) writes to the page cache, which a killed process cannot lose.
// Sync adds what a power failure could take: it returns when the records
// acknowledged so far are on disk. Use it as the publisher's barrier.
//
// Nothing is ever removed: retention is unlimited, and compacted topics keep all
// records, because kfake deletes a segment before it writes the compacted one and a
// process killed between the two would lose it.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Config configures a Log. Dir is required.
type Config struct {
	// Dir holds the log. It is created if it is missing. One process at a time.
	Dir string
	// Port is the loopback port to listen on. Default: any free one.
	Port int
	// SegmentBytes is how large a segment file grows. A damaged byte costs the rest
	// of its segment. Default 100 MiB.
	SegmentBytes int
	// Listen opens the broker's listener. Clients are told the address that it gives.
	// Default: net.Listen.
	Listen func(network, address string) (net.Listener, error)
	// Logger takes the broker's warnings. Default: discard.
	Logger *slog.Logger
}

// Log is a running broker.
type Log struct {
	dir     string
	cluster *kfake.Cluster
	brokers []string
	lock    *os.File

	mu         sync.Mutex // guards what follows
	closed     bool
	partitions map[string]*partition // by directory
}

// ErrLocked means that another process has the directory open.
var ErrLocked = errors.New("directory is in use by another process")

// Start repairs what a kill may have left half written, starts the broker and
// returns when it accepts connections. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded log: no directory given")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Listen == nil {
		cfg.Listen = net.Listen
	}
	if cfg.SegmentBytes <= 0 {
		cfg.SegmentBytes = 100 << 20
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded log in %s: %w", cfg.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded log: %w", err)
	}
	lock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("embedded log in %s: %w", dir, err)
	}
	l := &Log{dir: dir, lock: lock, partitions: map[string]*partition{}}
	if err := l.start(cfg); err != nil {
		lock.Close()
		return nil, fmt.Errorf("embedded log in %s: %w", dir, err)
	}
	return l, nil
}

func (l *Log) start(cfg Config) error {
	if err := repair(l.dir, cfg.Logger); err != nil {
		return err
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(cfg.Port),
		kfake.ListenFn(cfg.Listen),
		kfake.ClusterID("parley-embedded"),
		kfake.DataDir(l.dir),
		kfake.WithLogger(brokerLog{cfg.Logger}),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.ms":          "-1",
			"log.segment.bytes":         strconv.Itoa(cfg.SegmentBytes),
			"log.cleaner.backoff.ms":    never,
			"offsets.retention.minutes": "2147483647",
		}),
	)
	if err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	l.cluster, l.brokers = cluster, cluster.ListenAddrs()
	return nil
}

// never is a pause of ten years, in milliseconds.
const never = "315360000000"

// Brokers returns the address to connect to.
func (l *Log) Brokers() []string { return l.brokers }

// Close stops the broker, brings everything to disk and frees the directory. Close
// the consumers first: members of a group that are still there are remembered, and
// would hold up the next start of the group. It may be called more than once.
func (l *Log) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.cluster.Close()
	var errs []error
	for _, p := range l.partitions {
		errs = append(errs, p.close())
	}
	return errors.Join(append(errs, l.lock.Close())...)
}

// brokerLog passes the broker's warnings on.
type brokerLog struct{ log *slog.Logger }

// Logf logs warnings and errors, and drops the rest.
func (b brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	if level == kfake.LogLevelError {
		b.log.Error("embedded log", "message", fmt.Sprintf(format, args...))
	}
	if level == kfake.LogLevelWarn {
		b.log.Warn("embedded log", "message", fmt.Sprintf(format, args...))
	}
}
