package channelx

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// conversationRoutes are the conversations of the application API (channelx.md 4.5).
func (d *Door) conversationRoutes(mux *http.ServeMux) {
	d.app(mux, "GET /conversations", open, d.listConversations)
	d.app(mux, "POST /conversations", write, d.createConversation)
	d.app(mux, "GET /conversations/meta", open, d.countConversations)
	d.app(mux, "POST /conversations/filter", open, d.filterConversations)
	d.app(mux, "GET /conversations/{conversation}", open, d.getConversation)
	d.app(mux, "PATCH /conversations/{conversation}", write, d.changeConversation)
	d.app(mux, "PUT /conversations/{conversation}", write, d.changeConversation)

	d.app(mux, "POST /conversations/{conversation}/toggle_status", write, d.toggleStatus)
	d.app(mux, "POST /conversations/{conversation}/toggle_priority", write, d.togglePriority)
	d.app(mux, "POST /conversations/{conversation}/toggle_typing_status", write, d.toggleTypingStatus)
	d.app(mux, "POST /conversations/{conversation}/assignments", write, d.assignConversation)
	d.app(mux, "GET /conversations/{conversation}/labels", open, d.conversationLabels)
	d.app(mux, "POST /conversations/{conversation}/labels", write, d.labelConversation)
	d.app(mux, "POST /conversations/{conversation}/custom_attributes", write, d.customiseConversation)
	d.app(mux, "POST /conversations/{conversation}/update_last_seen", write, d.seeConversation)
	d.app(mux, "POST /conversations/{conversation}/unread", write, d.unseeConversation)
}

// ticketNamed finds the conversation that the path names, and its inbox. The number
// is all that is needed to know of a conversation; its inbox says who may see it.
func (d *Door) ticketNamed(ctx context.Context, c caller, r *request) (domain.TicketSeen, domain.Channel, error) {
	number, err := r.id("conversation")
	if err != nil {
		return domain.TicketSeen{}, domain.Channel{}, err
	}
	t, err := d.Tickets.Ticket(ctx, c.account.Name, number)
	if err != nil {
		return domain.TicketSeen{}, domain.Channel{}, err
	}
	ch, ok := d.Inboxes.Channel(t.Identity.Channel)
	switch {
	case !ok:
		return domain.TicketSeen{}, domain.Channel{}, errNotThere
	case !c.sees(ch):
		return domain.TicketSeen{}, domain.Channel{}, errNoRight
	}
	return t, ch, nil
}

// ticketCommand finds the conversation that the path names, has something done to
// it, and gives it as it is then.
func (d *Door) ticketCommand(
	ctx context.Context, c caller, r *request, command func(number int64) (domain.TicketSeen, error),
) (domain.TicketSeen, error) {
	t, _, err := d.ticketNamed(ctx, c, r)
	if err != nil {
		return domain.TicketSeen{}, err
	}
	return command(t.Number)
}

func (d *Door) getConversation(ctx context.Context, c caller, r *request) (any, error) {
	t, _, err := d.ticketNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	return d.viewed(ctx, c.account.Name).conversation(t), nil
}

// createConversation opens a conversation with a contact in an inbox, or of a
// source id alone (channelx.md 4.5).
func (d *Door) createConversation(ctx context.Context, c caller, r *request) (any, error) {
	in, err := d.ticketGiven(ctx, c, r.params)
	if err != nil {
		return nil, err
	}
	if message, ok := r.params.object("message"); ok && len(message) > 0 {
		post, err := d.readPost(ctx, r, "message")
		if err != nil {
			return nil, uncreated(err)
		}
		in.Message = &post
	}
	t, err := d.desk.open(ctx, c.actor(), in)
	if err != nil {
		return nil, err
	}
	return d.viewed(ctx, c.account.Name).conversation(t), nil
}

// ticketGiven reads which conversation is to be opened.
func (d *Door) ticketGiven(ctx context.Context, c caller, p *params) (ticketInput, error) {
	var in ticketInput
	in.SourceID, _ = p.text("source_id")
	person, _ := p.integer("contact_id")
	switch {
	case p.has("inbox_id") && !p.null("inbox_id") && person > 0:
		inbox, err := d.inboxGiven(c, p)
		if err != nil {
			return in, err
		}
		in.Channel, in.Person = &inbox, person
	case strings.TrimSpace(in.SourceID) == "":
		return in, errNotThere
	default:
		inbox, _ := p.integer("inbox_id")
		identity, err := d.identityGiven(ctx, c, in.SourceID, inbox)
		if err != nil {
			return in, err
		}
		in.SourceID, in.Identity = "", identity.ID
	}
	status, _ := p.text("status")
	if in.Status = domain.TicketStatus(status); status != "" && !slices.Contains(domain.TicketStatuses, in.Status) {
		return in, invalidChoice(status, "status")
	}
	in.Assignee, _ = p.integer("assignee_id")
	in.Team, _ = p.integer("team_id")
	if text, _ := p.text("snoozed_until"); text != "" {
		if until, err := time.Parse(time.RFC3339Nano, text); err == nil {
			in.SnoozedUntil = &until
		}
	}
	in.Additional, _ = p.object("additional_attributes")
	in.Custom, _ = p.object("custom_attributes")
	return in, nil
}

// identityGiven finds the identity that a source id names in the inboxes that the
// caller may see: where several inboxes know it, that of the inbox that is named, or
// else the oldest.
func (d *Door) identityGiven(ctx context.Context, c caller, source string, inbox int64) (domain.Identity, error) {
	list, err := d.People.IdentitiesBySource(ctx, c.account.Name, source)
	if err != nil {
		return domain.Identity{}, err
	}
	var found domain.Identity
	err = errNotThere
	for _, i := range list {
		ch, ok := d.Inboxes.Channel(i.Channel)
		switch named := ch.Inbox.Number == inbox; {
		case !ok:
		case !c.sees(ch) && named:
			return domain.Identity{}, errNoRight
		case !c.sees(ch):
			err = errNoRight
		case named:
			return i, nil
		case found.ID == 0:
			found = i
		}
	}
	if found.ID != 0 {
		return found, nil
	}
	return found, err
}

// The answer to a change of status.
type (
	toggledStatus struct {
		Meta    struct{}       `json:"meta"`
		Payload toggledPayload `json:"payload"`
	}
	toggledPayload struct {
		Success        bool                `json:"success"`
		ConversationID int64               `json:"conversation_id"`
		CurrentStatus  domain.TicketStatus `json:"current_status"`
		SnoozedUntil   *string             `json:"snoozed_until"`
	}
)

// toggleStatus gives a conversation the status that is asked for, or the other
// one.
func (d *Door) toggleStatus(ctx context.Context, c caller, r *request) (any, error) {
	text, _ := r.params.text("status")
	status := domain.TicketStatus(text)
	if text != "" && !slices.Contains(domain.TicketStatuses, status) {
		return nil, invalidChoice(text, "status")
	}
	var until *time.Time
	if seconds, ok := r.params.integer("snoozed_until"); ok {
		if seconds < 0 || seconds > maxUnix {
			return nil, invalidChoice("snoozed_until", "time")
		}
		until = new(time.Unix(seconds, 0).UTC())
	}
	t, err := d.ticketCommand(ctx, c, r, func(number int64) (domain.TicketSeen, error) {
		return d.desk.turn(ctx, c.actor(), number, status, until)
	})
	if err != nil {
		return nil, err
	}
	return toggledStatus{Payload: toggledPayload{
		Success: true, ConversationID: t.Number, CurrentStatus: t.Status, SnoozedUntil: isoOrNull(t.SnoozedUntil),
	}}, nil
}

// maxUnix is the last second of the year 9999.
const maxUnix = 253402300799
