package kafka_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/parley-im/parley/adapters/kafka"
)

// Ensure that the end of a key's partition is that of where its records go, and
// behind everything that was acknowledged before it was asked for, however many ask.
func TestEndOf(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 4)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	log := newLog(t, brokers)
	var writing sync.WaitGroup
	for w := range 16 {
		writing.Go(func() {
			for i := range 40 {
				msg := newMessage("account/"+strconv.Itoa(w%6), i)
				if err := pub.Publish(topic, msg); err != nil {
					t.Error(err)
					return
				}
				partition, offset, _ := kafka.PositionOf(msg)
				p, end, err := log.EndOf(t.Context(), topic, msg.Metadata.Get("key"))
				if err != nil || p != partition || end <= offset {
					t.Errorf("the end of %s is %d:%d (%v), its record is at %d:%d", msg.Metadata.Get("key"), p, end, err, partition, offset)
					return
				}
			}
		})
	}
	writing.Wait()
}

// Ensure that the end of a partition is behind everything that was acknowledged in
// it, also where nothing was, and that a partition that is not there has none.
func TestEndAt(t *testing.T) {
	t.Parallel()
	brokers := testBrokers(t)
	topic := newTopic(t, brokers, 3)
	pub := newPublisher(t, kafka.PublisherConfig{Brokers: brokers})
	log := newLog(t, brokers)
	ends := map[int]int64{}
	for i := range 20 {
		msg := newMessage("k"+strconv.Itoa(i%2), i)
		if err := pub.Publish(topic, msg); err != nil {
			t.Fatal(err)
		}
		partition, offset, _ := kafka.PositionOf(msg)
		ends[partition] = offset + 1
		if end, ok, err := log.EndAt(t.Context(), topic, partition); end != offset+1 || !ok || err != nil {
			t.Errorf("partition %d ends at %d (%t, %v), its last record is at %d", partition, end, ok, err, offset)
		}
	}
	for partition := -1; partition <= 3; partition++ {
		end, ok, err := log.EndAt(t.Context(), topic, partition)
		if end != ends[partition] || ok != (partition >= 0 && partition < 3) || err != nil {
			t.Errorf("partition %d ends at %d (%t, %v), want %d", partition, end, ok, err, ends[partition])
		}
	}
}

// Ensure that who asks for an end while another question is on its way shares the
// next one, of one partition as of all, and that a closed log answers nobody.
func TestEndsAreShared(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(ctx context.Context, log *kafka.Log, topic string, i int) error{
		"one partition": func(ctx context.Context, log *kafka.Log, topic string, i int) error {
			_, _, err := log.EndOf(ctx, topic, strconv.Itoa(i))
			return err
		},
		"all partitions": func(ctx context.Context, log *kafka.Log, topic string, _ int) error {
			_, err := log.Ends(ctx, topic)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := startFaulty(t)
			topic := newTopic(t, broker.brokers, 1)
			log := kafka.NewLog(broker.brokers)
			t.Cleanup(func() { log.Close() })
			if err := ask(t.Context(), log, topic, 0); err != nil {
				t.Fatal(err)
			}
			var asked atomic.Int64
			hold := make(chan struct{})
			broker.cluster.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
				broker.cluster.KeepControl()
				asked.Add(1)
				<-hold // the whole broker waits
				return nil, nil, false
			})
			const callers = 50
			var calling, called sync.WaitGroup
			for i := range callers {
				calling.Add(1)
				called.Go(func() {
					calling.Done()
					if err := ask(t.Context(), log, topic, i); err != nil {
						t.Error(err)
					}
				})
			}
			calling.Wait()
			eventually(t, "a question reaches the broker", func() bool { return asked.Load() == 1 })
			close(hold)
			called.Wait()
			if n := asked.Load(); n > callers/2 {
				t.Errorf("%d calls at the same time made %d requests", callers, n)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			if err := ask(t.Context(), log, topic, 0); err == nil {
				t.Error("a closed log answers")
			}
		})
	}
}
