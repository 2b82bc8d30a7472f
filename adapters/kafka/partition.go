package kafka

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
)

const (
	// truncationPatience is how long an offset may lie beyond the log's end before
	// the log counts as truncated: a new leader's end can lag for a moment.
	truncationPatience = 3 * time.Second
	// pauseMost bounds the pause between two attempts to fetch or to assign.
	pauseMost = 2 * time.Second
)

// partition is one assignment of one partition to a subscription: from Assigned to
// Revoked.
type partition struct {
	cfg     SubscriberConfig
	metrics *subscriberMetrics
	log     *slog.Logger
	topic   string
	id      int
	start   int64             // what the group has committed, or Earliest
	commit  func(int64) error // nil without a group
	out     chan<- *message.Message
	flight  *flight
	saved   int64 // the last prefix committed; watch's, then run's

	admin    *Log
	fetches  atomic.Int64 // that have ended
	position atomic.Int64 // offset of the next fetch
	end      atomic.Int64 // of the log, as last seen

	messages context.Context // parent of the messages' contexts
	handed   sync.WaitGroup  // goroutines that offer messages and wait for answers

	mu    sync.Mutex
	lanes map[string][]held // by key; the first of each is being offered
}

// held is a record on its way to the consumer.
type held struct {
	record kafka.Message
	end    int64 // of the log, when the record was read
	entry  *entry
}

// fetched is what one fetch brought.
type fetched struct {
	records []kafka.Message
	end     int64
}

// run reads the partition until ctx ends or the assignment does, and returns when
// its messages have been settled or abandoned and what they acknowledged is
// committed.
func (p *partition) run(ctx, assigned context.Context) {
	messages, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	p.messages = messages
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(assigned, cancel)()
	// A generation may be over before its functions start.
	if assigned.Err() != nil {
		return
	}
	start, ok := p.assign(ctx)
	if !ok {
		return
	}
	gauge := p.metrics.partitions.WithLabelValues(p.topic)
	gauge.Inc()
	defer gauge.Dec()
	lag := p.metrics.lag.WithLabelValues(p.topic, strconv.Itoa(p.id))
	lag.Set(0)
	defer p.metrics.lag.DeleteLabelValues(p.topic, strconv.Itoa(p.id))

	batches := make(chan fetched, 1)
	var workers sync.WaitGroup
	workers.Go(func() { p.fetch(ctx, start, batches) })
	workers.Go(func() { p.watch(ctx, lag) })
	p.dispatch(ctx, batches)

	p.drain(abandon)
	workers.Wait()
	p.save()
	if p.cfg.Revoked != nil && p.cfg.Assigned != nil {
		p.cfg.Revoked(p.topic, p.id)
	}
}

// assign asks where to start until there is an answer, or none to be had: then the
// partition stands still until it is taken away. Giving up would end the generation
// for all partitions.
func (p *partition) assign(ctx context.Context) (start int64, ok bool) {
	if p.cfg.Assigned == nil {
		return p.start, true
	}
	var missing time.Time // since when the log ends too early
	for pause := retryFirst; ctx.Err() == nil; pause = min(2*pause, pauseMost) {
		start, err := p.cfg.Assigned(ctx, p.topic, p.id)
		switch truncated := errors.Is(err, ErrTruncated); {
		case err == nil:
			return start, true
		case ctx.Err() != nil:
			return 0, false
		case truncated && missing.IsZero():
			missing = time.Now()
		case truncated && time.Since(missing) < truncationPatience:
		case truncated, p.cfg.Final != nil && p.cfg.Final(err):
			p.stopped(ctx, err)
			return 0, false
		default:
			missing = time.Time{}
		}
		p.metrics.errors.WithLabelValues(causeAssigned).Inc()
		p.log.Warn("assignment failed, will be repeated", "error", err)
		sleep(ctx, pause)
	}
	return 0, false
}

// fetch reads ahead by one batch, so that the next one is there when this one has
// been handed over.
func (p *partition) fetch(ctx context.Context, start int64, batches chan<- fetched) {
	f := newFetcher(p.cfg.Brokers, p.topic, p.id, start)
	f.fromStart = p.cfg.StartAtLogStart
	defer f.close()
	var missing time.Time // since when the wanted offset lies beyond the end
	pause := retryFirst
	for ctx.Err() == nil {
		records, err := f.fetch(ctx)
		p.position.Store(f.offset)
		p.end.Store(f.end)
		p.fetches.Add(1)
		if len(records) > 0 && !p.kept(ctx, records[0].Offset) {
			return
		}
		if len(records) > 0 {
			select {
			case batches <- fetched{records: records, end: f.end}:
			case <-ctx.Done():
				return
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && (len(records) > 0 || f.offset >= f.end):
			missing, pause = time.Time{}, retryFirst
			continue
		case err == nil:
			// Nothing, although there should be something: do not spin.
		case errors.Is(err, ErrTruncated) && missing.IsZero():
			missing = time.Now()
		case errors.Is(err, ErrTruncated) && time.Since(missing) < truncationPatience:
		case f.lost(err):
			p.stopped(ctx, err)
			return
		default:
			missing = time.Time{}
			p.metrics.errors.WithLabelValues(causeFetch).Inc()
			p.log.Warn("fetch failed, will be repeated", "offset", f.offset, "error", err)
		}
		sleep(ctx, pause)
		pause = min(2*pause, pauseMost)
	}
}

// kept waits until the records from an offset on outlive a power cut: whoever acts
// on one that does not would be ahead of the log afterwards, for good. It is false
// when ctx has ended.
func (p *partition) kept(ctx context.Context, base int64) bool {
	if p.cfg.Sync == nil {
		return true
	}
	for pause := retryFirst; ctx.Err() == nil; pause = min(2*pause, pauseMost) {
		err := p.cfg.Sync(ctx, p.topic, p.id, base)
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			p.metrics.errors.WithLabelValues(causeFetch).Inc()
			p.log.Warn("records are not on disk, will be waited for", "offset", base, "error", err)
		}
		sleep(ctx, pause)
	}
	return false
}

// stopped reports a partition that can not be read any further, until it is taken
// away.
func (p *partition) stopped(ctx context.Context, err error) {
	p.log.Error("partition stopped: the log does not have the records to go on with", "error", err)
	gauge := p.metrics.stopped.WithLabelValues(p.topic)
	gauge.Inc()
	defer gauge.Dec()
	if p.cfg.Stopped != nil {
		p.cfg.Stopped(p.topic, p.id, err)
	}
	<-ctx.Done()
}

// dispatch hands records over until ctx ends.
func (p *partition) dispatch(ctx context.Context, batches <-chan fetched) {
	deliver := p.enqueue
	if p.cfg.Pipelined {
		// The flight's limit keeps the queue from ever being full.
		offered := make(chan offer, p.cfg.MaxInFlight)
		defer close(offered)
		p.handed.Go(func() { p.settleInOrder(ctx, offered) })
		deliver = func(ctx context.Context, h held) {
			if o, ok := p.offer(ctx, h); ok {
				offered <- o
			}
		}
	}
	records := p.metrics.records.WithLabelValues(p.topic)
	inFlight := p.metrics.inFlight.WithLabelValues(p.topic)
	for {
		select {
		case b := <-batches:
			for _, r := range b.records {
				e := p.flight.add(ctx, r.Offset)
				if e == nil {
					return
				}
				records.Inc()
				inFlight.Inc()
				deliver(ctx, held{record: r, end: b.end, entry: e})
			}
		case <-ctx.Done():
			return
		}
	}
}

// drain waits until the messages in hand are settled, or for Grace, and then
// abandons them: their contexts end, their answers count for nothing.
func (p *partition) drain(abandon context.CancelFunc) {
	settled := make(chan struct{})
	go func() {
		p.handed.Wait()
		close(settled)
	}()
	grace := time.NewTimer(p.cfg.Grace)
	defer grace.Stop()
	select {
	case <-settled:
	case <-grace.C:
		abandon()
		<-settled
	}
	p.metrics.inFlight.WithLabelValues(p.topic).Sub(float64(p.flight.inFlight()))
}

// watch commits the acknowledged prefix and shows the lag, until ctx ends.
func (p *partition) watch(ctx context.Context, lag prometheus.Gauge) {
	ticker := time.NewTicker(p.cfg.CommitInterval)
	defer ticker.Stop()
	var fetches int64
	for {
		select {
		case <-ticker.C:
			p.save()
			before := fetches
			if fetches = p.fetches.Load(); fetches == before {
				p.lookAtEnd(ctx)
			}
			lag.Set(float64(p.lag()))
		case <-ctx.Done():
			return
		}
	}
}

// lookAtEnd asks where the log ends. It is for a partition that fetches nothing
// because its consumer is stuck, or its log: that is when the lag matters.
func (p *partition) lookAtEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if ends, err := p.admin.Ends(ctx, p.topic); err == nil {
		p.end.Store(ends[p.id])
	}
}

// lag returns how many records of the log are not acknowledged.
func (p *partition) lag() int64 {
	done := p.flight.prefix()
	if done < 0 {
		done = p.position.Load()
	}
	if done < 0 {
		return 0 // the place to start is not known yet
	}
	return max(0, p.end.Load()-done)
}

// save commits the acknowledged prefix if it has moved. A commit that fails is
// repeated with the next one; if the process dies here, records that were
// acknowledged after the last commit are handed over again.
func (p *partition) save() {
	prefix := p.flight.prefix()
	if p.commit == nil || prefix < 0 || prefix == p.saved {
		return
	}
	if err := p.commit(prefix); err != nil {
		p.metrics.errors.WithLabelValues(causeCommit).Inc()
		p.log.Warn("commit failed, will be repeated", "offset", prefix, "error", err)
		return
	}
	p.saved = prefix
}
