// Package projections folds the log into read models in Postgres: contacts,
// conversations and messages with their status history (conversations.go), and
// deliveries (deliveries.go).
//
// A projection takes a run of events of one partition, folds it in memory,
// writes it with set-based statements, and moves its checkpoint in the same
// transaction. The checkpoint in Postgres is the truth: a partition starts there,
// whatever the consumer group remembers. Projections never call the network and
// never append.
package projections

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// Projection is one read model.
type Projection interface {
	// Name is the projection's key in checkpoints; it never changes.
	Name() string
	// Apply writes what a run of events of one partition changes, in the
	// transaction that moves the checkpoint past them. The events are in the order
	// of the log. Nothing may be kept that a rollback would have to undo.
	Apply(ctx context.Context, tx pgx.Tx, partition int, events []domain.Recorded) error
}

// Beginner is a Projection that keeps something of a transaction for its
// Follower. Begin comes before each transaction, in which Apply may be called
// several times.
type Beginner interface {
	Begin(partition int)
}

// Follower is told what became of a projection's partitions on this process.
// Calls about one partition come one after another.
type Follower interface {
	// Gained tells that this process projects the partition from now on, beginning
	// with the offset next. ctx ends when the partition is taken away. It returns
	// soon.
	Gained(ctx context.Context, partition int, next int64)
	// Applied tells that events were applied and committed, and the next offset.
	// From Gained to Lost every applied event is told once, in order, and every
	// move of the checkpoint, also one over records that hold no event. Where a
	// commit's result is not known, the partition is lost and gained again.
	Applied(partition int, events []domain.Recorded, next int64)
	// Lost tells that the partition is taken away. It is not given to another
	// process before Lost returns, which takes some seconds at most.
	Lost(partition int)
}
