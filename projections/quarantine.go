package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// caught is a record that is set aside: because of err, or because its stream
// waits behind one that is.
type caught struct {
	stream string
	offset int64
	msg    *message.Message
	err    error
}

// keptRecord is the form of a record in quarantine: all that decoding needs.
type keptRecord struct {
	ID       string            `json:"id"`
	Envelope map[string]string `json:"envelope"`
	Value    []byte            `json:"value"`
}

// isData tells whether the database refused the data itself (SQLSTATE classes 22
// and 23), which no repetition will change.
func isData(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return false
	}
	return pg.Code[:2] == "22" || pg.Code[:2] == "23"
}

// catch moves the single event of a run into quarantine.
func (p *partition) catch(r *run, cause error) {
	event := r.events[0]
	msg, err := eventstore.Encode(event.Event)
	if err != nil { // it was decoded a moment ago
		msg = message.NewMessage(event.ID.String(), nil)
	}
	p.held[event.Stream()] = struct{}{}
	r.caught = append(r.caught, caught{stream: event.Stream(), offset: event.Position.Offset, msg: msg, err: cause})
	r.events = nil
}

// quarantine keeps set-aside records.
func (r *Runtime) quarantine(ctx context.Context, tx pgx.Tx, number int, records []caught) error {
	for _, c := range records {
		raw, err := json.Marshal(keptRecord{ID: c.msg.UUID, Envelope: c.msg.Metadata, Value: c.msg.Payload})
		if err != nil {
			return fmt.Errorf("keep record %d:%d: %w", number, c.offset, err)
		}
		cause := ""
		if c.err != nil {
			cause = domain.Cut(c.err.Error(), domain.MaxDetail)
		}
		if _, err := tx.Exec(ctx, `
			insert into quarantine (projection, partition, "offset", stream, error, record)
			values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
			r.cfg.Projection.Name(), number, c.offset, c.stream, cause, raw); err != nil {
			return fmt.Errorf("quarantine record %d:%d: %w", number, c.offset, err)
		}
	}
	return nil
}

// heldStreams are the streams of a partition that have records in quarantine.
func (r *Runtime) heldStreams(ctx context.Context, number int) (map[string]struct{}, error) {
	rows, err := r.cfg.Pool.Query(ctx, `select distinct stream from quarantine where projection = $1 and partition = $2`,
		r.cfg.Projection.Name(), number)
	if err != nil {
		return nil, fmt.Errorf("read quarantine of %s: %w", r.cfg.Projection.Name(), err)
	}
	streams, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read quarantine of %s: %w", r.cfg.Projection.Name(), err)
	}
	held := make(map[string]struct{}, len(streams))
	for _, s := range streams {
		held[s] = struct{}{}
	}
	return held, nil
}

// settleHeld carries out what operators decided about quarantined records.
func (p *partition) settleHeld() {
	for stream := range p.held {
		events, free, err := p.settleStream(stream)
		if err != nil {
			p.runtime.cfg.Logger.Warn("projection.quarantine_unsettled", "projection", p.runtime.cfg.Projection.Name(),
				"partition", p.number, "stream", stream, "error", err)
			continue
		}
		if free {
			delete(p.held, stream)
		}
		if len(events) > 0 && p.runtime.cfg.Follower != nil {
			p.runtime.cfg.Follower.Applied(p.number, events, p.next)
		}
	}
}

// settleStream takes the head of a held stream out of quarantine as decided, and
// then what waited behind it, in order, up to the next record that fails.
func (p *partition) settleStream(stream string) (applied []domain.Recorded, free bool, err error) {
	ctx, cancel := context.WithTimeout(p.ctx, commitTimeout)
	defer cancel()
	name := p.runtime.cfg.Projection.Name()
	err = pgx.BeginFunc(ctx, p.runtime.cfg.Pool, func(tx pgx.Tx) error {
		applied, free = nil, false
		var next int64
		if err := tx.QueryRow(ctx, `select next from checkpoints where projection = $1 and partition = $2 for update`,
			name, p.number).Scan(&next); err != nil {
			return fmt.Errorf("lock checkpoint: %w", err)
		}
		if next != p.next {
			return nil // another process has the partition
		}
		waiting, err := quarantined(ctx, tx, name, p.number, stream)
		if err != nil {
			return err
		}
		for i, q := range waiting {
			if i == 0 && q.Verdict == "" {
				return nil
			}
			if q.Verdict != VerdictSkip {
				event, failure := p.reapply(ctx, tx, q)
				if failure != nil {
					_, err := tx.Exec(ctx, `update quarantine set error = $4, verdict = '' where projection = $1 and partition = $2 and "offset" = $3`,
						name, p.number, q.Offset, domain.Cut(failure.Error(), domain.MaxDetail))
					return err
				}
				applied = append(applied, event)
			}
			if _, err := tx.Exec(ctx, `delete from quarantine where projection = $1 and partition = $2 and "offset" = $3`,
				name, p.number, q.Offset); err != nil {
				return fmt.Errorf("release record %d:%d: %w", p.number, q.Offset, err)
			}
		}
		free = true
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return applied, free, nil
}

// reapply tries one quarantined record inside a savepoint.
func (p *partition) reapply(ctx context.Context, tx pgx.Tx, q Quarantined) (domain.Recorded, error) {
	msg := message.NewMessage(q.record.ID, q.record.Value)
	msg.Metadata = q.record.Envelope
	event, err := eventstore.Decode(msg, func(*message.Message) (int, int64, bool) { return q.Partition, q.Offset, true })
	if err != nil {
		return domain.Recorded{}, err
	}
	err = pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
		return p.runtime.cfg.Projection.Apply(ctx, inner, p.number, []domain.Recorded{event})
	})
	return event, err
}

// Verdicts of an operator on a quarantined record.
const (
	VerdictSkip  = "skip"
	VerdictRetry = "retry"
)

// Quarantined is a record that could not be applied, or waits behind one.
type Quarantined struct {
	Projection string
	Partition  int
	Offset     int64
	Stream     string
	Error      string // "" = only waits
	Verdict    string
	CaughtAt   time.Time
	record     keptRecord
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// quarantined lists the records of a stream that are set aside, in order.
func quarantined(ctx context.Context, db querier, projection string, number int, stream string) ([]Quarantined, error) {
	rows, err := db.Query(ctx, `
		select projection, partition, "offset", stream, error, verdict, caught_at, record from quarantine
		where projection = $1 and partition = $2 and stream = $3 order by "offset"`, projection, number, stream)
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	return collectQuarantined(rows)
}

func collectQuarantined(rows pgx.Rows) ([]Quarantined, error) {
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Quarantined, error) {
		var q Quarantined
		err := row.Scan(&q.Projection, &q.Partition, &q.Offset, &q.Stream, &q.Error, &q.Verdict, &q.CaughtAt, &q.record)
		return q, err
	})
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	return list, nil
}

// Quarantine lists the records that could not be applied, oldest first, without
// those that only wait behind them; at most 1,000.
func Quarantine(ctx context.Context, pool *pgxpool.Pool) ([]Quarantined, error) {
	rows, err := pool.Query(ctx, `
		select projection, partition, "offset", stream, error, verdict, caught_at, record from quarantine
		where error <> '' order by caught_at, projection, partition, "offset" limit 1000`)
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	return collectQuarantined(rows)
}

// Decide leaves a verdict on a quarantined record; the process that has the
// partition carries it out within a second or two. CodeNotFound when there is
// no such record.
func Decide(ctx context.Context, pool *pgxpool.Pool, projection string, at domain.Position, verdict string) error {
	tag, err := pool.Exec(ctx, `update quarantine set verdict = $4 where projection = $1 and partition = $2 and "offset" = $3 and error <> ''`,
		projection, at.Partition, at.Offset, verdict)
	if err != nil {
		return fmt.Errorf("decide about record %d:%d: %w", at.Partition, at.Offset, err)
	}
	if tag.RowsAffected() == 0 {
		return domain.Errorf(domain.CodeNotFound, "projection %s has no quarantined record at %d:%d", projection, at.Partition, at.Offset)
	}
	return nil
}
