package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// kit is the voice of the dialect of Voximplant Kit.
type kit struct {
	stand   *stand
	channel string
	account string
	secret  string                 // the API token that logs in
	access  atomic.Pointer[string] // what the last login gave
}

// makeKit makes a channel of Voximplant Kit, whose conversations nobody is given.
func (s *stand) makeKit(ctx context.Context, callback string) (channel, error) {
	var made struct {
		channel

		Account string `json:"account_name"`
	}
	err := s.create(ctx, fmt.Sprintf(`"dialect":"voximplant","name":"Faults of Kit","callback_url":%q`, callback), &made)
	ch := made.channel
	ch.dialect, ch.voice = domain.DialectVoximplant, &kit{stand: s, channel: ch.ID, account: made.Account, secret: ch.Token}
	return ch, err
}

// meet logs in anew: a login is good for a quarter of an hour.
func (k *kit) meet(ctx context.Context, contact string) (uuid.UUID, error) {
	var answer struct {
		Result struct {
			AccessToken string `json:"access_token"`
		} `json:"result"`
	}
	query := url.Values{"domain": {k.account}, "access_token": {k.secret}}
	err := k.stand.prepare(ctx, request{path: "/api/v3/botService/login?" + query.Encode(), body: fmt.Sprintf(`{"channel_uuid":%q}`, k.channel)}, &answer)
	k.access.Store(&answer.Result.AccessToken)
	return domain.ConversationID(k.channel, contact), err
}

// says makes an event. Of its attachments the second is none when it is not good.
func (k *kit) says(contact, text string, good bool) request {
	payload := ""
	if !good {
		payload = `{"type":"location","latitude":1,"longitude":2},7`
	}
	return request{*k.access.Load(), "/" + k.channel, fmt.Sprintf(
		`{"client_data":{"client_id":%q},"event_id":%q,"event_type":"send_message","event_data":{"message":{"message_id":%q,"text":%q,"payload":[%s]}}}`,
		contact, "e-"+text, text, text, payload)}
}

func (*kit) heard(_ http.Header, body []byte) (heard, error) {
	var call struct {
		Client struct {
			ID string `json:"client_id"`
		} `json:"client_data"`
		ID   string `json:"event_id"`
		Data struct {
			Message struct {
				Text string `json:"text"`
			} `json:"message"`
		} `json:"event_data"`
	}
	err := json.Unmarshal(body, &call)
	return heard{call.Client.ID, call.Data.Message.Text, call.ID}, err
}
