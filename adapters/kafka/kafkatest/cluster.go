package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// startBound is how long brokers may take to answer.
const startBound = 90 * time.Second

// Cluster is a running Kafka. Brokers are counted from 0. Its methods may be
// called concurrently.
type Cluster struct {
	distribution distribution
	front        func(address string) (string, error) // nil: nothing stands before the brokers
	dir          string
	remover      io.WriteCloser // kept open for as long as we live

	mu      sync.Mutex
	brokers []*broker
	closed  bool
}

// New starts a cluster that ends with the test. Progress goes to standard error.
func New(tb testing.TB, brokers int) *Cluster {
	tb.Helper()
	c, err := Start(tb.Context(), brokers, os.Stderr)
	if err != nil {
		tb.Fatalf("kafkatest: %v", err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Errorf("kafkatest: %v", err)
		}
	})
	return c
}

// Start starts a cluster and returns when all brokers know each other. New
// topics have three replicas, or as many as there are brokers, and an
// append with acks=all needs two of them; topics are not created by use.
// Progress, which may be nil, gets lines for a person who waits.
func Start(ctx context.Context, brokers int, progress io.Writer) (*Cluster, error) {
	return StartBehind(ctx, brokers, progress, nil)
}

// StartBehind is Start for brokers that have something before them, such as a
// broken network. Each has a second address for that: front is told it and gives
// the address under which clients that come that way find the broker. Clients
// that begin at one of Brokers go around it.
func StartBehind(ctx context.Context, brokers int, progress io.Writer, front func(address string) (string, error)) (*Cluster, error) {
	if progress == nil {
		progress = io.Discard
	}
	if brokers < 1 || brokers > 9 {
		return nil, fmt.Errorf("kafkatest: %d brokers: want 1 to 9", brokers)
	}
	d, err := findDistribution(ctx, progress)
	if err != nil {
		return nil, fmt.Errorf("kafkatest: %w", err)
	}
	// Another process may take a port between our look and the broker's bind.
	for try := 1; ; try++ {
		c, err := start(ctx, d, brokers, front)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, errPortTaken) || try == 3 {
			return nil, fmt.Errorf("kafkatest: %w", err)
		}
	}
}

func start(ctx context.Context, d distribution, brokers int, front func(string) (string, error)) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "parley-kafka-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the brokers: %w", err)
	}
	c := &Cluster{distribution: d, front: front, dir: dir}
	if c.remover, err = removeAfterwards(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.boot(ctx, brokers); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// boot configures, formats and starts all brokers.
func (c *Cluster) boot(ctx context.Context, brokers int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	addresses, err := freeAddresses(ctx, 3*brokers)
	if err != nil {
		return err
	}
	for i := range brokers {
		c.brokers = append(c.brokers, &broker{
			id: i + 1, address: addresses[3*i], controller: addresses[3*i+1], side: addresses[3*i+2], advertised: addresses[3*i+2],
			dir: filepath.Join(c.dir, "broker-"+strconv.Itoa(i+1)),
		})
	}
	for _, b := range c.brokers {
		if c.front == nil {
			break
		}
		if b.advertised, err = c.front(b.side); err != nil {
			return fmt.Errorf("putting something before broker %d: %w", b.id, err)
		}
	}
	for _, b := range c.brokers {
		if err := b.configure(c.brokers); err != nil {
			return err
		}
	}
	if err := c.format(ctx); err != nil {
		return fmt.Errorf("formatting the brokers' storage: %w", err)
	}
	for _, b := range c.brokers {
		if err := b.run(c.distribution); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	for _, b := range c.brokers {
		if err := c.waitUp(ctx, b, len(c.brokers)); err != nil {
			return err
		}
	}
	return nil
}

// format runs Kafka's own tool for the first broker; the others' storage
// differs by two lines, which saves a java each.
func (c *Cluster) format(ctx context.Context) error {
	clusterID, err := kafkaUUID()
	if err != nil {
		return err
	}
	first := c.brokers[0]
	args := append(c.distribution.arguments(128), "kafka.tools.StorageTool", "format", "--cluster-id", clusterID, "--config", first.properties())
	if out, err := exec.CommandContext(ctx, c.distribution.java, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	meta, err := os.ReadFile(filepath.Join(first.data(), "meta.properties"))
	if err != nil {
		return err
	}
	bootstrap, err := os.ReadFile(filepath.Join(first.data(), "bootstrap.checkpoint"))
	if err != nil {
		return err
	}
	for _, b := range c.brokers[1:] {
		directoryID, err := kafkaUUID()
		if err != nil {
			return err
		}
		own := regexp.MustCompile(`(?m)^node\.id=.*$`).ReplaceAll(meta, []byte("node.id="+strconv.Itoa(b.id)))
		own = regexp.MustCompile(`(?m)^directory\.id=.*$`).ReplaceAll(own, []byte("directory.id="+directoryID))
		if err := os.WriteFile(filepath.Join(b.data(), "meta.properties"), own, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.data(), "bootstrap.checkpoint"), bootstrap, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// kafkaUUID returns a random id in Kafka's notation.
func kafkaUUID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	b[0] &= 0x7f // the first letter must not be a dash
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// Brokers returns the addresses of all brokers, host:port, running or not.
func (c *Cluster) Brokers() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	addresses := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		addresses[i] = b.address
	}
	return addresses
}

// Kill ends a broker with SIGKILL and returns when it is gone.
func (c *Cluster) Kill(i int) error { return c.end(context.Background(), i, syscall.SIGKILL) }

// StopBroker has a broker hand over its partitions and end.
func (c *Cluster) StopBroker(i int) error { return c.end(context.Background(), i, syscall.SIGTERM) }

func (c *Cluster) end(ctx context.Context, i int, sig syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := c.broker(i)
	if err != nil {
		return err
	}
	return b.end(ctx, sig)
}

// StartBroker starts a broker that was killed or stopped, on its old address
// with its old data, and returns when it serves. Its replicas may still
// be catching up: see InSync.
func (c *Cluster) StartBroker(i int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := c.broker(i)
	if err != nil {
		return err
	}
	if err := b.run(c.distribution); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startBound)
	defer cancel()
	return c.waitUp(ctx, b, 1)
}

func (c *Cluster) broker(i int) (*broker, error) {
	if c.closed || i < 0 || i >= len(c.brokers) {
		return nil, fmt.Errorf("kafkatest: there is no broker %d", i)
	}
	return c.brokers[i], nil
}

// InSync returns when every broker runs and all replicas of all partitions are
// in sync, so that any one broker may be lost next.
func (c *Cluster) InSync(ctx context.Context) error {
	addresses := c.Brokers()
	return poll(ctx, func(ctx context.Context) error {
		for _, address := range addresses {
			if err := inSync(ctx, address, len(addresses)); err != nil {
				return err
			}
		}
		return nil
	})
}

// inSync asks one broker for its view.
func inSync(ctx context.Context, address string, brokers int) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	known, err := conn.Brokers()
	if err != nil {
		return fmt.Errorf("asking %s for the brokers: %w", address, err)
	}
	if len(known) < brokers {
		return fmt.Errorf("%s knows %d of %d brokers", address, len(known), brokers)
	}
	partitions, err := conn.ReadPartitions()
	if err != nil {
		return fmt.Errorf("asking %s for the partitions: %w", address, err)
	}
	for _, p := range partitions {
		if p.Leader.Host == "" || len(p.Isr) < len(p.Replicas) {
			return fmt.Errorf("%s/%d: %d of %d replicas in sync", p.Topic, p.ID, len(p.Isr), len(p.Replicas))
		}
	}
	return nil
}

// dial connects to one broker, and to no other: kafka.Client answers from what
// it has cached for seconds.
func dial(ctx context.Context, address string) (*kafka.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := kafka.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to %s: %w", address, err), conn.Close())
	}
	return conn, nil
}

// waitUp waits until a broker answers and knows itself among at least so many.
func (c *Cluster) waitUp(ctx context.Context, b *broker, atLeast int) error {
	ended := b.process.done
	err := poll(ctx, func(ctx context.Context) error {
		select {
		case <-ended:
			return errEnded
		default:
		}
		conn, err := dial(ctx, b.address)
		if err != nil {
			return err
		}
		defer conn.Close()
		known, err := conn.Brokers()
		if err != nil {
			return fmt.Errorf("asking for the brokers: %w", err)
		}
		if len(known) < atLeast || !slices.ContainsFunc(known, func(k kafka.Broker) bool { return k.ID == b.id }) {
			return fmt.Errorf("it knows %d brokers", len(known))
		}
		return nil
	})
	if err == nil {
		return nil
	}
	tail := b.tail()
	if regexp.MustCompile(`Address already in use|BindException`).MatchString(tail) {
		err = fmt.Errorf("%w: %w", errPortTaken, err)
	}
	return fmt.Errorf("waiting for broker %d: %w\n%s", b.id, err, tail)
}

var (
	errPortTaken = errors.New("another process took the port")
	errEnded     = errors.New("it ended")
)

// poll asks until the answer is nil, errEnded, or ctx is over.
func poll(ctx context.Context, ask func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// Close kills the brokers and removes their files. Calling it again is fine.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	for _, b := range c.brokers {
		if b.process != nil {
			b.process.signal(syscall.SIGKILL)
		}
	}
	for _, b := range c.brokers {
		if b.process != nil {
			<-b.process.done
		}
	}
	return errors.Join(os.RemoveAll(c.dir), c.remover.Close())
}

// removeAfterwards starts a small shell that notices our end by the end of its
// input and then removes the folder, so that a killed test leaves nothing.
func removeAfterwards(dir string) (io.WriteCloser, error) {
	// No context ends it: it outlives us by a second.
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", `cat >/dev/null; [ -e "$0" ] && sleep 1 && rm -rf -- "$0"`, dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("preparing the removal of the brokers' files: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("preparing the removal of the brokers' files: %w", err)
	}
	go func() { _ = cmd.Wait() }() // reaps it; it ends when Close closes its input
	return alive, nil
}

// freeAddresses finds loopback ports that nobody listens on, below those that
// Linux hands out to clients: a broker that comes back must find its own free.
func freeAddresses(ctx context.Context, n int) ([]string, error) {
	const from, to = 20000, 32000
	var (
		addresses []string
		listen    net.ListenConfig
		held      []net.Listener
	)
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for range 100 * n {
		offset, err := rand.Int(rand.Reader, big.NewInt(to-from))
		if err != nil {
			return nil, err
		}
		l, err := listen.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", from+offset.Int64()))
		if err != nil {
			continue // taken
		}
		held = append(held, l)
		if addresses = append(addresses, l.Addr().String()); len(addresses) == n {
			return addresses, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports between %d and %d", n, from, to)
}
