package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// channelX is the voice of the dialect of ChannelX: that of a bridge, which knows
// conversations by their numbers.
type channelX struct {
	stand *stand
	inbox int64

	mu      sync.Mutex
	numbers map[string]int64 // of the conversation of each contact
}

// makeChannelX makes an inbox.
func (s *stand) makeChannelX(ctx context.Context, callback string) (channel, error) {
	var made struct {
		channel

		Inbox int64 `json:"inbox_id"`
	}
	err := s.create(ctx, fmt.Sprintf(`"dialect":"channelx","name":"Faults of ChannelX","callback_url":%q`, callback), &made)
	ch := made.channel
	ch.dialect, ch.voice = domain.DialectChannelX, &channelX{stand: s, inbox: made.Inbox, numbers: map[string]int64{}}
	return ch, err
}

// channelXAPI begins the paths of the account that the admin token is of.
const channelXAPI = "/api/v1/accounts/1"

// meet makes the contact, whose source id is its name, and opens a conversation. A
// repetition of the first finds that the name is taken, so it is made once.
func (x *channelX) meet(ctx context.Context, contact string) (uuid.UUID, error) {
	var person, conversation struct {
		ID   int64     `json:"id"`
		UUID uuid.UUID `json:"uuid"`
	}
	err := x.stand.prepare(ctx, request{adminToken, channelXAPI + "/contacts", fmt.Sprintf(`{"inbox_id":%d,"source_id":%q,"name":%q}`, x.inbox, contact, contact)}, &person)
	if err != nil {
		return uuid.Nil, err
	}
	err = x.stand.prepare(ctx, request{adminToken, channelXAPI + "/conversations", fmt.Sprintf(`{"inbox_id":%d,"source_id":%q}`, x.inbox, contact)}, &conversation)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.numbers[contact] = conversation.ID
	return conversation.UUID, err
}

// says makes an incoming message. Of the articles with it the second is none when it
// is not good.
func (x *channelX) says(contact, text string, good bool) request {
	with := ""
	if !good {
		with = `,"content_type":"article","content_attributes":{"items":[{"title":"First"},7]}`
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return request{adminToken, fmt.Sprintf("%s/conversations/%d/messages", channelXAPI, x.numbers[contact]), fmt.Sprintf(
		`{"content":%q,"message_type":"incoming","source_id":%q,"client_message_id":%q%s}`, text, text, text, with)}
}

// heard reads a callback: a message is told by message_created, also when a contact
// wrote it.
func (*channelX) heard(header http.Header, body []byte) (heard, error) {
	type conversation struct {
		ContactInbox struct {
			SourceID string `json:"source_id"`
		} `json:"contact_inbox"`
	}
	var call struct {
		conversation

		Event   string       `json:"event"`
		Content string       `json:"content"`
		Of      conversation `json:"conversation"`
	}
	err := json.Unmarshal(body, &call)
	h := heard{contact: call.ContactInbox.SourceID, id: header.Get("X-Chatwoot-Delivery")}
	if call.Event == "message_created" {
		h.contact, h.text = call.Of.ContactInbox.SourceID, call.Content
	}
	return h, err
}
