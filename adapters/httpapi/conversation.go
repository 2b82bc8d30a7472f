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
	Type     domain.Handler `json:"type" enum:"unassigned,queue,bot,agent"`
	AgentID  string         `json:"agent_id,omitempty" doc:"The number of a registered agent, or any other text of the contact centre's."`
	Queue    int64          `json:"queue_id,omitempty" doc:"The queue that the conversation waits in."`
	Function int64          `json:"function_id,omitempty" doc:"The function that answers."`
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
	CloseReason  domain.CloseReason        `json:"close_reason,omitempty" enum:"agent,bot,timeout,unknown"`
	Request      *requestView              `json:"request,omitempty" doc:"The current or last episode, in dialects that look after them: voximplant."`
	CreatedAt    time.Time                 `json:"created_at"`
	UpdatedAt    time.Time                 `json:"updated_at"`
}

func (p *platform) showConversation(c domain.Conversation) conversationView {
	v := conversationView{
		ID: c.ID, ChannelID: c.Channel, ContactID: c.ContactID, ContactRef: c.ContactRef, Status: c.Status, Episode: c.Episode,
		Handler: handlerView{Type: c.Handler, AgentID: c.AgentID}, MessageCount: c.Messages,
		OpenedAt: c.OpenedAt, ClosedAt: c.ClosedAt, CloseReason: c.CloseReason, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if c.LastMessage != uuid.Nil {
		v.LastMessage = &lastMessageView{ID: c.LastMessage, Text: c.LastText, CreatedAt: c.LastMessageAt}
	}
	if e := c.State; e != nil && e.Number > 0 { // else a bot has written to somebody who never did
		ch, _ := p.Channels.Channel(c.Channel)
		v.Request = showRequest(e, ch.Desk)
		switch e.Handler {
		case domain.HandlerQueue:
			v.Handler.Queue = e.Queue
		case domain.HandlerBot:
			v.Handler.Function = e.Function
		case domain.HandlerAgent, domain.HandlerUnassigned:
		}
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
		if late := p.certain(ctx); late != nil {
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
	p.assignRoutes()
	p.closeRoutes()
	p.markRoutes()
}

func (p *platform) listConversations(ctx context.Context, c caller, in *struct {
	ReadParams
	PageParams
	Channel string `query:"channel" maxLength:"64" doc:"Only conversations of this channel."`
	Contact string `query:"contact" maxLength:"255" doc:"Only conversations of this contact: its id, or the reference that the integration uses."`
	Status  string `query:"status" enum:"open,closed" doc:"Only conversations that are open, or closed."`
	Handler string `query:"handler" enum:"unassigned,queue,bot,agent" doc:"Only conversations that nobody, a queue, a bot or an agent has."`
	Agent   string `query:"agent" maxLength:"255" doc:"Only conversations of this agent: the id or username of a registered one, or any other text of the contact centre's."`
	Queue   int64  `query:"queue" minimum:"1" doc:"Only conversations that wait in this queue."`
	Tag     int64  `query:"tag" minimum:"1" doc:"Only conversations that have this tag."`
	Search  string `query:"q" maxLength:"200" doc:"Part of the contact's name or reference or of the last message, without regard to case."`
},
) (*listOutput[conversationView], error) {
	headers, err := p.await(ctx, projectionConversations, in.ReadParams)
	if err != nil {
		return nil, err
	}
	f := domain.ConversationFilter{
		Account: c.Account, Channel: in.Channel, Contact: in.Contact, Status: domain.ConversationStatus(in.Status),
		Handler: domain.Handler(in.Handler), Agent: in.Agent, Queue: in.Queue, Tag: in.Tag, Search: strings.TrimSpace(in.Search),
	}
	if a, ok := p.agentNamed(c.Account, in.Agent); ok {
		f.Agent = a.ID()
	}
	part, next, err := p.Reads.Conversations(ctx, f, in.page())
	if plain := unspaced(in.Contact); err == nil && len(part) == 0 && plain != in.Contact {
		f.Contact = plain
		part, next, err = p.Reads.Conversations(ctx, f, in.page())
	}
	if err != nil {
		return nil, err
	}
	return &listOutput[conversationView]{ReadHeaders: headers, Body: listOf(part, next, p.showConversation)}, nil
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
// as in ?contact=+15550100. Only references of voximplant channels may hold a space.
func unspaced(ref string) string { return strings.ReplaceAll(ref, " ", "+") }

// readConversation reads a conversation with its contact.
func (p *platform) readConversation(ctx context.Context, c caller, id uuid.UUID) (conversationView, error) {
	conversation, err := p.Reads.Conversation(ctx, c.Account, id)
	if err != nil {
		return conversationView{}, err
	}
	v := p.showConversation(conversation)
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
		v = p.showConversation(before)
	}
	return &changedConversation{AppendHeaders: appended(positions), Body: v}, nil
}
