package channelx

import (
	"context"
	"slices"
	"strconv"

	"github.com/parley-im/parley/domain"
)

// aboutPost carries out a command about a post that is there.
func (d *desk) aboutPost(
	ctx context.Context, kind task, a actor, number, post int64, decide func(t *draft, p domain.Post),
) (domain.Post, domain.TicketSeen, error) {
	return d.about(ctx, kind, a, number, func(ctx context.Context, t *draft) error {
		p, err := d.Posts.Post(ctx, a.account.Name, number, post)
		if err != nil {
			return err
		}
		t.told = &p
		decide(t, p)
		return nil
	})
}

// setStatus takes in what the integration says became of a post (channelx.md 4.6).
// A word that means nothing, or nothing new, changes nothing.
func (d *desk) setStatus(
	ctx context.Context, a actor, number, post int64, status string, externalError *string,
) (domain.Post, domain.TicketSeen, error) {
	if externalError != nil {
		text := domain.Cut(clean(*externalError), maxAttribute)
		externalError = &text
	}
	return d.aboutPost(ctx, toSetStatus, a, number, post, func(t *draft, p domain.Post) {
		t.replace(p, p.Turn(domain.Status(status), externalError))
	})
}

// deletePost takes away what a post said; it stays in its place.
func (d *desk) deletePost(ctx context.Context, a actor, number, post int64) (domain.Post, domain.TicketSeen, error) {
	return d.aboutPost(ctx, toDelete, a, number, post, func(t *draft, p domain.Post) { t.replace(p, p.Delete()) })
}

// submit takes in what the contact has filled in (channelx.md 5.1).
func (d *desk) submit(ctx context.Context, a actor, number, post int64, values []domain.Object) (domain.Post, domain.TicketSeen, error) {
	submitted := tidyObject(domain.Object{"submitted_values": values})
	var f faults
	f.object("submitted_values", "Submitted values", submitted)
	if err := f.record(); err != nil {
		return domain.Post{}, domain.TicketSeen{}, err
	}
	return d.aboutPost(ctx, toSubmit, a, number, post, func(t *draft, p domain.Post) {
		after := p
		after.Attributes = p.Attributes.With(submitted)
		t.replace(p, after)
	})
}

// retryPost sends a post once more: it is as if it had not failed, and the channel's
// callback is told of it anew, in a delivery of its own. Webhooks are told only that
// its status has changed: nothing had failed there.
func (d *desk) retryPost(ctx context.Context, a actor, number, post int64) (domain.Post, domain.TicketSeen, error) {
	return d.aboutPost(ctx, toRetry, a, number, post, func(t *draft, p domain.Post) {
		if p.Type == domain.PostActivity || p.Deleted() {
			return // there is nothing to be sent
		}
		t.replace(p, p.Retry())
		t.again()
	})
}

// replace tells that the post that the command is about has changed, if it has.
func (d *draft) replace(before, after domain.Post) {
	if !after.Same(before) {
		after = d.alter(before, after)
		d.told = &after
	}
}

// alter tells that a post is what after says, which must be of its revision. The
// ticket stays at its own.
func (d *draft) alter(before, after domain.Post) domain.Post {
	after = after.Next(d.now)
	changed := &domain.Posted{Changes: after.Since(before)}
	if after.Type != domain.PostActivity {
		changed.Targets = d.desk.targets(d.actor.account.Name, &d.channel, domain.NoticeMessageUpdated)
	}
	d.rewrite(after, changed)
	return after
}

// again tells the channel's callback of the post anew, where there is one.
func (d *draft) again() {
	targets := d.desk.targets(d.actor.account.Name, &d.channel, domain.NoticeMessageCreated)
	if !slices.Contains(targets, "") {
		return
	}
	after := d.told.Next(d.now)
	told := &domain.Posted{Again: true}
	told.Targets = []string{""}
	d.rewrite(after, told)
	d.told = &after
}

// rewrite tells of a new revision of a post.
func (d *draft) rewrite(p domain.Post, told *domain.Posted) {
	if d.public != nil && d.public.ID == p.ID {
		d.public = &p
	}
	told.Post, told.Scene, told.By = p, d.scene(), d.actor.author()
	id := domain.DeriveID("post revision", p.Message.String(), strconv.Itoa(p.Revision))
	d.add(id, domain.MessageChanged{MessageID: p.Message, ConversationID: p.Ticket, Posted: told})
}
