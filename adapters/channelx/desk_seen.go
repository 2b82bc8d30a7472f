package channelx

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

// seen notes that an operator has looked at a ticket: nothing in it is unread then.
// Nobody outside is told.
func (d *desk) seen(ctx context.Context, a actor, number int64) (domain.TicketSeen, error) {
	return d.aboutTicket(ctx, toSee, a, number, func(_ context.Context, t *draft) error {
		t.become(t.ticket.SeenBy(a.id(), t.now))
		return nil
	})
}

// unseen makes the contact's newest message unread again.
func (d *desk) unseen(ctx context.Context, a actor, number int64) (domain.TicketSeen, error) {
	return d.aboutTicket(ctx, toUnsee, a, number, func(ctx context.Context, t *draft) error {
		unread := 0
		if from := t.ticket.UnseenFrom(); !from.IsZero() {
			newest, err := d.Posts.Posts(ctx, domain.PostQuery{
				Account: a.account.Name, Number: number, PublicOnly: true, Newest: true, Limit: lookBack,
			})
			if err != nil {
				return err
			}
			for _, p := range newest {
				if p.Type == domain.PostIncoming && p.CreatedAt.After(from) {
					unread++
				}
			}
		}
		t.become(t.ticket.Unsee(unread))
		return nil
	})
}

// lookBack is how many posts are looked through at most.
const lookBack = 100

// Bounds of read receipts: so many posts are told of at once, so often. What is
// left is told of when the contact looks again.
const (
	readAtOnce  = 100
	readPortion = 20
)

// contactSeen notes that the contact has looked at a ticket: what was said to them
// until then is read (channelx.md 8.7).
func (d *desk) contactSeen(ctx context.Context, a actor, number int64) (domain.TicketSeen, error) {
	until := domain.Stamp(d.Now())
	for portion := range readPortion {
		var read int
		seen, err := d.aboutTicket(ctx, toRead, a, number, func(ctx context.Context, t *draft) error {
			posts, err := d.Posts.UnreadPosts(ctx, a.account.Name, number, until, readAtOnce)
			if err != nil {
				return err
			}
			if read = len(posts); portion == 0 || read > 0 {
				t.read(posts, until)
			}
			return nil
		})
		if err != nil || read < readAtOnce {
			return seen, err
		}
	}
	return d.Tickets.Ticket(ctx, a.account.Name, number)
}

// read tells that the contact has looked, and what they have read by it.
func (d *draft) read(posts []domain.Post, at time.Time) {
	after := d.ticket
	after.ContactSeenAt = &at
	d.become(after)
	for _, p := range posts {
		d.alter(p, p.Turn(domain.StatusRead, nil))
	}
}
