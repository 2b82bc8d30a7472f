package kafka_test

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/parley-im/parley/adapters/kafka"
)

// Ensure a range of a partition is read exactly, and no further than the end.
func TestLogScan(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 1)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	for i := range 100 {
		publish(t, pub, topic, newMessage("a", i))
	}
	log := newLog(t, brokers)
	for _, c := range []struct{ from, to, first, last int64 }{
		{kafka.Earliest, 100, 0, 99},
		{10, 20, 10, 19},
		{95, 1000, 95, 99},
	} {
		want := c.first
		for msg, err := range log.Scan(t.Context(), topic, 0, c.from, c.to) {
			if err != nil {
				t.Fatal(err)
			}
			if _, offset, _ := kafka.PositionOf(msg); offset != want {
				t.Fatalf("scan from %d to %d: got offset %d, want %d", c.from, c.to, offset, want)
			}
			want++
		}
		if want != c.last+1 {
			t.Errorf("scan from %d to %d ended before %d, want after %d", c.from, c.to, want, c.last)
		}
	}
	for msg, err := range log.Scan(t.Context(), topic, 0, 100, 200) {
		t.Errorf("a scan from the end yields %v, %v", msg, err)
	}
	for _, err := range log.Scan(t.Context(), topic, 0, 150, 200) {
		if !errors.Is(err, kafka.ErrTruncated) {
			t.Errorf("a scan from beyond the end: %v, want ErrTruncated", err)
		}
	}
}

// Ensure a compacted topic is read through its holes, by scans and by subscribers.
func TestLogCompacted(t *testing.T) {
	t.Parallel()
	broker := startFaulty(t)
	log := newLog(t, broker.brokers)
	const topic = "compacted"
	err := log.EnsureTopic(t.Context(), topic, 1, 1, map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "2000", "min.cleanable.dirty.ratio": "0",
	})
	if err != nil {
		t.Fatal(err)
	}
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: broker.brokers})
	for i := range 300 {
		publish(t, pub, topic, newMessage(strconv.Itoa(i%7), i), newMessage("x", i))
	}
	broker.cluster.Compact()
	last := map[string]string{}
	n := 0
	for msg, err := range log.Scan(t.Context(), topic, 0, kafka.Earliest, 600) {
		if err != nil {
			t.Fatal(err)
		}
		last[msg.Metadata.Get("key")] = string(msg.Payload)
		n++
	}
	if n >= 300 {
		t.Fatalf("%d records: nothing was compacted", n)
	}
	for i := 293; i < 300; i++ {
		key := strconv.Itoa(i % 7)
		if want := key + "-" + strconv.Itoa(i); last[key] != want {
			t.Errorf("last of key %s is %s, want %s", key, last[key], want)
		}
	}
	ch := subscribe(t, newSubscriber(t, kafka.SubscriberConfig{Brokers: broker.brokers, Pipelined: true}), topic)
	for range n {
		next(t, ch).Ack()
	}
	quiet(t, ch)
}

// Ensure offsets are found by place and by time, for every partition.
func TestLogOffsets(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 3)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	log := newLog(t, brokers)
	var counts [3]int64
	var last *message.Message
	for i := range 60 {
		last = newMessage(strconv.Itoa(i), i)
		publish(t, pub, topic, last)
		partition, _, _ := kafka.PositionOf(last)
		counts[partition]++
	}
	// The last record is the first of its millisecond, so that its time finds it.
	newest, _ := kafka.RecordOf(last)
	for previous := newest.Time; !newest.Time.After(previous); {
		publish(t, pub, topic, last)
		previous = newest.Time
		newest, _ = kafka.RecordOf(last)
		counts[newest.Partition]++
	}
	ends, err := log.Ends(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	starts, err := log.Starts(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for partition := range 3 {
		if starts[partition] != 0 || ends[partition] != counts[partition] {
			t.Errorf("partition %d: from %d to %d, want 0 to %d", partition, starts[partition], ends[partition], counts[partition])
		}
	}
	for _, c := range []struct {
		at   time.Time
		want map[int]int64
	}{
		{time.Now().Add(-time.Hour), map[int]int64{0: 0, 1: 0, 2: 0}},
		{newest.Time, map[int]int64{newest.Partition: newest.Offset}},
		{time.Now().Add(time.Hour), ends},
		{time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), ends},
		{time.UnixMilli(-1), starts}, // numbers that Kafka has given other meanings
		{time.UnixMilli(-2), starts},
		{time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), starts},
	} {
		got, err := log.OffsetsAt(t.Context(), topic, c.at)
		if err != nil {
			t.Fatal(err)
		}
		for partition, want := range c.want {
			if got[partition] != want {
				t.Errorf("at %v: partition %d from %d, want %d", c.at, partition, got[partition], want)
			}
		}
	}
}

// Ensure topics are created once, and the log says what there is.
func TestLogTopics(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	log := newLog(t, brokers)
	topic := newTopic(t, brokers, 3)
	if err := log.EnsureTopic(t.Context(), topic, 5, 1, nil); err != nil {
		t.Errorf("ensure an existing topic: %v", err)
	}
	if n, err := log.Partitions(t.Context(), topic); err != nil || n != 3 {
		t.Errorf("%d partitions (%v), want 3", n, err)
	}
	if _, err := log.Ends(t.Context(), topic+"-missing"); !errors.Is(err, kafka.ErrNoTopic) {
		t.Errorf("ends of a missing topic: %v, want ErrNoTopic", err)
	}
	if err := log.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := newLog(t, []string{"127.0.0.1:1"}).Ping(t.Context()); err == nil {
		t.Error("a log that is away answers")
	}
}

// Ensure a record larger than a fetch is read.
func TestLogLargeRecord(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	log := newLog(t, brokers)
	topic := "large-" + watermill.NewUUID()
	if err := log.EnsureTopic(t.Context(), topic, 1, min(3, len(brokers)), map[string]string{"max.message.bytes": "4194304"}); err != nil {
		t.Fatal(err)
	}
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	large := newMessage("a", 2)
	large.Payload = make([]byte, 3<<20)
	publish(t, pub, topic, newMessage("a", 1))
	publish(t, pub, topic, large)
	publish(t, pub, topic, newMessage("a", 3))
	var sizes []int
	for msg, err := range log.Scan(t.Context(), topic, 0, kafka.Earliest, 3) {
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(msg.Payload))
	}
	if want := []int{3, 3 << 20, 3}; !slices.Equal(sizes, want) {
		t.Errorf("read %v bytes, want %v", sizes, want)
	}
}

// Ensure that a topic that was made is known to every broker when EnsureTopic
// returns, and that a broker that is away keeps nobody waiting.
func TestLogEnsureTopicIsSpread(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	const slow, looks = 1, 3 // the broker that learns late, and how many looks later
	var made atomic.Bool
	var behind atomic.Int64
	cluster.ControlKey(int16(kmsg.CreateTopics), func(kmsg.Request) (kmsg.Response, error, bool) {
		made.Store(true)
		return nil, nil, false
	})
	cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !made.Load() || cluster.CurrentNode() != slow || behind.Load() == looks {
			return nil, nil, false
		}
		behind.Add(1)
		res := req.ResponseKind().(*kmsg.MetadataResponse)
		for node, addr := range cluster.ListenAddrs() {
			host, port, _ := net.SplitHostPort(addr)
			number, _ := strconv.ParseInt(port, 10, 32)
			broker := kmsg.NewMetadataResponseBroker()
			broker.NodeID, broker.Host, broker.Port = int32(node), host, int32(number)
			res.Brokers = append(res.Brokers, broker)
		}
		return res, nil, true
	})
	gone, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	log := newLog(t, append(cluster.ListenAddrs(), gone.Addr().String()))
	if err := log.EnsureTopic(t.Context(), "fresh", 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	if n := behind.Load(); n < looks {
		t.Errorf("after %d looks a broker did not know the topic yet", n)
	}
}
