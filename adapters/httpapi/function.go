package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

const tagFunctions = "Functions"

// functionInput is a function to be made.
type functionInput struct {
	Name string `json:"name" minLength:"1" maxLength:"255" doc:"For people." example:"Opening hours"`
	URL  string `json:"url" maxLength:"2000" doc:"Absolute http or https. It is called with what contacts write and its answer is said to them." example:"https://bot.example.com/hours"`
}

// functionChangeInput holds the settings to be changed; what is absent stays.
type functionChangeInput struct {
	Name *string `json:"name,omitempty" minLength:"1" maxLength:"255" doc:"For people."`
	URL  *string `json:"url,omitempty" maxLength:"2000" doc:"Absolute http or https."`
}

// functionView is a function as the API shows it.
type functionView struct {
	ID        int64     `json:"id" example:"12"`
	Name      string    `json:"name"`
	URL       string    `json:"url"`
	TokenID   string    `json:"token_id" doc:"The platform token of role agent that the function's calls carry."`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func showFunction(f domain.Function) functionView {
	return functionView{ID: f.Number, Name: f.Name, URL: f.URL, TokenID: f.TokenID, CreatedAt: f.CreatedAt, UpdatedAt: f.UpdatedAt}
}

func numberOfFunction(f domain.Function) int64 { return f.Number }

func (p *platform) functionRoutes() {
	nounRoutes(p, noun[domain.Function, functionInput, functionChangeInput, functionView]{
		path: "functions", tag: tagFunctions, one: "function", many: "functions",
		whenMade:    "A platform token of role agent is made with it, which its calls carry and with which it may use this API.",
		whenRemoved: "Its platform token stops working. 409 while a channel redirects to it.",
		all:         p.Directory.Functions, read: p.Directory.Function, number: numberOfFunction, show: showFunction,
		create: p.createFunction, change: p.changeFunction, remove: p.removeFunction,
	})
}

// createFunction makes the token first: if the process dies in between, a token
// is listed whose secret nobody has. Under an idempotency key the token's id
// follows from the key, so a repeat finds the function, or takes the token's place.
func (p *platform) createFunction(ctx context.Context, c caller, key string, in functionInput) (domain.Function, error) {
	f := domain.Function{Account: c.Account, Name: in.Name, URL: in.URL}
	if err := f.Validate(); err != nil {
		return domain.Function{}, err
	}
	id, err := p.thingID(key, "function-token", c.Account)
	if err != nil {
		return domain.Function{}, err
	}
	all := p.Directory.Functions(c.Account)
	for _, there := range all {
		if there.TokenID == id {
			return there, nil
		}
	}
	if f.Number, err = next(ctx, p, c.Account, "function", all, numberOfFunction); err != nil {
		return domain.Function{}, err
	}
	t, secret, err := p.issue(ctx, domain.Token{ID: id, Account: c.Account, Name: "function " + f.Name, Role: domain.RoleAgent})
	if err != nil {
		return domain.Function{}, err
	}
	f.TokenID, f.AccessToken = t.ID, secret
	return p.Directory.CreateFunction(ctx, f)
}

func (p *platform) changeFunction(ctx context.Context, c caller, f domain.Function, in functionChangeInput) (domain.Function, error) {
	return p.Directory.ChangeFunction(ctx, c.Account, f.Number, func(f *domain.Function) error {
		set(&f.Name, in.Name)
		set(&f.URL, in.URL)
		return f.Validate()
	})
}

// removeFunction deletes a function, then its token: if the process dies in
// between, the token is listed and can be revoked.
func (p *platform) removeFunction(ctx context.Context, c caller, f domain.Function) error {
	for _, ch := range p.Channels.Channels(c.Account) {
		if ch.Desk.Function == f.Number {
			return inUse("function", f.Name, "channel", ch.ID)
		}
	}
	if err := p.Directory.DeleteFunction(ctx, c.Account, f.Number); err != nil {
		return err
	}
	if err := p.TokenAdmin.DeleteToken(ctx, c.Account, f.TokenID); domain.CodeOf(err) != domain.CodeNotFound {
		return err
	}
	return nil
}

// issue makes a platform token with a new secret, in place of one of that id.
func (p *platform) issue(ctx context.Context, t domain.Token) (domain.Token, string, error) {
	secret, err := domain.NewSecret(p.Random)
	if err != nil {
		return domain.Token{}, "", err
	}
	if err := p.TokenAdmin.DeleteToken(ctx, t.Account, t.ID); err != nil && domain.CodeOf(err) != domain.CodeNotFound {
		return domain.Token{}, "", err
	}
	t.Hash, t.CreatedAt = domain.HashSecret(secret), domain.Stamp(p.Now())
	made, err := p.TokenAdmin.CreateToken(ctx, t)
	return made, secret, err
}

// thingID names a thing that is about to be made: after the idempotency key when
// there is one, so that a repeat finds it.
func (p *platform) thingID(key, kind string, words ...string) (string, error) {
	if key != "" {
		return domain.DeriveID(kind, append(words, key)...).String(), nil
	}
	id, err := uuid.NewRandomFromReader(p.Random)
	if err != nil {
		return "", err
	}
	return id.String(), nil
}
