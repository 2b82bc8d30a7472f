package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagChannels = "Channels"

// respondPath is where respond.io and IS-Messenger integrations post
// (respond-io.md 3.1).
const respondPath = "/custom/channel/webhook/"

// deliveryInput is a delivery policy as a person writes it.
type deliveryInput struct {
	Schedule    *[]string `json:"schedule,omitempty" maxItems:"100" doc:"Waits between tries, such as 30s or 2h. Absent: the default (1s 5s 30s 2m 10m 30m 1h 2h, then every 4h to max_age). The empty list: a single attempt."`
	MaxAge      string    `json:"max_age,omitempty" doc:"No try starts later than this after the first one; at most 720h. Default 72h." example:"72h"`
	OnExhausted string    `json:"on_exhausted,omitempty" enum:"park,continue" doc:"What a used-up schedule means for later messages of the conversation: they wait until the dead letter is redriven or dropped, or go on. Default park; continue where the schedule is the empty list."`
}

// policy gives the domain's form.
func (d *deliveryInput) policy() (domain.DeliveryPolicy, error) {
	if d == nil {
		return domain.DeliveryPolicy{}, nil
	}
	text, err := json.Marshal(d)
	if err != nil {
		return domain.DeliveryPolicy{}, fmt.Errorf("read delivery policy: %w", err)
	}
	var p domain.DeliveryPolicy
	if err := json.Unmarshal(text, &p); err != nil {
		return domain.DeliveryPolicy{}, err
	}
	return p, nil
}

// channelInput is a channel to be made.
type channelInput struct {
	Dialect       string         `json:"dialect" enum:"respondio,ismessenger,voximplant,channelx" doc:"The protocol that the integration speaks. voximplant and channelx are not available in this version."`
	Name          string         `json:"name" minLength:"1" maxLength:"255" doc:"For people." example:"Shop app"`
	CallbackURL   string         `json:"callback_url,omitempty" maxLength:"2000" doc:"The integration's API Base URL: replies are posted to <callback_url>/message. Absolute http or https. Required." example:"https://integration.example.com/parley"`
	IDType        string         `json:"id_type,omitempty" enum:"phone,custom" doc:"What a contact reference of the channel is. Required."`
	Delivery      *deliveryInput `json:"delivery,omitempty" doc:"How callbacks are repeated."`
	RatePerSecond *int           `json:"rate_per_second,omitempty" minimum:"0" maximum:"100000" doc:"Callbacks a second at most; 0 is no limit. Default 20."`
}

// channelChangeInput holds the settings to be changed; what is absent stays.
type channelChangeInput struct {
	Name          *string        `json:"name,omitempty" minLength:"1" maxLength:"255" doc:"For people."`
	CallbackURL   *string        `json:"callback_url,omitempty" maxLength:"2000" doc:"The integration's API Base URL."`
	IDType        *string        `json:"id_type,omitempty" enum:"phone,custom" doc:"Can be changed only as long as the channel has no contact; 409 after that."`
	Delivery      *deliveryInput `json:"delivery,omitempty" doc:"Replaces the whole delivery policy; {} goes back to the default."`
	RatePerSecond *int           `json:"rate_per_second,omitempty" minimum:"0" maximum:"100000" doc:"Callbacks a second at most; 0 is no limit."`
}

// deliveryPolicyView is a delivery policy; what is absent is the default.
type deliveryPolicyView struct {
	Schedule    *[]string `json:"schedule,omitempty" doc:"Waits between tries; absent is the default, the empty list a single attempt."`
	MaxAge      string    `json:"max_age,omitempty" doc:"Absent is 72h."`
	OnExhausted string    `json:"on_exhausted" enum:"park,continue"`
}

// channelView is a channel as the API shows it.
type channelView struct {
	ID            string             `json:"id" doc:"The channelId on the wire." example:"620418000017"`
	Dialect       domain.Dialect     `json:"dialect"`
	Name          string             `json:"name"`
	CallbackURL   string             `json:"callback_url"`
	IDType        domain.IDType      `json:"id_type"`
	WebhookURL    string             `json:"webhook_url" doc:"Where the integration posts."`
	APIToken      string             `json:"api_token,omitempty" doc:"The bearer token of both directions. Only for tokens of role admin, and not in lists."`
	Delivery      deliveryPolicyView `json:"delivery"`
	RatePerSecond int                `json:"rate_per_second"`
	Revision      int                `json:"revision" doc:"Counts changes, from 1."`
	CreatedAt     time.Time          `json:"created_at"`
	UpdatedAt     time.Time          `json:"updated_at"`
}

func (p *platform) showChannel(ch domain.Channel) channelView {
	policy := deliveryPolicyView{OnExhausted: domain.OnExhaustedContinue}
	if ch.Delivery.ParksExhausted() {
		policy.OnExhausted = domain.OnExhaustedPark
	}
	if ch.Delivery.Schedule != nil {
		waits := make([]string, len(ch.Delivery.Schedule))
		for i, w := range ch.Delivery.Schedule {
			waits[i] = w.String()
		}
		policy.Schedule = &waits
	}
	if ch.Delivery.MaxAge != 0 {
		policy.MaxAge = ch.Delivery.MaxAge.String()
	}
	return channelView{
		ID: ch.ID, Dialect: ch.Dialect, Name: ch.Name, CallbackURL: ch.CallbackURL, IDType: ch.IDType,
		WebhookURL: p.PublicURL + respondPath, Delivery: policy, RatePerSecond: ch.RatePerSecond,
		Revision: ch.Revision, CreatedAt: ch.CreatedAt, UpdatedAt: ch.UpdatedAt,
	}
}

// showSecret is showChannel for those who may see the token.
func (p *platform) showSecret(c caller, ch domain.Channel) channelView {
	v := p.showChannel(ch)
	if c.Role.Allows(domain.RoleAdmin) {
		v.APIToken = ch.Credentials.APIToken
	}
	return v
}

// channelOf finds a channel of the caller's account.
func (p *platform) channelOf(c caller, id string) (domain.Channel, error) {
	ch, ok := p.Channels.Channel(id)
	if !ok || ch.Account != c.Account {
		return domain.Channel{}, domain.Errorf(domain.CodeNotFound, "There is no channel %s.", domain.Cut(id, 40))
	}
	return ch, nil
}

// ChannelPath names a channel.
type ChannelPath struct {
	ID string `path:"id" doc:"The channel's id." example:"620418000017"`
}

type channelOutput struct {
	Location string `header:"Location"`
	Body     channelView
}

type plainChannelOutput struct {
	Body channelView
}

func (p *platform) channelRoutes() {
	handle(p, operation{
		id: "create-channel", method: http.MethodPost, path: "/v1/channels", tag: tagChannels, need: domain.RoleAdmin,
		summary: "Create a channel", status: http.StatusCreated,
		description: "The answer shows the channel's api_token. The channel works on the very next request.",
	}, p.createChannel)
	handle(p, operation{
		id: "list-channels", method: http.MethodGet, path: "/v1/channels", tag: tagChannels, need: domain.RoleReader,
		summary: "List channels", description: "Oldest first.",
	}, p.listChannels)
	handle(p, operation{
		id: "get-channel", method: http.MethodGet, path: "/v1/channels/{id}", tag: tagChannels, need: domain.RoleReader,
		summary: "Read a channel",
	}, p.getChannel)
	handle(p, operation{
		id: "change-channel", method: http.MethodPatch, path: "/v1/channels/{id}", tag: tagChannels, need: domain.RoleAdmin,
		summary: "Change a channel", problems: []int{http.StatusConflict},
	}, p.changeChannel)
	handle(p, operation{
		id: "delete-channel", method: http.MethodDelete, path: "/v1/channels/{id}", tag: tagChannels, need: domain.RoleAdmin,
		summary: "Delete a channel", status: http.StatusNoContent,
		description: "Its token stops working at once, what waits for its callback fails, and its history stays readable.",
	}, p.deleteChannel)
	handle(p, operation{
		id: "rotate-channel-token", method: http.MethodPost, path: "/v1/channels/{id}/rotate", tag: tagChannels, need: domain.RoleAdmin,
		summary: "Give a channel a new API token", description: "The old token stops working at once, in both directions.",
	}, p.rotateChannel)
	handle(p, operation{
		id: "test-channel", method: http.MethodPost, path: "/v1/channels/{id}/test", tag: tagChannels, need: domain.RoleAdmin,
		summary: "Call the callback once", description: "Nothing is stored and nothing is repeated.",
	}, p.testChannel)
}

func (p *platform) createChannel(ctx context.Context, c caller, in *struct {
	KeyParam
	Body channelInput
},
) (*channelOutput, error) {
	b := in.Body
	switch domain.Dialect(b.Dialect) {
	case domain.DialectRespondIO, domain.DialectISMessenger:
	default:
		return nil, domain.Invalid("dialect", "%s is not available in this version; there are respondio and ismessenger", b.Dialect)
	}
	policy, err := b.Delivery.policy()
	if err != nil {
		return nil, err
	}
	ch := domain.Channel{
		Account: c.Account, Dialect: domain.Dialect(b.Dialect), Name: b.Name, CallbackURL: b.CallbackURL,
		IDType: domain.IDType(b.IDType), Delivery: policy, RatePerSecond: domain.DefaultRatePerSecond,
	}
	if b.RatePerSecond != nil {
		ch.RatePerSecond = *b.RatePerSecond
	}
	if err := ch.Validate(); err != nil {
		return nil, err
	}
	if ch.Credentials.APIToken, err = domain.NewSecret(p.Random); err != nil {
		return nil, err
	}
	made, err := p.placeChannel(ctx, c, ch, in.Key)
	if err != nil {
		return nil, err
	}
	return &channelOutput{Location: "/v1/channels/" + made.ID, Body: p.showSecret(c, made)}, nil
}

// placeChannel gives the channel an id that nothing has. Under an idempotency
// key the id follows from the key: if the process died after the channel was
// made and before the answer was stored, the repeat finds it.
func (p *platform) placeChannel(ctx context.Context, c caller, ch domain.Channel, key string) (domain.Channel, error) {
	source := p.Random
	if key != "" {
		source = rand.NewChaCha8(sha256.Sum256([]byte("channel\x00" + c.Account + "\x00" + key)))
	}
	const tries = 5 // ids are 9e11: a second clash in a row is somebody's fault
	for range tries {
		var err error
		if ch.ID, err = domain.NewChannelID(source); err != nil {
			return domain.Channel{}, err
		}
		if there, taken := p.Channels.Channel(ch.ID); taken {
			if key != "" && there.Account == c.Account && there.Name == ch.Name {
				return there, nil
			}
			continue
		}
		made, err := p.Channels.CreateChannel(ctx, ch)
		if domain.CodeOf(err) == domain.CodeConflict {
			continue
		}
		return made, err
	}
	return domain.Channel{}, errors.New("found no free channel id")
}

func (p *platform) listChannels(_ context.Context, c caller, in *PageParams) (*struct{ Body list[channelView] }, error) {
	part, next, err := cut(p.Channels.Channels(c.Account), in.page(), func(ch domain.Channel) string {
		return ageKey(ch.CreatedAt, ch.ID)
	})
	if err != nil {
		return nil, err
	}
	return &struct{ Body list[channelView] }{Body: listOf(part, next, p.showChannel)}, nil
}

func (p *platform) getChannel(_ context.Context, c caller, in *ChannelPath) (*plainChannelOutput, error) {
	ch, err := p.channelOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	return &plainChannelOutput{Body: p.showSecret(c, ch)}, nil
}

func (p *platform) changeChannel(ctx context.Context, c caller, in *struct {
	ChannelPath
	Body channelChangeInput
},
) (*plainChannelOutput, error) {
	ch, err := p.channelOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	b := in.Body
	if b.IDType != nil && domain.IDType(*b.IDType) != ch.IDType {
		if err := p.withoutContacts(ctx, ch); err != nil {
			return nil, err
		}
	}
	policy, err := b.Delivery.policy()
	if err != nil {
		return nil, err
	}
	changed, err := p.Channels.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
		if b.Name != nil {
			ch.Name = *b.Name
		}
		if b.CallbackURL != nil {
			ch.CallbackURL = *b.CallbackURL
		}
		if b.IDType != nil {
			ch.IDType = domain.IDType(*b.IDType)
		}
		if b.Delivery != nil {
			ch.Delivery = policy
		}
		if b.RatePerSecond != nil {
			ch.RatePerSecond = *b.RatePerSecond
		}
		return ch.Validate()
	})
	if err != nil {
		return nil, err
	}
	return &plainChannelOutput{Body: p.showSecret(c, changed)}, nil
}

// withoutContacts makes sure that a channel has no contact: the ID type may be
// changed only then (respond-io.md 2).
func (p *platform) withoutContacts(ctx context.Context, ch domain.Channel) error {
	if err := p.certain(ctx, projectionConversations); err != nil {
		return err
	}
	some, _, err := p.Reads.Contacts(ctx, domain.ContactFilter{Account: ch.Account, Channel: ch.ID}, domain.Page{Limit: 1})
	if err != nil {
		return fmt.Errorf("look for contacts of the channel: %w", err)
	}
	if len(some) > 0 {
		return &domain.Error{Code: domain.CodeConflict, Field: "id_type", Message: "cannot be changed: the channel has contacts"}
	}
	return nil
}

func (p *platform) deleteChannel(ctx context.Context, c caller, in *ChannelPath) (*struct{}, error) {
	ch, err := p.channelOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	return nil, p.Channels.DeleteChannel(ctx, ch.ID)
}

func (p *platform) rotateChannel(ctx context.Context, c caller, in *struct {
	ChannelPath
	KeyParam
},
) (*plainChannelOutput, error) {
	ch, err := p.channelOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	token, err := domain.NewSecret(p.Random)
	if err != nil {
		return nil, err
	}
	changed, err := p.Channels.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
		ch.Credentials.APIToken = token
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &plainChannelOutput{Body: p.showSecret(c, changed)}, nil
}

// testView is what a test call came to.
type testView struct {
	Delivered  bool           `json:"delivered" doc:"Whether the callback took the message."`
	Verdict    domain.Verdict `json:"verdict" enum:"delivered,retry,refused" doc:"What the answer would mean for a real message."`
	Reason     domain.Reason  `json:"reason"`
	HTTPStatus int            `json:"http_status,omitempty"`
	Detail     string         `json:"detail,omitempty" doc:"For people."`
	ExternalID string         `json:"external_id,omitempty" doc:"The id that the integration gave the message."`
	Response   string         `json:"response,omitempty" doc:"The beginning of the answer's body."`
}

// maxTestResponse is how much of an answer a test shows, in characters.
const maxTestResponse = 4096

func (p *platform) testChannel(ctx context.Context, c caller, in *struct {
	ChannelPath
	KeyParam
},
) (*struct{ Body testView }, error) {
	ch, err := p.channelOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	o, err := p.Prober.Probe(ctx, ch)
	if err != nil {
		return nil, fmt.Errorf("test the channel: %w", err)
	}
	return &struct{ Body testView }{Body: testView{
		Delivered: o.Verdict == domain.Delivered, Verdict: o.Verdict, Reason: o.Reason, HTTPStatus: o.HTTPStatus,
		Detail: o.Detail, ExternalID: o.ExternalID, Response: domain.Cut(string(o.Response), maxTestResponse),
	}}, nil
}
