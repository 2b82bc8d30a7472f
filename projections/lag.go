package projections

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// lagEvery is how often the lag is measured.
	lagEvery = time.Second
	// mostMarks bounds what is remembered of a partition that does not move: an hour
	// of a log that grows all the time.
	mostMarks = 3600
)

// progress is what the lag is computed from, written by a partition's worker.
type progress struct {
	next   atomic.Int64 // first offset that is not applied
	inHand atomic.Int64 // time of the oldest record in hand, Unix milliseconds; 0 = none
}

// mark is an end of the log and when it was seen.
type mark struct {
	end int64
	at  time.Time
}

// watchLag keeps the lag of the partitions that this process has, until ctx ends.
// In seconds it is the age of the oldest record in hand; while nothing can be
// fetched it is the time since the log's end first lay beyond what is applied,
// and while the checkpoint cannot be read the time since the partition was given.
func (r *Runtime) watchLag(ctx context.Context) {
	marks := map[int][]mark{}
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	for {
		r.measureLag(ctx, marks)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Runtime) measureLag(ctx context.Context, marks map[int][]mark) {
	ctx, cancel := context.WithTimeout(ctx, lagEvery)
	defer cancel()
	ends, err := r.cfg.Ends(ctx)
	if err != nil {
		ends = nil // while the log is away the marks go on ageing
	}
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for number, since := range r.starting {
		r.metrics.lagSeconds.WithLabelValues(strconv.Itoa(number)).Set(now.Sub(since).Seconds())
	}
	for number, p := range r.partitions {
		next := p.progress.next.Load()
		open := remember(marks[number], next, ends[number], now)
		marks[number] = open
		var records int64
		var waiting time.Duration
		if len(open) > 0 {
			records, waiting = open[len(open)-1].end-next, now.Sub(open[0].at)
		}
		if ms := p.progress.inHand.Load(); ms > 0 {
			waiting = max(waiting, now.Sub(time.UnixMilli(ms)))
		}
		label := strconv.Itoa(number)
		r.metrics.lagRecords.WithLabelValues(label).Set(float64(records))
		r.metrics.lagSeconds.WithLabelValues(label).Set(waiting.Seconds())
	}
	for number := range marks {
		if r.partitions[number] == nil {
			delete(marks, number)
		}
	}
}

// remember adds an end of the log to the marks of a partition and forgets those
// that have been reached. When there is no room the last mark moves, which can
// only make the lag look longer.
func remember(marks []mark, next, end int64, now time.Time) []mark {
	for len(marks) > 0 && marks[0].end <= next {
		marks = marks[1:]
	}
	switch last := len(marks) - 1; {
	case end <= next || (last >= 0 && marks[last].end >= end):
	case len(marks) == mostMarks:
		marks[last].end = end
	default:
		marks = append(marks, mark{end: end, at: now})
	}
	return marks
}
