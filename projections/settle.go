package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// settleAtOnce is how many waiting records of a stream one transaction releases.
const settleAtOnce = 500

// settleHeld carries out what operators decided about quarantined records. If the
// process dies in here, a stream is released as far as transactions went, and the
// rest of it when the partition is somebody's again.
func (p *partition) settleHeld() {
	if len(p.held) == 0 {
		return
	}
	stuck, err := p.stuckStreams()
	if err != nil {
		p.log.Warn("projection.quarantine_unread", "error", err)
		return
	}
	for stream := range p.held {
		for free := false; !free && !stuck[stream] && p.ctx.Err() == nil; {
			var ok bool
			if free, ok = p.settleSome(stream); !ok {
				break
			}
		}
	}
	p.runtime.metrics.held(p.number, len(p.held))
}

// settleSome releases a part of a held stream. free tells that nothing of it is
// left; ok is false when it must wait again.
func (p *partition) settleSome(stream string) (free, ok bool) {
	s := settlement{partition: p, stream: stream}
	if err := s.run(); err != nil {
		p.log.Warn("projection.quarantine_unsettled", "stream", stream, "error", err)
		if s.whole { // the answer to the commit was lost
			p.beginAnew()
		}
		return false, false
	}
	if s.free {
		delete(p.held, stream)
	}
	p.runtime.metrics.applied.Add(float64(len(s.applied)))
	if p.runtime.cfg.Follower != nil && len(s.applied) > 0 {
		p.runtime.cfg.Follower.Applied(p.number, s.applied, p.next)
	}
	if s.released > 0 {
		p.log.Info("projection.stream_settled", "stream", stream, "released", s.released, "skipped", s.skipped, "free", s.free)
	}
	return s.free, s.released > 0
}

// stuckStreams are the streams of the partition whose first record in quarantine
// waits for an operator.
func (p *partition) stuckStreams() (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(p.ctx, commitTimeout)
	defer cancel()
	rows, err := p.runtime.cfg.Pool.Query(ctx, `
		select distinct on (stream) stream, error <> '' and verdict = '' from quarantine
		where projection = $1 and partition = $2 order by stream, "offset"`, p.runtime.cfg.Projection.Name(), p.number)
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	stuck := map[string]bool{}
	var stream string
	var waits bool
	if _, err := pgx.ForEachRow(rows, []any{&stream, &waits}, func() error {
		stuck[stream] = waits
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	return stuck, nil
}

// settlement is one transaction that takes the head of a held stream out of
// quarantine as decided, and then what waited behind it, in order, up to the next
// record that fails.
type settlement struct {
	*partition
	stream string

	applied           []domain.Recorded
	released, skipped int
	free              bool // nothing of the stream is left
	whole             bool // all was done but the commit
}

func (s *settlement) run() error {
	ctx, cancel := context.WithTimeout(s.ctx, commitTimeout)
	defer cancel()
	s.runtime.begin(s.number)
	return pgx.BeginFunc(ctx, s.runtime.cfg.Pool, func(tx pgx.Tx) error {
		var next int64
		if err := tx.QueryRow(ctx, `select next from checkpoints where projection = $1 and partition = $2 for update`,
			s.runtime.cfg.Projection.Name(), s.number).Scan(&next); err != nil {
			return fmt.Errorf("lock checkpoint: %w", err)
		}
		if next != s.next {
			return errFenced // the next batch finds out where it stands
		}
		waiting, err := s.waiting(ctx, tx)
		if err != nil {
			return err
		}
		for _, q := range waiting {
			if more, err := s.release(ctx, tx, q); err != nil || !more {
				s.whole = err == nil
				return err
			}
		}
		s.free, s.whole = len(waiting) < settleAtOnce, true
		return nil
	})
}

// release takes one record out of quarantine; more is false when the stream has to
// wait behind it.
func (s *settlement) release(ctx context.Context, tx pgx.Tx, q Quarantined) (more bool, err error) {
	switch {
	case q.Error != "" && q.Verdict == "":
		return false, nil
	case q.Verdict == VerdictSkip:
		s.skipped++
	default:
		event, failure := s.reapply(ctx, tx, q)
		if errors.Is(failure, errUndecoded) || isData(failure) {
			_, err := tx.Exec(ctx, `
				update quarantine set error = $4, verdict = '', caught_at = now()
				where projection = $1 and partition = $2 and "offset" = $3`,
				q.Projection, q.Partition, q.Offset, causeOf(failure))
			return false, err
		}
		if failure != nil {
			return false, failure
		}
		s.applied = append(s.applied, event)
	}
	if _, err := tx.Exec(ctx, `delete from quarantine where projection = $1 and partition = $2 and "offset" = $3`,
		q.Projection, q.Partition, q.Offset); err != nil {
		return false, fmt.Errorf("release record %d:%d: %w", q.Partition, q.Offset, err)
	}
	s.released++
	return true, nil
}

// errUndecoded tells that a record still cannot be decoded.
var errUndecoded = errors.New("the record cannot be decoded")

// reapply tries one quarantined record inside a savepoint.
func (s *settlement) reapply(ctx context.Context, tx pgx.Tx, q Quarantined) (domain.Recorded, error) {
	event, err := eventstore.Decode(q.record.message(), func(*message.Message) (int, int64, bool) {
		return q.Partition, q.Offset, true
	})
	if err != nil {
		return domain.Recorded{}, fmt.Errorf("%w: %w", errUndecoded, err)
	}
	err = pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
		return s.runtime.fold(ctx, inner, s.number, []domain.Recorded{event})
	})
	return event, err
}

// waiting are the first records of the stream in quarantine, in order.
func (s *settlement) waiting(ctx context.Context, tx pgx.Tx) ([]Quarantined, error) {
	rows, err := tx.Query(ctx, `
		select projection, partition, "offset", stream, error, verdict, caught_at, record from quarantine
		where projection = $1 and partition = $2 and stream = $3 order by "offset" limit $4`,
		s.runtime.cfg.Projection.Name(), s.number, s.stream, settleAtOnce)
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	return collectQuarantined(rows)
}
