package main

import (
	"context"
	"net/http"
)

type keysCommand struct {
	List   keysList   `cmd:"" help:"List the installation's keys, without their secrets."`
	Rotate keysRotate `cmd:"" help:"Make a new key; what older ones have signed stays good until it ends."`
}

type keysList struct{ remote }

// Run lists the keys.
func (c keysList) Run(ctx context.Context, s streams) error {
	_, err := c.tabulate(ctx, s, "/v1/keys", []column{{"ID", "id"}, {"PURPOSE", "purpose"}, {"CREATED", "created_at"}})
	return err
}

type keysRotate struct {
	remote

	Purpose string `help:"Which key: login, which signs the access and refresh tokens of integrations." default:"login" enum:"login" placeholder:"PURPOSE"`
}

// Run makes a new key.
func (c keysRotate) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, "/v1/keys/rotate", fields{"purpose": c.Purpose})
}
