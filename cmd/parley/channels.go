package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

type channelsCommand struct {
	List   channelsList   `cmd:"" help:"List the channels."`
	Create channelsCreate `cmd:"" help:"Create a channel and print its id, webhook URL and secrets."`
	Show   channelsShow   `cmd:"" help:"Show a channel with its secrets, and what is wrong with it."`
	Change channelsChange `cmd:"" help:"Change a channel; what is not given stays."`
	Rotate channelsRotate `cmd:"" help:"Give a channel a new secret: respondio and ismessenger a token, voximplant a salt, channelx what signs the callbacks. The old one is invalid at once."`
	Test   channelsTest   `cmd:"" help:"Call a channel's callback and tell what it answers."`
	Delete channelsDelete `cmd:"" help:"Delete a channel; its history stays."`
}

type channelsList struct{ listing }

// Run lists the channels.
func (c channelsList) Run(ctx context.Context, s streams) error {
	return c.list(ctx, s, "/v1/channels", nil, []column{
		{"ID", "id"}, {"DIALECT", "dialect"}, {"ID TYPE", "id_type"}, {"NAME", "name"}, {"CALLBACK", "callback_url"},
	})
}

// channelSettings are the settings that create and change share.
type channelSettings struct {
	deliverySettings

	Name        string `help:"Name that operators see." placeholder:"NAME"`
	CallbackURL string `help:"Where replies are posted to; channelx needs none." placeholder:"URL"`
	Rate        *int   `help:"Callbacks per second; 0 is no limit." placeholder:"N"`

	IDType string `help:"What a contact's id is: phone or custom. A new channel takes phone unless given; with contacts it stays what it is." enum:",phone,custom" default:"" group:"respond" placeholder:"TYPE"`

	Queue         *int64       `help:"Conversations wait in this queue for an agent." group:"kit" xor:"redirect" placeholder:"N"`
	Function      *int64       `help:"Or this function answers them." group:"kit" xor:"redirect" placeholder:"N"`
	NoRedirect    bool         `help:"New conversations are unassigned, as without either." group:"kit" xor:"redirect"`
	FallbackQueue *int64       `help:"Where a conversation goes whose function fails; 0 is nowhere." group:"kit" placeholder:"N"`
	CloseAfter    *seconds     `help:"Silence after which conversations of operators, and unassigned ones, are closed: 60s to 168h, above the queue's longest wait. 24h unless given." group:"kit" placeholder:"TIME"`
	BotCloseAfter *seconds     `help:"Silence after a bot's message, after which its conversation is closed: 60s to 168h. 24h unless given." group:"kit" placeholder:"TIME"`
	UseTags       *bool        `help:"Whether operators may set the account's tags." group:"kit" negatable:""`
	TopicSet      *int64       `help:"Topic set of the channel; 0 is none." group:"kit" placeholder:"N"`
	Skills        *skillLevels `help:"Skills wanted of who takes a conversation, and their levels from 1 to 5, such as 3=5; or none." group:"kit" placeholder:"SKILL=LEVEL,..."`
	APITokenID    string       `help:"API token of the account that signs the callbacks. A new channel makes one unless given." group:"kit" name:"api-token-id" placeholder:"ID"`
	APIToken      string       `help:"Or the value of one, such as you have it from Voximplant Kit." group:"kit" name:"api-token" placeholder:"SECRET"`
	SecuritySalt  string       `help:"Security salt, such as you have it from Voximplant Kit. A new channel makes one unless given." group:"kit" placeholder:"SALT"`
	SkipTLSVerify *bool        `help:"Whether any certificate of the callback URL is taken." group:"kit" name:"skip-tls-verify" negatable:""`
	SaveAnyway    bool         `help:"Save, also when the callback URL does not answer the check." group:"kit"`
	Disabled      *bool        `help:"Whether nobody is let in and open conversations are closed." group:"kit" negatable:""`

	HMACToken     string   `help:"Token with which contacts are proved to be who they say, such as you have it from elsewhere. A new channel makes one unless given." group:"inbox" name:"hmac-token" placeholder:"TOKEN"`
	Secret        string   `help:"Secret that signs the callbacks, such as you have it from elsewhere. A new channel makes one unless given." group:"inbox" placeholder:"SECRET"`
	HMACMandatory *bool    `help:"Whether contacts of the client API must prove who they are." group:"inbox" name:"hmac-mandatory" negatable:""`
	LockToSingle  *bool    `help:"Whether a contact has one conversation, which is opened again." group:"inbox" name:"lock-to-single" negatable:""`
	Members       *numbers `help:"Agents that see the inbox, besides administrators, such as 1,2; or none." group:"inbox" placeholder:"N,..."`
	NoCallback    bool     `help:"Post nothing anywhere." group:"inbox"`
}

func (c channelSettings) body() fields {
	f := fields{}
	f.text("name", c.Name)
	f.text("callback_url", c.CallbackURL)
	f.text("id_type", c.IDType)
	given(f, "rate_per_second", c.Rate)
	c.into(f)
	redirect := fields{}
	given(redirect, "queue_id", c.Queue)
	given(redirect, "function_id", c.Function)
	if len(redirect) > 0 || c.NoRedirect {
		f["redirect"] = redirect
	}
	given(f, "fallback_queue_id", c.FallbackQueue)
	given(f, "close_after", c.CloseAfter)
	given(f, "bot_close_after", c.BotCloseAfter)
	given(f, "use_tags", c.UseTags)
	given(f, "topic_set_id", c.TopicSet)
	given(f, "skills", c.Skills)
	f.text("api_token_id", c.APITokenID)
	f.text("api_token", c.APIToken)
	f.text("security_salt", c.SecuritySalt)
	given(f, "skip_tls_verify", c.SkipTLSVerify)
	given(f, "disabled", c.Disabled)
	f.text("hmac_token", c.HMACToken)
	f.text("secret", c.Secret)
	given(f, "hmac_mandatory", c.HMACMandatory)
	given(f, "lock_to_single_conversation", c.LockToSingle)
	given(f, "member_ids", c.Members)
	if c.NoCallback {
		f["callback_url"] = ""
	}
	if c.SaveAnyway {
		f["save_anyway"] = true
	}
	return f
}

type channelsCreate struct {
	remote
	channelSettings

	Dialect string `help:"Wire protocol: respondio, ismessenger, voximplant or channelx." default:"respondio" placeholder:"DIALECT"`
	ID      string `help:"UUID of the channel, such as you have it from Voximplant Kit. A new one unless given." group:"kit" placeholder:"UUID"`

	InboxID         int64  `help:"Number of the inbox, such as you have it from elsewhere. The next one unless given." group:"inbox" name:"inbox-id" placeholder:"N"`
	InboxIdentifier string `help:"What names the inbox in the client API, such as you have it from elsewhere. A new one unless given." group:"inbox" name:"inbox-identifier" placeholder:"TOKEN"`
}

// Run creates a channel.
func (c channelsCreate) Run(ctx context.Context, s streams) error {
	body := c.body()
	body["dialect"] = c.Dialect
	body.text("id", c.ID)
	body.text("inbox_identifier", c.InboxIdentifier)
	if c.InboxID != 0 {
		body["inbox_id"] = c.InboxID
	}
	if c.IDType == "" && c.Dialect != "voximplant" && c.Dialect != "channelx" {
		body["id_type"] = "phone"
	}
	return c.print(ctx, s, http.MethodPost, "/v1/channels", body)
}

type channelID struct {
	ID string `arg:"" help:"Id of the channel."`
}

func (c channelID) path(more string) string { return "/v1/channels/" + url.PathEscape(c.ID) + more }

type channelsShow struct {
	remote
	channelID
}

// Run shows a channel.
func (c channelsShow) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(""), nil)
}

type channelsChange struct {
	remote
	channelID
	channelSettings
}

// Run changes a channel.
func (c channelsChange) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPatch, c.path(""), c.body())
}

type channelsRotate struct {
	remote
	channelID

	SaveAnyway bool `help:"Only for voximplant: also when the callback URL does not answer the check."`
}

// Run rotates a channel's secret.
func (c channelsRotate) Run(ctx context.Context, s streams) error {
	body := fields{}
	if c.SaveAnyway {
		body["save_anyway"] = true
	}
	return c.print(ctx, s, http.MethodPost, c.path("/rotate"), body)
}

type channelsTest struct {
	remote
	channelID
}

// Run calls a channel's callback.
func (c channelsTest) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/test"), nil)
}

type channelsDelete struct {
	remote
	channelID
}

// Run deletes a channel.
func (c channelsDelete) Run(ctx context.Context, s streams) error {
	if _, err := c.call(ctx, http.MethodDelete, c.path(""), nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "deleted", c.ID)
	return err
}
