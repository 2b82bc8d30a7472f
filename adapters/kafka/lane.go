package kafka

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
)

// offer is a message that the consumer has and has not yet answered.
type offer struct {
	held   held
	msg    *message.Message
	cancel context.CancelFunc
}

// offer hands the record over as a new message. It is false when ctx ended first.
func (p *partition) offer(ctx context.Context, h held) (offer, bool) {
	msgCtx, cancel := context.WithCancel(p.messages)
	msg := messageOf(msgCtx, &h.record, h.end) //nolint:contextcheck // a message outlives the hand-over by Grace
	select {
	case p.out <- msg:
		return offer{held: h, msg: msg, cancel: cancel}, true
	case <-ctx.Done():
		cancel()
		return offer{}, false
	}
}

// settle waits for the answer to an offer and offers the record again as often as
// it is refused. It is false when the partition was taken away first.
func (p *partition) settle(ctx context.Context, o offer) bool {
	for {
		select {
		case <-o.msg.Acked():
			o.cancel()
			p.flight.settle(o.held.entry)
			p.metrics.inFlight.WithLabelValues(p.topic).Dec()
			return true
		case <-o.msg.Nacked():
			o.cancel()
			p.metrics.nacks.WithLabelValues(p.topic).Inc()
		case <-p.messages.Done():
			o.cancel()
			return false
		}
		sleep(ctx, p.cfg.NackDelay)
		if ctx.Err() != nil {
			return false
		}
		again, ok := p.offer(ctx, o.held)
		if !ok {
			return false
		}
		o = again
	}
}

// settleInOrder waits for the answers of a pipelined partition, oldest first. A
// refused message is offered again when it is the oldest unanswered one; those
// behind it are not taken back. After the partition was taken away it goes on with
// the messages in hand for as long as they may still be answered.
func (p *partition) settleInOrder(ctx context.Context, offered <-chan offer) {
	for o := range offered {
		p.settle(ctx, o)
	}
}

// enqueue puts the record at the end of its key's lane, and starts the lane if it
// was empty.
func (p *partition) enqueue(ctx context.Context, h held) {
	key := string(h.record.Key)
	p.mu.Lock()
	defer p.mu.Unlock()
	lane, running := p.lanes[key]
	p.lanes[key] = append(lane, h)
	if !running {
		p.handed.Go(func() { p.runLane(ctx, key, h) })
	}
}

// runLane offers the records of one key, one after the other, until none is left.
func (p *partition) runLane(ctx context.Context, key string, h held) {
	for more := true; more; {
		o, ok := p.offer(ctx, h)
		if !ok || !p.settle(ctx, o) {
			return
		}
		h, more = p.nextOf(key)
	}
}

// nextOf removes the first record of a lane and returns the one behind it. An
// empty lane is forgotten.
func (p *partition) nextOf(key string) (held, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lane := p.lanes[key][1:]
	if len(lane) == 0 {
		delete(p.lanes, key)
		return held{}, false
	}
	p.lanes[key] = lane
	return lane[0], true
}
