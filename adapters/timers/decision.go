package timers

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// kind is a kind of decision.
type kind string

// The kinds.
const (
	kindClosed      kind = "closed"      // the timer of operator and unassigned conversations ran out
	kindBotClosed   kind = "bot_closed"  // the timer of bot conversations ran out
	kindUnassigned  kind = "unassigned"  // the wait in a queue ended
	kindDistributed kind = "distributed" // an agent was found
	kindDisabled    kind = "disabled"    // closed because the channel is switched off
)

var kinds = []kind{kindClosed, kindBotClosed, kindUnassigned, kindDistributed, kindDisabled}

// timed tells whether decisions of the kind are due at a time.
func (k kind) timed() bool { return k == kindClosed || k == kindBotClosed || k == kindUnassigned }

// decision is an event that is to be appended.
type decision struct {
	kind         kind
	conversation domain.Conversation
	event        domain.Event
	due          time.Time // zero when that is not known
	agent        string    // who gets the conversation, if it is distributed
	place        place     // and as which of its conversations
}

const (
	// batch is how many events are claimed and appended at once.
	batch = 500
	// storeWait, appendWait and freshWait bound a call.
	storeWait  = 5 * time.Second
	appendWait = 5 * time.Second
	freshWait  = 2 * time.Second
)

// projection is the name of the one whose rows Store has.
const projection = "conversations"

// fresh returns when the rows have what the log held at the call.
func (k *Keeper) fresh(ctx context.Context) error {
	if k.cfg.Freshness == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	if err := k.cfg.Freshness.Fresh(ctx, projection); err != nil {
		return &outage{sourceBehind, fmt.Errorf("wait for rows as new as the log: %w", err)}
	}
	k.worked[sourceBehind] = struct{}{}
	return nil
}

// undecided asks what becomes of conversations, and leaves out what was appended
// here before. Those of channels that are not there any more are left alone: there
// is nobody to tell.
func (k *Keeper) undecided(list []domain.Conversation, decide func(domain.Conversation, domain.Channel) (decision, bool)) []decision {
	var all []decision
	for _, c := range list {
		ch, there := k.cfg.Directory.Channel(c.Channel)
		if !there || c.State == nil {
			continue
		}
		if d, ok := decide(c, ch); ok && !k.told.knows(d.event.ID) {
			all = append(all, d)
		}
	}
	return all
}

// channels are those whose conversations are looked after.
func (k *Keeper) channels() iter.Seq[domain.Channel] {
	return func(yield func(domain.Channel) bool) {
		for _, account := range k.cfg.Directory.Accounts() {
			for _, ch := range k.cfg.Directory.Channels(account.Name) {
				if ch.Dialect.HasEpisodes() && !yield(ch) {
					return
				}
			}
		}
	}
}

// settle claims and appends decisions, and tells how many were appended. Those that
// another node has claimed are left to it.
func (k *Keeper) settle(ctx context.Context, all []decision) (int, error) {
	appended := 0
	for some := range slices.Chunk(all, batch) {
		won, err := k.claim(ctx, some)
		if err != nil {
			return appended, err
		}
		// Whoever dies here has claims that run out: another node appends then.
		n, err := k.append(ctx, won)
		appended += n
		if err != nil {
			return appended, err
		}
	}
	return appended, nil
}

// claim gives those decisions whose events may be appended here. A claim is kept
// until it is used or has run out, so what could not be appended is tried again
// without asking.
func (k *Keeper) claim(ctx context.Context, all []decision) ([]decision, error) {
	now := time.Now() // before the store's clock can have begun to count the lease
	maps.DeleteFunc(k.held, func(_ uuid.UUID, until time.Time) bool { return !now.Before(until) })
	// Places first: whoever has claimed a conversation has a place for it, so that two
	// nodes never wait for what the other one holds.
	var places, events []uuid.UUID
	for _, d := range all {
		if !k.holds(d.place.id) {
			places = append(places, d.place.id)
		}
	}
	if err := k.take(ctx, places, now); err != nil {
		return nil, err
	}
	for _, d := range all {
		if k.holds(d.place.id) && !k.holds(d.event.ID) {
			events = append(events, d.event.ID)
		}
	}
	if err := k.take(ctx, events, now); err != nil {
		return nil, err
	}
	won := make([]decision, 0, len(all))
	for _, d := range all {
		if k.holds(d.event.ID) && k.holds(d.place.id) {
			won = append(won, d)
		}
	}
	return won, nil
}

// take claims ids from now on.
func (k *Keeper) take(ctx context.Context, ids []uuid.UUID, now time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	free, err := k.cfg.Store.Claim(ctx, ids, k.cfg.Lease)
	if err != nil {
		return fmt.Errorf("claim %d events: %w", len(ids), err)
	}
	for _, id := range free {
		k.held[id] = now.Add(k.cfg.Lease)
	}
	return nil
}

// holds tells whether this node has a claim, or none is needed.
func (k *Keeper) holds(id uuid.UUID) bool {
	_, mine := k.held[id]
	return mine || id == uuid.Nil
}

// append tells the log, and tells how many decisions are in it for certain.
func (k *Keeper) append(ctx context.Context, all []decision) (int, error) {
	if len(all) == 0 {
		return 0, nil
	}
	err := k.tell(ctx, all)
	if err == nil {
		return len(all), nil
	}
	if domain.CodeOf(err) == domain.CodeUnavailable || ctx.Err() != nil {
		return 0, err
	}
	// The log takes events, but not one of these: it must not hold the others up.
	appended := 0
	for _, d := range all {
		if one := k.tell(ctx, []decision{d}); one != nil {
			err = one
			continue
		}
		appended++
	}
	return appended, err
}

// tell appends decisions together. If it fails, or the process dies inside, they
// may be in the log or not; they are decided again, under the same ids, unless
// their effect is seen.
func (k *Keeper) tell(ctx context.Context, all []decision) error {
	events := make([]domain.Event, len(all))
	for i, d := range all {
		events[i] = d.event
	}
	limited, cancel := context.WithTimeout(ctx, appendWait)
	defer cancel()
	if _, err := k.cfg.Log.Append(limited, events...); err != nil {
		return &outage{sourceLog, fmt.Errorf("append %d decisions: %w", len(events), err)}
	}
	k.worked[sourceLog] = struct{}{}
	now := k.cfg.Now()
	for _, d := range all {
		k.told.add(d.event.ID, d.agent)
		delete(k.held, d.event.ID)
		k.decided(ctx, d, now)
	}
	return nil
}

// decided logs and counts a decision that is in the log.
func (k *Keeper) decided(ctx context.Context, d decision, now time.Time) {
	c, s := d.conversation, d.conversation.State
	attrs := []any{
		"kind", d.kind, "account", c.Account, "channel", c.Channel, "conversation", c.ID,
		"episode", s.Number, "event", d.event.ID,
	}
	if s.Queue != 0 {
		attrs = append(attrs, "queue", s.Queue)
	}
	k.metrics.decisions.WithLabelValues(string(d.kind)).Inc()
	if d.kind.timed() && !d.due.IsZero() {
		late := max(0, now.Sub(d.due))
		k.metrics.lateness.WithLabelValues(string(d.kind)).Observe(late.Seconds())
		attrs = append(attrs, "late_ms", late.Milliseconds())
	}
	if d.kind == kindDistributed {
		waited := max(0, now.Sub(s.HandlingAt))
		k.metrics.waits.Observe(waited.Seconds())
		attrs = append(attrs, "agent", d.agent, "waited_ms", waited.Milliseconds())
	}
	k.cfg.Logger.InfoContext(ctx, "timers.decided", attrs...)
}
