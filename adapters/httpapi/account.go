package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagAccounts = "Accounts"

// accountInput is an account to be made.
type accountInput struct {
	Name   string `json:"name" minLength:"1" maxLength:"63" doc:"1 to 63 small letters, digits and hyphens, with no hyphen at either end. It never changes: integrations send it as domain." example:"acme"`
	Title  string `json:"title,omitempty" maxLength:"255" doc:"For people." example:"Acme Ltd"`
	Number int64  `json:"number,omitempty" minimum:"0" maximum:"2147483647" doc:"channelx: the account_id, to bring along; 409 when it is taken. Absent: one that follows from the name; 1 for the account default."`
}

// accountChangeInput holds the settings to be changed; what is absent stays.
type accountChangeInput struct {
	Title    *string `json:"title,omitempty" maxLength:"255" doc:"For people."`
	Number   *int64  `json:"number,omitempty" minimum:"0" maximum:"2147483647" doc:"channelx: the account_id; 0: one that follows from the name. Integrations have it in their addresses."`
	Disabled *bool   `json:"disabled,omitempty" doc:"None of the account's tokens is good for anything, and its channels are disabled. The account default cannot be disabled."`
}

// accountView is an account as the API shows it.
type accountView struct {
	Name      string    `json:"name" example:"acme"`
	Title     string    `json:"title"`
	Number    int64     `json:"number" doc:"channelx: the account_id." example:"1"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at,omitzero" doc:"Absent for the account default until it is changed."`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// newAccountView is an account that was just made, with its first token.
type newAccountView struct {
	Name      string       `json:"name" example:"acme"`
	Title     string       `json:"title"`
	Number    int64        `json:"number" doc:"channelx: the account_id." example:"2"`
	Disabled  bool         `json:"disabled"`
	CreatedAt time.Time    `json:"created_at"`
	UpdatedAt time.Time    `json:"updated_at"`
	Token     newTokenView `json:"token" doc:"The account's first admin token."`
}

func showAccount(a domain.Account) accountView {
	return accountView{Name: a.Name, Title: a.Title, Number: a.WireNumber(), Disabled: a.Disabled, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt}
}

// AccountPath names an account.
type AccountPath struct {
	Name string `path:"name" doc:"The account's name." example:"acme"`
}

func (p *platform) accountRoutes() {
	const whose = "Only for tokens of the account default."
	handle(p, operation{
		id: "create-account", method: http.MethodPost, path: "/v1/accounts", tag: tagAccounts, need: domain.RoleAdmin,
		summary: "Create an account", status: http.StatusCreated,
		description: "The answer shows the account's first admin token, which is never shown again. " +
			"A repeat under an Idempotency-Key whose answer was lost gives that token another secret. " + whose,
	}, p.createAccount)
	handle(p, operation{
		id: "list-accounts", method: http.MethodGet, path: "/v1/accounts", tag: tagAccounts, need: domain.RoleAdmin,
		summary: "List accounts", description: "Oldest first. " + whose,
	}, p.listAccounts)
	handle(p, operation{
		id: "get-account", method: http.MethodGet, path: "/v1/accounts/{name}", tag: tagAccounts, need: domain.RoleAdmin,
		summary: "Read an account", description: whose,
	}, p.getAccount)
	handle(p, operation{
		id: "change-account", method: http.MethodPatch, path: "/v1/accounts/{name}", tag: tagAccounts, need: domain.RoleAdmin,
		summary: "Change an account", description: whose,
	}, p.changeAccount)
	handle(p, operation{
		id: "get-own-account", method: http.MethodGet, path: "/v1/account", tag: tagAccounts, need: domain.RoleReader,
		summary: "Read the account of the token",
	}, p.getOwnAccount)
}

// installation makes sure that the caller may look after the whole installation.
func (c caller) installation() error {
	if c.Account != domain.DefaultAccount {
		return domain.Errorf(domain.CodeForbidden, "This needs an admin token of the account %s.", domain.DefaultAccount)
	}
	return nil
}

// createAccount makes the first token before the account: an account whose token
// nobody has seen would be of no use, a token without an account is just listed
// nowhere. Under an idempotency key the token's id follows from the key, so a
// repeat finds the account that it made, and gives it another secret.
func (p *platform) createAccount(ctx context.Context, c caller, in *struct {
	KeyParam
	Body accountInput
},
) (*madeOutput[newAccountView], error) {
	if err := c.installation(); err != nil {
		return nil, err
	}
	a := domain.Account{Name: in.Body.Name, Title: in.Body.Title, Number: in.Body.Number}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	leave, err := p.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	id, err := p.thingID(in.Key, "account-token", a.Name)
	if err != nil {
		return nil, err
	}
	there, taken := p.Directory.Account(a.Name)
	if taken && !p.hasToken(a.Name, id) {
		return nil, clash("name", "is taken: there is an account %s", a.Name)
	}
	for _, other := range p.Directory.Accounts() {
		if other.Name != a.Name && other.WireNumber() == a.WireNumber() {
			return nil, clash("number", "is that of the account %s", other.Name)
		}
	}
	t, secret, err := p.issue(ctx, domain.Token{ID: id, Account: a.Name, Name: "first admin", Role: domain.RoleAdmin})
	if err != nil {
		return nil, err
	}
	if !taken {
		if there, err = p.Directory.CreateAccount(ctx, a); err != nil {
			return nil, err
		}
	}
	v := showAccount(there)
	return &madeOutput[newAccountView]{Location: "/v1/accounts/" + a.Name, Body: newAccountView{
		Name: v.Name, Title: v.Title, Number: v.Number, Disabled: v.Disabled, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt, Token: showNewToken(t, secret),
	}}, nil
}

func (p *platform) hasToken(account, id string) bool {
	for _, t := range p.TokenAdmin.Tokens(account) {
		if t.ID == id {
			return true
		}
	}
	return false
}

func (p *platform) listAccounts(_ context.Context, c caller, in *PageParams) (*shownOutput[list[accountView]], error) {
	if err := c.installation(); err != nil {
		return nil, err
	}
	part, next, err := cut(p.Directory.Accounts(), in.page(), func(a domain.Account) string { return ageKey(a.CreatedAt, a.Name) })
	if err != nil {
		return nil, err
	}
	return &shownOutput[list[accountView]]{listOf(part, next, showAccount)}, nil
}

func (p *platform) getAccount(_ context.Context, c caller, in *AccountPath) (*shownOutput[accountView], error) {
	if err := c.installation(); err != nil {
		return nil, err
	}
	a, ok := p.Directory.Account(in.Name)
	if !ok {
		return nil, notFound("account", in.Name)
	}
	return &shownOutput[accountView]{showAccount(a)}, nil
}

func (p *platform) changeAccount(ctx context.Context, c caller, in *struct {
	AccountPath
	Body accountChangeInput
},
) (*shownOutput[accountView], error) {
	if err := c.installation(); err != nil {
		return nil, err
	}
	if _, ok := p.Directory.Account(in.Name); !ok {
		return nil, notFound("account", in.Name)
	}
	if b := in.Body; b.Disabled != nil && *b.Disabled && in.Name == domain.DefaultAccount {
		return nil, clash("disabled", "is not possible for the account %s: its tokens look after the installation", in.Name)
	}
	a, err := p.Directory.ChangeAccount(ctx, in.Name, func(a *domain.Account) error {
		set(&a.Title, in.Body.Title)
		set(&a.Number, in.Body.Number)
		set(&a.Disabled, in.Body.Disabled)
		return a.Validate()
	})
	if err != nil {
		return nil, err
	}
	return &shownOutput[accountView]{showAccount(a)}, nil
}

func (p *platform) getOwnAccount(_ context.Context, c caller, _ *struct{}) (*shownOutput[accountView], error) {
	a, ok := p.Directory.Account(c.Account)
	if !ok {
		a = domain.Account{Name: c.Account} // a token that exists by configuration
	}
	return &shownOutput[accountView]{showAccount(a)}, nil
}
