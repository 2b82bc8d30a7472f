package eventstore

import (
	"context"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

// webhookRecord is the stored form of a webhook. Fields are only ever added.
type webhookRecord struct {
	Number    int64     `json:"id"`
	Account   string    `json:"account"`
	Name      string    `json:"name,omitempty"`
	URL       string    `json:"url"`
	Channel   string    `json:"channel_id,omitempty"`
	Events    []string  `json:"events,omitempty"`
	Secret    string    `json:"secret_sealed"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func newWebhooks(r *Registry) *directory[domain.Webhook] {
	owner := func(account string, number int64) string {
		return kindWebhook + "/" + numbered{account, number}.String() + "/secret"
	}
	d := newDirectory(r, kindWebhook,
		func(w *domain.Webhook) entry { return entry{&w.Account, &w.Number, &w.CreatedAt, &w.UpdatedAt} },
		func(w domain.Webhook) (webhookRecord, error) {
			rec := webhookRecord(w)
			var err error
			rec.Secret, err = r.seal(owner(w.Account, w.Number), w.Secret)
			return rec, err
		},
		func(rec webhookRecord) (domain.Webhook, error) {
			w := domain.Webhook(rec)
			var err error
			w.Secret, err = r.unseal(owner(rec.Account, rec.Number), rec.Secret)
			return w, err
		})
	d.own = func(w *domain.Webhook) { w.Events = slices.Clone(w.Events) }
	d.fits = func(w domain.Webhook, others []domain.Webhook) error {
		if len(others) >= domain.MaxWebhooks {
			return domain.Errorf(domain.CodeConflict, "an account has at most %d webhooks", domain.MaxWebhooks)
		}
		if slices.ContainsFunc(others, func(other domain.Webhook) bool { return other.URL == w.URL }) {
			return &domain.Error{Code: domain.CodeConflict, Field: "url", Message: "is that of another webhook"}
		}
		return nil
	}
	return d
}

// Webhook finds a webhook of an account.
func (r *Registry) Webhook(account string, number int64) (domain.Webhook, bool) {
	return r.webhooks.get(numbered{account, number})
}

// Webhooks lists the webhooks of an account by number.
func (r *Registry) Webhooks(account string) []domain.Webhook { return r.webhooks.list(account) }

// CreateWebhook makes a webhook known under the number that it has; CodeConflict
// when that or its URL is taken, or the account has as many as it may.
func (r *Registry) CreateWebhook(ctx context.Context, w domain.Webhook) (domain.Webhook, error) {
	return r.webhooks.create(ctx, w)
}

// ChangeWebhook changes a webhook; CodeNotFound when there is none, CodeConflict
// when its URL is taken.
func (r *Registry) ChangeWebhook(
	ctx context.Context, account string, number int64, change func(*domain.Webhook) error,
) (domain.Webhook, error) {
	return r.webhooks.change(ctx, account, number, change)
}

// DeleteWebhook forgets a webhook; CodeNotFound when there is none.
func (r *Registry) DeleteWebhook(ctx context.Context, account string, number int64) error {
	if err := r.webhooks.delete(ctx, account, number); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	return r.endEndpoint(ctx, account, domain.WebhookTarget(account, number))
}
