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
	// mostMarks bounds what is remembered of a partition that does not move: an hour.
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
// fetched it is the time since the log's end first lay beyond what is applied.
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
	ends, err := r.cfg.Ends(ctx) // while the log is away the marks keep ageing
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for number, p := range r.partitions {
		next := p.progress.next.Load()
		if end, ok := ends[number]; ok && err == nil && end > next && len(marks[number]) < mostMarks {
			marks[number] = append(marks[number], mark{end: end, at: now})
		}
		for len(marks[number]) > 0 && marks[number][0].end <= next {
			marks[number] = marks[number][1:]
		}
		var records int64
		var waiting time.Duration
		if open := marks[number]; len(open) > 0 {
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
