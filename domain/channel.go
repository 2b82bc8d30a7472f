package domain

import (
	"net/url"
	"slices"
	"time"
	"unicode/utf8"
)

// Dialect is the wire protocol that a channel speaks.
type Dialect string

// The dialects that are there.
const (
	DialectRespondIO   Dialect = "respondio"
	DialectISMessenger Dialect = "ismessenger" // the same wire as respondio under another name
	DialectVoximplant  Dialect = "voximplant"  // the custom channel of Voximplant Kit
	DialectChannelX    Dialect = "channelx"    // the API channel of ChannelX, and of Chatwoot
)

// Dialects lists the closed set.
var Dialects = []Dialect{DialectRespondIO, DialectISMessenger, DialectVoximplant, DialectChannelX}

// HasEpisodes tells whether conversations of the dialect are looked after here:
// with queues, functions and agents, timers, and a callback that tells of a close.
func (d Dialect) HasEpisodes() bool { return d == DialectVoximplant }

// HasTickets tells whether conversations of the dialect are numbered in the
// account, several to a person, and people known across its channels.
func (d Dialect) HasTickets() bool { return d == DialectChannelX }

// ReplacesProfiles tells whether what a contact's message says of them replaces
// what was known (voximplant-kit.md 4.5), and does not only complete it.
func (d Dialect) ReplacesProfiles() bool { return d == DialectVoximplant }

// IDType says what a contact reference of a channel is (respond-io.md 2.1).
type IDType string

// The ID types.
const (
	IDTypePhone  IDType = "phone"
	IDTypeCustom IDType = "custom"
)

// Credentials are the secrets of a channel in clear text. They exist in memory
// and sealed in the log, and are never logged.
type Credentials struct {
	// APIToken is the bearer token of both directions (respond-io.md 2), or the value
	// of the account's API token that the channel has picked (voximplant-kit.md 2.2).
	APIToken  string
	Salt      string // security salt (voximplant-kit.md 2.2)
	HMACToken string // proves who a contact is (channelx.md 5.2)
	Secret    string // signs the callbacks (channelx.md 6.1)
}

// Channel is one configured custom channel.
type Channel struct {
	ID            string
	Account       string
	Dialect       Dialect
	Name          string
	CallbackURL   string
	IDType        IDType
	Delivery      DeliveryPolicy
	RatePerSecond int // callbacks per second to this channel's endpoint; 0 = no limit
	Credentials   Credentials
	APITokenID    string // the picked API token, where the dialect has them
	Desk          Desk   // where the dialect has episodes
	Inbox         Inbox  // where the dialect has tickets
	Disabled      bool   // lets nobody in and is not called; its open episodes are closed
	SkipTLSVerify bool   // take any certificate of the callback
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Revision      int // counts changes, from 1
}

// Limits of channel settings, in characters.
const (
	MaxChannelName = 255
	MaxCallbackURL = 2000 // respond-io.md 2
)

// DefaultRatePerSecond is how many callbacks a second a respond.io or
// IS-Messenger channel gets unless told otherwise (respond-io.md 3.9).
const DefaultRatePerSecond = 20

// MaxRatePerSecond bounds what can be configured.
const MaxRatePerSecond = 100_000

// Validate checks the settings of a channel as a person entered them.
func (c Channel) Validate() error {
	switch {
	case !slices.Contains(Dialects, c.Dialect):
		return Invalid("dialect", "must be one of respondio, ismessenger, voximplant, channelx")
	case c.Name == "":
		return Invalid("name", "is required")
	case utf8.RuneCountInString(c.Name) > MaxChannelName:
		return Invalid("name", "must be at most %d characters", MaxChannelName)
	case c.RatePerSecond < 0 || c.RatePerSecond > MaxRatePerSecond:
		return Invalid("rate_per_second", "must be from 0 (no limit) to %d", MaxRatePerSecond)
	}
	if err := c.validateCallback(); err != nil {
		return err
	}
	if err := c.validateDialect(); err != nil {
		return err
	}
	return c.Delivery.Validate()
}

// validateCallback checks the URL: where the dialect has tickets it is free text
// of whoever sets the inbox up, and may be missing (channelx.md 2.7).
func (c Channel) validateCallback() error {
	if c.Dialect.HasTickets() {
		return length("callback_url", c.CallbackURL, 0, MaxWebhookURL)
	}
	return ValidateURL("callback_url", c.CallbackURL, MaxCallbackURL)
}

// validateDialect checks what only some dialects have.
func (c Channel) validateDialect() error {
	if c.Dialect.HasEpisodes() {
		if c.IDType != "" {
			return Invalid("id_type", "is only for respondio and ismessenger")
		}
		if c.Credentials.Salt == "" {
			return Invalid("security_salt", "is required")
		}
		return c.Desk.Validate()
	}
	if c.Dialect.HasTickets() {
		return c.validateInbox()
	}
	if c.IDType != IDTypePhone && c.IDType != IDTypeCustom {
		return Invalid("id_type", "must be phone or custom")
	}
	return nil
}

// ValidateURL checks that raw is an absolute http or https URL with a host, of
// at most limit characters.
func ValidateURL(field, raw string, limit int) error {
	if raw == "" {
		return Invalid(field, "is required")
	}
	if utf8.RuneCountInString(raw) > limit {
		return Invalid(field, "must be at most %d characters", limit)
	}
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return Invalid(field, "must be an absolute http or https URL")
	}
	return nil
}
