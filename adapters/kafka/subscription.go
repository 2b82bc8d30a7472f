package kafka

import (
	"context"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// subscription is one call of Subscribe.
type subscription struct {
	subscriber *Subscriber
	topic      string
	out        chan *message.Message
}

// runAll reads all partitions until ctx ends.
func (s *subscription) runAll(ctx context.Context, partitions int) {
	var wg sync.WaitGroup
	for id := range partitions {
		wg.Go(func() { s.partition(id, Earliest, nil).run(ctx, ctx) })
	}
	wg.Wait()
}

func (s *subscription) logger() *slog.Logger {
	return s.subscriber.cfg.Logger.With("topic", s.topic, "group", s.subscriber.cfg.Group)
}

func (s *subscription) partition(id int, start int64, commit func(int64) error) *partition {
	cfg := s.subscriber.cfg
	return &partition{
		cfg: cfg, metrics: s.subscriber.metrics, log: s.logger().With("partition", id),
		topic: s.topic, id: id, start: start, saved: -1, commit: commit, out: s.out, admin: s.subscriber.log,
		flight: newFlight(cfg.MaxInFlight), lanes: map[string][]held{},
	}
}
