package channelx

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/parley-im/parley/domain"
)

// inboxRoutes are the inboxes of the application API (channelx.md 4.2).
func (d *Door) inboxRoutes(mux *http.ServeMux) {
	d.app(mux, "GET /inboxes", open, d.listInboxes)
	d.app(mux, "POST /inboxes", admin, d.createInbox)
	d.app(mux, "GET /inboxes/{inbox}", open, d.getInbox)
	d.app(mux, "PATCH /inboxes/{inbox}", admin, d.changeInbox)
	d.app(mux, "PUT /inboxes/{inbox}", admin, d.changeInbox)
	d.app(mux, "DELETE /inboxes/{inbox}", admin, d.deleteInbox)
	d.app(mux, "POST /inboxes/{inbox}/reset_secret", admin, d.resetSecret)
}

// inboxNamed finds an inbox that the path names, of those that the caller may see.
func (d *Door) inboxNamed(c caller, r *request) (domain.Channel, error) {
	number, err := r.id("inbox")
	if err != nil {
		return domain.Channel{}, err
	}
	return d.inboxOf(c, number)
}

// inboxOf finds an inbox of the caller's account by its number, if the caller may
// see it.
func (d *Door) inboxOf(c caller, number int64) (domain.Channel, error) {
	ch, ok := d.Inboxes.ChannelByInbox(c.account.Name, number)
	switch {
	case !ok:
		return domain.Channel{}, errNotThere
	case !c.sees(ch):
		return domain.Channel{}, errNoRight
	}
	return ch, nil
}

// inboxesOf lists the inboxes that a caller may see, by name.
func (d *Door) inboxesOf(c caller) []domain.Channel {
	var seen []domain.Channel
	for _, ch := range d.Inboxes.Channels(c.account.Name) {
		if ch.Dialect.HasTickets() && c.sees(ch) {
			seen = append(seen, ch)
		}
	}
	slices.SortFunc(seen, func(a, b domain.Channel) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Inbox.Number, b.Inbox.Number))
	})
	return seen
}

func (d *Door) listInboxes(_ context.Context, c caller, _ *request) (any, error) {
	list := []any{}
	for _, ch := range d.inboxesOf(c) {
		list = append(list, d.view.inbox(ch, c.admin))
	}
	return payload{list}, nil
}

func (d *Door) getInbox(_ context.Context, c caller, r *request) (any, error) {
	ch, err := d.inboxNamed(c, r)
	if err != nil {
		return nil, err
	}
	return d.view.inbox(ch, c.admin), nil
}

// createInbox makes a channel. Its callbacks are repeated as those of every
// channel are, unless the platform API says otherwise of it.
func (d *Door) createInbox(ctx context.Context, c caller, r *request) (any, error) {
	if err := needChannel(r.params); err != nil {
		return nil, err
	}
	ch := domain.Channel{Account: c.account.Name, Dialect: domain.DialectChannelX}
	if err := setInbox(&ch, r.params); err != nil {
		return nil, err
	}
	if err := d.takeAvatar(ctx, r.params, &ch.Inbox.Avatar); err != nil {
		return nil, err
	}
	for _, token := range []*string{&ch.Inbox.Identifier, &ch.Credentials.HMACToken, &ch.Credentials.Secret} {
		var err error
		if *token, err = domain.NewToken(d.Random); err != nil {
			return nil, err
		}
	}
	made, err := d.placeInbox(ctx, ch)
	if err != nil {
		return nil, err
	}
	d.Logger.InfoContext(ctx, "channelx.inbox_created", "account", made.Account, "channel", made.ID, "inbox", made.Inbox.Number)
	return d.view.inbox(made, c.admin), nil
}

// placeInbox gives an inbox a number and a channel id that nothing has. Another
// node may take a number that was brought along at the same moment.
func (d *Door) placeInbox(ctx context.Context, ch domain.Channel) (domain.Channel, error) {
	const tries = 5
	for range tries {
		var err error
		if ch.ID, err = domain.NewChannelID(d.Random); err != nil {
			return domain.Channel{}, err
		}
		if ch.Inbox.Number, err = d.Numbers.ID(ctx, "inbox", d.InboxAdmin.LastInbox()); err != nil {
			return domain.Channel{}, err
		}
		made, err := d.InboxAdmin.CreateChannel(ctx, ch)
		if domain.CodeOf(err) != domain.CodeConflict {
			return made, err
		}
	}
	return domain.Channel{}, errors.New("found no free number for an inbox")
}

// changeInbox changes what a request names. The next event follows it: whoever
// sends reads the channel when it sends.
func (d *Door) changeInbox(ctx context.Context, c caller, r *request) (any, error) {
	ch, err := d.inboxNamed(c, r)
	if err != nil {
		return nil, err
	}
	// What is wrong with it is found before a file is kept.
	probe := ch
	if err := setInbox(&probe, r.params); err != nil {
		return nil, err
	}
	avatar := probe.Inbox.Avatar
	if err := d.takeAvatar(ctx, r.params, &avatar); err != nil {
		return nil, err
	}
	return d.applyInbox(ctx, c, ch, func(ch *domain.Channel) error {
		if err := setInbox(ch, r.params); err != nil {
			return err
		}
		ch.Inbox.Avatar = avatar
		return nil
	})
}

// resetSecret gives an inbox another secret; callbacks are signed with it from the
// next attempt on.
func (d *Door) resetSecret(ctx context.Context, c caller, r *request) (any, error) {
	ch, err := d.inboxNamed(c, r)
	if err != nil {
		return nil, err
	}
	secret, err := domain.NewToken(d.Random)
	if err != nil {
		return nil, err
	}
	return d.applyInbox(ctx, c, ch, func(ch *domain.Channel) error {
		ch.Credentials.Secret = secret
		return nil
	})
}

// applyInbox changes a channel and answers with what it is then.
func (d *Door) applyInbox(ctx context.Context, c caller, ch domain.Channel, change func(*domain.Channel) error) (any, error) {
	changed, err := d.InboxAdmin.ChangeChannel(ctx, ch.ID, change)
	if err != nil {
		return nil, err
	}
	if changed.CallbackURL != ch.CallbackURL {
		d.moved(ctx, c, ch.ID)
	}
	return d.view.inbox(changed, c.admin), nil
}

// deleteInbox forgets an inbox at once; the original puts it off, and clients
// expect its words.
func (d *Door) deleteInbox(ctx context.Context, c caller, r *request) (any, error) {
	ch, err := d.inboxNamed(c, r)
	if err != nil {
		return nil, err
	}
	if err := d.InboxAdmin.DeleteChannel(ctx, ch.ID); err != nil {
		return nil, err
	}
	d.Logger.InfoContext(ctx, "channelx.inbox_deleted", "account", ch.Account, "channel", ch.ID, "inbox", ch.Inbox.Number)
	return messageBody{"Your inbox deletion request will be processed in some time."}, nil
}

// payload is the envelope of most lists.
type payload struct {
	Payload any `json:"payload"`
}

// messageBody is an answer that is for people.
type messageBody struct {
	Message string `json:"message"`
}
