package kafka

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
)

// Timing of group membership. A member that joins waits up to a heartbeat of the
// others; one that died is noticed after the session time-out.
const (
	heartbeatInterval = time.Second
	sessionTimeout    = 10 * time.Second
	rebalanceTimeout  = 10 * time.Second
	joinBackoff       = time.Second
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

// runGroup reads the partitions that the group gives us until ctx ends.
//
// kafka-go ends a generation when any function started in it returns, and joins the
// next one when all have returned: so a partition's function returns only when its
// context has ended, and the partition is ours until then.
func (s *subscription) runGroup(ctx context.Context) {
	cfg, log := s.subscriber.cfg, s.logger()
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                GroupID(cfg.Group, s.topic),
		Brokers:           cfg.Brokers,
		Topics:            []string{s.topic},
		Dialer:            &kafka.Dialer{ClientID: "parley", Timeout: dialTimeout},
		GroupBalancers:    []kafka.GroupBalancer{kafka.RangeGroupBalancer{}},
		HeartbeatInterval: heartbeatInterval,
		SessionTimeout:    sessionTimeout,
		RebalanceTimeout:  rebalanceTimeout,
		JoinGroupBackoff:  joinBackoff,
		StartOffset:       kafka.FirstOffset,
	})
	if err != nil {
		log.Error("log subscription ended", "error", err)
		return
	}
	var partitions sync.WaitGroup
	for ctx.Err() == nil {
		generation, err := group.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.subscriber.metrics.errors.WithLabelValues(causeGroup).Inc()
				log.Warn("joining the group failed", "error", err)
			}
			continue // kafka-go pauses before it tries again
		}
		assignments := generation.Assignments[s.topic]
		log.Info("partitions assigned", "generation", generation.ID, "partitions", len(assignments))
		for _, a := range assignments {
			commit := func(offset int64) error {
				return generation.CommitOffsets(map[string]map[int]int64{s.topic: {a.ID: offset}})
			}
			partitions.Add(1)
			generation.Start(func(assigned context.Context) {
				defer partitions.Done()
				s.partition(a.ID, a.Offset, commit).run(ctx, assigned)
			})
		}
	}
	if err := group.Close(); err != nil && !errors.Is(err, kafka.ErrGroupClosed) {
		log.Warn("leaving the group failed", "error", err)
	}
	partitions.Wait()
}

func (s *subscription) logger() *slog.Logger {
	return s.subscriber.cfg.Logger.With("topic", s.topic, "group", s.subscriber.cfg.Group)
}

func (s *subscription) partition(id int, start int64, commit func(int64) error) *partition {
	cfg := s.subscriber.cfg
	return &partition{
		cfg: cfg, metrics: s.subscriber.metrics, log: s.logger().With("partition", id),
		topic: s.topic, id: id, start: start, saved: -1, commit: commit, out: s.out,
		flight: newFlight(cfg.MaxInFlight), lanes: map[string][]held{},
	}
}
