package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// kitCheck says how the check of a callback is left out.
const kitCheck = "save_anyway leaves that out."

// redirectInput says where new conversations go.
type redirectInput struct {
	Queue    int64 `json:"queue_id,omitempty" minimum:"0" doc:"They wait in this queue."`
	Function int64 `json:"function_id,omitempty" minimum:"0" doc:"Or this function answers them."`
}

// redirectView says where new conversations go.
type redirectView struct {
	Queue    int64 `json:"queue_id,omitempty"`
	Function int64 `json:"function_id,omitempty"`
}

// KitInput holds the settings that only channels of dialect voximplant have
// (voximplant-kit.md 2.2); what is absent is the default, or stays.
type KitInput struct {
	Redirect      *redirectInput     `json:"redirect,omitempty" doc:"voximplant: a queue or a function that new conversations go to; absent or {}: they are unassigned."`
	FallbackQueue *int64             `json:"fallback_queue_id,omitempty" minimum:"0" doc:"voximplant: the queue that a conversation goes to whose function fails; 0: it stays."`
	CloseAfter    *int64             `json:"close_after,omitempty" minimum:"60" maximum:"604800" doc:"voximplant: closing time of operator and unassigned conversations, in seconds. Default 86400. Must be greater than the longest wait of the channel's queues."`
	BotCloseAfter *int64             `json:"bot_close_after,omitempty" minimum:"60" maximum:"604800" doc:"voximplant: closing time of bot conversations, in seconds. Default 86400."`
	UseTags       *bool              `json:"use_tags,omitempty" doc:"voximplant: the account's tags may be set on the channel's conversations."`
	TopicSet      *int64             `json:"topic_set_id,omitempty" minimum:"0" doc:"voximplant: the topic set of the channel; 0: none."`
	Skills        *[]skillLevelInput `json:"skills,omitempty" maxItems:"50" doc:"voximplant: wanted of who takes the channel's conversations out of a queue."`
	APITokenID    string             `json:"api_token_id,omitempty" maxLength:"64" doc:"voximplant: the API token of the account with which callbacks are signed. A new channel without one gets a new token named like it."`
	APIToken      string             `json:"api_token,omitempty" minLength:"8" maxLength:"255" doc:"voximplant: the value of an API token, instead of its id; one is made if the account has none of that value."`
	SecuritySalt  string             `json:"security_salt,omitempty" minLength:"1" maxLength:"255" doc:"voximplant: a salt to bring along. A new channel without one gets 32 random hexadecimal digits."`
	SaveAnyway    bool               `json:"save_anyway,omitempty" doc:"voximplant: saves also when the callback does not pass the check."`
	SkipTLSVerify *bool              `json:"skip_tls_verify,omitempty" doc:"voximplant: takes any certificate of the callback."`
	Disabled      *bool              `json:"disabled,omitempty" doc:"voximplant: nobody is let in, and open conversations are closed."`
}

// given names the first setting that is there, "" when there is none.
func (in KitInput) given() string {
	for _, s := range []struct {
		name  string
		given bool
	}{
		{"redirect", in.Redirect != nil},
		{"fallback_queue_id", in.FallbackQueue != nil},
		{"close_after", in.CloseAfter != nil},
		{"bot_close_after", in.BotCloseAfter != nil},
		{"use_tags", in.UseTags != nil},
		{"topic_set_id", in.TopicSet != nil},
		{"skills", in.Skills != nil},
		{"api_token_id", in.APITokenID != ""},
		{"api_token", in.APIToken != ""},
		{"security_salt", in.SecuritySalt != ""},
		{"save_anyway", in.SaveAnyway},
		{"skip_tls_verify", in.SkipTLSVerify != nil},
		{"disabled", in.Disabled != nil},
	} {
		if s.given {
			return s.name
		}
	}
	return ""
}

// onlyKit is the answer to a setting that a dialect does not have.
func onlyKit(field string, d domain.Dialect) error {
	return unmet(field, "is only for channels of dialect %s; this one is of %s", domain.DialectVoximplant, d)
}

// arrange changes the settings, secrets apart.
func (in KitInput) arrange(ch *domain.Channel) {
	d := &ch.Desk
	if r := in.Redirect; r != nil {
		d.Queue, d.Function = r.Queue, r.Function
	}
	set(&d.FallbackQueue, in.FallbackQueue)
	set(&d.CloseAfter, in.CloseAfter)
	set(&d.BotClose, in.BotCloseAfter)
	set(&d.UseTags, in.UseTags)
	set(&d.TopicSet, in.TopicSet)
	if in.Skills != nil {
		d.Skills = levels(*in.Skills)
	}
	set(&ch.SkipTLSVerify, in.SkipTLSVerify)
	set(&ch.Disabled, in.Disabled)
}

// kit adds what only channels of dialect voximplant show.
func (v *channelView) kit(publicURL string, ch domain.Channel) {
	v.UUID, v.AccountName, v.WebhookURL, v.APITokenID = ch.ID, ch.Account, publicURL+"/"+ch.ID, ch.APITokenID
	if d := ch.Desk; d.Queue != 0 || d.Function != 0 {
		v.Redirect = &redirectView{Queue: d.Queue, Function: d.Function}
	}
	v.FallbackQueue, v.CloseAfter, v.BotCloseAfter = ch.Desk.FallbackQueue, ch.Desk.CloseAfter, ch.Desk.BotClose
	v.UseTags, v.TopicSet, v.Skills = &ch.Desk.UseTags, ch.Desk.TopicSet, showLevels(ch.Desk.Skills)
	v.SkipTLSVerify, v.Disabled = &ch.SkipTLSVerify, &ch.Disabled
}

// createKit makes a channel of dialect voximplant. A new API token is made just
// before the channel: if the process dies in between, a token is listed that
// nothing has picked. Under an idempotency key the ids of both follow from the
// key, so a repeat finds what is there.
func (p *platform) createKit(ctx context.Context, c caller, ch domain.Channel, b channelInput, key string) (domain.Channel, error) {
	var err error
	if ch.ID, err = p.kitID(c, b, key); err != nil {
		return domain.Channel{}, err
	}
	if there, taken := p.Channels.Channel(ch.ID); taken {
		if key != "" && there.Account == c.Account && there.Name == ch.Name && there.CallbackURL == ch.CallbackURL {
			return there, nil
		}
		return domain.Channel{}, clash("id", "is taken")
	}
	ch.Desk.CloseAfter, ch.Desk.BotClose = domain.DefaultCloseSeconds, domain.DefaultCloseSeconds
	b.KitInput.arrange(&ch)
	if ch.Credentials.Salt = b.SecuritySalt; b.SecuritySalt == "" {
		if ch.Credentials.Salt, err = domain.NewSalt(p.Random); err != nil {
			return domain.Channel{}, err
		}
	}
	token, err := p.pickToken(c, ch.Name, b.KitInput, key)
	if err != nil {
		return domain.Channel{}, err
	}
	ch.APITokenID, ch.Credentials.APIToken = token.ID, token.Value
	if err := p.holds(ctx, ch, true, !b.SaveAnyway); err != nil {
		return domain.Channel{}, err
	}
	return p.saveKit(ctx, ch, token, func() (domain.Channel, error) { return p.Channels.CreateChannel(ctx, ch) })
}

// kitID gives the id of a new channel: the one that is brought along, in small
// letters, or a random UUID.
func (p *platform) kitID(c caller, b channelInput, key string) (string, error) {
	given := first(b.ID, b.UUID)
	if given == "" {
		id, err := p.thingID(key, "channel", c.Account)
		if err != nil || key == "" {
			return id, err
		}
		// A version 4 by its looks, which integrations may check.
		derived := uuid.MustParse(id)
		derived[6] = derived[6]&0x0f | 0x40
		return derived.String(), nil
	}
	id, err := uuid.Parse(given)
	if err != nil || len(given) != len(uuid.Nil.String()) {
		return "", domain.Invalid("id", "must be a UUID, such as 3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33")
	}
	if b.ID != "" && b.UUID != "" && b.ID != b.UUID {
		return "", unmet("channel_uuid", "must be the same as id")
	}
	return id.String(), nil
}

// pickToken finds the API token that a channel is to have. One that is not there
// yet has no CreatedAt.
func (p *platform) pickToken(c caller, name string, in KitInput, key string) (domain.APIToken, error) {
	if in.APITokenID != "" {
		t, ok := p.Directory.APIToken(c.Account, in.APITokenID)
		switch {
		case !ok:
			return domain.APIToken{}, unmet("api_token_id", "must be the id of an API token; there is none of that id")
		case t.Revoked():
			return domain.APIToken{}, unmet("api_token_id", "must be the id of an API token that is not revoked")
		case in.APIToken != "" && in.APIToken != t.Value:
			return domain.APIToken{}, unmet("api_token", "must be the value of the token that api_token_id names, or be left out")
		}
		return t, nil
	}
	if in.APIToken != "" {
		if t, ok := p.Directory.APITokenByValue(c.Account, in.APIToken); ok {
			return t, nil
		}
	}
	id, err := p.thingID(key, "channel-api-token", c.Account)
	if err != nil {
		return domain.APIToken{}, err
	}
	if t, ok := p.Directory.APIToken(c.Account, id); ok && !t.Revoked() && (in.APIToken == "" || in.APIToken == t.Value) {
		return t, nil
	}
	t, err := p.newAPIToken(c, id, name, in.APIToken)
	t.CreatedAt = time.Time{}
	if e, ok := err.(*domain.Error); ok && e.Field == "value" { //nolint:errorlint // straight from Validate
		e.Field = "api_token"
	}
	return t, err
}

// holds makes sure that a channel is right by itself and, where asked, beside
// what its desk names and towards its callback.
func (p *platform) holds(ctx context.Context, ch domain.Channel, desk, callback bool) error {
	if err := ch.Validate(); err != nil {
		return err
	}
	if desk {
		if err := p.deskHolds(ch.Account, ch.Desk); err != nil {
			return err
		}
	}
	if callback {
		return p.check(ctx, ch)
	}
	return nil
}

// check makes the check request (voximplant-kit.md 5.1).
func (p *platform) check(ctx context.Context, ch domain.Channel) error {
	o, err := p.Prober.Probe(ctx, ch)
	if err != nil {
		return fmt.Errorf("check the callback: %w", err)
	}
	if o.Verdict == domain.Delivered {
		return nil
	}
	cause := string(o.Reason)
	if o.Detail != "" {
		cause = o.Detail
	}
	if o.HTTPStatus != 0 {
		cause = fmt.Sprintf("it answered %d (%s)", o.HTTPStatus, cause)
	}
	return unmet("callback_url", "did not pass the check: %s; send save_anyway to save it all the same", cause)
}

// saveKit stores a channel and, before it, the token that was made for it, while
// nobody else on this node changes what the channel names.
func (p *platform) saveKit(ctx context.Context, ch domain.Channel, token domain.APIToken, save func() (domain.Channel, error)) (domain.Channel, error) {
	leave, err := p.alone(ctx)
	if err != nil {
		return domain.Channel{}, err
	}
	defer leave()
	if err := p.deskHolds(ch.Account, ch.Desk); err != nil {
		return domain.Channel{}, err
	}
	if token.ID != "" && token.CreatedAt.IsZero() {
		token.CreatedAt = domain.Stamp(p.Now())
		if _, err := p.Directory.CreateAPIToken(ctx, token); err != nil {
			return domain.Channel{}, err
		}
	}
	return save()
}

// changeKit changes a channel of dialect voximplant. apply changes what channels
// of all dialects have.
func (p *platform) changeKit(ctx context.Context, c caller, ch domain.Channel, b channelChangeInput, apply func(*domain.Channel)) (domain.Channel, error) {
	var token domain.APIToken
	if b.APITokenID != "" || b.APIToken != "" {
		var err error
		if token, err = p.pickToken(c, ch.Name, b.KitInput, ""); err != nil {
			return domain.Channel{}, err
		}
	}
	all := func(ch *domain.Channel) {
		apply(ch)
		b.KitInput.arrange(ch)
		if b.SecuritySalt != "" {
			ch.Credentials.Salt = b.SecuritySalt
		}
		if token.ID != "" {
			ch.APITokenID, ch.Credentials.APIToken = token.ID, token.Value
		}
	}
	after := ch
	all(&after)
	signs := after.CallbackURL != ch.CallbackURL || after.Credentials != ch.Credentials
	if err := p.holds(ctx, after, true, signs && !b.SaveAnyway); err != nil {
		return domain.Channel{}, err
	}
	return p.saveKit(ctx, after, token, func() (domain.Channel, error) {
		return p.Channels.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
			all(ch)
			return ch.Validate()
		})
	})
}

// rotateKit gives a channel of dialect voximplant a new salt.
func (p *platform) rotateKit(ctx context.Context, ch domain.Channel, anyway bool) (domain.Channel, error) {
	salt, err := domain.NewSalt(p.Random)
	if err != nil {
		return domain.Channel{}, err
	}
	ch.Credentials.Salt = salt
	if !anyway {
		if err := p.check(ctx, ch); err != nil {
			return domain.Channel{}, err
		}
	}
	return p.Channels.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
		ch.Credentials.Salt = salt
		return nil
	})
}

// warnings says what is wrong with a channel of dialect voximplant as it stands
// (voximplant-kit.md 8.4). What the rows cannot tell in time is left out.
func (p *platform) warnings(ctx context.Context, ch domain.Channel) []string {
	var list []string
	if e, ok := p.Directory.Endpoint(ch.ID); ok && e.State != domain.EndpointHealthy {
		list = append(list, endpointWarning(e))
	}
	if !ch.Dialect.HasEpisodes() {
		return list
	}
	if t, ok := p.Directory.APIToken(ch.Account, ch.APITokenID); ok && t.Revoked() {
		list = append(list, fmt.Sprintf("API token revoked: the token %q was revoked at %s; pick another", t.Name, t.RevokedAt.Format(time.RFC3339)))
	}
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	at, status, refused, err := p.Deliveries.LastRefusal(ctx, ch.ID)
	switch {
	case err != nil:
		p.log.Warn("api.last_refusal_unknown", "channel", ch.ID, "error", err)
	case refused:
		list = append(list, fmt.Sprintf("signature refused: the callback answered %d at %s", status, at.UTC().Format(time.RFC3339)))
	}
	return list
}
