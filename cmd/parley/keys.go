package main

import (
	"context"
	"net/http"
)

type keysCommand struct {
	List   keysList   `cmd:"" help:"List the installation's keys, without their secrets."`
	Rotate keysRotate `cmd:"" help:"Make a new key; what older ones have signed stays good until it ends."`
}

type keysList struct{ listing }

// Run lists the keys.
func (c keysList) Run(ctx context.Context, s streams) error {
	return c.list(ctx, s, "/v1/keys", nil, []column{{"ID", "id"}, {"PURPOSE", "purpose"}, {"CREATED", "created_at"}})
}

type keysRotate struct{ remote }

// Run makes a new key.
func (c keysRotate) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, "/v1/keys/rotate", nil)
}
