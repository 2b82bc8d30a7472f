package httpapi

import (
	"context"
	"net/http"

	"github.com/parley-im/parley/domain"
)

// assignInput says who looks after a conversation from now on.
type assignInput struct {
	To       string            `json:"to" enum:"agent,queue,bot,unassigned" doc:"queue: only on channels of dialect voximplant and channelx, where it is a team; bot: not on channelx."`
	AgentID  string            `json:"agent_id,omitempty" maxLength:"255" doc:"Needed for an agent, and only for one: the id or username of a registered agent, or, but for channelx, any other text of the contact centre's."`
	Queue    int64             `json:"queue_id,omitempty" minimum:"0" doc:"Needed for a queue, and only for one."`
	Function int64             `json:"function_id,omitempty" minimum:"0" doc:"voximplant: needed for a bot, and only for one."`
	Skills   []skillLevelInput `json:"skills,omitempty" nullable:"false" maxItems:"50" doc:"For a queue: wanted of who takes the conversation out of it."`
	Priority int               `json:"priority,omitempty" minimum:"0" maximum:"10" doc:"For a queue: the higher the sooner."`
}

func (p *platform) assignRoutes() {
	handle(p, operation{
		id: "assign-conversation", method: http.MethodPost, path: "/v1/conversations/{id}/assign", tag: tagConversations, need: domain.RoleAgent,
		summary: "Say who looks after a conversation", status: http.StatusAccepted,
		description: "On a channel of dialect voximplant everything that is named must be there (422), and the conversation must be open (409).",
	}, p.assignConversation)
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
	if ch.Dialect.HasTickets() {
		return p.assignTicket(ctx, c, ch, conversation.ID, in.Body)
	}
	id, err := p.eventID(in.Key, "assign", c.Account, conversation.ID.String())
	if err != nil {
		return nil, err
	}
	a, err := p.assignment(ch, in.Body)
	if err != nil {
		return nil, err
	}
	e, err := conversation.Assign(ch, id, a, c.Name, p.Now())
	if err != nil {
		return nil, err
	}
	return p.decide(ctx, c, conversation, e)
}

// assignment gives the domain's form, with what it names looked up.
func (p *platform) assignment(ch domain.Channel, in assignInput) (domain.Assignment, error) {
	a := domain.Assignment{
		To: domain.Handler(in.To), AgentID: in.AgentID, Queue: in.Queue, Function: in.Function,
		Skills: levels(in.Skills), Priority: in.Priority,
	}
	if !ch.Dialect.HasEpisodes() {
		return a, nil
	}
	if agent, ok := p.agentNamed(ch.Account, in.AgentID); ok {
		a.AgentID = agent.ID()
	}
	if a.To == domain.HandlerQueue && a.Queue != 0 {
		q, ok := p.Directory.Queue(ch.Account, a.Queue)
		if !ok {
			return a, p.namesQueue(ch.Account, "queue_id", a.Queue)
		}
		if ch.Desk.CheckWait(q) != nil {
			return a, unmet("queue_id", "must be a queue with a longest wait of less than close_after of the channel, which is %d seconds", ch.Desk.CloseAfter)
		}
		a.Wait = q.MaxWait
	}
	if a.To == domain.HandlerBot && a.Function != 0 {
		if err := p.namesFunction(ch.Account, "function_id", a.Function); err != nil {
			return a, err
		}
	}
	return a, p.nameSkills(ch.Account, "skills", a.Skills)
}
