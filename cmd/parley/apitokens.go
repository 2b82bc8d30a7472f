package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

type apiTokensCommand struct {
	List   apiTokensList   `cmd:"" help:"List the account's API tokens, without their values."`
	Create apiTokensCreate `cmd:"" help:"Create an API token, or take one that integrations have already."`
	Show   apiTokensShow   `cmd:"" help:"Show an API token with its value."`
	Revoke apiTokensRevoke `cmd:"" help:"Revoke an API token; nobody logs in with it from now on."`
}

type apiTokensList struct{ listing }

// Run lists API tokens.
func (c apiTokensList) Run(ctx context.Context, s streams) error {
	return c.list(ctx, s, "/v1/api-tokens", nil, []column{
		{"ID", "id"}, {"NAME", "name"}, {"CREATED", "created_at"}, {"REVOKED", "revoked_at"},
	})
}

type apiTokensCreate struct {
	remote

	Name  string `help:"What it is for." required:"true" placeholder:"NAME"`
	Value string `help:"Value that is brought along; a new one without it." placeholder:"SECRET"`
}

// Run creates an API token.
func (c apiTokensCreate) Run(ctx context.Context, s streams) error {
	body := fields{"name": c.Name}
	body.text("value", c.Value)
	return c.print(ctx, s, http.MethodPost, "/v1/api-tokens", body)
}

type apiTokenID struct {
	ID string `arg:"" help:"Id of the API token."`
}

func (t apiTokenID) path() string { return "/v1/api-tokens/" + url.PathEscape(t.ID) }

type apiTokensShow struct {
	remote
	apiTokenID
}

// Run shows an API token.
func (c apiTokensShow) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(), nil)
}

type apiTokensRevoke struct {
	remote
	apiTokenID
}

// Run revokes an API token.
func (c apiTokensRevoke) Run(ctx context.Context, s streams) error {
	if _, err := c.call(ctx, http.MethodDelete, c.path(), nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "revoked", c.ID)
	return err
}
