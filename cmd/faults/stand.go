package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka/kafkatest"
	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/domain"
)

const (
	adminToken = "faults-admin-token-0123456789"
	partitions = 4
	// freely lets a conversation of ChannelX have more than 200 messages a minute.
	freely = "PARLEY_CHANNELX_MESSAGES=0"
)

// Roles of nodes.
const (
	roleAPI       = "api"
	roleProjector = "projector"
	roleDelivery  = "delivery"
	roleTimers    = "timers"
	allRoles      = "api,projector,delivery,timers"
)

// kafkas is the cluster of brokers that the cases share, started by the first
// that needs one.
type kafkas struct {
	mu      sync.Mutex
	cluster *kafkatest.Cluster
	wires   network // a way to each broker that can be broken
}

const brokers = 3

// get gives the cluster with all its brokers up and in sync.
func (k *kafkas) get(ctx context.Context, b *bench) (*kafkatest.Cluster, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cluster == nil {
		b.sayf("starting %d brokers of Apache Kafka", brokers)
		cluster, err := kafkatest.StartBehind(ctx, brokers, b.stderr, func(address string) (string, error) {
			w, err := newWire(ctx, address)
			if err == nil {
				k.wires = append(k.wires, w)
			}
			return w.addr(), err
		})
		if err != nil {
			return nil, err
		}
		k.cluster = cluster
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return k.cluster, k.cluster.InSync(ctx)
}

func (k *kafkas) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cluster != nil {
		_ = k.cluster.Close() // what is left of it ends with this process
		k.cluster = nil
	}
	k.wires.close()
}

// stand is an installation: a log, a database and nodes.
type stand struct {
	*run

	brokers  []string
	kafka    *kafkatest.Cluster // nil on the embedded log
	database *database          // nil when it is in the node
	env      []string           // of every node
	program  string             // empty: the one that was built
	nodes    []*node
	doors    *balancer
	spoken   map[domain.Dialect]int // accepted posts of a load of several dialects
}

// bare prepares an installation of separate nodes: a log and a database, no nodes
// yet. On the embedded log that is one in this process.
func (r *run) bare(ctx context.Context) (*stand, error) {
	s := &stand{run: r}
	if r.log == onKafka {
		cluster, err := r.kafka.get(ctx, r.bench)
		if err != nil {
			return nil, err
		}
		s.kafka, s.brokers = cluster, cluster.Brokers()
	} else {
		log, err := embedded.Start(ctx, embedded.Config{Dir: filepath.Join(r.dir, "log")})
		if err != nil {
			return nil, err
		}
		r.onEnd(log.Close)
		s.brokers = log.Brokers()
	}
	return s, s.base(ctx)
}

// base starts the database of an installation that has a log, and says how nodes
// find both.
func (s *stand) base(ctx context.Context) error {
	s.database = &database{dir: filepath.Join(s.dir, "postgres")}
	if err := s.database.start(ctx); err != nil {
		return err
	}
	s.onEnd(func() error { return s.database.stop(context.WithoutCancel(ctx)) })
	s.env = []string{
		"PARLEY_KAFKA_BROKERS=" + strings.Join(s.brokers, ","), "PARLEY_DATABASE_URL=" + s.database.url(),
		// Topics of its own: brokers are shared by the cases.
		"PARLEY_TOPIC_PREFIX=f" + strconv.FormatInt(time.Now().UnixNano(), 36),
		"PARLEY_PARTITIONS=" + strconv.Itoa(partitions), "PARLEY_ADMIN_TOKEN=" + adminToken,
		"PARLEY_SECRET_KEY=" + strings.Repeat("A", 43) + "=", "PARLEY_CALLBACK_ALLOW=127.0.0.0/8", "PARLEY_LOG_LEVEL=warn", freely,
	}
	return nil
}

// add starts nodes, each with its roles separated by commas, at the same moment.
func (s *stand) add(ctx context.Context, roles ...string) error {
	began := len(s.nodes)
	for _, role := range roles {
		name := fmt.Sprintf("%s-%d", strings.ReplaceAll(role, ",", "-"), len(s.nodes))
		n, err := s.newNode(ctx, name, append(slices.Clone(s.env), "PARLEY_ROLES="+role), "serve")
		if err != nil {
			return err
		}
		if s.program != "" {
			n.program = s.program
		}
		s.nodes = append(s.nodes, n)
	}
	for _, n := range s.nodes[began:] {
		if err := n.launch(ctx); err != nil {
			return err
		}
	}
	for _, n := range s.nodes[began:] {
		if err := n.up(ctx); err != nil {
			return err
		}
	}
	return nil
}

// apart is an installation with one node for each role, and a second one for the
// doors: without one there would be no load while the other is down.
func (r *run) apart(ctx context.Context) (*stand, error) {
	s, err := r.bare(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.add(ctx, roleAPI, roleAPI, roleProjector, roleDelivery, roleTimers); err != nil {
		return nil, err
	}
	s.open(ctx, s.nodes[0], s.nodes[1])
	return s, nil
}

// alike is an installation of n nodes that have all roles.
func (r *run) alike(ctx context.Context, n int) (*stand, error) {
	s, err := r.bare(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.add(ctx, slices.Repeat([]string{allRoles}, n)...); err != nil {
		return nil, err
	}
	s.open(ctx, s.nodes...)
	return s, nil
}

// alone is parley dev: everything in one process, on the embedded log in a folder.
func (r *run) alone(ctx context.Context) (*stand, error) {
	data := filepath.Join(r.dir, "data")
	// The folder is there before parley makes it: the database's unprivileged user
	// has to get into it.
	if err := os.MkdirAll(data, 0o711); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	n, err := r.newNode(ctx, "dev", []string{"PARLEY_ADMIN_TOKEN=" + adminToken, "PARLEY_LOG_LEVEL=warn", freely}, "dev", "--data", data)
	if err != nil {
		return nil, err
	}
	s := &stand{run: r, nodes: []*node{n}}
	if err := n.start(ctx); err != nil {
		return nil, err
	}
	s.open(ctx, n)
	return s, nil
}

// data is the folder of parley dev.
func (s *stand) data() string { return filepath.Join(s.dir, "data") }

// open names the nodes that the load goes to.
func (s *stand) open(ctx context.Context, nodes ...*node) {
	s.doors = balance(ctx, nodes)
	s.onEnd(func() error { s.doors.close(); return nil })
}

// named gives the node with a role.
func (s *stand) named(role string) *node {
	for _, n := range s.nodes {
		if strings.HasPrefix(n.name, role) {
			return n
		}
	}
	return nil
}

// database is a Postgres of this process, which can be killed and started again.
type database struct {
	dir     string
	cluster *postgres.Cluster
}

func (d *database) start(ctx context.Context) (err error) {
	d.cluster, err = postgres.StartCluster(ctx, postgres.ClusterConfig{Dir: d.dir})
	return err
}

func (d *database) url() string { return d.cluster.URL() }

func (d *database) stop(ctx context.Context) error { return d.cluster.Stop(ctx) }

// kill ends the server and all its processes as a power button would.
func (d *database) kill(ctx context.Context) error {
	pid, err := postmaster(d.cluster.Dir())
	if err != nil {
		return err
	}
	// It leads a process group of its own.
	if err := errors.Join(syscall.Kill(pid, syscall.SIGKILL), ignoreGone(syscall.Kill(-pid, syscall.SIGKILL))); err != nil {
		return fmt.Errorf("kill the database: %w", err)
	}
	select {
	case <-d.cluster.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	return d.cluster.Stop(ctx) // frees the folder
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
