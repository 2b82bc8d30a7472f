package httpapi

import (
	"context"
	"fmt"
	"slices"

	"github.com/parley-im/parley/domain"
)

// InboxInput holds the settings that only channels of dialect channelx have
// (channelx.md 3.2); what is absent is the default, or stays.
type InboxInput struct {
	HMACToken     string   `json:"hmac_token,omitempty" minLength:"8" maxLength:"255" doc:"channelx: with it integrations prove who a contact is. One to bring along; a new channel without one gets 24 random characters."`
	Secret        string   `json:"secret,omitempty" minLength:"8" maxLength:"255" doc:"channelx: signs the callbacks. One to bring along; a new channel without one gets 24 random characters."`
	HMACMandatory *bool    `json:"hmac_mandatory,omitempty" doc:"channelx: contacts of the client API must prove who they are."`
	LockToSingle  *bool    `json:"lock_to_single_conversation,omitempty" doc:"channelx: a contact has one conversation, which is opened again."`
	Members       *[]int64 `json:"member_ids,omitempty" maxItems:"1000" doc:"channelx: all agents that the inbox shows itself to; tokens of role admin always see it."`
}

// NewInboxInput holds what only a new channel of dialect channelx can be given.
type NewInboxInput struct {
	Number     int64  `json:"inbox_id,omitempty" minimum:"0" maximum:"2147483647" doc:"channelx: a number to bring along, of the whole installation; 409 when it is taken. Absent: the next one."`
	Identifier string `json:"inbox_identifier,omitempty" minLength:"8" maxLength:"255" doc:"channelx: what names the inbox in the client API, to bring along; 409 when it is taken. Absent: 24 random characters."`
}

// given names the first setting that is there, "" when there is none.
func (in InboxInput) given() string {
	switch {
	case in.HMACToken != "":
		return "hmac_token"
	case in.Secret != "":
		return "secret"
	case in.HMACMandatory != nil:
		return "hmac_mandatory"
	case in.LockToSingle != nil:
		return "lock_to_single_conversation"
	case in.Members != nil:
		return "member_ids"
	default:
		return ""
	}
}

func (in NewInboxInput) given() string {
	switch {
	case in.Number != 0:
		return "inbox_id"
	case in.Identifier != "":
		return "inbox_identifier"
	default:
		return ""
	}
}

// onlyInbox is the answer to a setting that a dialect does not have.
func onlyInbox(field string, d domain.Dialect) error {
	return unmet(field, "is only for channels of dialect %s; this one is of %s", domain.DialectChannelX, d)
}

// arrange changes the settings.
func (in InboxInput) arrange(ch *domain.Channel) {
	if in.HMACToken != "" {
		ch.Credentials.HMACToken = in.HMACToken
	}
	if in.Secret != "" {
		ch.Credentials.Secret = in.Secret
	}
	set(&ch.Inbox.HMACMandatory, in.HMACMandatory)
	set(&ch.Inbox.LockToSingle, in.LockToSingle)
	if in.Members != nil {
		ch.Inbox.Members = slices.Compact(slices.Sorted(slices.Values(*in.Members)))
	}
}

// inbox adds what only channels of dialect channelx show.
func (v *channelView) inbox(publicURL string, ch domain.Channel) {
	i := ch.Inbox
	v.WebhookURL, v.InboxID, v.InboxIdentifier = publicURL, i.Number, i.Identifier
	v.HMACMandatory, v.LockToSingle, v.Members = &i.HMACMandatory, &i.LockToSingle, slices.Clone(i.Members)
}

// inboxHolds makes sure that a callback that was given is one, and that the
// members are there.
func (p *platform) inboxHolds(account, callback string, in InboxInput) error {
	if callback != "" {
		if err := domain.ValidateURL("callback_url", callback, domain.MaxWebhookURL); err != nil {
			return err
		}
	}
	if in.Members == nil {
		return nil
	}
	for i, number := range *in.Members {
		if _, ok := p.Directory.Agent(account, number); !ok {
			return unmet(fmt.Sprintf("member_ids[%d]", i), "must be the id of an agent; there is no agent %d", number)
		}
	}
	return nil
}

// createInbox makes a channel of dialect channelx. If the process dies before the
// channel is made, a number has been given out that nothing has.
func (p *platform) createInbox(ctx context.Context, c caller, ch domain.Channel, b channelInput, key string) (domain.Channel, error) {
	switch {
	case b.ID != "":
		return domain.Channel{}, onlyKit("id", ch.Dialect)
	case b.UUID != "":
		return domain.Channel{}, onlyKit("channel_uuid", ch.Dialect)
	case b.KitInput.given() != "":
		return domain.Channel{}, onlyKit(b.KitInput.given(), ch.Dialect)
	}
	if err := p.inboxHolds(c.Account, b.CallbackURL, b.InboxInput); err != nil {
		return domain.Channel{}, err
	}
	leave, err := p.alone(ctx)
	if err != nil {
		return domain.Channel{}, err
	}
	defer leave()
	b.InboxInput.arrange(&ch)
	ch.Inbox.Number, ch.Inbox.Identifier = b.Number, b.Identifier
	for _, token := range []*string{&ch.Inbox.Identifier, &ch.Credentials.HMACToken, &ch.Credentials.Secret} {
		if *token == "" {
			if *token, err = domain.NewToken(p.Random); err != nil {
				return domain.Channel{}, err
			}
		}
	}
	if ch.Inbox.Number == 0 {
		if ch.Inbox.Number, err = p.Numbers.ID(ctx, "inbox", p.Channels.LastInbox()); err != nil {
			return domain.Channel{}, fmt.Errorf("get a number for an inbox: %w", err)
		}
	}
	if err := ch.Validate(); err != nil {
		return domain.Channel{}, err
	}
	return p.placeChannel(ctx, c, ch, key)
}

// changeInbox changes a channel of dialect channelx. apply changes what channels of
// all dialects have.
func (p *platform) changeInbox(ctx context.Context, ch domain.Channel, b channelChangeInput, apply func(*domain.Channel)) (domain.Channel, error) {
	if field := b.KitInput.given(); field != "" {
		return domain.Channel{}, onlyKit(field, ch.Dialect)
	}
	callback := ""
	if b.CallbackURL != nil {
		callback = *b.CallbackURL
	}
	if err := p.inboxHolds(ch.Account, callback, b.InboxInput); err != nil {
		return domain.Channel{}, err
	}
	return p.Channels.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
		apply(ch)
		b.InboxInput.arrange(ch)
		return ch.Validate()
	})
}

// rotateInbox gives a channel of dialect channelx a new secret.
func (p *platform) rotateInbox(ctx context.Context, ch domain.Channel) (domain.Channel, error) {
	secret, err := domain.NewToken(p.Random)
	if err != nil {
		return domain.Channel{}, err
	}
	return p.Channels.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
		ch.Credentials.Secret = secret
		return nil
	})
}
