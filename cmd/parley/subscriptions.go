package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// endpoints are what the delivery worker calls: channels, and subscriptions and
// webhooks under the names of their targets. Doors know only channels.
type endpoints struct{ registry *eventstore.Registry }

// Channel finds a channel, or a subscription or a webhook as one. A subscription
// that was deleted is none, though its record stays.
func (e endpoints) Channel(id string) (domain.Channel, bool) {
	if account, number, ok := domain.WebhookOf(id); ok {
		w, ok := e.registry.Webhook(account, number)
		if !ok {
			return domain.Channel{}, false
		}
		hook := w.Endpoint()
		a, known := e.registry.Account(account)
		hook.Disabled = known && a.Disabled
		return hook, true
	}
	subscription, ok := domain.SubscriptionOf(id)
	if !ok {
		return e.registry.Channel(id)
	}
	s, ok := e.registry.SubscriptionByID(subscription)
	if !ok || s.Deleted() {
		return domain.Channel{}, false
	}
	return s.Endpoint(), true
}

type subscriptionsCommand struct {
	List   subscriptionsList   `cmd:"" help:"List the subscriptions, without their secrets."`
	Create subscriptionsCreate `cmd:"" help:"Subscribe to events; prints the id and the signing secret."`
	Show   subscriptionsShow   `cmd:"" help:"Show a subscription with its secret."`
	Change subscriptionsChange `cmd:"" help:"Change a subscription; what is not given stays."`
	Rotate subscriptionsRotate `cmd:"" help:"Give a subscription a new secret; the old one signs, too, for 24 h."`
	Test   subscriptionsTest   `cmd:"" help:"Call a subscription's URL and tell what it answers."`
	Delete subscriptionsDelete `cmd:"" help:"Delete a subscription; what still waits becomes dead letters."`
}

type subscriptionsList struct{ listing }

// Run lists the subscriptions.
func (c subscriptionsList) Run(ctx context.Context, s streams) error {
	return c.list(ctx, s, "/v1/subscriptions", nil, []column{
		{"ID", "id"}, {"NAME", "name"}, {"URL", "url"}, {"CHANNEL", "channel_id"}, {"DISABLED", "disabled"}, {"CREATED", "created_at"},
	})
}

// subscriptionSettings are the settings that create and change share.
type subscriptionSettings struct {
	deliverySettings

	Name      string   `help:"Name that operators see." placeholder:"NAME"`
	Events    []string `help:"What to tell: names such as message.received, or prefixes such as conversation.*. All but delivery.* unless given." placeholder:"NAME,..."`
	ChannelID *string  `help:"Only events of this channel; empty is all of the account." name:"channel-id" placeholder:"ID"`
}

func (c subscriptionSettings) body() fields {
	f := fields{}
	f.text("name", c.Name)
	if c.Events != nil {
		f["events"] = c.Events
	}
	given(f, "channel_id", c.ChannelID)
	c.into(f)
	return f
}

type subscriptionsCreate struct {
	remote
	subscriptionSettings

	SubscriptionURL string `arg:"" name:"endpoint" help:"Where events are posted."`
	Secret          string `help:"Signing secret that is brought along: whsec_ and 24 to 64 bytes in base64. A new one without it." placeholder:"SECRET"`
}

// Run creates a subscription.
func (c subscriptionsCreate) Run(ctx context.Context, s streams) error {
	body := c.body()
	body["url"] = c.SubscriptionURL
	body.text("secret", c.Secret)
	return c.print(ctx, s, http.MethodPost, "/v1/subscriptions", body)
}

type subscriptionID struct {
	ID string `arg:"" help:"Id of the subscription."`
}

func (i subscriptionID) path(more string) string {
	return "/v1/subscriptions/" + url.PathEscape(i.ID) + more
}

type subscriptionsShow struct {
	remote
	subscriptionID
}

// Run shows a subscription.
func (c subscriptionsShow) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(""), nil)
}

type subscriptionsChange struct {
	remote
	subscriptionID
	subscriptionSettings

	Endpoint string `help:"Where events are posted." placeholder:"URL"`
	Disabled *bool  `help:"Whether nothing is told." negatable:""`
}

// Run changes a subscription.
func (c subscriptionsChange) Run(ctx context.Context, s streams) error {
	body := c.body()
	body.text("url", c.Endpoint)
	given(body, "disabled", c.Disabled)
	return c.print(ctx, s, http.MethodPatch, c.path(""), body)
}

type subscriptionsRotate struct {
	remote
	subscriptionID
}

// Run rotates a subscription's secret.
func (c subscriptionsRotate) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/rotate"), nil)
}

type subscriptionsTest struct {
	remote
	subscriptionID
}

// Run makes a test call.
func (c subscriptionsTest) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/test"), nil)
}

type subscriptionsDelete struct {
	remote
	subscriptionID
}

// Run deletes a subscription.
func (c subscriptionsDelete) Run(ctx context.Context, s streams) error {
	if _, err := c.call(ctx, http.MethodDelete, c.path(""), nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "deleted", c.ID)
	return err
}
