package kafka_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
)

// BenchmarkPublish measures appends of one 400-byte message by concurrent callers,
// on the embedded log, with and without the disk.
func BenchmarkPublish(b *testing.B) {
	for _, durable := range []bool{false, true} {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("durable=%v/callers=%d", durable, callers), func(b *testing.B) {
				log, topic := benchTopic(b)
				cfg := kafka.PublisherConfig{Brokers: log.Brokers(), Key: byKey}
				if durable {
					cfg.Sync = log.Sync
				}
				pub, err := kafka.NewPublisher(cfg)
				if err != nil {
					b.Fatal(err)
				}
				defer pub.Close()
				b.SetParallelism((callers + 1) / 2) // of two processors
				b.RunParallel(func(pb *testing.PB) {
					payload := make([]byte, 400)
					for n := 0; pb.Next(); n++ {
						msg := message.NewMessage(watermill.NewUUID(), payload)
						msg.Metadata.Set("key", strconv.Itoa(n))
						if err := pub.Publish(topic, msg); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}

// BenchmarkSubscribe measures reading and acknowledging at once.
func BenchmarkSubscribe(b *testing.B) {
	for _, pipelined := range []bool{false, true} {
		b.Run(fmt.Sprintf("pipelined=%v", pipelined), func(b *testing.B) {
			log, topic := benchTopic(b)
			pub, err := kafka.NewPublisher(kafka.PublisherConfig{Brokers: log.Brokers(), Key: byKey})
			if err != nil {
				b.Fatal(err)
			}
			defer pub.Close()
			payload := make([]byte, 400)
			for n := 0; n < b.N; n += 500 {
				var msgs []*message.Message
				for i := range min(500, b.N-n) {
					msg := message.NewMessage(watermill.NewUUID(), payload)
					msg.Metadata.Set("key", strconv.Itoa(i))
					msgs = append(msgs, msg)
				}
				if err := pub.Publish(topic, msgs...); err != nil {
					b.Fatal(err)
				}
			}
			sub, err := kafka.NewSubscriber(kafka.SubscriberConfig{Brokers: log.Brokers(), Pipelined: pipelined})
			if err != nil {
				b.Fatal(err)
			}
			defer sub.Close()
			b.ResetTimer()
			ch, err := sub.Subscribe(b.Context(), topic)
			if err != nil {
				b.Fatal(err)
			}
			for range b.N {
				(<-ch).Ack()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

func benchTopic(b *testing.B) (log *embedded.Log, topic string) {
	b.Helper()
	log, err := embedded.Start(b.Context(), embedded.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	admin := kafka.NewLog(log.Brokers())
	defer admin.Close()
	if err := admin.EnsureTopic(b.Context(), "bench", 4, 1, nil); err != nil {
		b.Fatal(err)
	}
	return log, "bench"
}
