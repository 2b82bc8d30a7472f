package main

import (
	"context"
	"net/http"
	"net/url"
)

type endpointsCommand struct {
	List   endpointsList   `cmd:"" help:"List endpoints and how their attempts have gone."`
	Show   endpointsShow   `cmd:"" help:"Show an endpoint."`
	Pause  endpointsPause  `cmd:"" help:"Stop calling an endpoint; what is for it waits."`
	Resume endpointsResume `cmd:"" help:"Call an endpoint again."`
}

type endpointsList struct {
	listing

	State string `help:"healthy, warned or paused." enum:",healthy,warned,paused" default:""`
}

// Run lists endpoints.
func (c endpointsList) Run(ctx context.Context, s streams) error {
	return c.list(ctx, s, "/v1/endpoints", map[string]string{"state": c.State}, []column{
		{"ID", "id"}, {"STATE", "state"}, {"REASON", "reason"}, {"FAILURES", "failures"}, {"LAST", "last_reason"},
		{"FAILING SINCE", "failing_since"}, {"LAST SUCCESS", "last_success_at"},
	})
}

type endpointID struct {
	ID string `arg:"" help:"Id of the endpoint: a channel, sub~<subscription> or <channel>#<function>."`
}

func (e endpointID) path(more string) string { return "/v1/endpoints/" + url.PathEscape(e.ID) + more }

type endpointsShow struct {
	remote
	endpointID
}

// Run shows an endpoint.
func (c endpointsShow) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(""), nil)
}

type endpointsPause struct {
	remote
	endpointID
}

// Run pauses an endpoint.
func (c endpointsPause) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/pause"), nil)
}

type endpointsResume struct {
	remote
	endpointID
}

// Run resumes an endpoint.
func (c endpointsResume) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/resume"), nil)
}
