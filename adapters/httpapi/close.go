package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// closeInput says why a conversation is closed, and by whom.
type closeInput struct {
	Reason  string `json:"reason,omitempty" enum:"agent,bot,timeout,unknown" doc:"Default agent."`
	AgentID string `json:"agent_id,omitempty" maxLength:"255" doc:"voximplant, channelx: who closes it, with reason agent: the id or username of a registered agent, or on voximplant any other text of the contact centre's. Default: the agent that has the conversation, else the token's name; on channelx who the token acts as."`
}

// closeAllInput says which conversations are closed, and why.
type closeAllInput struct {
	Channel string `json:"channel_id" minLength:"1" maxLength:"64" doc:"All open conversations of this channel."`
	Reason  string `json:"reason,omitempty" enum:"agent,bot,timeout,unknown" doc:"Default unknown."`
}

// closedView tells how many conversations were closed.
type closedView struct {
	Closed int `json:"closed"`
}

func (p *platform) closeRoutes() {
	handle(p, operation{
		id: "close-conversation", method: http.MethodPost, path: "/v1/conversations/{id}/close", tag: tagConversations, need: domain.RoleAgent,
		summary: "Close a conversation", status: http.StatusAccepted,
		description: "Closes it as it is now: a message that comes in before the close is in the log keeps it open. " +
			"A message after the close opens the next episode. 409 when it is closed already. On a channel of dialect channelx it is resolved, with reason agent.",
	}, p.closeConversation)
	handle(p, operation{
		id: "close-conversations", method: http.MethodPost, path: "/v1/conversations/close", tag: tagConversations, need: domain.RoleAdmin,
		summary: "Close all open conversations of a channel", status: http.StatusAccepted,
		description: "Each is closed as it is when it is come to. If the answer is 503 some may be closed; repeat the request for the rest.",
	}, p.closeConversations)
}

func (p *platform) closeConversation(ctx context.Context, c caller, in *struct {
	ConversationPath
	KeyParam
	Body *closeInput
},
) (*changedConversation, error) {
	conversation, ch, err := p.conversationOf(ctx, c, in.ID, true)
	if err != nil {
		return nil, err
	}
	var b closeInput
	if in.Body != nil {
		b = *in.Body
	}
	if ch.Dialect.HasTickets() {
		return p.closeTicket(ctx, c, ch, conversation.ID, b)
	}
	closing := domain.Closing{Reason: domain.CloseReason(cmp.Or(b.Reason, string(domain.ClosedByAgent))), By: c.Name}
	if b.AgentID != "" && (!ch.Dialect.HasEpisodes() || closing.Reason != domain.ClosedByAgent) {
		return nil, unmet("agent_id", "is only for reason agent, on channels of dialect %s", domain.DialectVoximplant)
	}
	if ch.Dialect.HasEpisodes() {
		closing.Sender = p.agentSender(c, b.AgentID, &conversation)
	}
	e, err := conversation.Close(ch, closing, p.Now())
	if err != nil {
		return nil, err
	}
	return p.decide(ctx, c, conversation, e)
}

func (p *platform) closeConversations(ctx context.Context, c caller, in *struct {
	KeyParam
	Body closeAllInput
},
) (*struct {
	AppendHeaders
	Body closedView
}, error,
) {
	ch, ok := p.Channels.Channel(in.Body.Channel)
	if !ok || ch.Account != c.Account {
		return nil, unmet("channel_id", "must be the id of a channel; there is no channel %s", domain.Cut(in.Body.Channel, 40))
	}
	of := domain.ConversationFilter{Account: c.Account, Channel: ch.ID, Status: domain.StatusOpen}
	done, err := p.closeAll(ctx, c, of, domain.CloseReason(cmp.Or(in.Body.Reason, string(domain.ClosedByUnknown))))
	if err != nil {
		return nil, err
	}
	return &struct {
		AppendHeaders
		Body closedView
	}{appended(done.positions), closedView{Closed: done.count}}, nil
}

// closedAll is what closing many conversations came to.
type closedAll struct {
	count     int
	positions []domain.Position // of the last ones
}

// closePage is how many conversations are closed with one append.
const closePage = 200

// closeAll closes the open conversations that a filter finds, as of now. What the
// process dies on the way to is still open, and found again by a repeat.
func (p *platform) closeAll(ctx context.Context, c caller, f domain.ConversationFilter, reason domain.CloseReason) (closedAll, error) {
	var done closedAll
	if err := p.certain(ctx); err != nil {
		return done, err
	}
	page := domain.Page{Limit: closePage}
	for {
		part, next, err := p.Reads.Conversations(ctx, f, page)
		if err != nil {
			return done, fmt.Errorf("look for open conversations: %w", err)
		}
		var events []domain.Event
		var tickets []uuid.UUID
		for _, conversation := range part {
			ch, ok := p.Channels.Channel(conversation.Channel)
			if !ok {
				continue // deleted: nobody can write there any more
			}
			if ch.Dialect.HasTickets() {
				tickets = append(tickets, conversation.ID)
				continue
			}
			closing := domain.Closing{Reason: reason, By: c.Name}
			if ch.Dialect.HasEpisodes() {
				closing.Sender = p.agentSender(c, "", &conversation)
			}
			e, err := conversation.Close(ch, closing, p.Now())
			if err != nil {
				continue // closed meanwhile
			}
			events = append(events, e)
		}
		if len(events) > 0 {
			if done.positions, err = p.Log.Append(ctx, events...); err != nil {
				return done, err
			}
			done.count += len(events)
		}
		ended, err := p.endTickets(ctx, c, tickets, f.Agent != "")
		done.count += ended
		if err != nil {
			return done, err
		}
		if next == "" {
			p.settle(ctx, projectionConversations, done.positions)
			return done, nil
		}
		page.After = next
	}
}
