package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

// metadataTTL bounds how long a client believes in a leader that is gone. kafka-go
// asks again after a random part of it.
const metadataTTL = time.Second

// topicPatience is how long a topic may be unknown before it counts as not there: a
// client's view and a busy broker's are older than a topic that was just made. It is
// shorter than a call of Publish may take.
const topicPatience = 4 * time.Second

// madePatience is how long brokers may take to tell of a topic that has just been
// made: a cluster under load may need a while.
const madePatience = 30 * time.Second

// newClient returns a client with connections of its own.
func newClient(brokers []string, timeout time.Duration) *kafka.Client {
	return &kafka.Client{
		Addr:    kafka.TCP(brokers...),
		Timeout: timeout,
		Transport: &kafka.Transport{
			Dial:        (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			DialTimeout: 3 * time.Second,
			ClientID:    "parley",
			MetadataTTL: metadataTTL,
		},
	}
}

func closeClient(c *kafka.Client) {
	if t, ok := c.Transport.(*kafka.Transport); ok {
		t.CloseIdleConnections()
	}
}

// partitionCount asks the log how many partitions a topic has. An unknown topic is
// asked for again for topicPatience; then it is ErrNoTopic.
func partitionCount(ctx context.Context, client *kafka.Client, topic string) (int, error) {
	return partitionCountWithin(ctx, client, topic, topicPatience)
}

// partitionCountWithin is partitionCount with another patience.
func partitionCountWithin(ctx context.Context, client *kafka.Client, topic string, within time.Duration) (int, error) {
	patience := time.Now().Add(within)
	for {
		n, err := partitionCountOnce(ctx, client, topic)
		if err == nil {
			return n, nil
		}
		if errors.Is(err, ErrNoTopic) && time.Now().After(patience) {
			return 0, err
		}
		if sleep(ctx, 50*time.Millisecond); ctx.Err() != nil {
			return 0, err
		}
	}
}

func partitionCountOnce(ctx context.Context, client *kafka.Client, topic string) (int, error) {
	res, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return 0, fmt.Errorf("ask for the partitions of %s: %w", topic, err)
	}
	for _, t := range res.Topics {
		switch {
		case t.Name != topic:
		case errors.Is(t.Error, kafka.UnknownTopicOrPartition), t.Error == nil && len(t.Partitions) == 0:
			return 0, fmt.Errorf("%s: %w", topic, ErrNoTopic)
		case t.Error != nil:
			return 0, fmt.Errorf("ask for the partitions of %s: %w", topic, t.Error)
		default:
			return len(t.Partitions), nil
		}
	}
	return 0, fmt.Errorf("%s: %w", topic, ErrNoTopic)
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
