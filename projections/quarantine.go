package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
)

// caught is a record that is set aside: because of err, or because its stream
// waits behind one that is.
type caught struct {
	stream string
	offset int64
	msg    *message.Message
	err    error
}

// keptRecord is the form of a record in quarantine: all that decoding needs, in
// bytes, because what is wrong with it may be that it is no text.
type keptRecord struct {
	ID       []byte            `json:"id"`
	Envelope map[string][]byte `json:"envelope"`
	Value    []byte            `json:"value"`
}

func keep(msg *message.Message) ([]byte, error) {
	kept := keptRecord{ID: []byte(msg.UUID), Envelope: make(map[string][]byte, len(msg.Metadata)), Value: msg.Payload}
	for name, value := range msg.Metadata {
		kept.Envelope[domain.Storable(name)] = []byte(value)
	}
	return json.Marshal(kept)
}

func (k keptRecord) message() *message.Message {
	msg := message.NewMessage(string(k.ID), k.Value)
	for name, value := range k.Envelope {
		msg.Metadata[name] = string(value)
	}
	return msg
}

// isData tells whether it is the data that cannot be applied, which no repetition
// will change: the database refused it (SQLSTATE classes 22, data exception; 23,
// integrity; 54, program limit), it does not fit the type of its column, or the
// projection panicked over it.
func isData(err error) bool {
	if err == nil {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && len(pg.Code) == 5 {
		class := pg.Code[:2]
		return class == "22" || class == "23" || class == "54"
	}
	// pgx has no type for a value that it cannot encode.
	return errors.Is(err, errPanicked) || strings.Contains(err.Error(), "failed to encode args")
}

// quarantine keeps set-aside records.
func (r *Runtime) quarantine(ctx context.Context, tx pgx.Tx, number int, records []caught) error {
	n := len(records)
	if n == 0 {
		return nil
	}
	offsets, streams, causes, kept := make([]int64, n), make([]string, n), make([]string, n), make([]string, n)
	for i, c := range records {
		raw, err := keep(c.msg)
		if err != nil {
			return fmt.Errorf("keep record %d:%d: %w", number, c.offset, err)
		}
		offsets[i], streams[i], causes[i], kept[i] = c.offset, c.stream, causeOf(c.err), string(raw)
	}
	if _, err := tx.Exec(ctx, `
		insert into quarantine (projection, partition, "offset", stream, error, record)
		select $1, $2, u.* from unnest($3::bigint[], $4::text[], $5::text[], $6::jsonb[]) u
		on conflict do nothing`, r.cfg.Projection.Name(), number, offsets, streams, causes, kept); err != nil {
		return fmt.Errorf("quarantine %d records of partition %d: %w", n, number, err)
	}
	return nil
}

// causeOf is how an error is kept; "" for none.
func causeOf(err error) string {
	if err == nil {
		return ""
	}
	return domain.Cut(domain.Storable(err.Error()), domain.MaxDetail)
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
// partition carries it out within a second or two. A record that is skipped is
// gone from the projection for good; it stays in the log. CodeInvalid for another
// verdict, CodeNotFound when there is no such record.
func Decide(ctx context.Context, pool *pgxpool.Pool, projection string, at domain.Position, verdict string) error {
	if verdict != VerdictSkip && verdict != VerdictRetry {
		return domain.Invalid("verdict", "must be %s or %s", VerdictSkip, VerdictRetry)
	}
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
