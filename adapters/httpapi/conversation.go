package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

const tagConversations = "Conversations"

// handlerView is who looks after a conversation.
type handlerView struct {
	Type    domain.Handler `json:"type" enum:"unassigned,bot,agent"`
	AgentID string         `json:"agent_id,omitempty"`
}

// lastMessageView is what a list shows of the newest message.
type lastMessageView struct {
	ID        uuid.UUID `json:"id" format:"uuid"`
	Text      string    `json:"text" doc:"A preview of at most 200 characters."`
	CreatedAt time.Time `json:"created_at"`
}

// conversationView is a conversation as the API shows it.
type conversationView struct {
	ID           uuid.UUID                 `json:"id" format:"uuid"`
	ChannelID    string                    `json:"channel_id"`
	ContactID    uuid.UUID                 `json:"contact_id" format:"uuid"`
	ContactRef   string                    `json:"contact_ref" doc:"The id that the integration uses."`
	Contact      *contactView              `json:"contact,omitempty" doc:"Only where one conversation is read."`
	Status       domain.ConversationStatus `json:"status" enum:"open,closed"`
	Episode      int                       `json:"episode" doc:"Counts openings, from 1."`
	Handler      handlerView               `json:"handler"`
	MessageCount int                       `json:"message_count"`
	LastMessage  *lastMessageView          `json:"last_message,omitempty"`
	OpenedAt     time.Time                 `json:"opened_at" doc:"When the current episode began."`
	ClosedAt     *time.Time                `json:"closed_at"`
	CloseReason  domain.CloseReason        `json:"close_reason,omitempty"`
	CreatedAt    time.Time                 `json:"created_at"`
	UpdatedAt    time.Time                 `json:"updated_at"`
}

func showConversation(c domain.Conversation) conversationView {
	v := conversationView{
		ID: c.ID, ChannelID: c.Channel, ContactID: c.ContactID, ContactRef: c.ContactRef, Status: c.Status, Episode: c.Episode,
		Handler: handlerView{Type: c.Handler, AgentID: c.AgentID}, MessageCount: c.Messages,
		OpenedAt: c.OpenedAt, ClosedAt: c.ClosedAt, CloseReason: c.CloseReason, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if c.LastMessage != uuid.Nil {
		v.LastMessage = &lastMessageView{ID: c.LastMessage, Text: c.LastText, CreatedAt: c.LastMessageAt}
	}
	return v
}

// ConversationPath names a conversation.
type ConversationPath struct {
	ID string `path:"id" doc:"The conversation's id."`
}

// conversationOf reads a conversation of the caller's account that is about to be
// changed, asItIs when its state counts for that. A reply only needs to know whose
// it is, which never changes, so it does not wait for the newest rows. One that is
// not there may only not be there yet.
func (p *platform) conversationOf(ctx context.Context, c caller, text string, asItIs bool) (domain.Conversation, domain.Channel, error) {
	id, err := parseID("conversation", text)
	if err != nil {
		return domain.Conversation{}, domain.Channel{}, err
	}
	if asItIs {
		if _, err := p.await(ctx, projectionConversations, ReadParams{}); err != nil {
			return domain.Conversation{}, domain.Channel{}, err
		}
	}
	conversation, err := p.Reads.Conversation(ctx, c.Account, id)
	if domain.CodeOf(err) == domain.CodeNotFound {
		if late := p.certain(ctx, projectionConversations); late != nil {
			return domain.Conversation{}, domain.Channel{}, late
		}
		conversation, err = p.Reads.Conversation(ctx, c.Account, id)
	}
	if err != nil {
		return domain.Conversation{}, domain.Channel{}, err
	}
	ch, ok := p.Channels.Channel(conversation.Channel)
	if !ok || ch.Account != c.Account {
		return domain.Conversation{}, domain.Channel{}, domain.Errorf(domain.CodeConflict, "The channel of this conversation has been deleted.")
	}
	return conversation, ch, nil
}

type changedConversation struct {
	AppendHeaders
	Body conversationView
}

func (p *platform) conversationRoutes() {
	handle(p, operation{
		id: "list-conversations", method: http.MethodGet, path: "/v1/conversations", tag: tagConversations, need: domain.RoleReader,
		summary: "List conversations", description: "The one with the newest message first.",
	}, p.listConversations)
	handle(p, operation{
		id: "get-conversation", method: http.MethodGet, path: "/v1/conversations/{id}", tag: tagConversations, need: domain.RoleReader,
		summary: "Read a conversation", description: "With its contact.",
	}, p.getConversation)
	handle(p, operation{
		id: "close-conversation", method: http.MethodPost, path: "/v1/conversations/{id}/close", tag: tagConversations, need: domain.RoleAgent,
		summary: "Close a conversation", status: http.StatusAccepted,
		description: "Closes it as it is now: a message that comes in before the close is in the log keeps it open. " +
			"A message after the close opens the next episode. 409 when it is closed already.",
	}, p.closeConversation)
	handle(p, operation{
		id: "assign-conversation", method: http.MethodPost, path: "/v1/conversations/{id}/assign", tag: tagConversations, need: domain.RoleAgent,
		summary: "Say who looks after a conversation", status: http.StatusAccepted,
	}, p.assignConversation)
}

func (p *platform) listConversations(ctx context.Context, c caller, in *struct {
	ReadParams
	PageParams
	Channel string `query:"channel" maxLength:"64" doc:"Only conversations of this channel."`
	Contact string `query:"contact" maxLength:"64" doc:"Only conversations of this contact: its id, or the reference that the integration uses."`
	Status  string `query:"status" enum:"open,closed" doc:"Only conversations that are open, or closed."`
	Search  string `query:"q" maxLength:"200" doc:"Part of the contact's name or reference or of the last message, without regard to case."`
},
) (*listOutput[conversationView], error) {
	headers, err := p.await(ctx, projectionConversations, in.ReadParams)
	if err != nil {
		return nil, err
	}
	part, next, err := p.Reads.Conversations(ctx, domain.ConversationFilter{
		Account: c.Account, Channel: in.Channel, Contact: unspaced(in.Contact),
		Status: domain.ConversationStatus(in.Status), Search: strings.TrimSpace(in.Search),
	}, in.page())
	if err != nil {
		return nil, err
	}
	return &listOutput[conversationView]{ReadHeaders: headers, Body: listOf(part, next, showConversation)}, nil
}

func (p *platform) getConversation(ctx context.Context, c caller, in *struct {
	ReadParams
	ConversationPath
},
) (*struct {
	ReadHeaders
	Body conversationView
}, error,
) {
	id, err := parseID("conversation", in.ID)
	if err != nil {
		return nil, err
	}
	headers, err := p.await(ctx, projectionConversations, in.ReadParams)
	if err != nil {
		return nil, err
	}
	v, err := p.readConversation(ctx, c, id)
	if err != nil {
		return nil, err
	}
	return &struct {
		ReadHeaders
		Body conversationView
	}{headers, v}, nil
}

// unspaced undoes what form encoding makes of a plus sign that was not escaped,
// as in ?contact=+15550100. No contact reference holds a space.
func unspaced(ref string) string { return strings.ReplaceAll(ref, " ", "+") }

// readConversation reads a conversation with its contact.
func (p *platform) readConversation(ctx context.Context, c caller, id uuid.UUID) (conversationView, error) {
	conversation, err := p.Reads.Conversation(ctx, c.Account, id)
	if err != nil {
		return conversationView{}, err
	}
	v := showConversation(conversation)
	contact, err := p.Reads.Contact(ctx, c.Account, conversation.ContactID)
	switch {
	case err == nil:
		shown := showContact(contact)
		v.Contact = &shown
	case domain.CodeOf(err) != domain.CodeNotFound:
		return conversationView{}, err
	}
	return v, nil
}

// decide appends what was decided about a conversation and shows it as it is then.
func (p *platform) decide(ctx context.Context, c caller, before domain.Conversation, e domain.Event) (*changedConversation, error) {
	positions, err := p.Log.Append(ctx, e)
	if err != nil {
		return nil, err
	}
	p.settle(ctx, projectionConversations, positions)
	v, err := p.readConversation(ctx, c, before.ID)
	if err != nil { // it is decided: an answer that says otherwise would be wrong
		thread := domain.NewThread()
		thread.Conversations[before.ID] = &before
		thread.Apply(domain.Recorded{Event: e})
		v = showConversation(before)
	}
	return &changedConversation{AppendHeaders: appended(positions), Body: v}, nil
}

func (p *platform) closeConversation(ctx context.Context, c caller, in *struct {
	ConversationPath
	KeyParam
},
) (*changedConversation, error) {
	conversation, ch, err := p.conversationOf(ctx, c, in.ID, true)
	if err != nil {
		return nil, err
	}
	e, err := conversation.Close(ch, domain.Closing{By: c.Name}, p.Now())
	if err != nil {
		return nil, err
	}
	return p.decide(ctx, c, conversation, e)
}

// assignInput says who looks after a conversation from now on.
type assignInput struct {
	To      string `json:"to" enum:"agent,bot,unassigned"`
	AgentID string `json:"agent_id,omitempty" maxLength:"255" doc:"Needed for an agent, and only for one."`
}

func (p *platform) assignConversation(ctx context.Context, c caller, in *struct {
	ConversationPath
	KeyParam
	Body assignInput
},
) (*changedConversation, error) {
	conversation, ch, err := p.conversationOf(ctx, c, in.ID, true)
	if err != nil {
		return nil, err
	}
	id, err := p.eventID(in.Key, "assign", c.Account, conversation.ID.String())
	if err != nil {
		return nil, err
	}
	e, err := conversation.Assign(ch, id, domain.Assignment{To: domain.Handler(in.Body.To), AgentID: in.Body.AgentID}, c.Name, p.Now())
	if err != nil {
		return nil, err
	}
	return p.decide(ctx, c, conversation, e)
}
