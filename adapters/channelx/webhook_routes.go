package channelx

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/parley-im/parley/domain"
)

// webhookRoutes are the account's webhooks (channelx.md 4.7). They show secrets, so
// all of them are for administrators.
func (d *Door) webhookRoutes(mux *http.ServeMux) {
	d.app(mux, "GET /webhooks", admin, d.listWebhooks)
	d.app(mux, "POST /webhooks", admin, d.createWebhook)
	d.app(mux, "PATCH /webhooks/{webhook}", admin, d.changeWebhook)
	d.app(mux, "PUT /webhooks/{webhook}", admin, d.changeWebhook)
	d.app(mux, "DELETE /webhooks/{webhook}", admin, d.deleteWebhook)
}

// accountWebhook is a webhook as the wire shows it.
type accountWebhook struct {
	ID            int64         `json:"id"`
	Name          *string       `json:"name"`
	URL           string        `json:"url"`
	AccountID     int64         `json:"account_id"`
	Subscriptions []string      `json:"subscriptions"`
	Secret        string        `json:"secret"`
	Inbox         *domain.Named `json:"inbox,omitempty"` // the only one that it is told of
}

// webhookBody and webhooksBody are the envelopes.
type (
	webhookBody struct {
		Webhook accountWebhook `json:"webhook"`
	}
	webhooksBody struct {
		Webhooks []accountWebhook `json:"webhooks"`
	}
)

func (d *Door) showWebhook(c caller, w domain.Webhook) accountWebhook {
	shown := accountWebhook{
		ID: w.Number, Name: textOrNull(w.Name), URL: w.URL, AccountID: c.account.WireNumber(), Subscriptions: nonNil(w.Events), Secret: w.Secret,
	}
	if w.Channel != "" {
		if ch, ok := d.Inboxes.Channel(w.Channel); ok {
			shown.Inbox = &domain.Named{ID: ch.Inbox.Number, Name: ch.Name}
		}
	}
	return shown
}

func (d *Door) listWebhooks(_ context.Context, c caller, _ *request) (any, error) {
	list := []accountWebhook{}
	for _, w := range d.Webhooks.Webhooks(c.account.Name) {
		list = append(list, d.showWebhook(c, w))
	}
	return payload{webhooksBody{list}}, nil
}

func (d *Door) createWebhook(ctx context.Context, c caller, r *request) (any, error) {
	w := domain.Webhook{Account: c.account.Name, Events: slices.Clone(domain.WebhookEvents[:domain.DefaultWebhookEvents])}
	if err := d.setWebhook(&w, c, r.params); err != nil {
		return nil, err
	}
	var err error
	if w.Secret, err = domain.NewToken(d.Random); err != nil {
		return nil, err
	}
	var last int64
	for _, other := range d.Webhooks.Webhooks(c.account.Name) {
		last = max(last, other.Number)
	}
	if w.Number, err = d.Numbers.Webhook(ctx, c.account.Name, last); err != nil {
		return nil, err
	}
	made, err := d.Webhooks.CreateWebhook(ctx, w)
	if err != nil {
		return nil, webhookRefused(err)
	}
	d.Logger.InfoContext(ctx, "channelx.webhook_created", "account", made.Account, "webhook", made.Number)
	return payload{webhookBody{d.showWebhook(c, made)}}, nil
}

func (d *Door) changeWebhook(ctx context.Context, c caller, r *request) (any, error) {
	number, err := r.id("webhook")
	if err != nil {
		return nil, err
	}
	var before string
	changed, err := d.Webhooks.ChangeWebhook(ctx, c.account.Name, number, func(w *domain.Webhook) error {
		before = w.URL
		return d.setWebhook(w, c, r.params)
	})
	if err != nil {
		return nil, webhookRefused(err)
	}
	if changed.URL != before {
		d.moved(ctx, c, domain.WebhookTarget(changed.Account, changed.Number))
	}
	return payload{webhookBody{d.showWebhook(c, changed)}}, nil
}

func (d *Door) deleteWebhook(ctx context.Context, c caller, r *request) (any, error) {
	number, err := r.id("webhook")
	if err != nil {
		return nil, err
	}
	err = d.Webhooks.DeleteWebhook(ctx, c.account.Name, number)
	if err == nil {
		d.Logger.InfoContext(ctx, "channelx.webhook_deleted", "account", c.account.Name, "webhook", number)
	}
	return nil, err
}

// setWebhook takes over what a request sets of a webhook; what it does not name
// stays. The members may stand in an object of their own.
func (d *Door) setWebhook(w *domain.Webhook, c caller, p *params) error {
	at := func(name string) []string {
		if p.has("webhook", name) {
			return []string{"webhook", name}
		}
		return []string{name}
	}
	var wrong invalidRecord
	changeText(&w.Name, p, domain.MaxNumberedName, "Name", &wrong, at("name")...)
	changeText(&w.URL, p, domain.MaxWebhookURL, "Url", &wrong, at("url")...)
	if events, ok := p.texts(at("subscriptions")...); ok {
		w.Events = distinct(events)
		if len(w.Events) == 0 || slices.ContainsFunc(w.Events, func(e string) bool { return !slices.Contains(domain.WebhookEvents, e) }) {
			wrong.add("subscriptions", "Subscriptions Invalid subscriptions")
		}
	}
	if len(wrong.Texts) == 0 && domain.ValidateURL("url", w.URL, domain.MaxWebhookURL) != nil {
		wrong.add("url", "Url is invalid")
	}
	if err := d.setWebhookInbox(w, c, p, at("inbox_id")); err != nil {
		return err
	}
	if len(wrong.Texts) > 0 {
		return wrong
	}
	return nil
}

// setWebhookInbox binds a webhook to one inbox, or to none.
func (d *Door) setWebhookInbox(w *domain.Webhook, c caller, p *params, path []string) error {
	switch number, ok := p.integer(path...); {
	case ok:
		ch, err := d.inboxOf(c, number)
		if err != nil {
			return err
		}
		w.Channel = ch.ID
	case p.null(path...):
		w.Channel = ""
	}
	return nil
}

// webhookRefused words a clash as the original does.
func webhookRefused(err error) error {
	if e, ok := errors.AsType[*domain.Error](err); ok && e.Code == domain.CodeConflict && e.Field == "url" {
		return invalidRecord{Texts: []string{"Url has already been taken"}, Attributes: []string{"url"}}
	}
	return err
}

// distinct leaves out what was there before.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
