package channelx

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

// attended is how long after an operator's message nobody is told that the office
// is closed.
const attended = 5 * time.Minute

// answer lets the inbox answer a message of the contact by itself: with the
// out-of-office text, once a day, or with the greeting where the message is the
// first thing said (channelx.md 8.9). before is the ticket as it was before it.
func (d *draft) answer(ctx context.Context, before domain.Ticket) error {
	inbox := d.channel.Inbox
	if inbox.OutOfOffice != "" && !inbox.OpenAt(d.now) {
		due, err := d.unattended(ctx)
		if err != nil {
			return err
		}
		if due {
			return d.template(ctx, inbox.OutOfOffice)
		}
	}
	if inbox.Greeting && inbox.GreetingMessage != "" && before.LastPublic == 0 {
		return d.template(ctx, inbox.GreetingMessage)
	}
	return nil
}

// unattended tells whether the contact is still to be told that the office is
// closed: not where the inbox has spoken today, nor where an operator just has.
func (d *draft) unattended(ctx context.Context) (bool, error) {
	if d.seen.Ticket.LastPublic == 0 {
		return true, nil
	}
	posts, err := d.desk.Posts.Posts(ctx, domain.PostQuery{
		Account: d.actor.account.Name, Number: d.ticket.Number, PublicOnly: true, Newest: true, Limit: lookBack,
	})
	if err != nil {
		return false, err
	}
	at := d.channel.Inbox.Location()
	today := d.now.In(at).Format(time.DateOnly)
	for _, p := range posts {
		switch {
		case p.Type == domain.PostTemplate && p.CreatedAt.In(at).Format(time.DateOnly) == today:
			return false, nil
		case p.Type == domain.PostOutgoing && d.now.Sub(p.CreatedAt) < attended:
			return false, nil
		}
	}
	return true, nil
}

// template says something by itself.
func (d *draft) template(ctx context.Context, text string) error {
	_, err := d.say(ctx, domain.Post{Type: domain.PostTemplate, Content: &text, ContentType: "text"}, "")
	return err
}
