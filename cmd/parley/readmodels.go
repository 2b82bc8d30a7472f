package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
	"github.com/parley-im/parley/projections"
)

type projectionsCommand struct {
	List       projectionsList       `cmd:"" help:"Show how far each projection is, by partition."`
	Quarantine projectionsQuarantine `cmd:"" help:"List records that could not be applied."`
	Skip       projectionsSkip       `cmd:"" help:"Leave a quarantined record out and let its stream go on."`
	Retry      projectionsRetry      `cmd:"" help:"Try a quarantined record again, and what waits behind it."`
}

// database is how a command reaches the read models.
type database struct {
	DatabaseURL string `help:"Postgres of the installation." required:"true" placeholder:"URL"`
}

func (d database) with(ctx context.Context, do func(*pgxpool.Pool) error) error {
	pool, err := postgres.Open(ctx, d.DatabaseURL, postgres.Options{MaxConns: 2, Wait: -1})
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(pool)
}

type projectionsList struct {
	database

	KafkaBrokers []string `help:"Brokers to ask for the log's end." placeholder:"HOST:PORT,..."`
	TopicPrefix  string   `help:"What the names of topics begin with." default:"parley"`
}

// Run shows the checkpoints, beside the log's end where brokers are named.
func (c projectionsList) Run(ctx context.Context, s streams) error {
	ends := map[int]int64{}
	if len(c.KafkaBrokers) > 0 {
		log := kafka.NewLog(c.KafkaBrokers)
		defer log.Close()
		var err error
		if ends, err = log.Ends(ctx, eventstore.EventsTopic(c.TopicPrefix)); err != nil {
			return err
		}
	}
	return c.with(ctx, func(pool *pgxpool.Pool) error {
		tab := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(tab, "PROJECTION\tPARTITION\tNEXT\tBEHIND")
		for _, name := range []string{"conversations", "deliveries"} {
			next, err := projections.Checkpoints(ctx, pool, name)
			if err != nil {
				return err
			}
			for partition := range len(next) {
				behind := "?"
				if end, ok := ends[partition]; ok {
					behind = strconv.FormatInt(end-next[partition], 10)
				}
				fmt.Fprintf(tab, "%s\t%d\t%d\t%s\n", name, partition, next[partition], behind)
			}
		}
		return tab.Flush()
	})
}

type projectionsQuarantine struct{ database }

// Run lists quarantined records.
func (c projectionsQuarantine) Run(ctx context.Context, s streams) error {
	return c.with(ctx, func(pool *pgxpool.Pool) error {
		list, err := projections.Quarantine(ctx, pool)
		if err != nil {
			return err
		}
		tab := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(tab, "PROJECTION\tPOSITION\tSTREAM\tCAUGHT\tVERDICT\tERROR")
		for _, q := range list {
			fmt.Fprintf(tab, "%s\t%d:%d\t%s\t%s\t%s\t%s\n", q.Projection, q.Partition, q.Offset, q.Stream,
				q.CaughtAt.UTC().Format(time.RFC3339), q.Verdict, q.Error)
		}
		return tab.Flush()
	})
}

// quarantinedRecord names a record as the list does.
type quarantinedRecord struct {
	Projection string `arg:"" help:"Name of the projection."`
	Position   string `arg:"" help:"Position of the record, partition:offset."`
}

func (q quarantinedRecord) position() (domain.Position, error) {
	partition, offset, ok := strings.Cut(q.Position, ":")
	p, err := strconv.Atoi(partition)
	o, err2 := strconv.ParseInt(offset, 10, 64)
	if !ok || err != nil || err2 != nil {
		return domain.Position{}, fmt.Errorf("%q is not a position such as 3:1207", q.Position)
	}
	return domain.Position{Partition: p, Offset: o}, nil
}

func (d database) decide(ctx context.Context, s streams, q quarantinedRecord, verdict string) error {
	at, err := q.position()
	if err != nil {
		return err
	}
	return d.with(ctx, func(pool *pgxpool.Pool) error {
		if err := projections.Decide(ctx, pool, q.Projection, at, verdict); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s %s: %s within a moment, on the node that has the partition\n", q.Projection, q.Position, verdict)
		return err
	})
}

type projectionsSkip struct {
	database
	quarantinedRecord
}

// Run skips a quarantined record.
func (c projectionsSkip) Run(ctx context.Context, s streams) error {
	return c.decide(ctx, s, c.quarantinedRecord, projections.VerdictSkip)
}

type projectionsRetry struct {
	database
	quarantinedRecord
}

// Run retries a quarantined record.
func (c projectionsRetry) Run(ctx context.Context, s streams) error {
	return c.decide(ctx, s, c.quarantinedRecord, projections.VerdictRetry)
}
