package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

type deliveriesCommand struct {
	List    deliveriesList    `cmd:"" help:"List deliveries, newest first."`
	Show    deliveriesShow    `cmd:"" help:"Show a delivery with its attempts."`
	Redrive deliveriesRedrive `cmd:"" help:"Send a dead letter after all; what is parked behind it follows in order."`
	Drop    deliveriesDrop    `cmd:"" help:"Give a dead letter up; what is parked behind it goes on."`
}

type deliveriesList struct {
	remote

	State   string `help:"pending, retrying, delivered, dead or dropped." enum:",pending,retrying,delivered,dead,dropped" default:""`
	Channel string `help:"Only of this channel." placeholder:"ID"`
	Limit   int    `help:"How many at most." default:"50"`
	Cursor  string `help:"Go on where a list ended." placeholder:"CURSOR"`
}

// Run lists deliveries.
func (c deliveriesList) Run(ctx context.Context, s streams) error {
	query := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for name, value := range map[string]string{"state": c.State, "channel": c.Channel, "cursor": c.Cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
	raw, err := c.call(ctx, http.MethodGet, "/v1/deliveries?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	return c.table(s.out, raw, []string{"ID", "STATE", "TRIES", "CHANNEL", "CONTACT", "REASON", "CREATED"}, func() ([][]string, error) {
		var page struct {
			Data []struct {
				ID         string `json:"id"`
				State      string `json:"state"`
				Attempts   int    `json:"attempt_count"`
				ChannelID  string `json:"channel_id"`
				ContactRef string `json:"contact_ref"`
				Reason     string `json:"last_reason"`
				CreatedAt  string `json:"created_at"`
			} `json:"data"`
		}
		err := json.Unmarshal(raw, &page)
		var rows [][]string
		for _, d := range page.Data {
			rows = append(rows, []string{d.ID, d.State, strconv.Itoa(d.Attempts), d.ChannelID, d.ContactRef, d.Reason, d.CreatedAt})
		}
		return rows, err
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
