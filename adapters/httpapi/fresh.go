package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

const positionHeader = "Parley-Position"

// The projections behind the API.
const (
	projectionConversations = "conversations" // contacts, conversations, messages
	projectionDeliveries    = "deliveries"
)

// How long a request waits for a projection.
const (
	freshWait   = 250 * time.Millisecond // for any read; then it answers with what there is
	reachedWait = 5 * time.Second        // for a named position; then 503
	settleWait  = time.Second            // for the effect of what the request itself appended
	endWait     = time.Second            // for the log to say where it ends
)

// ReadParams are the headers of every read.
type ReadParams struct {
	Position string `header:"Parley-Position" doc:"Answer only when this position of the log has been applied (as told by the header of the same name of an earlier answer); waits at most 5 s, then 503. 400 for a position that the log does not have." example:"3:1042"`
}

// ReadHeaders are the headers of the answer to a read.
type ReadHeaders struct {
	Stale string `header:"Parley-Stale" enum:"true" doc:"Set when the answer may lack the newest events: what is read had not caught up with the log within 250 ms."`
}

// AppendHeaders are the headers of the answer to a request that appended.
type AppendHeaders struct {
	Position string `header:"Parley-Position" doc:"Where the log has what was asked for: partition:offset. Send it with a read to see its effect." example:"3:1042"`
}

// appended tells where the last of the appended events is.
func appended(positions []domain.Position) AppendHeaders {
	if len(positions) == 0 {
		return AppendHeaders{}
	}
	return AppendHeaders{Position: formatPosition(positions[len(positions)-1])}
}

func formatPosition(p domain.Position) string { return fmt.Sprintf("%d:%d", p.Partition, p.Offset) }

// parsePosition reads partition:offset.
func parsePosition(text string) (domain.Position, bool) {
	partition, offset, ok := strings.Cut(text, ":")
	if !ok {
		return domain.Position{}, false
	}
	p, err := strconv.ParseUint(partition, 10, 31)
	if err != nil {
		return domain.Position{}, false
	}
	o, err := strconv.ParseUint(offset, 10, 63)
	if err != nil {
		return domain.Position{}, false
	}
	return domain.Position{Partition: int(p), Offset: int64(o)}, true
}

// await holds a read until the projection is as fresh as it has to be.
func (p *platform) await(ctx context.Context, projection string, in ReadParams) (ReadHeaders, error) {
	if in.Position != "" {
		position, ok := parsePosition(in.Position)
		if !ok {
			return ReadHeaders{}, badParameter("header", positionHeader, "must be partition:offset, such as 3:1042")
		}
		return ReadHeaders{}, p.awaitPosition(ctx, projection, position)
	}
	limited, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	// Whatever holds it up, old rows are better than none; the header tells.
	if p.Freshness.Fresh(limited, projection) != nil {
		p.metrics.staleReads.WithLabelValues(projection).Inc()
		return ReadHeaders{Stale: "true"}, nil
	}
	return ReadHeaders{}, nil
}

// awaitPosition holds a read until the projection has passed a position. One that
// the log does not have is not waited for: nobody was told it. The log is asked
// only when the position is not there soon, and once more a little later: whoever
// leads a partition since a moment ago may be slow to know all that it has.
func (p *platform) awaitPosition(ctx context.Context, projection string, position domain.Position) error {
	limited, cancel := context.WithTimeout(ctx, reachedWait)
	defer cancel()
	var missing *Problem
	for range 2 {
		err := p.reached(limited, freshWait, projection, position)
		if err == nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if missing = p.missing(limited, position); missing == nil {
			break
		}
	}
	if missing != nil {
		return missing
	}
	if err := p.Freshness.Reached(limited, projection, position); err != nil {
		return late(err, "position "+formatPosition(position)+" has not been applied yet; repeat the request")
	}
	return nil
}

func (p *platform) reached(ctx context.Context, within time.Duration, projection string, position domain.Position) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return p.Freshness.Reached(limited, projection, position)
}

// missing says why a position cannot be one of the log's; nil when it can, also
// because the log does not answer.
func (p *platform) missing(ctx context.Context, position domain.Position) *Problem {
	limited, cancel := context.WithTimeout(ctx, endWait)
	defer cancel()
	end, ok, err := p.Freshness.End(limited, position.Partition)
	switch {
	case err != nil:
		return nil
	case !ok:
		return badParameter("header", positionHeader, fmt.Sprintf("names partition %d, which the log does not have", position.Partition))
	case position.Offset >= end:
		return badParameter("header", positionHeader, fmt.Sprintf("is beyond the end of the log: partition %d ends before offset %d", position.Partition, end))
	default:
		return nil
	}
}

// certain holds a request that must not act on old rows of conversations until
// they have all that the log held when it came.
func (p *platform) certain(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, reachedWait)
	defer cancel()
	if err := p.Freshness.Fresh(limited, projectionConversations); err != nil {
		return late(err, "the read models are behind the log; repeat the request")
	}
	return nil
}

// settle waits for the effect of what was just appended. It is a courtesy: the
// answer is right without it, only older.
func (p *platform) settle(ctx context.Context, projection string, positions []domain.Position) {
	if len(positions) == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	_ = p.Freshness.Reached(limited, projection, positions[len(positions)-1])
}

// late is the error of a wait that ended too early.
func late(err error, message string) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &domain.Error{Code: domain.CodeUnavailable, Message: message, Err: err}
	}
	return err
}
