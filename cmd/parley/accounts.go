package main

import (
	"context"
	"net/http"
	"net/url"
)

type accountsCommand struct {
	List   accountsList   `cmd:"" help:"List the accounts."`
	Create accountsCreate `cmd:"" help:"Create an account and print it with the token of its first admin, once."`
	Show   accountsShow   `cmd:"" help:"Show an account."`
	Change accountsChange `cmd:"" help:"Change an account, disable it or enable it."`
}

const accountsPath = "/v1/accounts"

type accountsList struct{ listing }

// Run lists the accounts.
func (c accountsList) Run(ctx context.Context, s streams) error {
	return c.list(ctx, s, accountsPath, nil, []column{
		{"NAME", "name"}, {"NUMBER", "number"}, {"TITLE", "title"}, {"DISABLED", "disabled"}, {"CREATED", "created_at"},
	})
}

type accountsCreate struct {
	remote

	Name   string `arg:"" help:"Name of small letters, digits and hyphens. It never changes; integrations of Voximplant Kit log in with it."`
	Title  string `help:"What people call it." placeholder:"TITLE"`
	Number int64  `help:"The account_id of ChannelX, such as integrations have it in their addresses. One that follows from the name unless given." placeholder:"N"`
}

// Run creates an account.
func (c accountsCreate) Run(ctx context.Context, s streams) error {
	body := fields{"name": c.Name}
	body.text("title", c.Title)
	if c.Number != 0 {
		body["number"] = c.Number
	}
	return c.print(ctx, s, http.MethodPost, accountsPath, body)
}

type accountName struct {
	Name string `arg:"" help:"Name of the account."`
}

func (a accountName) path() string { return accountsPath + "/" + url.PathEscape(a.Name) }

type accountsShow struct {
	remote
	accountName
}

// Run shows an account.
func (c accountsShow) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(), nil)
}

type accountsChange struct {
	remote
	accountName

	Title    string `help:"What people call it." placeholder:"TITLE"`
	Number   *int64 `help:"The account_id of ChannelX; 0 is one that follows from the name." placeholder:"N"`
	Disabled *bool  `help:"Whether none of its tokens is good for anything, and its channels are closed." negatable:""`
}

// Run changes an account.
func (c accountsChange) Run(ctx context.Context, s streams) error {
	body := fields{}
	body.text("title", c.Title)
	given(body, "number", c.Number)
	given(body, "disabled", c.Disabled)
	return c.print(ctx, s, http.MethodPatch, c.path(), body)
}
