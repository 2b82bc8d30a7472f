package kafka

import (
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// Errors of Publish. Each is wrapped with what was being done.
var (
	// ErrFull means that as many records as the publisher may hold are waiting
	// already. Nothing was sent; the caller may come back a little later.
	ErrFull = errors.New("log publisher is full")
	// ErrUnavailable means that the log did not acknowledge in time, or that the
	// caller stopped waiting. The messages may or may not have landed: repeat
	// with the same ids.
	ErrUnavailable = errors.New("log did not acknowledge")
	// ErrTooLarge means that the log refuses a batch of this size. Nothing of it
	// landed, and repeating is useless.
	ErrTooLarge = errors.New("messages too large for the log")
	// ErrClosed means that the publisher or subscriber was closed.
	ErrClosed = errors.New("closed")
)

// Errors of a partition that can not be read from the offset that was asked for.
var (
	// ErrTruncated means that the wanted offset is beyond the log's end: the log
	// has lost records that were seen before.
	ErrTruncated = errors.New("log was truncated")
	// ErrExpired means that the wanted offset is before the log's start: records
	// were removed before they were read.
	ErrExpired = errors.New("records were removed from the log")
	// ErrRegrown means that the log holds another record than the one that was read
	// at an offset before: it has lost records, and new ones have taken their place.
	ErrRegrown = errors.New("log was truncated and has grown again")
	// ErrNoTopic means that the topic does not exist.
	ErrNoTopic = errors.New("topic does not exist")
)

// refusal returns the error to report at once, because repeating the produce
// request can not help, or nil if it may.
func refusal(err error) error {
	var code kafka.Error
	switch {
	case errors.Is(err, kafka.MessageSizeTooLarge), errors.Is(err, kafka.RecordListTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.As(err, &code) && !code.Temporary() && code != kafka.BrokerNotAvailable && code != kafka.Unknown:
		return fmt.Errorf("log refused the messages: %w", err)
	default:
		return nil
	}
}
