package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

type channelsCommand struct {
	List   channelsList   `cmd:"" help:"List the channels."`
	Create channelsCreate `cmd:"" help:"Create a channel and print its id, webhook URL and token."`
	Show   channelsShow   `cmd:"" help:"Show a channel with its token."`
	Change channelsChange `cmd:"" help:"Change a channel."`
	Rotate channelsRotate `cmd:"" help:"Give a channel a new token; the old one is invalid at once."`
	Test   channelsTest   `cmd:"" help:"Call a channel's callback and tell what it answers."`
	Delete channelsDelete `cmd:"" help:"Delete a channel; its history stays."`
}

type channelsList struct{ remote }

// Run lists the channels.
func (c channelsList) Run(ctx context.Context, s streams) error {
	raw, err := c.call(ctx, http.MethodGet, "/v1/channels?limit=200", nil)
	if err != nil {
		return err
	}
	return c.table(s.out, raw, []string{"ID", "DIALECT", "ID TYPE", "NAME", "CALLBACK"}, func() ([][]string, error) {
		var page struct {
			Data []struct {
				ID          string `json:"id"`
				Dialect     string `json:"dialect"`
				IDType      string `json:"id_type"`
				Name        string `json:"name"`
				CallbackURL string `json:"callback_url"`
			} `json:"data"`
		}
		err := json.Unmarshal(raw, &page)
		var rows [][]string
		for _, ch := range page.Data {
			rows = append(rows, []string{ch.ID, ch.Dialect, ch.IDType, ch.Name, ch.CallbackURL})
		}
		return rows, err
	})
}

// channelSettings are the settings that create and change share.
type channelSettings struct {
	Name        string   `help:"Name that operators see." placeholder:"NAME"`
	CallbackURL string   `help:"Where replies are posted to." placeholder:"URL"`
	Schedule    []string `help:"Waits between tries, such as 1s,5s,2m." placeholder:"WAIT,..."`
	SingleTry   bool     `help:"Try each callback once, without a schedule."`
	MaxAge      string   `help:"When to give up, after the first try." placeholder:"72h"`
	OnExhausted string   `help:"What followers do behind a used-up schedule: park or continue." enum:",park,continue" default:""`
	Rate        *int     `help:"Callbacks per second; 0 is no limit." placeholder:"N"`
}

func (c channelSettings) body() map[string]any {
	body := map[string]any{}
	if c.Name != "" {
		body["name"] = c.Name
	}
	if c.CallbackURL != "" {
		body["callback_url"] = c.CallbackURL
	}
	delivery := map[string]any{}
	switch {
	case c.SingleTry:
		delivery["schedule"] = []string{}
	case len(c.Schedule) > 0:
		delivery["schedule"] = c.Schedule
	}
	if c.MaxAge != "" {
		delivery["max_age"] = c.MaxAge
	}
	if c.OnExhausted != "" {
		delivery["on_exhausted"] = c.OnExhausted
	}
	if len(delivery) > 0 {
		body["delivery"] = delivery
	}
	if c.Rate != nil {
		body["rate_per_second"] = *c.Rate
	}
	return body
}

type channelsCreate struct {
	remote
	channelSettings

	Dialect string `help:"Wire protocol: respondio or ismessenger." default:"respondio" placeholder:"DIALECT"`
	IDType  string `help:"What a contact's id is: phone or custom." default:"phone" enum:"phone,custom"`
}

// Run creates a channel.
func (c channelsCreate) Run(ctx context.Context, s streams) error {
	body := c.body()
	body["dialect"], body["id_type"] = c.Dialect, c.IDType
	return c.print(ctx, s, http.MethodPost, "/v1/channels", body)
}

// print makes a call and prints the answer.
func (r remote) print(ctx context.Context, s streams, method, path string, body any) error {
	raw, err := r.call(ctx, method, path, body)
	if err != nil {
		return err
	}
	return indent(s.out, raw)
}

type channelID struct {
	ID string `arg:"" help:"Id of the channel."`
}

func (c channelID) path(more string) string { return "/v1/channels/" + url.PathEscape(c.ID) + more }

type channelsShow struct {
	remote
	channelID
}

// Run shows a channel.
func (c channelsShow) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(""), nil)
}

type channelsChange struct {
	remote
	channelID
	channelSettings
}

// Run changes a channel.
func (c channelsChange) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPatch, c.path(""), c.body())
}

type channelsRotate struct {
	remote
	channelID
}

// Run rotates a channel's token.
func (c channelsRotate) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/rotate"), nil)
}

type channelsTest struct {
	remote
	channelID
}

// Run calls a channel's callback.
func (c channelsTest) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/test"), nil)
}

type channelsDelete struct {
	remote
	channelID
}

// Run deletes a channel.
func (c channelsDelete) Run(ctx context.Context, s streams) error {
	if _, err := c.call(ctx, http.MethodDelete, c.path(""), nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "deleted", c.ID)
	return err
}
