package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/eventstore"
)

// maxRecordBatch is the largest batch that the topics take, in bytes: a webhook
// of 1 MiB with its envelopes fits in one.
const maxRecordBatch = "4194304"

// openLog makes the topics where they are missing, and the publisher.
func openLog(ctx context.Context, cfg nodeConfig, reg prometheus.Registerer) (*kafka.Log, *kafka.Publisher, error) {
	log := kafka.NewLog(cfg.KafkaBrokers)
	brokers, err := log.Brokers(ctx)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("reach the log at %v: %w", cfg.KafkaBrokers, err), log.Close())
	}
	replication := cfg.replication(brokers)
	// What would lose records is said in full: brokers have defaults of their own.
	events := map[string]string{
		"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1",
		"unclean.leader.election.enable": "false", "max.message.bytes": maxRecordBatch,
	}
	channels := map[string]string{
		"cleanup.policy": "compact", "unclean.leader.election.enable": "false", "max.message.bytes": maxRecordBatch,
	}
	if replication >= 3 {
		events["min.insync.replicas"], channels["min.insync.replicas"] = "2", "2"
	}
	if cfg.embedded {
		channels = map[string]string{"retention.ms": "-1", "max.message.bytes": maxRecordBatch}
	}
	if err := log.EnsureTopic(ctx, eventstore.EventsTopic(cfg.TopicPrefix), cfg.partitions(), replication, events); err != nil {
		return nil, nil, fmt.Errorf("make topic %s on %v: %w", eventstore.EventsTopic(cfg.TopicPrefix), cfg.KafkaBrokers, err)
	}
	if err := log.EnsureTopic(ctx, eventstore.ChannelsTopic(cfg.TopicPrefix), 1, replication, channels); err != nil {
		return nil, nil, fmt.Errorf("make topic %s on %v: %w", eventstore.ChannelsTopic(cfg.TopicPrefix), cfg.KafkaBrokers, err)
	}
	publisher, err := kafka.NewPublisher(kafka.PublisherConfig{
		Brokers: cfg.KafkaBrokers, Key: eventstore.PartitionKey, Sync: cfg.sync, Registerer: reg, Logger: cfg.logger,
		MaxBatchBytes: 2 << 20, MaxWaiting: cfg.MaxWaiting,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open the log: %w", err)
	}
	return log, publisher, nil
}

// follow starts the registry on the topic of channels and waits until it holds
// everything that is there: from then on authentication needs nothing outside
// this process.
func follow(ctx context.Context, cfg nodeConfig, log *kafka.Log, registry *eventstore.Registry) (stop func(), err error) {
	topic := eventstore.ChannelsTopic(cfg.TopicPrefix)
	subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: cfg.KafkaBrokers, Pipelined: true, Logger: cfg.logger, StartAtLogStart: true,
		Assigned: func(context.Context, string, int) (int64, error) { return kafka.Earliest, nil },
	})
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", topic, err)
	}
	msgs, err := subscriber.Subscribe(context.WithoutCancel(ctx), topic)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", topic, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		registry.Follow(msgs)
	}()
	stop = func() {
		if err := subscriber.Close(); err != nil {
			cfg.logger.Warn("registry.close_failed", "error", err)
		}
		<-done
	}
	ends, err := log.Ends(ctx, topic)
	if err == nil {
		err = registry.Reached(ctx, lastOf(ctx, log, topic, ends[0]))
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("read the channels: %w", err)
	}
	return stop, nil
}

// lastOf is the offset to wait for: the end, or nothing when the topic is empty.
func lastOf(ctx context.Context, log *kafka.Log, topic string, end int64) int64 {
	starts, err := log.Starts(ctx, topic)
	if err != nil || starts[0] >= end {
		return 0
	}
	return end
}
