package httpapi

import (
	"github.com/parley-im/parley/domain"
)

// SpeakerInput says who speaks, in dialects that tell the integration.
type SpeakerInput struct {
	Sender  string `json:"sender,omitempty" enum:"agent,bot" doc:"voximplant: who speaks. Default agent."`
	AgentID string `json:"agent_id,omitempty" maxLength:"255" doc:"voximplant and channelx, sender agent: the id or username of a registered agent; on voximplant also any other text of the contact centre's. Default: the agent that has the conversation, else the token's name; on channelx who the token acts as."`
}

// senderView is who spoke for the business, as the integration is told.
type senderView struct {
	Type        string `json:"type" enum:"agent,bot"`
	ID          int64  `json:"id" doc:"The sender_id on the wire: the number of a registered agent, a number of its own for any other text, 0 for a bot."`
	Username    string `json:"username"`
	DisplayName string `json:"display_name"`
	Avatar      string `json:"avatar,omitempty"`
	Email       string `json:"email,omitempty"`
}

func showSender(s *domain.Sender) *senderView {
	if s == nil {
		return nil
	}
	v := &senderView{Type: senderAgent, ID: s.Number, Username: s.Username, DisplayName: s.DisplayName, Avatar: s.Avatar, Email: s.Email}
	if s.Bot {
		v.Type = senderBot
	}
	return v
}

// The senders of a message.
const (
	senderAgent = "agent"
	senderBot   = "bot"
)

// senderOf finds who is to speak. conversation is nil where none is known.
func (p *platform) senderOf(c caller, ch domain.Channel, in SpeakerInput, conversation *domain.Conversation) (*domain.Sender, error) {
	if !ch.Dialect.HasEpisodes() {
		switch {
		case in.AgentID != "":
			return nil, onlyKit("agent_id", ch.Dialect)
		case in.Sender == senderBot:
			return nil, onlyKit("sender", ch.Dialect)
		}
		return nil, nil //nolint:nilnil // the dialect does not tell who speaks
	}
	if in.Sender == senderBot {
		if in.AgentID != "" {
			return nil, unmet("agent_id", "is only for sender agent")
		}
		return domain.BotSender(), nil
	}
	return p.agentSender(c, in.AgentID, conversation), nil
}

// agentSender is the sender for an agent: the one that is named, else the one that
// has the conversation, else whoever uses the token.
func (p *platform) agentSender(c caller, named string, conversation *domain.Conversation) *domain.Sender {
	if named == "" && conversation != nil && conversation.Status == domain.StatusOpen && conversation.Handler == domain.HandlerAgent {
		named = conversation.AgentID
	}
	if named == "" {
		return domain.SenderOf(c.Account, c.Name)
	}
	if a, ok := p.agentNamed(c.Account, named); ok {
		return a.Sender()
	}
	return domain.SenderOf(c.Account, named)
}
