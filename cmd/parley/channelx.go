package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/adapters/channelx"
	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
	"github.com/parley-im/parley/projections"
)

// lockConns are the commands of ChannelX that may hold a lock of the database at a
// time, on this node; others wait for their turn.
const lockConns = 12

// lockWait is how long a command waits for its turn: many clients that write into
// one conversation at once stand in a line that is served one after another.
const lockWait = 15 * time.Second

// socketGrace bounds how long a stop waits for sockets to take leave.
const socketGrace = 2 * time.Second

// ids gives out numbers: those of accounts from their table, and those of the
// installation in blocks, which all that needs them on this node share.
type ids struct {
	*postgres.Numbers

	blocks *projections.Numbers
}

// ID gives the next number of a kind of the installation.
func (i ids) ID(ctx context.Context, kind string, above int64) (int64, error) {
	return i.blocks.ID(ctx, kind, above)
}

// ids makes the numbers of this node.
func (n *node) ids() ids {
	table := postgres.NewNumbers(n.pool)
	return ids{Numbers: table, blocks: projections.NewNumbers(n.pool, table, func(ctx context.Context) error { return n.Fresh(ctx, "conversations") })}
}

// noFiles is the keeper of a node that keeps none.
type noFiles struct{}

// Keep refuses.
func (noFiles) Keep(context.Context, string, string, io.Reader) (string, int64, error) {
	return "", 0, domain.Errorf(domain.CodeInvalid, "this installation keeps no files; see PARLEY_FILES_DIR")
}

// locks are those of commands: who waits too long is told to repeat.
type locks struct{ *postgres.Locks }

// Hold waits until it has all names.
func (l locks) Hold(ctx context.Context, names ...string) (func(), error) {
	release, err := l.Locks.Hold(ctx, names...)
	if errors.Is(err, postgres.ErrBusy) {
		return nil, &domain.Error{
			Code: domain.CodeUnavailable, Message: "somebody else is changing the same thing; repeat the request",
			RetryAfter: eventstore.RetryAfter, Err: err,
		}
	}
	return release, err
}

// staffed is the registry with all tokens of an account, also those that exist by
// configuration: they, too, are given conversations.
type staffed struct{ *eventstore.Registry }

// Tokens lists them.
func (s staffed) Tokens(account string) []domain.Token { return s.ActingTokens(account) }

// channelX opens the door of ChannelX.
func (n *node) channelX(ctx context.Context, numbers ids) (*channelx.Door, error) {
	pool, err := postgres.NewPool(ctx, n.cfg.DatabaseURL, postgres.LockPoolOptions(lockConns))
	if err != nil {
		return nil, err
	}
	n.onStop(func(context.Context) error { pool.Close(); return nil })
	if err := postgres.RegisterPool(n.metrics, "locks", pool); err != nil {
		return nil, fmt.Errorf("register metrics of the pool of locks: %w", err)
	}
	tail, err := n.tail()
	if err != nil {
		return nil, err
	}
	cfg := channelx.Config{
		Directory: staffed{n.registry}, Inboxes: n.registry, InboxAdmin: n.registry, Endpoints: n.registry, Webhooks: n.registry, Log: n.store, Freshness: n,
		Numbers: numbers.blocks, Locks: locks{postgres.NewLocks(pool, lockWait)}, Presence: projections.NewPresence(n.pool, n.cfg.now),
		Keeper: noFiles{}, Minter: n.registry, Now: n.cfg.now, Random: rand.Reader,
		Logger: n.cfg.logger, Registerer: n.metrics, Sockets: &channelx.Sockets{Tail: tail, Staff: n.registry, Most: n.cfg.ChannelXSockets, PerAddress: n.cfg.ChannelXPerAddress},
	}
	cfg.Limits = channelx.Limits{
		Requests: n.cfg.ChannelXRate, Searches: n.cfg.ChannelXSearches, Counts: n.cfg.ChannelXSearches,
		Messages: n.cfg.ChannelXMessages, Attachment: n.cfg.MaxAttachmentMB << 20,
	}
	reads := projections.NewReads(n.pool)
	cfg.People, cfg.Tickets, cfg.Posts = reads, reads, reads
	if n.files != nil {
		cfg.Keeper = attachments{store: n.files, most: cfg.Limits.Attachment}
	}
	door, err := channelx.New(cfg)
	if err != nil {
		return nil, err
	}
	n.onStop(func(ctx context.Context) error {
		leaving, cancel := context.WithTimeout(ctx, socketGrace)
		defer cancel()
		door.Stop(leaving)
		return nil
	})
	if err := door.Start(ctx); err != nil {
		return nil, err
	}
	return door, nil
}

// tail reads the events of ChannelX as they are appended.
func (n *node) tail() (*eventstore.Tail, error) {
	return eventstore.NewTail(eventstore.TailConfig{
		Topic: eventstore.EventsTopic(n.cfg.TopicPrefix), Dialect: domain.DialectChannelX, Ends: n.log.Ends, Position: kafka.PositionOf,
		Now: n.cfg.now, Logger: n.cfg.logger, Metrics: n.metrics,
		Open: func(start func(ctx context.Context, topic string, partition int) (int64, error), lost func(topic string, partition int, err error)) (message.Subscriber, error) {
			return kafka.NewSubscriber(kafka.SubscriberConfig{
				Brokers: n.cfg.KafkaBrokers, Pipelined: true, Logger: n.cfg.logger, Assigned: start, Stopped: lost, Sync: n.cfg.sync,
			})
		},
	})
}
