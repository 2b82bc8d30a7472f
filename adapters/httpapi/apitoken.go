package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagAPITokens = "API tokens"

// apiTokenInput is an API token to be made.
type apiTokenInput struct {
	Name  string `json:"name" minLength:"1" maxLength:"255" doc:"For people." example:"Shop app"`
	Value string `json:"value,omitempty" maxLength:"255" doc:"A value to bring along, 8 to 255 bytes, such as that of a token which integrations have already. Absent: a random one."`
}

// apiTokenView is an API token as the API shows it.
type apiTokenView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Value     string     `json:"value,omitempty" doc:"What integrations send as access_token. Only for tokens of role admin, and not in lists."`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at" doc:"Since then it lets nobody in."`
}

func showAPIToken(t domain.APIToken) apiTokenView {
	return apiTokenView{ID: t.ID, Name: t.Name, CreatedAt: t.CreatedAt, RevokedAt: t.RevokedAt}
}

// showAPISecret is showAPIToken for those who may see the value.
func showAPISecret(c caller, t domain.APIToken) apiTokenView {
	v := showAPIToken(t)
	if c.Role.Allows(domain.RoleAdmin) {
		v.Value = t.Value
	}
	return v
}

// APITokenPath names an API token.
type APITokenPath struct {
	ID string `path:"id" doc:"The API token's id."`
}

func (p *platform) apiTokenRoutes() {
	handle(p, operation{
		id: "create-api-token", method: http.MethodPost, path: "/v1/api-tokens", tag: tagAPITokens, need: domain.RoleAdmin,
		summary: "Create an API token", status: http.StatusCreated,
		description: "Integrations of dialect voximplant log in with it, and the callbacks of channels that pick it are signed with it.",
	}, p.createAPIToken)
	handle(p, operation{
		id: "list-api-tokens", method: http.MethodGet, path: "/v1/api-tokens", tag: tagAPITokens, need: domain.RoleReader,
		summary: "List API tokens", description: "Oldest first, revoked ones as well, without their values.",
	}, p.listAPITokens)
	handle(p, operation{
		id: "get-api-token", method: http.MethodGet, path: "/v1/api-tokens/{id}", tag: tagAPITokens, need: domain.RoleReader,
		summary: "Read an API token",
	}, p.getAPIToken)
	handle(p, operation{
		id: "revoke-api-token", method: http.MethodDelete, path: "/v1/api-tokens/{id}", tag: tagAPITokens, need: domain.RoleAdmin,
		summary: "Revoke an API token", status: http.StatusNoContent,
		description: "It lets nobody in any more, at once, and what was logged in with it is out. " +
			"Callbacks of channels that have picked it are signed with it until they pick another.",
	}, p.revokeAPIToken)
}

func (p *platform) createAPIToken(ctx context.Context, c caller, in *struct {
	KeyParam
	Body apiTokenInput
},
) (*madeOutput[apiTokenView], error) {
	id, err := p.thingID(in.Key, "api-token", c.Account)
	if err != nil {
		return nil, err
	}
	t, there := p.Directory.APIToken(c.Account, id)
	if !there { // else it is the one that an earlier request under the key has made
		if t, err = p.newAPIToken(c, id, in.Body.Name, in.Body.Value); err != nil {
			return nil, err
		}
		if t, err = p.Directory.CreateAPIToken(ctx, t); err != nil {
			return nil, err
		}
	}
	return &madeOutput[apiTokenView]{Location: "/v1/api-tokens/" + t.ID, Body: showAPISecret(c, t)}, nil
}

// newAPIToken is an API token that is right but not made yet; without a value it
// gets a random one.
func (p *platform) newAPIToken(c caller, id, name, value string) (domain.APIToken, error) {
	t := domain.APIToken{ID: id, Account: c.Account, Name: name, Value: value, CreatedAt: domain.Stamp(p.Now())}
	if value == "" {
		var err error
		if t.Value, err = domain.NewSecret(p.Random); err != nil {
			return domain.APIToken{}, err
		}
	}
	return t, t.Validate()
}

func (p *platform) listAPITokens(_ context.Context, c caller, in *PageParams) (*shownOutput[list[apiTokenView]], error) {
	part, next, err := cut(p.Directory.APITokens(c.Account), in.page(), func(t domain.APIToken) string { return ageKey(t.CreatedAt, t.ID) })
	if err != nil {
		return nil, err
	}
	return &shownOutput[list[apiTokenView]]{listOf(part, next, showAPIToken)}, nil
}

func (p *platform) getAPIToken(_ context.Context, c caller, in *APITokenPath) (*shownOutput[apiTokenView], error) {
	t, ok := p.Directory.APIToken(c.Account, in.ID)
	if !ok {
		return nil, notFound("API token", in.ID)
	}
	return &shownOutput[apiTokenView]{showAPISecret(c, t)}, nil
}

func (p *platform) revokeAPIToken(ctx context.Context, c caller, in *APITokenPath) (*struct{}, error) {
	if _, ok := p.Directory.APIToken(c.Account, in.ID); !ok {
		return nil, notFound("API token", in.ID)
	}
	_, err := p.Directory.RevokeAPIToken(ctx, c.Account, in.ID)
	return nil, err
}
