package voximplant

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// functions finds the functions of an account, in memory.
type functions interface {
	Function(account string, number int64) (domain.Function, bool)
}

// keyTimeout bounds the making of the first key for conversations, which waits
// for the log.
const keyTimeout = 5 * time.Second

// kindCustom is the kind of all channels here.
const kindCustom = "custom"

// The body of section 7, with its keys in the order of the public example. The
// numbers in it follow from our own ids.
type (
	functionCall struct {
		ID           int64                `json:"id"`
		Text         string               `json:"text"`
		Type         string               `json:"type"`
		Sender       outBot               `json:"sender"`
		Conversation functionConversation `json:"conversation"`
		Payload      []any                `json:"payload"` // never nil
		Customer     functionCustomer     `json:"customer"`
		HasMedia     bool                 `json:"HasMedia"`
	}
	functionConversation struct {
		ID             int64           `json:"id"`
		UUID           string          `json:"uuid"`
		ClientID       string          `json:"client_id"`
		CustomData     functionData    `json:"custom_data"`
		CurrentStatus  string          `json:"current_status"`
		CurrentRequest functionRequest `json:"current_request"`
		Channel        functionChannel `json:"channel"`
		CustomerID     int64           `json:"customer_id"`
	}
	functionData struct {
		Client       functionClient `json:"client_data"`
		Conversation functionLast   `json:"conversation_data"`
		Request      functionMarked `json:"request_data"`
	}
	functionClient struct {
		ID          string `json:"client_id"`
		Phone       string `json:"client_phone"`
		Avatar      string `json:"client_avatar"`
		DisplayName string `json:"client_display_name"`
	}
	functionLast struct {
		Text       string `json:"last_message_text"`
		Time       int64  `json:"last_message_time"` // Unix seconds
		Channel    string `json:"channel_type"`
		SenderType string `json:"last_message_sender_type"`
		IsRead     bool   `json:"is_read"`
	}
	functionRequest struct {
		ID            int64  `json:"id"`
		Conversation  int64  `json:"conversation_id"`
		StartSequence int    `json:"start_sequence"`
		EndSequence   int    `json:"end_sequence"`
		StartTime     string `json:"start_time"`
		HandlingStart string `json:"handling_start_time"`
		EndTime       string `json:"end_time"` // so far
		Completed     bool   `json:"completed"`
	}
	functionMarked struct {
		functionRequest

		Variables domain.Texts `json:"variables"`
		Tags      []int64      `json:"tags"`
	}
	functionChannel struct {
		ID         int64  `json:"id"`
		UUID       string `json:"channel_uuid"`
		Type       string `json:"channel_type"`
		Processing string `json:"processing_method"`
		Function   int64  `json:"processing_function"`
	}
	functionCustomer struct {
		ID          int64              `json:"id"`
		DisplayName string             `json:"customer_display_name"`
		Details     string             `json:"customer_details"`
		Photo       string             `json:"customer_photo"`
		Phones      []string           `json:"customer_phones"`
		ClientIDs   []functionClientID `json:"customer_client_ids"`
		ExternalID  string             `json:"customer_external_id"`
		Emails      []string           `json:"customer_emails"`
	}
	functionClientID struct {
		ID   string `json:"client_id"`
		Type string `json:"client_type"`
	}
	functionProperties struct {
		Type       string `json:"type"`
		SenderType string `json:"sender_type"`
	}
)

// functionCall makes the call of a function (section 7). Nothing of it names the
// channel's salt or API token.
func (o Outbound) functionCall(ch domain.Channel, d domain.Delivery) (domain.Call, error) {
	f, ok := o.functions.Function(d.Account, d.Subject.Function)
	if !ok {
		return domain.Call{}, domain.Errorf(domain.CodeNotFound, "function %d is not there any more", d.Subject.Function)
	}
	e := d.Subject.Episode
	if e == nil {
		return domain.Call{}, domain.Errorf(domain.CodeInternal, "delivery %s does not say what the conversation was", d.ID)
	}
	ctx, cancel := context.WithTimeout(context.Background(), keyTimeout)
	defer cancel()
	told, err := o.veil.hide(ctx, d.Conversation)
	if err != nil {
		return domain.Call{}, fmt.Errorf("hide conversation %s: %w", d.Conversation, err)
	}
	body, err := encode(functionBody(ch, d, *e, told))
	if err != nil {
		return domain.Call{}, fmt.Errorf("encode delivery %s: %w", d.ID, err)
	}
	return domain.Call{
		Method: http.MethodPost,
		URL:    f.URL,
		Headers: []domain.Header{
			{Name: "Content-Type", Value: "application/json"},
			{Name: "x-kit-event-type", Value: "incoming_message"},
			{Name: "x-kit-access-token", Value: f.AccessToken},
			{Name: "x-kit-api-url", Value: o.host},
			{Name: "x-kit-domain", Value: d.Account},
			{Name: "x-kit-function-id", Value: strconv.FormatInt(f.Number, 10)},
		},
		Body: body, Timeout: callTimeout,
	}, nil
}

func functionBody(ch domain.Channel, d domain.Delivery, e domain.Episode, told uuid.UUID) functionCall {
	conversation := numberOf(d.Conversation)
	request := functionRequest{
		ID:           numberOf(domain.DeriveID("kit-request", d.Conversation.String(), strconv.Itoa(e.Number))),
		Conversation: conversation, StartSequence: e.StartsWith, EndSequence: e.Messages,
		StartTime: stamp(e.OpenedAt), HandlingStart: stamp(e.OpenedAt), EndTime: stamp(e.InboundAt),
	}
	if e.HandledAt != nil {
		request.HandlingStart = stamp(*e.HandledAt)
	}
	text, items := payloadOf(d.Content)
	customer := numberOf(domain.ContactID(d.Channel, d.ContactRef))
	call := functionCall{
		ID: numberOf(d.Subject.Inbound), Text: text, Type: kindCustom,
		Conversation: functionConversation{
			ID: conversation, UUID: told.String(), ClientID: d.ContactRef,
			CustomData: functionData{
				Client: functionClient{
					ID: d.ContactRef, Phone: e.Profile.Phone, Avatar: e.Profile.PictureURL, DisplayName: e.Profile.DisplayName,
				},
				Conversation: functionLast{Text: text, Time: e.InboundAt.Unix(), Channel: kindCustom, SenderType: "client"},
				Request:      functionMarked{functionRequest: request, Variables: e.Variables, Tags: e.Tags},
			},
			CurrentStatus: string(e.Status()), CurrentRequest: request,
			Channel: functionChannel{
				ID: numberOf(domain.DeriveID("kit-channel", ch.ID)), UUID: ch.ID, Type: kindCustom,
				Processing: "function", Function: d.Subject.Function,
			},
			CustomerID: customer,
		},
		Payload: append([]any{functionProperties{Type: "properties", SenderType: "client"}}, items...),
		Customer: functionCustomer{
			ID: customer, DisplayName: e.Profile.DisplayName, Photo: e.Profile.PictureURL,
			Phones: []string{}, ClientIDs: []functionClientID{{ID: d.ContactRef, Type: kindCustom}}, Emails: []string{},
		},
	}
	marked := &call.Conversation.CustomData.Request
	if marked.Variables == nil {
		marked.Variables = domain.Texts{}
	}
	if marked.Tags == nil {
		marked.Tags = []int64{}
	}
	for _, item := range items {
		_, is := item.(outMedia)
		call.HasMedia = call.HasMedia || is
	}
	return call
}

// stamp writes a time as the public example does.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// numberOf makes a number out of one of our ids: positive, and below 2^53, which
// every JSON reader holds.
func numberOf(id uuid.UUID) int64 {
	return max(1, int64(binary.BigEndian.Uint64(id[8:])&(1<<53-1)))
}
