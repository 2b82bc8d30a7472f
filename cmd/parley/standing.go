package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-im/parley/projections"
)

// databaseEvery is how often a node looks whether its database is still the one
// that it has written to.
const databaseEvery = 2 * time.Second

// undefinedTable is Postgres's code for a table that is not there.
const undefinedTable = "42P01"

// errReplaced tells that the database is another one now, or an earlier state of
// the same: what was projected is not in it.
var errReplaced = errors.New("the database was replaced or restored; its rows are built again from the log")

// standing is what a node knows of how far the database is, to notice when that
// was forgotten: checkpoints only move forwards.
type standing struct {
	doubted chan struct{} // holds a token when somebody has noticed something

	mu   sync.Mutex
	seen map[string]map[int]int64 // projection → partition → checkpoint
}

func newStanding() *standing {
	return &standing{doubted: make(chan struct{}, 1), seen: map[string]map[int]int64{}}
}

// stands notes a checkpoint.
func (d *standing) stands(projection string, partition int, next int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[projection] == nil {
		d.seen[projection] = map[int]int64{}
	}
	d.seen[projection][partition] = max(d.seen[projection][partition], next)
}

// doubt has the database looked at now.
func (d *standing) doubt() {
	select {
	case d.doubted <- struct{}{}:
	default:
	}
}

// forget begins anew.
func (d *standing) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.seen)
}

// known copies what is known of a projection.
func (d *standing) known(projection string) map[int]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.seen[projection])
}

// watchDatabase returns when the database was replaced, or ctx has ended. A
// database that is away may be the same when it is back.
func (n *node) watchDatabase(ctx context.Context) {
	tick := time.NewTicker(databaseEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.database.doubted:
		case <-ctx.Done():
			return
		}
		if err := n.lookAtDatabase(ctx); errors.Is(err, errReplaced) {
			n.projecting.Store(&err)
			n.cfg.logger.Error("node.database_replaced", "error", err)
			return
		}
	}
}

// lookAtDatabase compares the checkpoints with those seen before.
func (n *node) lookAtDatabase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, databaseEvery)
	defer cancel()
	for _, projection := range []string{projections.Conversations{}.Name(), (&projections.Deliveries{}).Name()} {
		// First what is known: commits go on while the database answers.
		known := n.database.known(projection)
		stand, err := projections.Checkpoints(ctx, n.pool, projection)
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == undefinedTable {
			return fmt.Errorf("%w (%s)", errReplaced, pg.Message)
		}
		if err != nil {
			return err
		}
		for partition, next := range known {
			if stand[partition] < next {
				return fmt.Errorf("%w (partition %d of %s stood at %d and stands at %d)", errReplaced, partition, projection, next, stand[partition])
			}
		}
		for partition, next := range stand {
			n.database.stands(projection, partition, next)
		}
	}
	return nil
}
