package channelx

import (
	"context"
	"net/http"

	"github.com/parley-im/parley/domain"
)

// messageRoutes are the messages of the application API (channelx.md 4.6).
func (d *Door) messageRoutes(mux *http.ServeMux) {
	d.app(mux, "GET /conversations/{conversation}/messages", open, d.listMessages)
	d.app(mux, "POST /conversations/{conversation}/messages", write, d.createMessage)
	d.app(mux, "PATCH /conversations/{conversation}/messages/{message}", write, d.changeMessage)
	d.app(mux, "PUT /conversations/{conversation}/messages/{message}", write, d.changeMessage)
	d.app(mux, "DELETE /conversations/{conversation}/messages/{message}", write, d.deleteMessage)
	d.app(mux, "POST /conversations/{conversation}/messages/{message}/retry", write, d.retryMessage)
}

func (d *Door) createMessage(ctx context.Context, c caller, r *request) (any, error) {
	t, ch, err := d.ticketNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	in, err := d.readPost(ctx, r)
	if err != nil {
		return nil, uncreated(err)
	}
	p, t, err := d.desk.post(ctx, c.actor(), t.Number, in)
	if err != nil {
		return nil, uncreated(err)
	}
	return d.viewed(ctx, c.account.Name).message(ch, p, t.Person, in.EchoID), nil
}

// Pages of messages (channelx.md 4.6).
const (
	messagesPage   = 20
	messagesAfter  = 100
	messagesWithin = 1000
)

// messagesMeta is what stands beside a page of messages.
type messagesMeta struct {
	Labels         []string      `json:"labels"`
	Additional     domain.Object `json:"additional_attributes"`
	Contact        any           `json:"contact"`
	Assignee       any           `json:"assignee,omitempty"`
	AgentSeenAt    *string       `json:"agent_last_seen_at"`
	AssigneeSeenAt *string       `json:"assignee_last_seen_at"`
}

// messagePage is a page of messages, oldest first.
type messagePage struct {
	Meta    messagesMeta `json:"meta"`
	Payload []any        `json:"payload"`
}

// listMessages gives the newest messages, or those before or after one.
func (d *Door) listMessages(ctx context.Context, c caller, r *request) (any, error) {
	t, ch, err := d.ticketNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	q := domain.PostQuery{
		Account: c.account.Name, Number: t.Number, Limit: messagesPage, Newest: true,
		PublicOnly: r.params.has("filter_internal_messages") && !r.params.null("filter_internal_messages"),
	}
	q.Before, _ = r.params.integer("before")
	q.After, _ = r.params.integer("after")
	switch {
	case q.Before > 0 && q.After > 0:
		q.Limit, q.Newest = messagesWithin, false
	case q.After > 0:
		q.Limit, q.Newest = messagesAfter, false
	}
	list, err := d.Posts.Posts(ctx, q)
	if err != nil {
		return nil, err
	}
	v := d.viewed(ctx, c.account.Name)
	page := messagePage{Payload: []any{}, Meta: messagesMeta{
		Labels: nonNil(t.Labels), Additional: object(t.Additional), Contact: v.pushContact(t.Person),
		AgentSeenAt: isoOrNull(t.AgentSeenAt), AssigneeSeenAt: isoOrNull(t.AssigneeSeenAt),
	}}
	if o, _, ok := v.operator(c.account.Name, t.Assignee); ok && t.Assignee != 0 {
		page.Meta.Assignee = v.pushUser(o, v.there.operator(o.ID))
	}
	for _, p := range list {
		page.Payload = append(page.Payload, v.message(ch, p, t.Person, ""))
	}
	return page, nil
}

// messageCommand finds the conversation that the path names and its message, has
// something done to it, and shows it as it is then.
func (d *Door) messageCommand(
	ctx context.Context, c caller, r *request, command func(number, id int64) (domain.Post, domain.TicketSeen, error),
) (any, error) {
	t, ch, err := d.ticketNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	id, err := r.id("message")
	if err != nil {
		return nil, err
	}
	p, t, err := command(t.Number, id)
	if err != nil {
		return nil, err
	}
	return d.viewed(ctx, c.account.Name).message(ch, p, t.Person, ""), nil
}

// changeMessage tells what became of a message; its content cannot be changed.
func (d *Door) changeMessage(ctx context.Context, c caller, r *request) (any, error) {
	return d.messageCommand(ctx, c, r, func(number, id int64) (domain.Post, domain.TicketSeen, error) {
		status, _ := r.params.text("status")
		return d.desk.setStatus(ctx, c.actor(), number, id, status, given(r.params, "external_error"))
	})
}

// deleteMessage takes the content and the files out of a message, which stays in
// lists.
func (d *Door) deleteMessage(ctx context.Context, c caller, r *request) (any, error) {
	return d.messageCommand(ctx, c, r, func(number, id int64) (domain.Post, domain.TicketSeen, error) {
		return d.desk.deletePost(ctx, c.actor(), number, id)
	})
}

// retryMessage has a message told to the callback again.
func (d *Door) retryMessage(ctx context.Context, c caller, r *request) (any, error) {
	return d.messageCommand(ctx, c, r, func(number, id int64) (domain.Post, domain.TicketSeen, error) {
		p, t, err := d.desk.retryPost(ctx, c.actor(), number, id)
		if notFound(err) {
			err = plainError{http.StatusUnprocessableEntity, "Couldn't find Message with 'id'=" + r.value("message")}
		}
		return p, t, err
	})
}
