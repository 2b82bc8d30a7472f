package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

const tagTokens = "Tokens"

// tokenInput is a platform token to be made.
type tokenInput struct {
	Name  string `json:"name" minLength:"1" maxLength:"255" doc:"For people; it is the author of messages that are sent with the token." example:"agent desktop"`
	Role  string `json:"role" enum:"admin,agent,reader" doc:"admin: everything; agent: read, reply, close and assign; reader: read."`
	Agent int64  `json:"agent_id,omitempty" minimum:"0" doc:"channelx: the agent that the token acts as. Absent: it acts as itself, under its name."`
}

// tokenView is a platform token without its secret.
type tokenView struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	Role      domain.Role `json:"role"`
	AgentID   int64       `json:"agent_id,omitempty" doc:"channelx: the agent that the token acts as."`
	CreatedAt time.Time   `json:"created_at"`
}

// newTokenView is a platform token that was just made.
type newTokenView struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	Role      domain.Role `json:"role"`
	AgentID   int64       `json:"agent_id,omitempty" doc:"channelx: the agent that the token acts as."`
	CreatedAt time.Time   `json:"created_at"`
	Token     string      `json:"token" doc:"The secret. It is shown here and never again: only its hash is kept."`
}

func showToken(t domain.Token) tokenView {
	return tokenView{ID: t.ID, Name: t.Name, Role: t.Role, AgentID: t.Agent, CreatedAt: t.CreatedAt}
}

// showNewToken shows a token with its secret.
func showNewToken(t domain.Token, secret string) newTokenView {
	v := showToken(t)
	return newTokenView{ID: v.ID, Name: v.Name, Role: v.Role, AgentID: v.AgentID, CreatedAt: v.CreatedAt, Token: secret}
}

func (p *platform) tokenRoutes() {
	handle(p, operation{
		id: "create-token", method: http.MethodPost, path: "/v1/tokens", tag: tagTokens, need: domain.RoleAdmin,
		summary: "Create a platform token", status: http.StatusCreated,
		description: "The token belongs to the account of the token that makes it.",
	}, p.createToken)
	handle(p, operation{
		id: "list-tokens", method: http.MethodGet, path: "/v1/tokens", tag: tagTokens, need: domain.RoleAdmin,
		summary: "List platform tokens", description: "Oldest first, without their secrets and without the installation's admin token.",
	}, p.listTokens)
	handle(p, operation{
		id: "delete-token", method: http.MethodDelete, path: "/v1/tokens/{id}", tag: tagTokens, need: domain.RoleAdmin,
		summary: "Revoke a platform token", status: http.StatusNoContent,
		description: "It stops working at once. 409 for the token of a function, which goes with the function.",
		problems:    []int{http.StatusConflict},
	}, p.deleteToken)
}

func (p *platform) createToken(ctx context.Context, c caller, in *struct {
	KeyParam
	Body tokenInput
},
) (*struct{ Body newTokenView }, error) {
	if _, ok := p.Directory.Agent(c.Account, in.Body.Agent); in.Body.Agent != 0 && !ok {
		return nil, unmet("agent_id", "must be the id of an agent; there is no agent %d", in.Body.Agent)
	}
	secret, err := domain.NewSecret(p.Random)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewRandomFromReader(p.Random)
	if err != nil {
		return nil, fmt.Errorf("make token id: %w", err)
	}
	t, err := p.TokenAdmin.CreateToken(ctx, domain.Token{
		ID: id.String(), Account: c.Account, Name: in.Body.Name, Role: domain.Role(in.Body.Role),
		Hash: domain.HashSecret(secret), Agent: in.Body.Agent, CreatedAt: domain.Stamp(p.Now()),
	})
	if err != nil {
		return nil, err
	}
	return &struct{ Body newTokenView }{Body: showNewToken(t, secret)}, nil
}

func (p *platform) listTokens(_ context.Context, c caller, in *PageParams) (*struct{ Body list[tokenView] }, error) {
	part, next, err := cut(p.TokenAdmin.Tokens(c.Account), in.page(), func(t domain.Token) string {
		return ageKey(t.CreatedAt, t.ID)
	})
	if err != nil {
		return nil, err
	}
	return &struct{ Body list[tokenView] }{Body: listOf(part, next, showToken)}, nil
}

func (p *platform) deleteToken(ctx context.Context, c caller, in *struct {
	ID string `path:"id" doc:"The token's id."`
},
) (*struct{}, error) {
	for _, f := range p.Directory.Functions(c.Account) {
		if f.TokenID == in.ID {
			return nil, inUse("token", "function "+f.Name, "function", f.Name)
		}
	}
	return nil, p.TokenAdmin.DeleteToken(ctx, c.Account, in.ID)
}
