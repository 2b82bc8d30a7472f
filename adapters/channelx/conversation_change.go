package channelx

import (
	"context"
	"slices"

	"github.com/parley-im/parley/domain"
)

// priorityGiven reads a priority; null and blank are none.
func priorityGiven(p *params) (string, error) {
	priority, _ := p.text("priority")
	if priority != "" && !slices.Contains(domain.TicketPriorities, priority) {
		return "", invalidChoice(priority, "priority")
	}
	return priority, nil
}

// changeConversation changes what of a conversation can be changed so, which is
// its priority.
func (d *Door) changeConversation(ctx context.Context, c caller, r *request) (any, error) {
	if !r.params.has("priority") {
		return d.getConversation(ctx, c, r)
	}
	priority, err := priorityGiven(r.params)
	if err != nil {
		return nil, err
	}
	t, err := d.ticketCommand(ctx, c, r, func(number int64) (domain.TicketSeen, error) {
		return d.desk.setPriority(ctx, c.actor(), number, priority)
	})
	if err != nil {
		return nil, err
	}
	return d.viewed(ctx, c.account.Name).conversation(t), nil
}

func (d *Door) togglePriority(ctx context.Context, c caller, r *request) (any, error) {
	priority, err := priorityGiven(r.params)
	if err != nil {
		return nil, err
	}
	_, err = d.ticketCommand(ctx, c, r, func(number int64) (domain.TicketSeen, error) {
		return d.desk.setPriority(ctx, c.actor(), number, priority)
	})
	return nil, err
}

// assignConversation gives a conversation to an operator or, where none is named,
// to a team. A null or 0 takes it from them. The answer is who has it now.
func (d *Door) assignConversation(ctx context.Context, c caller, r *request) (any, error) {
	var assignee, team *int64
	switch {
	case r.params.has("assignee_id"):
		id, _ := r.params.integer("assignee_id")
		assignee = &id
	case r.params.has("team_id"):
		id, _ := r.params.integer("team_id")
		team = &id
	}
	t, err := d.ticketCommand(ctx, c, r, func(number int64) (domain.TicketSeen, error) {
		return d.desk.assign(ctx, c.actor(), number, assignee, team)
	})
	if err != nil {
		return nil, err
	}
	if team != nil {
		given, ok := d.Directory.Queue(c.account.Name, t.Team)
		if !ok || t.Team == 0 {
			return null{}, nil
		}
		agent, _ := d.Directory.Agent(c.account.Name, c.agent)
		return d.view.team(given, agent.Member(given.Number)), nil
	}
	v := d.viewed(ctx, c.account.Name)
	o, role, ok := v.operator(c.account.Name, t.Assignee)
	if !ok || t.Assignee == 0 {
		return null{}, nil
	}
	return v.fullUser(c.account.Name, o, role, v.there.operator(o.ID)), nil
}

// null is an answer whose body is null, other than an answer without a body.
type null struct{}

// MarshalJSON gives null.
func (null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func (d *Door) conversationLabels(ctx context.Context, c caller, r *request) (any, error) {
	t, _, err := d.ticketNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	return payload{nonNil(t.Labels)}, nil
}

// labelConversation puts other labels in the place of those that a conversation
// has.
func (d *Door) labelConversation(ctx context.Context, c caller, r *request) (any, error) {
	labels, _ := r.params.texts("labels")
	t, err := d.ticketCommand(ctx, c, r, func(number int64) (domain.TicketSeen, error) {
		return d.desk.label(ctx, c.actor(), number, labels)
	})
	if err != nil {
		return nil, err
	}
	return payload{nonNil(t.Labels)}, nil
}

// customiseConversation puts other attributes in the place of those that a
// conversation has.
func (d *Door) customiseConversation(ctx context.Context, c caller, r *request) (any, error) {
	custom, _ := r.params.object("custom_attributes")
	t, err := d.ticketCommand(ctx, c, r, func(number int64) (domain.TicketSeen, error) {
		return d.desk.setCustom(ctx, c.actor(), number, custom)
	})
	if err != nil {
		return nil, err
	}
	return struct {
		Custom domain.Object `json:"custom_attributes"`
	}{object(t.Custom)}, nil
}

// seeConversation notes that an operator has seen what the contact wrote.
func (d *Door) seeConversation(ctx context.Context, c caller, r *request) (any, error) {
	t, err := d.ticketCommand(ctx, c, r, func(number int64) (domain.TicketSeen, error) {
		return d.desk.seen(ctx, c.actor(), number)
	})
	if err != nil {
		return nil, err
	}
	return d.viewed(ctx, c.account.Name).conversation(t), nil
}

// unseeConversation makes the newest message of the contact unseen again.
func (d *Door) unseeConversation(ctx context.Context, c caller, r *request) (any, error) {
	t, err := d.ticketCommand(ctx, c, r, func(number int64) (domain.TicketSeen, error) {
		return d.desk.unseen(ctx, c.actor(), number)
	})
	if err != nil {
		return nil, err
	}
	return d.viewed(ctx, c.account.Name).conversation(t), nil
}

// toggleTypingStatus tells the contact that an operator types, or other operators
// alone where the typing is private.
func (d *Door) toggleTypingStatus(ctx context.Context, c caller, r *request) (any, error) {
	t, _, err := d.ticketNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	on, ok := typingGiven(r.params)
	if !ok {
		return nil, nil //nolint:nilnil // nothing is told, and the answer has no body
	}
	private, _ := r.params.boolean("is_private")
	return nil, d.desk.typing(ctx, c.actor(), t.Number, on, private)
}

// typingGiven reads whether somebody begins to type or stops; false for everything
// else, which does nothing.
func typingGiven(p *params) (on, ok bool) {
	switch status, _ := p.text("typing_status"); status {
	case "on":
		return true, true
	case "off":
		return false, true
	default:
		return false, false
	}
}
