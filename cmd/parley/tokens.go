package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

type tokensCommand struct {
	List   tokensList   `cmd:"" help:"List the account's tokens, without their secrets."`
	Create tokensCreate `cmd:"" help:"Create a token and print its secret, once."`
	Revoke tokensRevoke `cmd:"" help:"Revoke a token; it stops working at once."`
}

type tokensList struct{ remote }

// Run lists tokens.
func (c tokensList) Run(ctx context.Context, s streams) error {
	raw, err := c.call(ctx, http.MethodGet, "/v1/tokens", nil)
	if err != nil {
		return err
	}
	return c.table(s.out, raw, []string{"ID", "ROLE", "NAME", "CREATED"}, func() ([][]string, error) {
		var page struct {
			Data []struct {
				ID        string `json:"id"`
				Role      string `json:"role"`
				Name      string `json:"name"`
				CreatedAt string `json:"created_at"`
			} `json:"data"`
		}
		err := json.Unmarshal(raw, &page)
		var rows [][]string
		for _, t := range page.Data {
			rows = append(rows, []string{t.ID, t.Role, t.Name, t.CreatedAt})
		}
		return rows, err
	})
}

type tokensCreate struct {
	remote

	Name string `help:"What it is for." required:"true" placeholder:"NAME"`
	Role string `help:"What it may do: admin, agent or reader." default:"agent" enum:"admin,agent,reader"`
}

// Run creates a token.
func (c tokensCreate) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, "/v1/tokens", map[string]string{"name": c.Name, "role": c.Role})
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
