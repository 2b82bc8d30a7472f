package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

const tagMessages = "Messages"

// statusView is one word about a message.
type statusView struct {
	Value     domain.Status `json:"value" enum:"queued,sent,delivered,read,failed"`
	Timestamp time.Time     `json:"timestamp"`
	Message   string        `json:"message,omitempty" doc:"Why it failed."`
}

// messageView is a message as the API shows it.
type messageView struct {
	ID             uuid.UUID          `json:"id" format:"uuid"`
	ConversationID uuid.UUID          `json:"conversation_id" format:"uuid"`
	ChannelID      string             `json:"channel_id"`
	Direction      domain.Direction   `json:"direction" enum:"in,out"`
	Kind           domain.Kind        `json:"kind" enum:"message,echo" doc:"An echo was said by the business outside Parley."`
	Type           domain.ContentType `json:"type" enum:"text,attachment,location,quick_reply"`
	Text           string             `json:"text,omitempty"`
	Attachment     *attachmentView    `json:"attachment,omitempty"`
	Attachments    []itemView         `json:"attachments,omitempty" nullable:"false" doc:"What goes with a text."`
	Latitude       *float64           `json:"latitude,omitempty"`
	Longitude      *float64           `json:"longitude,omitempty"`
	Address        string             `json:"address,omitempty"`
	Title          string             `json:"title,omitempty"`
	Replies        []string           `json:"replies,omitempty" nullable:"false"`
	ExternalID     string             `json:"external_id" doc:"The integration's id; empty until it has given one."`
	Status         domain.Status      `json:"status" enum:"queued,sent,delivered,read,failed" doc:"Incoming messages are delivered."`
	StatusReason   string             `json:"status_reason,omitempty" doc:"Why it failed."`
	StatusHistory  []statusView       `json:"status_history" nullable:"false" doc:"Everything that was said about it, also what changed nothing."`
	Author         string             `json:"author,omitempty" doc:"Name of the platform token that sent it."`
	Sender         *senderView        `json:"sender,omitempty" doc:"voximplant: who spoke for the business."`
	CreatedAt      time.Time          `json:"created_at" doc:"The sender's own time."`
	RecordedAt     time.Time          `json:"recorded_at" doc:"When Parley took it in."`
}

func showMessage(m domain.Message) messageView {
	v := messageView{
		ID: m.ID, ConversationID: m.Conversation, ChannelID: m.Channel, Direction: m.Direction, Kind: m.Kind,
		Type: m.Content.Type, Text: m.Content.Text, Latitude: m.Content.Latitude, Longitude: m.Content.Longitude,
		Address: m.Content.Address, Title: m.Content.Title, Replies: m.Content.Replies,
		ExternalID: m.ExternalID, Status: m.Status, StatusReason: m.Reason, StatusHistory: make([]statusView, len(m.History)),
		Attachments: showItems(m.Content.Attachments), Author: m.Author, Sender: showSender(m.Sender), CreatedAt: m.SentAt, RecordedAt: m.RecordedAt,
	}
	if a := m.Content.Attachment; a != nil {
		v.Attachment = &attachmentView{Type: a.Type, URL: a.URL, MimeType: a.MimeType, FileName: a.FileName, Description: a.Description}
	}
	for i, h := range m.History {
		v.StatusHistory[i] = statusView{Value: h.Value, Timestamp: h.Timestamp, Message: h.Message}
	}
	return v
}

func (p *platform) messageRoutes() {
	handle(p, operation{
		id: "list-messages", method: http.MethodGet, path: "/v1/conversations/{id}/messages", tag: tagMessages, need: domain.RoleReader,
		summary: "List the messages of a conversation", description: "Oldest first.",
	}, p.listMessages)
	handle(p, operation{
		id: "get-message", method: http.MethodGet, path: "/v1/messages/{id}", tag: tagMessages, need: domain.RoleReader,
		summary: "Read a message",
	}, p.getMessage)
	handle(p, operation{
		id: "send-message", method: http.MethodPost, path: "/v1/conversations/{id}/messages", tag: tagMessages, need: domain.RoleAgent,
		summary: "Reply in a conversation", status: http.StatusAccepted,
		description: "The message is in the log when this answers, and is then sent to the channel's callback. " +
			"Under an Idempotency-Key the message's id follows from the key, for ever: the same key never says anything twice.",
	}, p.reply)
	handle(p, operation{
		id: "start-conversation", method: http.MethodPost, path: "/v1/channels/{id}/messages", tag: tagMessages, need: domain.RoleAgent,
		summary: "Write to a contact of a channel", status: http.StatusAccepted,
		description: "On a channel of id_type phone this may be a number that has never written. " +
			"On a channel of id_type custom, or of dialect voximplant, it must be a contact that exists; 409 otherwise. " +
			"On a channel of dialect channelx it is the source_id of one; the newest conversation that is not resolved goes on, or a new one is opened.",
	}, p.start)
}

func (p *platform) listMessages(ctx context.Context, c caller, in *struct {
	ReadParams
	PageParams
	ConversationPath
},
) (*listOutput[messageView], error) {
	id, err := parseID("conversation", in.ID)
	if err != nil {
		return nil, err
	}
	headers, err := p.await(ctx, projectionConversations, in.ReadParams)
	if err != nil {
		return nil, err
	}
	// An empty list of a conversation that is not there would be a lie.
	if _, err := p.Reads.Conversation(ctx, c.Account, id); err != nil {
		return nil, err
	}
	part, next, err := p.Reads.Messages(ctx, c.Account, id, in.page())
	if err != nil {
		return nil, err
	}
	return &listOutput[messageView]{ReadHeaders: headers, Body: listOf(part, next, showMessage)}, nil
}

func (p *platform) getMessage(ctx context.Context, c caller, in *struct {
	ReadParams
	ID string `path:"id" doc:"The message's id."`
},
) (*struct {
	ReadHeaders
	Body messageView
}, error,
) {
	id, err := parseID("message", in.ID)
	if err != nil {
		return nil, err
	}
	headers, err := p.await(ctx, projectionConversations, in.ReadParams)
	if err != nil {
		return nil, err
	}
	m, err := p.Reads.Message(ctx, c.Account, id)
	if err != nil {
		return nil, err
	}
	return &struct {
		ReadHeaders
		Body messageView
	}{headers, showMessage(m)}, nil
}

// messageInput is a message of the contact centre.
type messageInput struct {
	ContentInput
	SpeakerInput
}

// outgoing is a message on its way into the log.
type outgoing struct {
	ref, key     string
	in           messageInput
	conversation *domain.Conversation // nil where none is known
}

// sentOutput is the answer to a message that was taken.
type sentOutput struct {
	AppendHeaders
	Location string `header:"Location" doc:"Where the message can be read."`
	Body     messageView
}

func (p *platform) reply(ctx context.Context, c caller, in *struct {
	ConversationPath
	KeyParam
	Body messageInput
},
) (*sentOutput, error) {
	conversation, ch, err := p.conversationOf(ctx, c, in.ID, false)
	if err != nil {
		return nil, err
	}
	if ch.Dialect.HasTickets() {
		return p.replyTicket(ctx, c, ch, conversation.ID, in.Body, in.Key)
	}
	return p.send(ctx, c, ch, outgoing{conversation.ContactRef, in.Key, in.Body, &conversation})
}

// startInput is a message to a contact.
type startInput struct {
	ContactRef string `json:"contact_ref" maxLength:"255" doc:"A phone number, or the id that the integration uses." example:"+15550100"`
	ContentInput
	SpeakerInput
}

func (p *platform) start(ctx context.Context, c caller, in *struct {
	ChannelPath
	KeyParam
	Body startInput
},
) (*sentOutput, error) {
	ch, err := p.channelOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	ref := in.Body.ContactRef
	if ch.Dialect.HasTickets() {
		return p.startTicket(ctx, c, ch, ref, messageInput{in.Body.ContentInput, in.Body.SpeakerInput}, in.Key)
	}
	if !ch.Dialect.HasEpisodes() { // where any text is a reference
		if ref, err = ch.IDType.Normalize("contact_ref", ref); err != nil {
			return nil, err
		}
	}
	if ch.IDType != domain.IDTypePhone {
		if err := p.known(ctx, c, ch, ref); err != nil {
			return nil, err
		}
	}
	return p.send(ctx, c, ch, outgoing{ref, in.Key, messageInput{in.Body.ContentInput, in.Body.SpeakerInput}, nil})
}

// known makes sure that a contact exists (respond-io.md 2.1): a custom id means
// nothing to the integration unless it has named it.
func (p *platform) known(ctx context.Context, c caller, ch domain.Channel, ref string) error {
	headers, err := p.await(ctx, projectionConversations, ReadParams{})
	if err != nil {
		return err
	}
	id := domain.ContactID(ch.ID, ref)
	_, err = p.Reads.Contact(ctx, c.Account, id)
	if domain.CodeOf(err) == domain.CodeNotFound && headers.Stale != "" {
		if late := p.certain(ctx); late != nil {
			return late
		}
		_, err = p.Reads.Contact(ctx, c.Account, id)
	}
	if domain.CodeOf(err) == domain.CodeNotFound {
		return &domain.Error{
			Code: domain.CodeConflict, Field: "contact_ref",
			Message: "is not a contact of this channel; it can write only to contacts that have written",
		}
	}
	return err
}

// send appends a message for the channel's callback. The answer shows it as the
// read models will.
func (p *platform) send(ctx context.Context, c caller, ch domain.Channel, out outgoing) (*sentOutput, error) {
	if ch.Disabled {
		return nil, domain.Errorf(domain.CodeConflict, "The channel is disabled.")
	}
	content := out.in.content()
	if err := content.Validate("", domain.LimitsOf(ch.Dialect)); err != nil {
		return nil, err
	}
	sender, err := p.senderOf(c, ch, out.in.SpeakerInput, out.conversation)
	if err != nil {
		return nil, err
	}
	id, err := p.eventID(out.key, "send", c.Account, ch.ID, out.ref)
	if err != nil {
		return nil, err
	}
	e := ch.SendAs(sender, out.ref, id, content, c.Name, p.Now())
	positions, err := p.Log.Append(ctx, e)
	if err != nil {
		return nil, err
	}
	if len(positions) == 0 {
		return nil, fmt.Errorf("the log told no position for message %s", id)
	}
	thread := domain.NewThread()
	thread.Apply(domain.Recorded{Event: e, Position: positions[len(positions)-1]})
	return &sentOutput{
		AppendHeaders: appended(positions), Location: "/v1/messages/" + id.String(), Body: showMessage(*thread.Messages[id]),
	}, nil
}

// eventID names an event: after the idempotency key when there is one, so that a
// repeat is the same event in the log whatever became of the first answer.
func (p *platform) eventID(key, kind string, words ...string) (uuid.UUID, error) {
	if key != "" {
		return domain.DeriveID(kind, append(words, key)...), nil
	}
	id, err := uuid.NewV7FromReader(p.Random)
	if err != nil {
		return uuid.UUID{}, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}
