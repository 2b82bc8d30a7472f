package channelx

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/parley-im/parley/domain"
)

// caller is who a request of the application API is by.
type caller struct {
	account domain.Account
	// operator is who the token acts as: its agent, or itself.
	operator      domain.Operator
	agent         int64 // 0 = the token acts as itself
	admin, reader bool
	all           func(account string) []domain.Channel
}

// role is the caller's role on the wire; a reader has the lesser one.
func (c caller) role() string {
	if c.admin {
		return roleAdministrator
	}
	return roleAgent
}

// actor is the caller as the desk knows who gives a command.
func (c caller) actor() actor {
	return actor{account: c.account, operator: &c.operator, agent: c.agent, role: c.role(), channels: c.channels()}
}

// sees tells whether the caller may see an inbox (channelx.md 2.2).
func (c caller) sees(ch domain.Channel) bool {
	return ch.Account == c.account.Name && (c.admin || ch.Inbox.Member(c.operator.ID))
}

// channels lists the inboxes that the caller may see, by channel: of those that are
// there, whoever asks.
func (c caller) channels() []string {
	seen := []string{}
	for _, ch := range c.all(c.account.Name) {
		if ch.Dialect.HasTickets() && c.sees(ch) {
			seen = append(seen, ch.ID)
		}
	}
	return seen
}

// What callers without access are told (channelx.md 10.1).
var (
	errSuspended    = plainError{http.StatusUnauthorized, "Account is suspended"}
	errUnknownToken = plainError{http.StatusUnauthorized, "Invalid Access Token"}
	errNoAccess     = plainError{http.StatusUnauthorized, "You are not authorized to access this account"}
	errNoRight      = plainError{http.StatusUnauthorized, "You are not authorized to do this action"}
	errNoToken      = errors.New("no token")
)

// secretOf gives the token of a request: the header api_access_token in either
// spelling, or a bearer token where neither is there (channelx.md 2.2).
func secretOf(h http.Header) string {
	if secret := h.Get("Api-Access-Token"); secret != "" {
		return secret
	}
	// What net/http makes of api_access_token, whose underscores are no hyphens.
	if secret := h.Get("Api_access_token"); secret != "" {
		return secret
	}
	kind, secret, _ := strings.Cut(h.Get("Authorization"), " ")
	if strings.EqualFold(kind, "bearer") {
		return strings.TrimSpace(secret)
	}
	return ""
}

// identify finds who a request is by, in the account of its token.
func (d *Door) identify(r *http.Request) (caller, error) {
	secret := secretOf(r.Header)
	if secret == "" {
		return caller{}, errNoToken
	}
	token, ok := d.Directory.Token(secret)
	if !ok && token.Account != "" {
		return caller{}, errSuspended // the token is known, its account is disabled
	}
	if !ok {
		return caller{}, errUnknownToken
	}
	account, ok := d.Directory.Account(token.Account)
	switch {
	case !ok:
		return caller{}, errUnknownToken
	case account.Disabled:
		return caller{}, errSuspended
	}
	c := caller{
		account: account, all: d.Inboxes.Channels,
		admin: token.Role.Allows(domain.RoleAdmin), reader: !token.Role.Allows(domain.RoleAgent),
	}
	c.operator, c.agent = operatorBehind(d.Directory, token)
	return c, nil
}

// enter finds who a request below an account is by, and whether they belong there.
func (d *Door) enter(r *http.Request) (caller, error) {
	c, err := d.identify(r)
	if err != nil {
		return caller{}, err
	}
	number, err := strconv.ParseInt(r.PathValue("account_id"), 10, 64)
	if err != nil {
		return caller{}, errNotThere
	}
	account, ok := d.Directory.AccountByNumber(number)
	switch {
	case !ok:
		return caller{}, errNotThere
	case account.Name != c.account.Name:
		return caller{}, errNoAccess
	}
	return c, nil
}
