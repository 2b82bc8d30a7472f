package httpapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagChannels = "Channels"

// respondPath is where respond.io and IS-Messenger integrations post
// (respond-io.md 3.1).
const respondPath = "/custom/channel/webhook/"

// channelInput is a channel to be made.
type channelInput struct {
	ID            string         `json:"id,omitempty" maxLength:"64" doc:"voximplant: a channel UUID to bring along. Absent: a random one."`
	UUID          string         `json:"channel_uuid,omitempty" maxLength:"64" doc:"The same as id."`
	Dialect       string         `json:"dialect" enum:"respondio,ismessenger,voximplant,channelx" doc:"The protocol that the integration speaks."`
	Name          string         `json:"name" minLength:"1" maxLength:"255" doc:"For people." example:"Shop app"`
	CallbackURL   string         `json:"callback_url,omitempty" maxLength:"2048" doc:"Where replies are posted: for respondio and ismessenger the integration's API Base URL, to which /message is added; for voximplant the callback URL as it is; for channelx what happens in the inbox. Absolute http or https, at most 2,000 characters; for channelx 2,048. Required, except for channelx." example:"https://integration.example.com/parley"`
	IDType        string         `json:"id_type,omitempty" enum:"phone,custom" doc:"respondio, ismessenger: what a contact reference of the channel is. Required there."`
	Delivery      *deliveryInput `json:"delivery,omitempty" doc:"How callbacks are repeated."`
	RatePerSecond *int           `json:"rate_per_second,omitempty" minimum:"0" maximum:"100000" doc:"Callbacks a second at most; 0 is no limit. Default 20; no limit for voximplant and channelx."`
	KitInput
	NewInboxInput
	InboxInput
}

// channelChangeInput holds the settings to be changed; what is absent stays.
type channelChangeInput struct {
	Name          *string        `json:"name,omitempty" minLength:"1" maxLength:"255" doc:"For people."`
	CallbackURL   *string        `json:"callback_url,omitempty" maxLength:"2048" doc:"Where replies are posted; for channelx empty for nowhere."`
	IDType        *string        `json:"id_type,omitempty" enum:"phone,custom" doc:"Can be changed only as long as the channel has no contact; 409 after that."`
	Delivery      *deliveryInput `json:"delivery,omitempty" doc:"Replaces the whole delivery policy; {} goes back to the default."`
	RatePerSecond *int           `json:"rate_per_second,omitempty" minimum:"0" maximum:"100000" doc:"Callbacks a second at most; 0 is no limit."`
	KitInput
	InboxInput
}

// channelView is a channel as the API shows it.
type channelView struct {
	ID              string             `json:"id" doc:"The channelId on the wire." example:"620418000017"`
	UUID            string             `json:"channel_uuid,omitempty" doc:"voximplant: the id."`
	Dialect         domain.Dialect     `json:"dialect" enum:"respondio,ismessenger,voximplant,channelx"`
	Name            string             `json:"name"`
	CallbackURL     string             `json:"callback_url"`
	IDType          domain.IDType      `json:"id_type,omitempty" enum:"phone,custom" doc:"respondio, ismessenger."`
	WebhookURL      string             `json:"webhook_url" doc:"Where the integration posts; for channelx the base URL of its APIs."`
	APIToken        string             `json:"api_token,omitempty" doc:"respondio, ismessenger: the bearer token of both directions. voximplant: the value of the API token that the channel has picked. Only for tokens of role admin, and not in lists."`
	APITokenID      string             `json:"api_token_id,omitempty" doc:"voximplant: the API token that the channel has picked."`
	SecuritySalt    string             `json:"security_salt,omitempty" doc:"voximplant: signs the callbacks, with the API token. Only for tokens of role admin, and not in lists."`
	AccountName     string             `json:"account_name,omitempty" doc:"voximplant: what integrations send as domain."`
	Redirect        *redirectView      `json:"redirect,omitempty" doc:"voximplant: where new conversations go; absent: they are unassigned."`
	FallbackQueue   int64              `json:"fallback_queue_id,omitempty" doc:"voximplant: where a conversation goes whose function fails; absent: it stays."`
	CloseAfter      int64              `json:"close_after,omitempty" doc:"voximplant: closing time of operator and unassigned conversations, in seconds."`
	BotCloseAfter   int64              `json:"bot_close_after,omitempty" doc:"voximplant: closing time of bot conversations, in seconds."`
	UseTags         *bool              `json:"use_tags,omitempty" doc:"voximplant."`
	TopicSet        int64              `json:"topic_set_id,omitempty" doc:"voximplant; absent: none."`
	Skills          []skillLevelView   `json:"skills,omitempty" nullable:"false" doc:"voximplant: wanted of who takes its conversations."`
	SkipTLSVerify   *bool              `json:"skip_tls_verify,omitempty" doc:"voximplant: any certificate of the callback is taken."`
	Disabled        *bool              `json:"disabled,omitempty" doc:"voximplant: nobody is let in, and open conversations are closed."`
	InboxID         int64              `json:"inbox_id,omitempty" doc:"channelx: the inbox's number." example:"3"`
	InboxIdentifier string             `json:"inbox_identifier,omitempty" doc:"channelx: names the inbox in the client API."`
	HMACToken       string             `json:"hmac_token,omitempty" doc:"channelx: with it integrations prove who a contact is. Only for tokens of role admin, and not in lists."`
	Secret          string             `json:"secret,omitempty" doc:"channelx: signs the callbacks. Only for tokens of role admin, and not in lists."`
	HMACMandatory   *bool              `json:"hmac_mandatory,omitempty" doc:"channelx."`
	LockToSingle    *bool              `json:"lock_to_single_conversation,omitempty" doc:"channelx."`
	Members         []int64            `json:"member_ids,omitempty" nullable:"false" doc:"channelx: agents that the inbox shows itself to."`
	Warnings        []string           `json:"warnings,omitempty" nullable:"false" doc:"What is wrong with the channel as it stands, for people. Only where one channel is read."`
	Delivery        deliveryPolicyView `json:"delivery"`
	RatePerSecond   int                `json:"rate_per_second"`
	Revision        int                `json:"revision" doc:"Counts changes, from 1."`
	CreatedAt       time.Time          `json:"created_at"`
	UpdatedAt       time.Time          `json:"updated_at"`
}

func (p *platform) showChannel(ch domain.Channel) channelView {
	v := channelView{
		ID: ch.ID, Dialect: ch.Dialect, Name: ch.Name, CallbackURL: ch.CallbackURL, IDType: ch.IDType,
		WebhookURL: p.PublicURL + respondPath, Delivery: showPolicy(ch.Delivery), RatePerSecond: ch.RatePerSecond,
		Revision: ch.Revision, CreatedAt: ch.CreatedAt, UpdatedAt: ch.UpdatedAt,
	}
	switch {
	case ch.Dialect.HasEpisodes():
		v.kit(p.PublicURL, ch)
	case ch.Dialect.HasTickets():
		v.inbox(p.PublicURL, ch)
	}
	return v
}

// showSecret is showChannel for those who may see the secrets.
func (p *platform) showSecret(c caller, ch domain.Channel) channelView {
	v := p.showChannel(ch)
	if c.Role.Allows(domain.RoleAdmin) {
		v.APIToken, v.SecuritySalt = ch.Credentials.APIToken, ch.Credentials.Salt
		v.HMACToken, v.Secret = ch.Credentials.HMACToken, ch.Credentials.Secret
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
		description: "The answer shows the channel's secrets. The channel works on the very next request. " +
			"The callback of a voximplant channel is checked first: unless it answers with 2xx the channel is not made and the answer is 422, with the status or the cause. " + kitCheck,
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
		summary:     "Change a channel",
		description: "A new callback_url, security_salt or API token of a voximplant channel is checked first: unless the callback answers with 2xx nothing is changed and the answer is 422. " + kitCheck,
	}, p.changeChannel)
	handle(p, operation{
		id: "delete-channel", method: http.MethodDelete, path: "/v1/channels/{id}", tag: tagChannels, need: domain.RoleAdmin,
		summary: "Delete a channel", status: http.StatusNoContent,
		description: "Its token stops working at once, what waits for its callback fails, and its history stays readable. " +
			"Open conversations of a voximplant channel are closed before.",
	}, p.deleteChannel)
	handle(p, operation{
		id: "rotate-channel-token", method: http.MethodPost, path: "/v1/channels/{id}/rotate", tag: tagChannels, need: domain.RoleAdmin,
		summary: "Give a channel a new secret",
		description: "respondio, ismessenger: a new API token; the old one stops working at once, in both directions. " +
			"voximplant: a new security salt, with which callbacks are signed from then on; it is checked first. " + kitCheck +
			" channelx: a new secret, with which callbacks are signed from then on; hmac_token stays.",
	}, p.rotateChannel)
	handle(p, operation{
		id: "test-channel", method: http.MethodPost, path: "/v1/channels/{id}/test", tag: tagChannels, need: domain.RoleAdmin,
		summary: "Call the callback once",
		description: "With a test message; for voximplant with the check request, for channelx with a signed event named test. " +
			"Nothing is stored and nothing is repeated. 409 for a channel without a callback.",
	}, p.testChannel)
}

func (p *platform) createChannel(ctx context.Context, c caller, in *struct {
	KeyParam
	Body channelInput
},
) (*channelOutput, error) {
	b := in.Body
	dialect := domain.Dialect(b.Dialect)
	if !slices.Contains(domain.Dialects, dialect) {
		return nil, domain.Invalid("dialect", "must be one of respondio, ismessenger, voximplant, channelx")
	}
	policy, err := b.Delivery.policy()
	if err != nil {
		return nil, err
	}
	ch := domain.Channel{
		Account: c.Account, Dialect: dialect, Name: b.Name, CallbackURL: b.CallbackURL,
		IDType: domain.IDType(b.IDType), Delivery: policy,
	}
	if !dialect.HasEpisodes() && !dialect.HasTickets() {
		ch.RatePerSecond = domain.DefaultRatePerSecond
	}
	set(&ch.RatePerSecond, b.RatePerSecond)
	var made domain.Channel
	switch {
	case dialect.HasTickets():
		made, err = p.createInbox(ctx, c, ch, b, in.Key)
	case b.NewInboxInput.given() != "" || b.InboxInput.given() != "":
		err = onlyInbox(cmp.Or(b.NewInboxInput.given(), b.InboxInput.given()), dialect)
	case dialect.HasEpisodes():
		made, err = p.createKit(ctx, c, ch, b, in.Key)
	default:
		made, err = p.createRespond(ctx, c, ch, b, in.Key)
	}
	if err != nil {
		return nil, err
	}
	return &channelOutput{Location: "/v1/channels/" + made.ID, Body: p.showSecret(c, made)}, nil
}

// createRespond makes a channel of dialect respondio or ismessenger.
func (p *platform) createRespond(ctx context.Context, c caller, ch domain.Channel, b channelInput, key string) (domain.Channel, error) {
	field := b.KitInput.given()
	switch {
	case b.ID != "":
		field = "id"
	case b.UUID != "":
		field = "channel_uuid"
	}
	if field != "" {
		return domain.Channel{}, onlyKit(field, ch.Dialect)
	}
	if err := ch.Validate(); err != nil {
		return domain.Channel{}, err
	}
	var err error
	if ch.Credentials.APIToken, err = domain.NewSecret(p.Random); err != nil {
		return domain.Channel{}, err
	}
	return p.placeChannel(ctx, c, ch, key)
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
		if known, ok := errors.AsType[*domain.Error](err); ok && known.Code == domain.CodeConflict && known.Field == "" {
			continue // a conflict about a field is about what was brought along, not the id
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

func (p *platform) getChannel(ctx context.Context, c caller, in *ChannelPath) (*plainChannelOutput, error) {
	ch, err := p.channelOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	v := p.showSecret(c, ch)
	v.Warnings = p.warnings(ctx, ch)
	return &plainChannelOutput{Body: v}, nil
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
	apply, err := b.apply()
	if err != nil {
		return nil, err
	}
	var changed domain.Channel
	switch {
	case ch.Dialect.HasTickets():
		changed, err = p.changeInbox(ctx, ch, b, apply)
	case b.InboxInput.given() != "":
		err = onlyInbox(b.InboxInput.given(), ch.Dialect)
	case ch.Dialect.HasEpisodes():
		changed, err = p.changeKit(ctx, c, ch, b, apply)
	case b.KitInput.given() != "":
		err = onlyKit(b.KitInput.given(), ch.Dialect)
	default:
		changed, err = p.Channels.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
			apply(ch)
			return ch.Validate()
		})
	}
	if err != nil {
		return nil, err
	}
	if changed.CallbackURL != ch.CallbackURL {
		p.forgive(ctx, c, ch.ID, domain.EndpointMoved)
	}
	return &plainChannelOutput{Body: p.showSecret(c, changed)}, nil
}

// apply gives what changes the settings that channels of all dialects have.
func (in channelChangeInput) apply() (func(*domain.Channel), error) {
	policy, err := in.Delivery.policy()
	if err != nil {
		return nil, err
	}
	return func(ch *domain.Channel) {
		set(&ch.Name, in.Name)
		set(&ch.CallbackURL, in.CallbackURL)
		if in.IDType != nil {
			ch.IDType = domain.IDType(*in.IDType)
		}
		if in.Delivery != nil {
			ch.Delivery = policy
		}
		set(&ch.RatePerSecond, in.RatePerSecond)
	}, nil
}

// withoutContacts makes sure that a channel has no contact: the ID type may be
// changed only then (respond-io.md 2).
func (p *platform) withoutContacts(ctx context.Context, ch domain.Channel) error {
	if err := p.certain(ctx); err != nil {
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
	if ch.Dialect.HasEpisodes() {
		if err := p.shut(ctx, c, ch); err != nil {
			return nil, err
		}
	}
	return nil, p.Channels.DeleteChannel(ctx, ch.ID)
}

// shut lets nobody into a channel any more and closes its open conversations:
// nothing could close them once there is no channel. If the process dies on the
// way, the channel is disabled, and a repeat goes on.
func (p *platform) shut(ctx context.Context, c caller, ch domain.Channel) error {
	_, err := p.Channels.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
		ch.Disabled = true
		return nil
	})
	if err != nil {
		return err
	}
	open := domain.ConversationFilter{Account: ch.Account, Channel: ch.ID, Status: domain.StatusOpen}
	_, err = p.closeAll(ctx, c, open, domain.ClosedByUnknown)
	return err
}

// rotateInput says how a secret is replaced.
type rotateInput struct {
	SaveAnyway bool `json:"save_anyway,omitempty" doc:"voximplant: also when the callback does not pass the check."`
}

func (p *platform) rotateChannel(ctx context.Context, c caller, in *struct {
	ChannelPath
	KeyParam
	Body *rotateInput
},
) (*plainChannelOutput, error) {
	ch, err := p.channelOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	anyway := in.Body != nil && in.Body.SaveAnyway
	var changed domain.Channel
	switch {
	case ch.Dialect.HasEpisodes():
		changed, err = p.rotateKit(ctx, ch, anyway)
	case anyway:
		err = onlyKit("save_anyway", ch.Dialect)
	case ch.Dialect.HasTickets():
		changed, err = p.rotateInbox(ctx, ch)
	default:
		changed, err = p.rotateRespond(ctx, ch)
	}
	if err != nil {
		return nil, err
	}
	return &plainChannelOutput{Body: p.showSecret(c, changed)}, nil
}

func (p *platform) rotateRespond(ctx context.Context, ch domain.Channel) (domain.Channel, error) {
	token, err := domain.NewSecret(p.Random)
	if err != nil {
		return domain.Channel{}, err
	}
	return p.Channels.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
		ch.Credentials.APIToken = token
		return nil
	})
}
