package domain

import (
	"net/url"
	"time"
	"unicode/utf8"
)

// Dialect is the wire protocol that a channel speaks.
type Dialect string

// The dialects that are there.
const (
	DialectRespondIO   Dialect = "respondio"
	DialectISMessenger Dialect = "ismessenger" // the same wire as respondio under another name
)

// Dialects lists the closed set.
var Dialects = []Dialect{DialectRespondIO, DialectISMessenger}

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
	APIToken string // bearer token, both directions (respond-io.md 2)
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
	case c.Dialect != DialectRespondIO && c.Dialect != DialectISMessenger:
		return Invalid("dialect", "must be one of respondio, ismessenger")
	case c.Name == "":
		return Invalid("name", "is required")
	case utf8.RuneCountInString(c.Name) > MaxChannelName:
		return Invalid("name", "must be at most %d characters", MaxChannelName)
	case c.IDType != IDTypePhone && c.IDType != IDTypeCustom:
		return Invalid("id_type", "must be phone or custom")
	case c.RatePerSecond < 0 || c.RatePerSecond > MaxRatePerSecond:
		return Invalid("rate_per_second", "must be from 0 (no limit) to %d", MaxRatePerSecond)
	}
	if err := ValidateURL("callback_url", c.CallbackURL, MaxCallbackURL); err != nil {
		return err
	}
	return c.Delivery.Validate()
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
