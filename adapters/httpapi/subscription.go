package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagSubscriptions = "Subscriptions"

// subscriptionInput is a subscription to be made.
type subscriptionInput struct {
	URL       string         `json:"url" minLength:"1" maxLength:"2000" doc:"Where events are posted. Absolute http or https." example:"https://desk.example.com/parley"`
	Name      string         `json:"name,omitempty" maxLength:"255" doc:"For people." example:"Agent desktop"`
	Events    []string       `json:"events,omitempty" maxItems:"50" nullable:"false" doc:"Stored names without their version, or prefixes with .*; absent or the empty list: all but delivery.*. Events about deliveries to subscriptions are never told." example:"[\"message.received\",\"conversation.*\"]"`
	ChannelID string         `json:"channel_id,omitempty" maxLength:"64" doc:"Only events of this channel; absent: of the whole account."`
	Delivery  *deliveryInput `json:"delivery,omitempty" doc:"How calls are repeated."`
	Secret    string         `json:"secret,omitempty" maxLength:"100" doc:"A signing secret to bring along: whsec_ and 24 to 64 bytes in base64. Absent: a random one."`
}

// subscriptionChangeInput holds what is to be changed; what is absent stays.
type subscriptionChangeInput struct {
	URL       *string        `json:"url,omitempty" minLength:"1" maxLength:"2000" doc:"Where events are posted; also those that wait already."`
	Name      *string        `json:"name,omitempty" maxLength:"255" doc:"For people."`
	Events    *[]string      `json:"events,omitempty" maxItems:"50" doc:"Replaces the whole list."`
	ChannelID *string        `json:"channel_id,omitempty" maxLength:"64" doc:"Only events of this channel; the empty text: of the whole account."`
	Disabled  *bool          `json:"disabled,omitempty" doc:"Events of a time when it is disabled are not told, and what still waits becomes dead letters."`
	Delivery  *deliveryInput `json:"delivery,omitempty" doc:"Replaces the whole delivery policy; {} goes back to the default."`
}

// subscriptionView is a subscription as the API shows it.
type subscriptionView struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	URL         string             `json:"url"`
	Events      []string           `json:"events" nullable:"false" doc:"The empty list: all but delivery.*."`
	ChannelID   string             `json:"channel_id,omitempty" doc:"Absent: all channels of the account."`
	Disabled    bool               `json:"disabled"`
	Delivery    deliveryPolicyView `json:"delivery"`
	Secret      string             `json:"secret,omitempty" doc:"Signs the calls. Only for tokens of role admin, and not in lists."`
	Target      string             `json:"target" doc:"The name of its endpoint, as deliveries have it."`
	EffectiveAt time.Time          `json:"effective_at" doc:"Events from then on are told as this says; earlier ones as was said before."`
	CreatedAt   time.Time          `json:"created_at"`
	UpdatedAt   time.Time          `json:"updated_at"`
}

func showSubscription(s domain.Subscription) subscriptionView {
	r := s.Now()
	v := subscriptionView{
		ID: s.ID, Name: s.Name, URL: s.URL, Events: []string{}, ChannelID: r.Channel, Disabled: r.Off, Delivery: showPolicy(s.Delivery),
		Target: domain.SubscriptionTarget(s.ID), EffectiveAt: r.Since, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
	v.Events = append(v.Events, r.Events...)
	return v
}

// showSigned is showSubscription for those who may see the secret.
func showSigned(c caller, s domain.Subscription) subscriptionView {
	v := showSubscription(s)
	if c.Role.Allows(domain.RoleAdmin) {
		v.Secret = s.Secret
	}
	return v
}

// SubscriptionPath names a subscription.
type SubscriptionPath struct {
	ID string `path:"id" doc:"The subscription's id."`
}

func (p *platform) subscriptionRoutes() {
	handle(p, operation{
		id: "create-subscription", method: http.MethodPost, path: "/v1/subscriptions", tag: tagSubscriptions, need: domain.RoleAdmin,
		summary: "Subscribe to events", status: http.StatusCreated,
		description: "Events of the account are posted to the URL, signed as Standard Webhooks has it. The answer comes when the subscription " +
			"counts, some 2 s later: everything that is taken in after it is told.",
	}, p.createSubscription)
	handle(p, operation{
		id: "list-subscriptions", method: http.MethodGet, path: "/v1/subscriptions", tag: tagSubscriptions, need: domain.RoleReader,
		summary: "List subscriptions", description: "Oldest first, without their secrets.",
	}, p.listSubscriptions)
	handle(p, operation{
		id: "get-subscription", method: http.MethodGet, path: "/v1/subscriptions/{id}", tag: tagSubscriptions, need: domain.RoleReader,
		summary: "Read a subscription",
	}, p.getSubscription)
	handle(p, operation{
		id: "change-subscription", method: http.MethodPatch, path: "/v1/subscriptions/{id}", tag: tagSubscriptions, need: domain.RoleAdmin,
		summary:     "Change a subscription",
		description: "Where events, channel_id or disabled change, the answer comes when the change counts, some 2 s later.",
	}, p.changeSubscription)
	handle(p, operation{
		id: "delete-subscription", method: http.MethodDelete, path: "/v1/subscriptions/{id}", tag: tagSubscriptions, need: domain.RoleAdmin,
		summary: "Delete a subscription", status: http.StatusNoContent,
		description: "Nothing is sent any more; what still waits becomes dead letters.",
	}, p.deleteSubscription)
	handle(p, operation{
		id: "rotate-subscription-secret", method: http.MethodPost, path: "/v1/subscriptions/{id}/rotate", tag: tagSubscriptions, need: domain.RoleAdmin,
		summary:     "Give a subscription a new secret",
		description: "For 24 h the old one signs, too: calls have a signature of each.",
	}, p.rotateSubscription)
	handle(p, operation{
		id: "test-subscription", method: http.MethodPost, path: "/v1/subscriptions/{id}/test", tag: tagSubscriptions, need: domain.RoleAdmin,
		summary: "Call the URL once", description: "With a signed event of type subscription.test. Nothing is stored and nothing is repeated.",
	}, p.testSubscription)
}

// subscriptionOf finds a subscription of the caller's account.
func (p *platform) subscriptionOf(c caller, id string) (domain.Subscription, error) {
	s, ok := p.Directory.Subscription(c.Account, id)
	if !ok || s.Deleted() {
		return domain.Subscription{}, notFound("subscription", id)
	}
	return s, nil
}

func (p *platform) createSubscription(ctx context.Context, c caller, in *struct {
	KeyParam
	Body subscriptionInput
},
) (*madeOutput[subscriptionView], error) {
	id, err := p.thingID(in.Key, "subscription", c.Account)
	if err != nil {
		return nil, err
	}
	s, there := p.Directory.Subscription(c.Account, id)
	if !there { // else it is the one that an earlier request under the key has made
		if s, err = p.newSubscription(c, id, in.Body); err != nil {
			return nil, err
		}
		if s, err = p.Directory.CreateSubscription(ctx, s); err != nil {
			return nil, err
		}
	}
	if err := p.effective(ctx, s); err != nil {
		return nil, err
	}
	return &madeOutput[subscriptionView]{Location: "/v1/subscriptions/" + s.ID, Body: showSigned(c, s)}, nil
}

// newSubscription is a subscription that is right but not made yet.
func (p *platform) newSubscription(c caller, id string, b subscriptionInput) (domain.Subscription, error) {
	policy, err := b.Delivery.policy()
	if err != nil {
		return domain.Subscription{}, err
	}
	if err := p.oneOfTheirs(c, b.ChannelID); err != nil {
		return domain.Subscription{}, err
	}
	s := domain.Subscription{ID: id, Account: c.Account, Name: b.Name, URL: b.URL, Delivery: policy, Secret: b.Secret}
	if s.Secret == "" {
		if s.Secret, err = domain.NewSigningSecret(p.Random); err != nil {
			return domain.Subscription{}, err
		}
	}
	if err := s.Revise(domain.Revision{Events: b.Events, Channel: b.ChannelID}, p.Now()); err != nil {
		return domain.Subscription{}, err
	}
	return s, s.Validate()
}

// oneOfTheirs makes sure that a channel which a subscription names is the caller's.
func (p *platform) oneOfTheirs(c caller, channel string) error {
	if channel == "" {
		return nil
	}
	if _, err := p.channelOf(c, channel); err != nil {
		return domain.Invalid("channel_id", "names no channel of the account")
	}
	return nil
}

// effective waits until what a subscription says counts. Who gets the answer and
// then sends a message can rely on it being told.
func (p *platform) effective(ctx context.Context, s domain.Subscription) error {
	wait := s.Now().Since.Sub(p.Now())
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(min(wait, domain.SubscriptionLead))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *platform) listSubscriptions(_ context.Context, c caller, in *PageParams) (*shownOutput[list[subscriptionView]], error) {
	part, next, err := cut(p.Directory.Subscriptions(c.Account), in.page(), func(s domain.Subscription) string { return ageKey(s.CreatedAt, s.ID) })
	if err != nil {
		return nil, err
	}
	return &shownOutput[list[subscriptionView]]{listOf(part, next, showSubscription)}, nil
}

func (p *platform) getSubscription(_ context.Context, c caller, in *SubscriptionPath) (*shownOutput[subscriptionView], error) {
	s, err := p.subscriptionOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	return &shownOutput[subscriptionView]{showSigned(c, s)}, nil
}

func (p *platform) changeSubscription(ctx context.Context, c caller, in *struct {
	SubscriptionPath
	Body subscriptionChangeInput
},
) (*shownOutput[subscriptionView], error) {
	before, err := p.subscriptionOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	b := in.Body
	policy, err := b.Delivery.policy()
	if err != nil {
		return nil, err
	}
	if b.ChannelID != nil {
		if err := p.oneOfTheirs(c, *b.ChannelID); err != nil {
			return nil, err
		}
	}
	s, err := p.Directory.ChangeSubscription(ctx, c.Account, in.ID, func(s *domain.Subscription) error {
		set(&s.URL, b.URL)
		set(&s.Name, b.Name)
		if b.Delivery != nil {
			s.Delivery = policy
		}
		r := s.Now()
		set(&r.Events, b.Events)
		set(&r.Channel, b.ChannelID)
		set(&r.Off, b.Disabled)
		if err := s.Revise(r, p.Now()); err != nil {
			return err
		}
		return s.Validate()
	})
	if err != nil {
		return nil, err
	}
	if s.URL != before.URL {
		p.forgive(ctx, c, domain.SubscriptionTarget(s.ID), domain.EndpointMoved)
	}
	if err := p.effective(ctx, s); err != nil {
		return nil, err
	}
	return &shownOutput[subscriptionView]{showSigned(c, s)}, nil
}

func (p *platform) deleteSubscription(ctx context.Context, c caller, in *SubscriptionPath) (*struct{}, error) {
	if _, err := p.subscriptionOf(c, in.ID); err != nil {
		return nil, err
	}
	return nil, p.Directory.DeleteSubscription(ctx, c.Account, in.ID)
}

func (p *platform) rotateSubscription(ctx context.Context, c caller, in *struct {
	SubscriptionPath
	KeyParam
},
) (*shownOutput[subscriptionView], error) {
	if _, err := p.subscriptionOf(c, in.ID); err != nil {
		return nil, err
	}
	secret, err := domain.NewSigningSecret(p.Random)
	if err != nil {
		return nil, err
	}
	s, err := p.Directory.ChangeSubscription(ctx, c.Account, in.ID, func(s *domain.Subscription) error {
		s.Rotate(secret, p.Now())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shownOutput[subscriptionView]{showSigned(c, s)}, nil
}

func (p *platform) testSubscription(ctx context.Context, c caller, in *struct {
	SubscriptionPath
	KeyParam
},
) (*struct{ Body testView }, error) {
	s, err := p.subscriptionOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	tested, err := p.test(ctx, s.Endpoint())
	if err == nil && tested.Body.Delivered {
		p.forgive(ctx, c, domain.SubscriptionTarget(s.ID), domain.EndpointTested)
	}
	return tested, err
}
