package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// respondIO is the voice of the dialect of respond.io.
type respondIO struct{ channel, token string }

const webhookPath = "/custom/channel/webhook/"

func (r respondIO) meet(_ context.Context, contact string) (uuid.UUID, error) {
	return domain.ConversationID(r.channel, contact), nil
}

// says makes a webhook. Of two events the second is none when it is not good.
func (r respondIO) says(contact, text string, good bool) request {
	bad := ""
	if !good {
		bad = `,{"type":"message","mId":7}`
	}
	return request{r.token, webhookPath, fmt.Sprintf(
		`{"channelId":%q,"contactId":%q,"events":[{"type":"message","mId":%q,"timestamp":1767261600000,"message":{"type":"text","text":%q}}%s]}`,
		r.channel, contact, text, text, bad)}
}

func (respondIO) heard(header http.Header, body []byte) (heard, error) {
	var call struct {
		ContactID string `json:"contactId"`
		Message   struct {
			Text string `json:"text"`
		} `json:"message"`
	}
	err := json.Unmarshal(body, &call)
	return heard{call.ContactID, call.Message.Text, header.Get("Idempotency-Key")}, err
}
