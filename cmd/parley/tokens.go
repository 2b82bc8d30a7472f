package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

type tokensCommand struct {
	List   tokensList   `cmd:"" help:"List the account's tokens, without their secrets."`
	Create tokensCreate `cmd:"" help:"Create a token and print its secret, once."`
	Revoke tokensRevoke `cmd:"" help:"Revoke a token; it stops working at once."`
}

type tokensList struct{ listing }

// Run lists tokens.
func (c tokensList) Run(ctx context.Context, s streams) error {
	return c.list(ctx, s, "/v1/tokens", nil, []column{{"ID", "id"}, {"ROLE", "role"}, {"NAME", "name"}, {"AGENT", "agent_id"}, {"CREATED", "created_at"}})
}

type tokensCreate struct {
	remote

	Name    string `help:"What it is for." required:"true" placeholder:"NAME"`
	Role    string `help:"What it may do: admin, agent or reader." default:"agent" enum:"admin,agent,reader"`
	AgentID int64  `help:"The agent that it acts as in ChannelX. It acts as itself unless given." name:"agent-id" placeholder:"N"`
}

// Run creates a token.
func (c tokensCreate) Run(ctx context.Context, s streams) error {
	body := fields{"name": c.Name, "role": c.Role}
	if c.AgentID != 0 {
		body["agent_id"] = c.AgentID
	}
	return c.print(ctx, s, http.MethodPost, "/v1/tokens", body)
}

type tokensRevoke struct {
	remote

	ID string `arg:"" help:"Id of the token."`
}

// Run revokes a token.
func (c tokensRevoke) Run(ctx context.Context, s streams) error {
	if _, err := c.call(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(c.ID), nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "revoked", c.ID)
	return err
}
