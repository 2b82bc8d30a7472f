//go:build kafka

package kafkatest

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// Ensure that three brokers behave as a cluster: an append needs two replicas,
// outlives a killed broker, is refused by a lone one, and is read back in order
// when all are there again.
func TestCluster_losesOneOfThree(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := New(t, 3)
	createTopic(t, c, "facts")
	written := 0
	append1 := func() error {
		err := produce(ctx, c, "facts", strconv.Itoa(written))
		if err == nil {
			written++
		}
		return err
	}
	mustAppend := func(when string) {
		t.Helper()
		// A leader that is gone is found again by asking again; a refused
		// append was not written, and was not counted.
		if err := poll(ctx, func(context.Context) error { return append1() }); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}

	mustAppend("three brokers")
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	mustAppend("one killed")
	if err := c.StopBroker(1); err != nil {
		t.Fatal(err)
	}
	if err := append1(); err == nil {
		t.Error("one broker of three took an append with acks=all")
	}
	for i := range 2 {
		if err := c.StartBroker(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.InSync(ctx); err != nil {
		t.Fatal(err)
	}
	mustAppend("three again")

	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: c.Brokers(), Topic: "facts", MaxWait: 100 * time.Millisecond})
	defer reader.Close()
	for seen := 0; seen < written; {
		m, err := reader.ReadMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		switch n, err := strconv.Atoi(string(m.Value)); {
		case err != nil || n > seen:
			t.Fatalf("offset %d holds %q after %d values", m.Offset, m.Value, seen)
		case n == seen: // a smaller one is an append repeated after a lost answer
			seen++
		}
	}
}

// Ensure that the calls for a broker that is not in that state fail, and that
// nothing is left when the cluster is closed.
func TestCluster_Close(t *testing.T) {
	c := New(t, 1)
	if os.Getenv("KAFKA_HOME") == "" && c.distribution.archive == "" {
		t.Error("brokers start without an archive of their classes")
	}
	if err := c.StartBroker(0); err == nil {
		t.Error("started twice")
	}
	if err := c.Kill(1); err == nil {
		t.Error("killed a broker that is not there")
	}
	if err := c.StopBroker(0); err != nil {
		t.Error(err)
	}
	if err := c.Kill(0); err == nil {
		t.Error("killed a stopped broker")
	}
	if err := c.StartBroker(0); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
		t.Errorf("the files are still there: %v", err)
	}
	if conn, err := net.DialTimeout("tcp", c.Brokers()[0], time.Second); err == nil {
		conn.Close()
		t.Error("the broker still listens")
	}
}

func createTopic(t *testing.T, c *Cluster, name string) {
	t.Helper()
	client := &kafka.Client{Addr: kafka.TCP(c.Brokers()...), Timeout: 20 * time.Second}
	resp, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: name, NumPartitions: 1, ReplicationFactor: -1}}})
	if err == nil {
		err = resp.Errors[name]
	}
	if err != nil {
		t.Fatalf("creating topic %s: %v", name, err)
	}
}

// produce appends one value, acknowledged by all in-sync replicas, or fails
// within a few seconds.
func produce(ctx context.Context, c *Cluster, topic, value string) error {
	transport := &kafka.Transport{MetadataTTL: 100 * time.Millisecond, DialTimeout: time.Second}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(c.Brokers()...), Timeout: 5 * time.Second, Transport: transport}
	resp, err := client.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte(value))}),
	})
	if err != nil {
		return fmt.Errorf("appending %s: %w", value, err)
	}
	return resp.Error
}
