package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

const (
	// commitTimeout bounds one transaction; after it the batch is tried again.
	commitTimeout = 30 * time.Second
	// revokeGrace is how much of that is left when the partition is taken away: less
	// than the time in which the group gives it to another process.
	revokeGrace = 5 * time.Second
	// settleEvery is how often held streams are looked at for an operator's verdict.
	settleEvery = time.Second
	// The wait between tries while the database is away.
	firstPause   = 20 * time.Millisecond
	longestPause = 2 * time.Second
	// maxBatchBytes bounds the values that one transaction takes in.
	maxBatchBytes = 16 << 20
)

// partition is the work on one partition while this process has it. Its fields
// are owned by the goroutine of work, unless they say otherwise.
type partition struct {
	runtime *Runtime
	number  int
	ctx     context.Context // ends when the partition is taken away: it is the life of the partition
	log     *slog.Logger
	queue   chan *message.Message
	done    chan struct{}

	gate   sync.Mutex // guards closed, and sending to queue
	closed bool

	progress progress // for everybody

	began time.Time // when the last batch was taken

	next int64               // first offset that is not applied yet
	held map[string]struct{} // streams that wait behind a record that cannot be applied
}

// run is what one transaction takes in.
type run struct {
	events []domain.Recorded
	msgs   []*message.Message // that the events came in
	caught []caught
	held   map[string]struct{} // streams held from this run on
	next   int64               // first offset behind it
	id     string              // of the record before next, whatever became of it
	last   time.Time           // time of its newest event
}

var (
	// errFenced tells that somebody else has moved the checkpoint.
	errFenced = errors.New("the checkpoint was moved by another process")
	// errWentBack tells that the database has forgotten what was applied. The
	// records in between were acknowledged and do not come again.
	errWentBack = errors.New("the checkpoint in the database lies before what this process has applied; only a new start reads from there")
	// errPanicked tells that a projection's fold has panicked.
	errPanicked = errors.New("the projection panicked")
)

// offer puts a message into the queue, or refuses it when the partition was taken
// away: then nobody has to wait for its answer.
func (p *partition) offer(msg *message.Message) {
	p.gate.Lock()
	defer p.gate.Unlock()
	if p.closed {
		msg.Nack()
		return
	}
	select {
	case p.queue <- msg:
	case <-p.ctx.Done():
		msg.Nack()
	}
}

func (p *partition) work() {
	defer close(p.done)
	defer p.refuseRest()
	settle := time.NewTicker(settleEvery)
	defer settle.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-settle.C:
			p.settleHeld()
		case first := <-p.queue:
			if p.ctx.Err() != nil { // no new work when both are there
				first.Nack()
				return
			}
			if !p.take(p.collect(first)) {
				return
			}
		}
	}
}

// refuseRest answers the messages that are left when the partition was taken away.
func (p *partition) refuseRest() {
	p.gate.Lock()
	defer p.gate.Unlock()
	p.closed = true
	for {
		select {
		case msg := <-p.queue:
			msg.Nack()
		default:
			return
		}
	}
}

// collect takes what waits. While a transaction runs the next batch grows by
// itself; under a steady load it grows until a beat has passed since the last
// one was taken, because a transaction costs as much as many events in it. What
// comes after a pause does not wait, nor does what somebody waits for.
func (p *partition) collect(first *message.Message) []*message.Message {
	batch := append(make([]*message.Message, 0, 64), first)
	beat := time.NewTimer(time.Until(p.began.Add(p.runtime.cfg.Beat)))
	defer beat.Stop()
	over := time.Since(p.began) >= p.runtime.cfg.Beat || p.runtime.cfg.Awaited(first)
	add := func(msg *message.Message) {
		batch = append(batch, msg)
		over = over || p.runtime.cfg.Awaited(msg)
	}
	defer func() { p.began = time.Now() }()
	for size := len(first.Payload); len(batch) < p.runtime.cfg.MaxBatch && size < maxBatchBytes; {
		select {
		case msg := <-p.queue:
			add(msg)
			size += len(msg.Payload)
			continue
		default:
		}
		if over {
			return batch
		}
		select {
		case msg := <-p.queue:
			add(msg)
			size += len(msg.Payload)
		case <-beat.C:
			over = true
		case <-p.ctx.Done():
			over = true
		}
	}
	return batch
}

// take applies a batch, however often it must be tried; false when the partition
// was taken away before. If the process dies in here, the transaction is either
// whole or not there, and its records are read again from the checkpoint.
//
// A batch that the database refuses for its data is halved until one record is
// left that is to blame: the others lose nothing but some transactions.
func (p *partition) take(batch []*message.Message) bool {
	defer p.progress.inHand.Store(0)
	pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(firstPause),
		backoff.WithMaxInterval(longestPause), backoff.WithMaxElapsedTime(0))
	for {
		run := p.read(batch)
		err := p.commit(run)
		if isData(err) && len(run.events) > 1 {
			half := len(batch) / 2
			return p.take(batch[:half]) && p.take(batch[half:])
		}
		if isData(err) && len(run.events) == 1 {
			run = run.catch(err)
			err = p.commit(run)
		}
		if errors.Is(err, errFenced) {
			if err = p.refollow(); err == nil {
				continue // what the other has applied is left out now
			}
		}
		if err == nil {
			p.committed(run, batch)
			return true
		}
		p.runtime.metrics.failed.Inc()
		p.log.Warn("projection.batch_failed", "records", len(batch), "error", err)
		select {
		case <-time.After(pause.NextBackOff()):
		case <-p.ctx.Done():
			return false
		}
	}
}

// read decodes a batch and sets aside what cannot be applied. It changes nothing
// in p but the time in hand: the batch may be read again.
func (p *partition) read(batch []*message.Message) run {
	out := run{next: p.next, events: make([]domain.Recorded, 0, len(batch)), held: map[string]struct{}{}}
	for _, msg := range batch {
		_, offset, _ := p.runtime.cfg.Position(msg)
		if offset < p.next {
			continue // applied before
		}
		out.next, out.id = offset+1, msg.UUID
		stream := domain.Storable(eventstore.Key(msg))
		_, waits := p.held[stream]
		if _, caughtNow := out.held[stream]; waits || caughtNow {
			out.caught = append(out.caught, caught{stream: stream, offset: offset, msg: msg})
			continue
		}
		event, err := eventstore.Decode(msg, p.runtime.cfg.Position)
		if err != nil {
			out.caught = append(out.caught, caught{stream: stream, offset: offset, msg: msg, err: err})
			out.held[stream] = struct{}{}
			continue
		}
		if len(out.events) == 0 {
			p.progress.inHand.Store(event.Time.UnixMilli())
		}
		out.last = event.Time
		out.events, out.msgs = append(out.events, event), append(out.msgs, msg)
	}
	return out
}

// catch sets the only event of a run aside.
func (r run) catch(cause error) run {
	stream := domain.Storable(eventstore.Key(r.msgs[0]))
	r.caught = append(r.caught, caught{stream: stream, offset: r.events[0].Position.Offset, msg: r.msgs[0], err: cause})
	r.held[stream] = struct{}{}
	r.events, r.msgs = nil, nil
	return r
}

// commit writes rows and checkpoint in one transaction. The conditional move of
// the checkpoint keeps a process out that only thinks it has the partition.
func (p *partition) commit(run run) error {
	if run.next == p.next {
		return nil
	}
	// The partition's end is no reason to give up a transaction at once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), commitTimeout)
	defer cancel()
	defer context.AfterFunc(p.ctx, func() { time.AfterFunc(revokeGrace, cancel) })()
	p.runtime.begin(p.number)
	started := p.runtime.cfg.Now()
	err := inPipeline(ctx, p.runtime.cfg.Pool, p.runtime.fence(p.number, p.next, run), func(tx pgx.Tx) error {
		return p.runtime.apply(ctx, tx, p.number, run)
	})
	if err != nil {
		return err
	}
	p.runtime.metrics.duration.Observe(p.runtime.cfg.Now().Sub(started).Seconds())
	return nil
}

// begin tells a projection that wants to know it that a transaction begins.
func (r *Runtime) begin(number int) {
	if b, ok := r.cfg.Projection.(Beginner); ok {
		b.Begin(number)
	}
}

// apply is the inside of one transaction, behind the fence: quarantine, rows.
func (r *Runtime) apply(ctx context.Context, tx pgx.Tx, number int, run run) error {
	if err := r.quarantine(ctx, tx, number, run.caught); err != nil {
		return err
	}
	if len(run.events) == 0 {
		return nil
	}
	return r.fold(ctx, tx, number, run.events)
}

// fold calls the projection. A panic is an error about the events: it must not
// end the process, which would read the same events again.
func (r *Runtime) fold(ctx context.Context, tx pgx.Tx, number int, events []domain.Recorded) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("apply to %s: %w: %v", r.cfg.Projection.Name(), errPanicked, v)
			r.cfg.Logger.Error("projection.panicked", "projection", r.cfg.Projection.Name(), "partition", number,
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	if err := r.cfg.Projection.Apply(ctx, tx, number, events); err != nil {
		return fmt.Errorf("apply to %s: %w", r.cfg.Projection.Name(), err)
	}
	return nil
}

func (p *partition) committed(run run, batch []*message.Message) {
	p.next = run.next
	p.progress.next.Store(run.next)
	m := p.runtime.metrics
	m.applied.Add(float64(len(run.events)))
	m.batch.Observe(float64(len(batch)))
	for _, c := range run.caught {
		m.quarantined.Inc()
		if c.err != nil {
			p.log.Error("projection.record_quarantined", "offset", c.offset, "stream", c.stream, "error", c.err,
				"next", "see parley projections quarantine; then skip or retry it")
		}
	}
	for stream := range run.held {
		p.held[stream] = struct{}{}
	}
	m.held(p.number, len(p.held))
	if p.runtime.cfg.Committed != nil {
		p.runtime.cfg.Committed(p.number, run.next)
	}
	if p.runtime.cfg.Follower != nil {
		p.runtime.cfg.Follower.Applied(p.number, run.events, run.next)
	}
	for _, msg := range batch {
		msg.Ack()
	}
}

// refollow goes on from where another process has moved the checkpoint, or from
// where a commit of ours got whose answer was lost. What was told to the follower
// may be stale, so it begins anew.
func (p *partition) refollow() error {
	r := p.runtime
	ctx, cancel := context.WithTimeout(p.ctx, commitTimeout)
	defer cancel()
	stand, held, err := r.stand(ctx, p.number)
	if err != nil {
		return err
	}
	next := stand.next
	if next < p.next {
		err := fmt.Errorf("projection %s, partition %d: %w (%d, %d)", r.cfg.Projection.Name(), p.number, errWentBack, next, p.next)
		if r.cfg.Failed != nil {
			r.cfg.Failed(err)
		}
		return err
	}
	r.metrics.fenced.Inc()
	p.log.Warn("projection.fenced", "ours", p.next, "theirs", next)
	p.next, p.held = next, held
	p.progress.next.Store(next)
	r.metrics.held(p.number, len(held))
	p.beginAnew()
	return nil
}

// beginAnew tells the follower that what it was told may be stale.
func (p *partition) beginAnew() {
	if f := p.runtime.cfg.Follower; f != nil {
		f.Lost(p.number)
		f.Gained(p.ctx, p.number, p.next)
	}
}
