package channelx

import (
	"context"

	"github.com/parley-im/parley/domain"
)

// Bounds of what the client API shows of conversations.
const (
	mostOfContact  = 200  // conversations of a list
	mostOfThread   = 1000 // newest messages within a conversation
	clientMessages = 20   // messages of a page
)

// clientScope is what a request below a conversation is about.
type clientScope struct {
	identity domain.Identity
	person   domain.PersonSeen
	ticket   domain.TicketSeen
}

// scopeNamed finds the conversation that the path names, if the contact may see it:
// one of the identity or, when that is trusted, of its person. Every other one is
// not there (channelx.md 5.1).
func (d *Door) scopeNamed(ctx context.Context, inbox domain.Channel, r *request) (clientScope, error) {
	var s clientScope
	number, err := r.id("conversation")
	if err != nil {
		return s, err
	}
	if s.identity, s.person, err = d.clientNamed(ctx, inbox, r); err != nil {
		return s, err
	}
	if s.ticket, err = d.Tickets.Ticket(ctx, inbox.Account, number); err != nil {
		return s, err
	}
	if !mayRead(s.identity, s.ticket) {
		return clientScope{}, errNotThere
	}
	return s, nil
}

// channelOf is the inbox of a conversation, which for a trusted contact may be
// another one than that of the path.
func (d *Door) channelOf(t domain.TicketSeen) domain.Channel {
	ch, _ := d.Inboxes.Channel(t.Identity.Channel)
	return ch
}

// showThread renders a conversation with what was said in it.
func (d *Door) showThread(ctx context.Context, v *view, account string, t domain.TicketSeen, person domain.PersonSeen) (any, error) {
	posts, err := d.Posts.Posts(ctx, domain.PostQuery{
		Account: account, Number: t.Number, PublicOnly: true, Limit: mostOfThread, Newest: true,
	})
	if err != nil {
		return nil, err
	}
	return v.clientConversation(t, posts, person), nil
}

func (d *Door) clientGetConversation(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	s, err := d.scopeNamed(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	return d.showThread(ctx, d.viewed(ctx, inbox.Account), inbox.Account, s.ticket, s.person)
}

// clientListConversations lists what the contact may see, latest activity first.
func (d *Door) clientListConversations(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	i, person, err := d.clientNamed(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	q := domain.TicketQuery{Account: inbox.Account, Identity: i.ID, Limit: mostOfContact}
	if i.Verified {
		q.Identity, q.Person = 0, i.PersonID
	}
	list, err := d.Tickets.Tickets(ctx, q)
	if err != nil {
		return nil, err
	}
	v, shown := d.viewed(ctx, inbox.Account), make([]any, 0, len(list))
	for _, t := range list {
		if !mayRead(i, t) {
			continue
		}
		thread, err := d.showThread(ctx, v, inbox.Account, t, person)
		if err != nil {
			return nil, err
		}
		shown = append(shown, thread)
	}
	return shown, nil
}

func (d *Door) clientCreateConversation(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	i, person, err := d.clientNamed(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	custom, _ := r.params.object("custom_attributes")
	t, err := d.desk.open(ctx, d.contactOf(inbox), ticketInput{Channel: &inbox, Identity: i.ID, Custom: custom})
	if err != nil {
		return nil, err
	}
	return d.showThread(ctx, d.viewed(ctx, inbox.Account), inbox.Account, t, person)
}

// clientResolve ends a conversation; one that has ended stays as it is.
func (d *Door) clientResolve(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	s, err := d.scopeNamed(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	if s.ticket.Status != domain.TicketResolved {
		if s.ticket, err = d.desk.turn(ctx, d.contactOf(inbox), s.ticket.Number, domain.TicketResolved, nil); err != nil {
			return nil, err
		}
	}
	return d.showThread(ctx, d.viewed(ctx, inbox.Account), inbox.Account, s.ticket, s.person)
}

// clientType tells operators that the contact types.
func (d *Door) clientType(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	s, err := d.scopeNamed(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	on, ok := typingGiven(r.params)
	if !ok {
		return nil, nil //nolint:nilnil // nothing is told, and the answer has no body
	}
	return nil, d.desk.typing(ctx, d.contactOf(inbox), s.ticket.Number, on, false)
}

// clientSee notes that the contact has seen what was written to them.
func (d *Door) clientSee(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	s, err := d.scopeNamed(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	_, err = d.desk.contactSeen(ctx, d.contactOf(inbox), s.ticket.Number)
	return nil, err
}
