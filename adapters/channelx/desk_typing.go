package channelx

import (
	"context"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// typing tells that the actor types in a ticket, or has stopped. It decides about
// nothing, so it waits for nobody, and nobody waits for it.
func (d *desk) typing(ctx context.Context, a actor, number int64, on, private bool) error {
	started := d.Now()
	err := d.tellTyping(ctx, a, number, on, private)
	d.metrics.done(toType, err, d.Now().Sub(started))
	return err
}

func (d *desk) tellTyping(ctx context.Context, a actor, number int64, on, private bool) error {
	seen, err := d.Tickets.Ticket(ctx, a.account.Name, number)
	if err != nil {
		return troubled("read who types where", err)
	}
	t, err := d.draftOf(a, seen)
	if err != nil {
		return err
	}
	notice := domain.NoticeTypingOff
	if on {
		notice = domain.NoticeTypingOn
	}
	typed := domain.TypingNoticed{ConversationID: t.ticket.ID, On: on, Private: private, By: a.author(), Scene: t.scene()}
	typed.Targets = d.targets(a.account.Name, &t.channel, notice)
	t.add(uuid.New(), typed)
	_, err = d.Log.Append(ctx, t.events...)
	return troubled("tell who types", err)
}
