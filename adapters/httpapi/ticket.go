package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// What is asked of a conversation of a dialect with tickets is the dialect's to
// decide: it knows the people, the numbers and who has to be told. Its rows have
// what was decided when it answers, so nothing is waited for here.

// speaker is who a token speaks as: the registered agent that is named, else the
// one that the token is bound to, else itself.
func (p *platform) speaker(c caller, ch domain.Channel, in SpeakerInput) (domain.Token, error) {
	by := c.Token
	if in.Sender == senderBot {
		return by, onlyKit("sender", ch.Dialect)
	}
	if in.AgentID == "" {
		return by, nil
	}
	a, ok := p.agentNamed(c.Account, in.AgentID)
	if !ok {
		return by, unmet("agent_id", "must be the id or the username of an agent; there is no agent %s", domain.Cut(in.AgentID, 40))
	}
	by.Agent = a.Number
	return by, nil
}

// spoken is what a message says, in the forms that conversations with tickets
// have: a text with files, or a choice.
func spoken(in ContentInput) (domain.Content, error) {
	content := in.content()
	if err := content.Validate("", domain.LimitsOf(domain.DialectChannelX)); err != nil {
		return content, err
	}
	if content.Type == domain.ContentLocation {
		return content, unmet("type", "must be one of text, attachment, quick_reply on channels of dialect %s", domain.DialectChannelX)
	}
	for i, item := range content.Attachments {
		if item.Type == domain.ItemContact || item.Type == domain.ItemLocation {
			return content, unmet(fmt.Sprintf("attachments[%d].type", i), "must be one of image, video, audio, file on channels of dialect %s", domain.DialectChannelX)
		}
	}
	return content, nil
}

// say writes into a ticket: that of a conversation, or that of a contact.
func (p *platform) say(ctx context.Context, c caller, ch domain.Channel, in messageInput,
	write func(by domain.Token, content domain.Content) (uuid.UUID, error),
) (*sentOutput, error) {
	if ch.Disabled {
		return nil, domain.Errorf(domain.CodeConflict, "The channel is disabled.")
	}
	content, err := spoken(in.ContentInput)
	if err != nil {
		return nil, err
	}
	by, err := p.speaker(c, ch, in.SpeakerInput)
	if err != nil {
		return nil, err
	}
	id, err := write(by, content)
	if err != nil {
		return nil, err
	}
	m, err := p.Reads.Message(ctx, c.Account, id)
	if err != nil {
		return nil, fmt.Errorf("read message %s after it was written: %w", id, err)
	}
	return &sentOutput{
		AppendHeaders: AppendHeaders{Position: formatPosition(m.Position)}, Location: "/v1/messages/" + id.String(), Body: showMessage(m),
	}, nil
}

// replyTicket says something in a ticket.
func (p *platform) replyTicket(ctx context.Context, c caller, ch domain.Channel, conversation uuid.UUID, in messageInput, key string) (*sentOutput, error) {
	return p.say(ctx, c, ch, in, func(by domain.Token, content domain.Content) (uuid.UUID, error) {
		return p.Tickets.Reply(ctx, by, conversation, content, key)
	})
}

// startTicket writes to a contact.
func (p *platform) startTicket(ctx context.Context, c caller, ch domain.Channel, ref string, in messageInput, key string) (*sentOutput, error) {
	return p.say(ctx, c, ch, in, func(by domain.Token, content domain.Content) (uuid.UUID, error) {
		return p.Tickets.Start(ctx, by, ch, ref, content, key)
	})
}

// turned shows a ticket as it is after something was decided about it.
func (p *platform) turned(ctx context.Context, c caller, id uuid.UUID) (*changedConversation, error) {
	v, err := p.readConversation(ctx, c, id)
	if err != nil {
		return nil, fmt.Errorf("read conversation %s after it was changed: %w", id, err)
	}
	return &changedConversation{Body: v}, nil
}

// closeTicket resolves a ticket.
func (p *platform) closeTicket(ctx context.Context, c caller, ch domain.Channel, id uuid.UUID, in closeInput) (*changedConversation, error) {
	if reason := cmp.Or(in.Reason, string(domain.ClosedByAgent)); reason != string(domain.ClosedByAgent) {
		return nil, unmet("reason", "must be %s on channels of dialect %s", domain.ClosedByAgent, ch.Dialect)
	}
	by, err := p.speaker(c, ch, SpeakerInput{AgentID: in.AgentID})
	if err != nil {
		return nil, err
	}
	if err := p.Tickets.Close(ctx, by, id); err != nil {
		return nil, err
	}
	return p.turned(ctx, c, id)
}

// assignTicket gives a ticket to an agent, to a team, which is a queue, or to nobody.
func (p *platform) assignTicket(ctx context.Context, c caller, ch domain.Channel, id uuid.UUID, in assignInput) (*changedConversation, error) {
	var agent, team *int64
	var nobody int64
	switch domain.Handler(in.To) {
	case domain.HandlerAgent:
		a, ok := p.agentNamed(c.Account, in.AgentID)
		if !ok {
			return nil, unmet("agent_id", "must be the id or the username of an agent on channels of dialect %s", ch.Dialect)
		}
		agent = &a.Number
	case domain.HandlerQueue:
		if err := p.namesQueue(c.Account, "queue_id", in.Queue); err != nil || in.Queue == 0 {
			return nil, cmp.Or(err, error(unmet("queue_id", "is required")))
		}
		team = &in.Queue
	case domain.HandlerUnassigned:
		agent, team = &nobody, &nobody
	default:
		return nil, unmet("to", "must be one of agent, queue, unassigned on channels of dialect %s", ch.Dialect)
	}
	if err := p.Tickets.Assign(ctx, c.Token, id, agent, team); err != nil {
		return nil, err
	}
	return p.turned(ctx, c, id)
}

// markTicket labels a ticket: its labels are the account's tags, by name.
func (p *platform) markTicket(ctx context.Context, c caller, ch domain.Channel, id uuid.UUID, in markInput) (*changedConversation, error) {
	for field, given := range map[string]bool{
		"topic_id": in.Topic != nil, "variables": len(in.Variables) > 0, "custom_data": len(in.CustomData) > 0,
	} {
		if given {
			return nil, onlyKit(field, ch.Dialect)
		}
	}
	labels := make([]string, len(in.Tags))
	for i, number := range in.Tags {
		tag, ok := p.Directory.Tag(c.Account, number)
		if !ok {
			return nil, unmet(fmt.Sprintf("tags[%d]", i), "must be the id of a tag; there is no tag %d", number)
		}
		labels[i] = tag.Name
	}
	slices.Sort(labels)
	if err := p.Tickets.Label(ctx, c.Token, id, slices.Compact(labels), in.ReplaceTags); err != nil {
		return nil, err
	}
	return p.turned(ctx, c, id)
}

// endTickets takes tickets away from who has them, where an agent goes, and resolves
// them otherwise. It counts those of which something was to be done.
func (p *platform) endTickets(ctx context.Context, c caller, ids []uuid.UUID, agentGoes bool) (int, error) {
	switch {
	case len(ids) == 0:
		return 0, nil
	case agentGoes:
		return p.ManyTickets.LeaveAll(ctx, c.Token, ids)
	default:
		return p.ManyTickets.CloseAll(ctx, c.Token, ids)
	}
}
