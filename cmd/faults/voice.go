package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// voice is how one dialect is spoken to Parley and heard from it. Whatever else the
// load does, and all that the oracle looks at, is the same in every dialect.
type voice interface {
	// meet readies what has to be there before a contact writes, and gives the id of
	// the contact's conversation.
	meet(ctx context.Context, contact string) (uuid.UUID, error)
	// says is what an integration posts when a contact writes. The same text is the
	// same message, however often it is posted. What is not good has something wrong
	// behind the text, and must be refused as a whole.
	says(contact, text string, good bool) request
	// heard reads a callback.
	heard(header http.Header, body []byte) (heard, error)
}

// request is one that is posted.
type request struct{ token, path, body string }

// heard is what a callback tells. One that tells of something else than a message
// has no text; when it is made again it is held to the same all the same.
type heard struct{ contact, text, id string }

// channel is one that messages go through.
type channel struct {
	ID    string `json:"id"`
	Token string `json:"api_token"`

	dialect domain.Dialect
	voice   voice
	beside  []channel // of other dialects, with which it shares the load
}

// of gives the channel that one of many contacts writes to: every other one to one
// of those beside.
func (ch channel) of(contact int) channel {
	if len(ch.beside) == 0 || contact%2 == 0 {
		return ch
	}
	return ch.beside[contact/2%len(ch.beside)]
}

// Where callbacks go, below the address of a receiver.
const (
	kitPath      = "/kit"
	channelXPath = "/channelx"
)

// makeChannel makes a channel of respond.io.
func (s *stand) makeChannel(ctx context.Context, callback string) (channel, error) {
	ch := channel{dialect: domain.DialectRespondIO}
	err := s.create(ctx, fmt.Sprintf(
		`"dialect":"respondio","name":"Faults","id_type":"custom","callback_url":%q,"rate_per_second":0`, callback), &ch)
	ch.voice = respondIO{channel: ch.ID, token: ch.Token}
	return ch, err
}

// makeChannels makes a channel of each dialect. The first is that of respond.io,
// which has the others beside it.
func (s *stand) makeChannels(ctx context.Context, hooks *receiver) (channel, error) {
	ch, err := s.makeChannel(ctx, hooks.url())
	if err != nil {
		return ch, err
	}
	kit, err := s.makeKit(ctx, hooks.url()+kitPath)
	if err != nil {
		return ch, err
	}
	channelX, err := s.makeChannelX(ctx, hooks.url()+channelXPath)
	if err != nil {
		return ch, err
	}
	hooks.hears(kitPath, kit.voice)
	hooks.hears(channelXPath, channelX.voice)
	ch.beside = []channel{kit, channelX}
	s.spoken = map[domain.Dialect]int{}
	s.onEnd(func() error {
		s.result.notef("accepted: %d of respond.io, %d of Voximplant Kit, %d of ChannelX",
			s.spoken[domain.DialectRespondIO], s.spoken[domain.DialectVoximplant], s.spoken[domain.DialectChannelX])
		return nil
	})
	return ch, nil
}

// create makes a channel whose failed callbacks are repeated every second, waits
// until every door knows it, and reads the answer into made.
func (s *stand) create(ctx context.Context, settings string, made any) error {
	schedule := strings.TrimSuffix(strings.Repeat(`"1s",`, 60), ",")
	var ch channel
	status, raw, err := callInto(ctx, s.doors.pick().url(), http.MethodPost, "/v1/channels", fmt.Sprintf(
		`{%s,"delivery":{"schedule":[%s]}}`, settings, schedule), &ch)
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("create a channel: %d %s: %w", status, raw, errors.Join(err))
	}
	if err := json.Unmarshal(raw, made); err != nil {
		return fmt.Errorf("read a channel: %w", err)
	}
	for _, n := range s.doors.nodes {
		err := until(ctx, 20*time.Second, 20*time.Millisecond, "wait until "+n.name+" knows the channel", func() (bool, error) {
			status, _, err := call(ctx, n.url(), adminToken, http.MethodGet, "/v1/channels/"+ch.ID, "")
			return err == nil && status == http.StatusOK, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// prepare makes a request that has to succeed before there is load, again while
// what it needs is not there yet, and reads the answer into v. What it was to make
// may be there already: that is an answer of 422.
func (s *stand) prepare(ctx context.Context, r request, v any) error {
	return until(ctx, postPatience, 50*time.Millisecond, "post to "+r.path, func() (bool, error) {
		status, raw, err := call(ctx, s.doors.pick().url(), r.token, http.MethodPost, r.path, r.body)
		switch {
		case err != nil || status == http.StatusServiceUnavailable:
			return false, nil //nolint:nilerr // not there yet
		case status == http.StatusUnprocessableEntity:
			return true, nil
		case status != http.StatusOK:
			return false, fmt.Errorf("post to %s: %d %s", r.path, status, raw)
		}
		return true, json.Unmarshal(raw, v)
	})
}
