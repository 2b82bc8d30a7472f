package timers

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-im/parley/domain"
)

const (
	// idleDisabled is the pause between looks at a disabled channel that had nothing open.
	idleDisabled = 5 * time.Second
	// mostDisabled bounds how many disabled channels are looked at in a round.
	mostDisabled = 50
)

// close closes the conversations whose timer has run out.
func (k *Keeper) close(ctx context.Context) error {
	var terms []domain.ClosingTerm
	for ch := range k.channels() {
		terms = append(terms, domain.ClosingTerm{Channel: ch.ID, CloseAfter: ch.Desk.CloseAfter, BotClose: ch.Desk.BotClose})
	}
	return k.sweep(ctx, "close", func(ctx context.Context, limit int) (int, []decision, error) {
		now := k.cfg.Now()
		list, err := k.cfg.Store.Due(ctx, now, terms, limit)
		if err != nil {
			return 0, nil, fmt.Errorf("look for closing timers: %w", err)
		}
		return len(list), k.undecided(list, func(c domain.Conversation, ch domain.Channel) (decision, bool) {
			return expire(c, ch, now)
		}), nil
	}, k.settle)
}

// expire asks the domain for the close of a conversation by its timer.
func expire(c domain.Conversation, ch domain.Channel, now time.Time) (decision, bool) {
	e, ok := c.Expire(ch, now)
	if !ok {
		return decision{}, false
	}
	d := decision{kind: kindClosed, conversation: c, event: e}
	timer, since, after := c.State.Closing()
	if timer == domain.TimerBot {
		d.kind = kindBotClosed
	}
	// If it is the shorter time of today's settings that ran out, nobody knows since
	// when that has been the setting.
	if due := since.Add(after); !now.Before(due) {
		d.due = due
	}
	return d, true
}

// unqueue takes the conversations out of their queues whose wait has ended.
func (k *Keeper) unqueue(ctx context.Context) error {
	return k.sweep(ctx, "unqueue", func(ctx context.Context, limit int) (int, []decision, error) {
		now := k.cfg.Now()
		list, err := k.cfg.Store.Overdue(ctx, now, limit)
		if err != nil {
			return 0, nil, fmt.Errorf("look for waits that have ended: %w", err)
		}
		return len(list), k.undecided(list, func(c domain.Conversation, ch domain.Channel) (decision, bool) {
			e, ok := c.GiveUpWaiting(ch, now)
			if !ok {
				return decision{}, false
			}
			return decision{kind: kindUnassigned, conversation: c, event: e, due: *c.State.WaitsUntil()}, true
		}), nil
	}, k.settle)
}

// closeDisabled closes what is open on channels that are switched off. Nothing
// comes in on them, so one that had nothing open is looked at rarely.
func (k *Keeper) closeDisabled(ctx context.Context) error {
	next := map[string]time.Time{}
	for ch := range k.channels() {
		if ch.Disabled {
			next[ch.ID] = k.disabled[ch.ID]
		}
	}
	k.disabled = next
	now, looks := time.Now(), 0
	for id, at := range next {
		if now.Before(at) || looks == mostDisabled {
			continue
		}
		looks++
		none := true
		if err := k.sweep(ctx, "disabled", func(ctx context.Context, limit int) (int, []decision, error) {
			list, err := k.cfg.Store.OpenOf(ctx, id, limit)
			if err != nil {
				return 0, nil, fmt.Errorf("look for open conversations of a disabled channel: %w", err)
			}
			none = none && len(list) == 0
			return len(list), k.undecided(list, k.shut), nil
		}, k.settle); err != nil {
			return err
		}
		if none {
			next[id] = now.Add(idleDisabled)
		}
	}
	return nil
}

// shut asks the domain for the close of a conversation on a disabled channel.
func (k *Keeper) shut(c domain.Conversation, ch domain.Channel) (decision, bool) {
	e, err := c.Close(ch, domain.Closing{Reason: domain.ClosedByUnknown, By: "channel disabled"}, k.cfg.Now())
	if err != nil || !ch.Disabled { // closed already, or switched on again
		return decision{}, false
	}
	return decision{kind: kindDisabled, conversation: c, event: e}, true
}
