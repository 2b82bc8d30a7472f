package httpapi

import (
	"context"
	"strings"

	"github.com/parley-im/parley/domain"
)

func (d *directoryWorld) Subscription(account, id string) (domain.Subscription, bool) {
	return d.subscriptions.get(account, id)
}

func (d *directoryWorld) Subscriptions(account string) []domain.Subscription {
	return d.subscriptions.list(account, func(a, b domain.Subscription) int { return strings.Compare(a.ID, b.ID) })
}

func (d *directoryWorld) CreateSubscription(_ context.Context, s domain.Subscription) (domain.Subscription, error) {
	return d.subscriptions.create(s)
}

func (d *directoryWorld) ChangeSubscription(_ context.Context, account, id string, change func(*domain.Subscription) error) (domain.Subscription, error) {
	return d.subscriptions.change(account, id, change)
}

func (d *directoryWorld) DeleteSubscription(_ context.Context, account, id string) error {
	return d.subscriptions.remove(account, id)
}
