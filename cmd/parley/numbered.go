package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// numbered are the commands of a noun that an account numbers, such as queue. S
// has the flags of create and change.
type numbered[S numberedNoun] struct {
	List   numberedList[S]   `cmd:"" help:"List them."`
	Create numberedCreate[S] `cmd:"" help:"Create one and print it with its number."`
	Show   numberedShow[S]   `cmd:"" help:"Show one."`
	Change numberedChange[S] `cmd:"" help:"Change one; what is not given stays."`
	Delete numberedDelete[S] `cmd:"" help:"Delete one."`
}

// numberedNoun is what differs between the nouns.
type numberedNoun interface {
	path() string      // of the list
	columns() []column // of the table
	body() fields      // of create and change
}

type numberedList[S numberedNoun] struct{ listing }

// Run lists what there is.
func (c numberedList[S]) Run(ctx context.Context, s streams) error {
	var noun S
	return c.list(ctx, s, noun.path(), nil, append([]column{{"ID", "id"}}, noun.columns()...))
}

type numberedCreate[S numberedNoun] struct {
	remote

	Settings S `embed:""`
}

// Run creates one.
func (c numberedCreate[S]) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.Settings.path(), c.Settings.body())
}

// number names one of a noun.
type number[S numberedNoun] struct {
	ID int64 `arg:"" help:"Its number."`
}

func (n number[S]) path() string {
	var noun S
	return noun.path() + "/" + strconv.FormatInt(n.ID, 10)
}

type numberedShow[S numberedNoun] struct {
	remote
	number[S]
}

// Run shows one.
func (c numberedShow[S]) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(), nil)
}

type numberedChange[S numberedNoun] struct {
	remote
	number[S]

	Settings S `embed:""`
}

// Run changes one.
func (c numberedChange[S]) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPatch, c.path(), c.Settings.body())
}

type numberedDelete[S numberedNoun] struct {
	remote
	number[S]
}

// Run deletes one.
func (c numberedDelete[S]) Run(ctx context.Context, s streams) error {
	if _, err := c.call(ctx, http.MethodDelete, c.path(), nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "deleted", c.ID)
	return err
}
