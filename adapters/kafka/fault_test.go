package kafka_test

import (
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/parley-im/parley/adapters/kafka"
)

// faultyLog is a broker whose produce requests can be made to fail on the wire.
type faultyLog struct {
	brokers  []string
	cluster  *kfake.Cluster
	produces atomic.Int64 // requests that reached the broker
	loseNext atomic.Int64 // how many produce requests to lose before the broker reads them
	muteNext atomic.Int64 // how many answers to produce requests to lose
	cutEvery atomic.Int64 // cut every so manieth answer to a fetch in the middle, 0 for none
	fetches  atomic.Int64
}

func startFaulty(t *testing.T) *faultyLog {
	t.Helper()
	f := &faultyLog{}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(f.listen))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cluster.ControlKey(0, func(kmsg.Request) (kmsg.Response, error, bool) {
		f.produces.Add(1)
		cluster.KeepControl()
		return nil, nil, false
	})
	f.cluster, f.brokers = cluster, cluster.ListenAddrs()
	return f
}

func (f *faultyLog) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return &faultyListener{Listener: l, log: f}, err
}

type faultyListener struct {
	net.Listener
	log *faultyLog
}

func (l *faultyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &faultyConn{Conn: c, log: l.log}, err
}

// faultyConn watches the requests that the broker reads: first four bytes of
// length, then the rest, which starts with the key of the API. 0 is produce.
type faultyConn struct {
	net.Conn
	log    *faultyLog
	inBody bool
	mute   atomic.Bool
	cut    atomic.Bool
}

func (c *faultyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case err != nil:
	case len(b) == 4:
		c.inBody = true
	case c.inBody && n >= 2:
		c.inBody = false
		api := binary.BigEndian.Uint16(b)
		if every := c.log.cutEvery.Load(); api == 1 && every > 0 && c.log.fetches.Add(1)%every == 0 {
			c.cut.Store(true)
		}
		if api != 0 {
			break
		}
		if c.log.loseNext.Add(-1) >= 0 {
			c.Close()
			return 0, errors.New("request lost")
		}
		if c.log.muteNext.Add(-1) >= 0 {
			c.mute.Store(true)
		}
	}
	return n, err
}

func (c *faultyConn) Write(b []byte) (int, error) {
	if c.mute.Load() {
		c.Close()
		return 0, errors.New("answer lost")
	}
	if c.cut.Load() && len(b) > 100 {
		n, _ := c.Conn.Write(b[:len(b)/2])
		c.Close()
		return n, errors.New("answer cut")
	}
	return c.Conn.Write(b)
}

// metric returns the value of a gauge or counter.
func metric(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := 0
			for _, l := range m.GetLabel() {
				for i := 0; i < len(labels); i += 2 {
					if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
						matches++
					}
				}
			}
			if matches == len(labels)/2 {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %v", name, labels)
	return 0
}

// idsAt returns the message ids of a partition, in the order of the log.
func idsAt(t *testing.T, brokers []string, topic string, partition int) []string {
	t.Helper()
	log := newLog(t, brokers)
	ends, err := log.Ends(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for msg, err := range log.Scan(t.Context(), topic, partition, kafka.Earliest, ends[partition]) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, msg.UUID)
	}
	return ids
}
