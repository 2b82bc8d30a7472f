package kafka

import (
	"context"
	"errors"
	"fmt"
)

// IDAt returns the id of the record of a partition at an offset (IDHeader), "" for
// one without; false when the record was removed, by retention or compaction. An
// error is ErrTruncated when the log ends before it: a new leader's end can lag for a
// moment.
func (l *Log) IDAt(ctx context.Context, topic string, partition int, offset int64) (id string, ok bool, err error) {
	end, _, err := l.EndAt(ctx, topic, partition)
	if err != nil {
		return "", false, err
	}
	if offset >= end {
		return "", false, fmt.Errorf("%s/%d: %w: wanted offset %d, the end is %d", topic, partition, ErrTruncated, offset, end)
	}
	for msg, err := range l.Scan(ctx, topic, partition, offset, offset+1) {
		if errors.Is(err, ErrExpired) {
			return "", false, nil
		}
		if err != nil {
			return "", false, err
		}
		return msg.UUID, true, nil
	}
	return "", false, nil
}
