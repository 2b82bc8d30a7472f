package kafka_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/parley-im/parley/adapters/kafka"
)

// ledger checks what consumers of a group see, over all of them.
type ledger struct {
	t *testing.T

	mu      sync.Mutex
	owners  map[int]int            // partition to member, while assigned
	seen    map[string]int         // message id to how often it was handed over
	newest  map[string]int         // key to its highest number so far
	acked   map[int]map[int64]bool // partition to acknowledged offsets
	revoked int
}

func (l *ledger) assigned(member, partition int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if owner, ok := l.owners[partition]; ok {
		l.t.Errorf("partition %d was given to member %d while member %d had it", partition, member, owner)
	}
	l.owners[partition] = member
}

func (l *ledger) released(member, partition int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owners[partition] != member {
		l.t.Errorf("partition %d was taken from member %d, which did not have it", partition, member)
	}
	delete(l.owners, partition)
	l.revoked++
}

// received checks that a message that is new is the next of its key: nothing was
// skipped, nothing overtaken.
func (l *ledger) received(msg *message.Message, key string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[msg.UUID]++
	if n > l.newest[key]+1 {
		l.t.Errorf("key %s: %d came after %d", key, n, l.newest[key])
	}
	l.newest[key] = max(n, l.newest[key])
}

// ack notes the acknowledgement before it is given, so that a commit that is seen
// later can be held against it.
func (l *ledger) ack(msg *message.Message) {
	partition, offset, _ := kafka.PositionOf(msg)
	l.mu.Lock()
	if l.acked[partition] == nil {
		l.acked[partition] = map[int64]bool{}
	}
	l.acked[partition][offset] = true
	l.mu.Unlock()
	msg.Ack()
}

// prefix returns the offset of the first record that nobody acknowledged.
func (l *ledger) prefix(partition int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var offset int64
	for l.acked[partition][offset] {
		offset++
	}
	return offset
}

func (l *ledger) distinct() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

// consume acknowledges the messages of a channel in disorder: some at once, some
// after a while, a few after a refusal.
func (l *ledger) consume(ch <-chan *message.Message) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for msg := range ch {
		key := msg.Metadata.Get("key")
		n, err := strconv.Atoi(strings.TrimPrefix(string(msg.Payload), key+"-"))
		if err != nil {
			l.t.Error(err)
		}
		l.received(msg, key, n)
		switch chance := rand.IntN(1000); {
		case chance < 5:
			msg.Nack()
		case chance < 100:
			wg.Go(func() {
				hold := time.NewTimer(rand.N(300 * time.Millisecond))
				defer hold.Stop()
				select {
				case <-hold.C:
					l.ack(msg)
				case <-msg.Context().Done():
				}
			})
		default:
			l.ack(msg)
		}
	}
}

// Ensure that members may join and leave a group under load: every message is seen,
// messages of a key in order, no partition has two owners, and nothing is ever
// committed that was not acknowledged.
func TestSubscriberRebalance(t *testing.T) {
	t.Parallel()
	const partitions, keys, total = 6, 40, 8000
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, partitions)
	group := watermill.NewUUID()
	transport := &kafkago.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &kafkago.Client{Addr: kafkago.TCP(brokers...), Timeout: patience, Transport: transport}
	l := &ledger{
		t: t, owners: map[int]int{}, seen: map[string]int{}, newest: map[string]int{}, acked: map[int]map[int64]bool{},
	}
	var consumers sync.WaitGroup
	join := func(member int) *kafka.Subscriber {
		sub := newSubscriber(t, kafka.SubscriberConfig{
			Brokers: brokers, Group: group, NackDelay: 5 * time.Millisecond,
			CommitInterval: 50 * time.Millisecond, Grace: 500 * time.Millisecond,
			Revoked: func(_ string, partition int) { l.released(member, partition) },
			Assigned: func(ctx context.Context, _ string, partition int) (int64, error) {
				l.assigned(member, partition)
				return committed(ctx, t, client, kafka.GroupID(group, topic), topic, partition), nil
			},
		})
		ch := subscribe(t, sub, topic)
		consumers.Go(func() { l.consume(ch) })
		return sub
	}

	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	produced := make(chan int, total)
	var producer sync.WaitGroup
	producer.Go(func() {
		pace := time.NewTicker(time.Millisecond)
		defer pace.Stop()
		defer close(produced)
		for i := range total {
			if err := pub.Publish(topic, newMessage(fmt.Sprint("k", i%keys), i/keys+1)); err != nil {
				t.Error(err)
			}
			produced <- i
			<-pace.C
		}
	})
	stop := watchCommits(t, client, kafka.GroupID(group, topic), topic, partitions, l)

	members := map[int]*kafka.Subscriber{1: join(1)}
	for i := range produced {
		switch i {
		case total / 8:
			members[2] = join(2)
		case 3 * total / 8:
			members[3] = join(3)
		case 5 * total / 8:
			members[2].Close()
		case 6 * total / 8:
			members[1].Close()
		}
	}
	producer.Wait()
	eventually(t, "every message is seen", func() bool { return l.distinct() == total })
	members[3].Close()
	consumers.Wait()
	commits := stop()

	duplicates := 0
	for _, n := range l.seen {
		duplicates += n - 1
	}
	t.Logf("%d partitions taken away, %d duplicates, %d commits seen", l.revoked, duplicates, commits)
	if len(l.owners) != 0 {
		t.Errorf("partitions %v were never revoked", l.owners)
	}
	if l.revoked <= partitions {
		t.Errorf("only %d partitions were taken away: nothing was rebalanced", l.revoked)
	}
	for partition := range partitions {
		end := l.prefix(partition)
		if got := committed(t.Context(), t, client, kafka.GroupID(group, topic), topic, partition); got != end {
			t.Errorf("partition %d: committed %d at the end, want %d", partition, got, end)
		}
	}
}

// watchCommits holds every commit of a group against what was acknowledged, until
// the function it returns is called; that returns how many different ones it saw.
func watchCommits(t *testing.T, client *kafkago.Client, group, topic string, partitions int, l *ledger) func() int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	seen := map[int]int64{}
	commits := 0
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			for partition := range partitions {
				offset := committed(ctx, t, client, group, topic, partition)
				if offset == seen[partition] || offset < 0 {
					continue
				}
				seen[partition] = offset
				commits++
				if prefix := l.prefix(partition); offset > prefix {
					t.Errorf("partition %d: committed %d, acknowledged up to %d", partition, offset, prefix)
				}
			}
		}
	})
	return func() int {
		cancel()
		wg.Wait()
		return commits
	}
}

// committed returns what a group has committed for a partition, or Earliest.
func committed(ctx context.Context, t *testing.T, client *kafkago.Client, group, topic string, partition int) int64 {
	t.Helper()
	res, err := client.OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {partition}}})
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return kafka.Earliest
	}
	if offset := res.Topics[topic][0].CommittedOffset; offset >= 0 {
		return offset
	}
	return kafka.Earliest
}
