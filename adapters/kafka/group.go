package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// Timing of group membership. A member that joins waits up to a heartbeat of the
// others; one that died is noticed after the session time-out.
const (
	heartbeatInterval = time.Second
	sessionTimeout    = 10 * time.Second
	rebalanceTimeout  = 10 * time.Second
	joinBackoff       = time.Second
	// leavePatience is how long leaving may take before its connections are cut. A
	// member cut off while it joins holds up the others until its session ends, so
	// this is longer than a rebalance.
	leavePatience = 15 * time.Second
)

// runGroup reads the partitions that the group gives us until ctx ends.
//
// kafka-go ends a generation when any function started in it returns, and joins the
// next one when all have returned: so a partition's function returns only when its
// context has ended, and the partition is ours until then.
func (s *subscription) runGroup(ctx context.Context) {
	cfg, log := s.subscriber.cfg, s.logger()
	conns := &connections{open: map[*connection]struct{}{}}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                GroupID(cfg.Group, s.topic),
		Brokers:           cfg.Brokers,
		Topics:            []string{s.topic},
		Dialer:            &kafka.Dialer{ClientID: "parley", Timeout: dialTimeout, DialFunc: conns.dial},
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
	member := ""
	for ctx.Err() == nil {
		generation, err := group.Next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, kafka.RebalanceInProgress) {
				s.subscriber.metrics.errors.WithLabelValues(causeGroup).Inc()
				log.Warn("joining the group failed", "error", err)
			}
			continue // kafka-go pauses before it tries again
		}
		member = generation.MemberID
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
	partitions.Wait()
	leave(group, conns)
	s.sayGoodbye(ctx, member)
}

// sayGoodbye leaves the group once more: kafka-go forgets to when it is closed
// while the group is being rebalanced, and the others would wait for us until our
// session ends. Usually the group does not know the member any more; an error does
// no harm.
func (s *subscription) sayGoodbye(ctx context.Context, member string) {
	if member == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err := s.subscriber.log.client.LeaveGroup(ctx, &kafka.LeaveGroupRequest{
		GroupID: GroupID(s.subscriber.cfg.Group, s.topic),
		Members: []kafka.LeaveGroupRequestMember{{ID: member}},
	})
	if err != nil {
		s.logger().Debug("leaving the group again failed", "error", err)
	}
}

// leave closes the group. kafka-go does not interrupt a join under way, which can
// take as long as the slowest member needs: so its connection is cut.
func leave(group *kafka.ConsumerGroup, conns *connections) {
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = group.Close() // always nil
	}()
	cut := time.NewTicker(leavePatience)
	defer cut.Stop()
	for {
		select {
		case <-left:
			return
		case <-cut.C:
			conns.cut()
		}
	}
}

// connections are the open connections of one member of a group.
type connections struct {
	mu   sync.Mutex
	open map[*connection]struct{}
}

type connection struct {
	net.Conn
	of *connections
}

func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tracked := &connection{Conn: conn, of: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[tracked] = struct{}{}
	return tracked, nil
}

// Close closes the connection and forgets it.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// cut closes the connections under whoever uses them.
func (c *connections) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Conn.Close()
	}
}
