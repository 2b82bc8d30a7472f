package voximplant

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Lifetimes of tokens (section 3.3).
const (
	accessLife  = 15 * time.Minute
	refreshLife = 24 * time.Hour
)

// The kinds of tokens, and who issues them.
const (
	typeAccess  = "access"
	typeRefresh = "refresh"
	issuer      = "kit-im"
)

// claims are what a token says (section 3.3): the account is its subject, the
// channel its audience.
type claims struct {
	jwt.RegisteredClaims

	Type     string `json:"typ"`
	APIToken string `json:"kid_api"` // id of the API token that logged in
}

// channel is the channel that the token is for.
func (c claims) channel() string {
	if len(c.Audience) != 1 {
		return ""
	}
	return c.Audience[0]
}

// pair is what a login gives (section 3.1).
type pair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// mint makes and reads tokens.
type mint struct {
	keyring *keyring
	random  io.Reader
	now     func() time.Time
	parser  *jwt.Parser
	known   *known
}

func newMint(keys *keyring, random io.Reader, now func() time.Time) *mint {
	return &mint{keyring: keys, random: random, now: now, known: newKnown(), parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
	)}
}

// issue makes the tokens of a login or a refresh. They are kept nowhere: those
// from before stay good until they expire (section 3.2).
func (m *mint) issue(ctx context.Context, account, channel, apiToken string) (pair, error) {
	key, err := m.keyring.newest(ctx, domain.KeyLogin)
	if err != nil {
		return pair{}, err
	}
	var p pair
	if p.Access, err = m.sign(key, account, channel, apiToken, typeAccess, accessLife); err != nil {
		return pair{}, err
	}
	p.Refresh, err = m.sign(key, account, channel, apiToken, typeRefresh, refreshLife)
	return p, err
}

func (m *mint) sign(key domain.SignKey, account, channel, apiToken, kind string, life time.Duration) (string, error) {
	id, err := uuid.NewRandomFromReader(m.random)
	if err != nil {
		return "", fmt.Errorf("make the id of a token: %w", err)
	}
	now := m.now().Truncate(time.Second)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: account, Audience: jwt.ClaimStrings{channel}, ID: id.String(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
		Type: kind, APIToken: apiToken,
	})
	token.Header["kid"] = key.ID
	signed, err := token.SignedString(key.Secret)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}

var errUnknownKey = errors.New("the token names no key that there is")

// read checks a token by itself: that one of ours signed it, that it has not
// expired and that it is of the kind that is wanted. CodeUnauthorized otherwise.
//
// An integration sends the same token with every event for a quarter of an hour,
// so one that was good is known by its hash, and is good until it expires or its
// key goes.
func (m *mint) read(token, kind string) (claims, error) {
	hash := sha256.Sum256([]byte(token))
	if c, key, ok := m.known.get(hash); ok && c.Type == kind && m.now().Before(c.ExpiresAt.Time) {
		if _, ok := m.keyring.named(domain.KeyLogin, key); ok {
			return c, nil
		}
	}
	var c claims
	parsed, err := m.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		id, ok := t.Header["kid"].(string)
		if !ok {
			return nil, errUnknownKey
		}
		key, ok := m.keyring.named(domain.KeyLogin, id)
		if !ok {
			return nil, errUnknownKey
		}
		return key.Secret, nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return claims{}, refused(kind+" token has expired", err)
	case err != nil:
		return claims{}, refused(kind+" token is not valid", err)
	case c.Type != kind:
		return claims{}, refused("the token is not a token for "+kind, nil)
	}
	if key, ok := parsed.Header["kid"].(string); ok {
		m.known.keep(hash, c, key)
	}
	return c, nil
}

func refused(message string, cause error) error {
	return &domain.Error{Code: domain.CodeUnauthorized, Message: message, Err: cause}
}

// standing finds the channel of a token whose login is still good (section 3.3):
// CodeUnauthorized when the account, the API token or the channel is not what it
// was then.
func (d *Door) standing(c claims) (domain.Channel, error) {
	account, ok := d.accounts.Account(c.Subject)
	if !ok || account.Disabled {
		return domain.Channel{}, refused("the account is not active", nil)
	}
	token, ok := d.apiTokens.APIToken(c.Subject, c.APIToken)
	if !ok || token.Revoked() {
		return domain.Channel{}, refused("the API token of the login has been revoked", nil)
	}
	ch, ok := d.channelOf(c.Subject, c.channel())
	if !ok {
		return domain.Channel{}, refused("the channel of the token is not there any more", nil)
	}
	return ch, nil
}

// channelOf finds a custom channel of an account.
func (d *Door) channelOf(account, id string) (domain.Channel, bool) {
	ch, ok := d.channels.Channel(id)
	return ch, ok && ch.Account == account && ch.Dialect == domain.DialectVoximplant
}

// errDisabled answers to whoever comes to a channel that lets nobody in.
func errDisabled() error {
	return domain.Errorf(domain.CodeForbidden, "the channel is disabled")
}

// canonical gives a channel UUID as channels are named: hyphens and small letters
// (section 1).
func canonical(text string) (string, bool) {
	if len(text) != len(uuid.Nil.String()) || uuid.Validate(text) != nil {
		return "", false
	}
	return strings.ToLower(text), true
}
