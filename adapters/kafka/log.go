package kafka

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
)

// logTimeout bounds one administrative request.
const logTimeout = 10 * time.Second

// Log administers topics and reads ranges of them. It is safe for concurrent use.
type Log struct {
	brokers []string
	client  *kafka.Client
	tails   tails
}

// NewLog returns a Log. It does not connect.
func NewLog(brokers []string) *Log {
	return &Log{brokers: brokers, client: newClient(brokers, logTimeout), tails: newTails()}
}

// Close closes the connections.
func (l *Log) Close() error {
	l.tails.close()
	closeClient(l.client)
	return nil
}

// Ping returns nil when a broker answers.
func (l *Log) Ping(ctx context.Context) error {
	if _, err := l.client.ApiVersions(ctx, &kafka.ApiVersionsRequest{}); err != nil {
		return fmt.Errorf("reach the log: %w", err)
	}
	return nil
}

// EnsureTopic creates the topic unless it exists, and returns when all brokers that
// can be reached tell of it. An existing topic is left as it is, whatever its partition count and settings:
// ask Partitions when the count matters. Topics that are kept for ever need
// retention.ms=-1, topics that keep the last record of each key cleanup.policy=compact.
func (l *Log) EnsureTopic(ctx context.Context, name string, partitions, replication int, configs map[string]string) error {
	t := kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: replication}
	for _, k := range slices.Sorted(maps.Keys(configs)) {
		t.ConfigEntries = append(t.ConfigEntries, kafka.ConfigEntry{ConfigName: k, ConfigValue: configs[k]})
	}
	if err := l.create(ctx, t); err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	if err := l.spread(ctx, name); err != nil {
		return fmt.Errorf("find topic %s after it was created: %w", name, err)
	}
	return nil
}

// create asks for a topic, which may be there. While the cluster has no controller,
// or another one than was thought, it asks again.
func (l *Log) create(ctx context.Context, t kafka.TopicConfig) error {
	for patience := time.Now().Add(logTimeout); ; {
		res, err := l.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{t}})
		if err != nil {
			return err //nolint:wrapcheck // the caller says what was asked
		}
		err = res.Errors[t.Topic]
		var code kafka.Error
		switch {
		case err == nil, errors.Is(err, kafka.TopicAlreadyExists):
			return nil
		case !errors.As(err, &code), !code.Temporary(), time.Now().After(patience):
			return err
		}
		if sleep(ctx, retryMost); ctx.Err() != nil {
			return err
		}
	}
}

// spread waits until brokers tell of a topic that is there: one that does not know
// yet is behind, not right, and whoever asks next may be led to any of them. A
// broker that cannot be reached is not waited for, as long as another one knows.
func (l *Log) spread(ctx context.Context, name string) error {
	if _, err := partitionCountWithin(ctx, l.client, name, madePatience); err != nil {
		return err
	}
	var asking errgroup.Group
	for _, broker := range l.brokers {
		asking.Go(func() error {
			client := newClient([]string{broker}, logTimeout)
			defer closeClient(client)
			for patience := time.Now().Add(madePatience); ; {
				_, err := partitionCountOnce(ctx, client, name)
				if !errors.Is(err, ErrNoTopic) {
					return nil // it knows, or cannot be asked
				}
				if time.Now().After(patience) {
					return fmt.Errorf("broker %s: %w", broker, err)
				}
				if sleep(ctx, 50*time.Millisecond); ctx.Err() != nil {
					return ctx.Err()
				}
			}
		})
	}
	return asking.Wait() //nolint:wrapcheck // it names the broker
}

// Brokers returns how many brokers the cluster has at the moment.
func (l *Log) Brokers(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	res, err := l.client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return 0, fmt.Errorf("ask for the brokers: %w", err)
	}
	return len(res.Brokers), nil
}

// Partitions returns how many partitions the topic has, or ErrNoTopic.
func (l *Log) Partitions(ctx context.Context, topic string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	return partitionCount(ctx, l.client, topic)
}

// Starts returns for each partition the offset of its first record that is still
// there.
func (l *Log) Starts(ctx context.Context, topic string) (map[int]int64, error) {
	return l.offsets(ctx, topic, kafka.FirstOffsetOf, func(p kafka.PartitionOffsets) int64 { return p.FirstOffset })
}

// OffsetsAt returns for each partition the offset of the first record that is not
// older than t, or the partition's end when there is none.
func (l *Log) OffsetsAt(ctx context.Context, topic string, t time.Time) (map[int]int64, error) {
	found, err := l.offsets(ctx, topic,
		func(partition int) kafka.OffsetRequest {
			// Not TimeOffsetOf: it counts nanoseconds, which end in the year 2262. And
			// what is below zero does not mean times: -1 is the end, -2 the beginning.
			return kafka.OffsetRequest{Partition: partition, Timestamp: max(0, t.UnixMilli())}
		},
		func(p kafka.PartitionOffsets) int64 {
			for offset := range p.Offsets {
				return offset
			}
			return -1
		})
	if err != nil || !slices.Contains(slices.Collect(maps.Values(found)), -1) {
		return found, err
	}
	ends, err := l.Ends(ctx, topic)
	if err != nil {
		return nil, err
	}
	for partition, offset := range found {
		if offset < 0 {
			found[partition] = ends[partition]
		}
	}
	return found, nil
}

// offsets asks about all partitions of a topic.
func (l *Log) offsets(ctx context.Context, topic string, ask func(partition int) kafka.OffsetRequest, get func(kafka.PartitionOffsets) int64) (map[int]int64, error) {
	return patiently(ctx, func(ctx context.Context) (map[int]int64, error) {
		partitions, err := l.partitionsOf(ctx, topic)
		if err != nil {
			return nil, err
		}
		requests := make([]kafka.OffsetRequest, len(partitions))
		for i, partition := range partitions {
			requests[i] = ask(partition)
		}
		return l.list(ctx, topic, requests, get)
	})
}

// patiently asks about offsets. While a leader is missing, because the topic is new
// or a broker is gone, it asks again for as long as ctx and logTimeout allow.
func patiently(ctx context.Context, ask func(context.Context) (map[int]int64, error)) (map[int]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		offsets, err := ask(ctx)
		var code kafka.Error
		if err == nil || errors.Is(err, ErrNoTopic) || errors.As(err, &code) && !code.Temporary() {
			return offsets, err
		}
		if sleep(ctx, pause); ctx.Err() != nil {
			return nil, err
		}
	}
}

// list makes one request for offsets of a topic.
func (l *Log) list(ctx context.Context, topic string, requests []kafka.OffsetRequest, get func(kafka.PartitionOffsets) int64) (map[int]int64, error) {
	res, err := l.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: requests}})
	if err != nil {
		return nil, fmt.Errorf("list offsets of %s: %w", topic, err)
	}
	offsets := make(map[int]int64, len(requests))
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("list offsets of %s/%d: %w", topic, p.Partition, p.Error)
		}
		offsets[p.Partition] = get(p)
	}
	return offsets, nil
}

// Scan reads the records of one partition with from <= offset < to, in order. It
// ends after an error. Offsets may have gaps (compaction). from may be Earliest. A
// range that reaches beyond the end of the log is read up to the end as it is when
// the scan gets there.
func (l *Log) Scan(ctx context.Context, topic string, partition int, from, to int64) iter.Seq2[*message.Message, error] {
	return func(yield func(*message.Message, error) bool) {
		f := newFetcher(l.brokers, topic, partition, from)
		defer f.close()
		for failures := 0; f.offset < to; {
			records, err := f.fetch(ctx)
			for i := range records {
				if records[i].Offset >= to || !yield(messageOf(ctx, &records[i], f.end), nil) {
					return
				}
			}
			switch {
			case err == nil && f.offset >= f.end:
				return
			case err == nil:
				failures = 0
			case ctx.Err() != nil || failures == 3 || f.lost(err):
				yield(nil, fmt.Errorf("read %s/%d at %d: %w", topic, partition, f.offset, err))
				return
			default:
				failures++
				sleep(ctx, retryMost)
			}
		}
	}
}
