package channelx

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// contactTickets is how many conversations of a contact are shown (channelx.md 4.4).
const contactTickets = 20

// contactInbox is how an inbox knows a contact.
type contactInbox struct {
	SourceID string `json:"source_id"`
	Inbox    any    `json:"inbox"`
}

// contactConversations lists the conversations of a contact in the inboxes that
// the caller may see, whatever their status: not those of inboxes that are gone.
func (d *Door) contactConversations(ctx context.Context, c caller, r *request) (any, error) {
	p, err := d.contactNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	channels := []string{}
	for _, ch := range d.inboxesOf(c) {
		channels = append(channels, ch.ID)
	}
	list, err := d.Tickets.Tickets(ctx, domain.TicketQuery{
		Account: c.account.Name, Channels: channels, Person: p.ID, Limit: contactTickets,
	})
	if err != nil {
		return nil, err
	}
	v := d.viewed(ctx, c.account.Name)
	shown := make([]any, len(list))
	for i, t := range list {
		shown[i] = v.conversation(t)
	}
	return payload{shown}, nil
}

func (d *Door) createContactInbox(ctx context.Context, c caller, r *request) (any, error) {
	id, err := r.id("contact")
	if err != nil {
		return nil, err
	}
	inbox, err := d.inboxGiven(c, r.params)
	if err != nil {
		return nil, err
	}
	source, _ := r.params.text("source_id")
	identity, err := d.desk.link(ctx, c.actor(), id, inbox, source)
	if err != nil {
		return nil, err
	}
	return contactInbox{SourceID: identity.SourceID, Inbox: d.view.slimInbox(inbox)}, nil
}

// contactableInboxes lists in which inboxes a contact can be written to, and as
// whom: as it is known there last, or under a new name that is made up here.
func (d *Door) contactableInboxes(ctx context.Context, c caller, r *request) (any, error) {
	p, err := d.contactNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	latest := map[string]string{}
	for _, i := range p.Identities { // oldest first
		latest[i.Channel] = i.SourceID
	}
	list := []any{}
	for _, ch := range d.inboxesOf(c) {
		source, known := latest[ch.ID]
		if !known {
			id, err := uuid.NewRandomFromReader(d.Random)
			if err != nil {
				return nil, err
			}
			source = id.String()
		}
		list = append(list, contactInbox{SourceID: source, Inbox: d.view.slimInbox(ch)})
	}
	return payload{list}, nil
}

// filterContactInboxes finds the contact whom an inbox knows by a source id; 404
// without a body where there is none.
func (d *Door) filterContactInboxes(ctx context.Context, c caller, r *request) (any, error) {
	inbox, err := d.inboxGiven(c, r.params)
	if err != nil {
		return nil, nobody(err)
	}
	source, _ := r.params.text("source_id")
	identity, err := d.People.Identity(ctx, inbox.ID, source)
	if err != nil {
		return nil, nobody(err)
	}
	p, err := d.People.Person(ctx, c.account.Name, identity.PersonID)
	if err != nil {
		return nil, nobody(err)
	}
	return d.showContact(ctx, c, p), nil
}

// nobody is an error whose answer has no body where there is nothing.
func nobody(err error) error {
	if notFound(err) {
		return plainError{status: http.StatusNotFound}
	}
	return err
}
