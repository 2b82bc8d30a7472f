package main

import (
	"context"
	"net/http"
	"net/url"
)

type deliveriesCommand struct {
	List    deliveriesList    `cmd:"" help:"List deliveries, newest first."`
	Show    deliveriesShow    `cmd:"" help:"Show a delivery with its request and its attempts."`
	Redrive deliveriesRedrive `cmd:"" help:"Send a dead letter after all; what is parked behind it follows in order."`
	Drop    deliveriesDrop    `cmd:"" help:"Give a dead letter up; what is parked behind it goes on."`
}

type deliveriesList struct {
	listing

	State   string `help:"pending, retrying, delivered, dead or dropped." enum:",pending,retrying,delivered,dead,dropped" default:""`
	Channel string `help:"Only of this channel." placeholder:"ID"`
	Kind    string `help:"Only of this kind: message, close (told the integration), function (called), subscription (told) or notice (of ChannelX)." enum:",message,close,function,subscription,notice" default:"" placeholder:"KIND"`
}

// Run lists deliveries.
func (c deliveriesList) Run(ctx context.Context, s streams) error {
	filters := map[string]string{"state": c.State, "channel": c.Channel, "kind": c.Kind}
	return c.list(ctx, s, "/v1/deliveries", filters, []column{
		{"ID", "id"}, {"STATE", "state"}, {"KIND", "kind"}, {"TRIES", "attempt_count"}, {"CHANNEL", "channel_id"}, {"CONTACT", "contact_ref"},
		{"REASON", "last_reason"}, {"CREATED", "created_at"},
	})
}

type deliveryID struct {
	ID string `arg:"" help:"Id of the delivery."`
}

func (d deliveryID) path(more string) string { return "/v1/deliveries/" + url.PathEscape(d.ID) + more }

type deliveriesShow struct {
	remote
	deliveryID
}

// Run shows a delivery.
func (c deliveriesShow) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(""), nil)
}

type deliveriesRedrive struct {
	remote
	deliveryID
}

// Run redrives a dead letter.
func (c deliveriesRedrive) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/redrive"), nil)
}

type deliveriesDrop struct {
	remote
	deliveryID
}

// Run drops a dead letter.
func (c deliveriesDrop) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/drop"), nil)
}
