package channelx

import (
	"context"
	"net/http"

	"github.com/parley-im/parley/domain"
)

// contactsPage is how many contacts a page has (channelx.md 4.3).
const contactsPage = 15

// contactRoutes are the contacts of the application API, and their identities in
// inboxes (channelx.md 4.3 and 4.4).
func (d *Door) contactRoutes(mux *http.ServeMux) {
	d.app(mux, "GET /contacts", open, d.listContacts)
	d.app(mux, "POST /contacts", write, d.createContact)
	d.app(mux, "GET /contacts/search", open, d.searchContacts)
	d.app(mux, "POST /contacts/filter", open, d.filterContacts)
	d.app(mux, "GET /contacts/{contact}", open, d.getContact)
	d.app(mux, "PATCH /contacts/{contact}", write, d.changeContact)
	d.app(mux, "PUT /contacts/{contact}", write, d.changeContact)
	d.app(mux, "DELETE /contacts/{contact}", admin, d.deleteContact)
	d.app(mux, "POST /actions/contact_merge", write, d.mergeContacts)

	d.app(mux, "GET /contacts/{contact}/conversations", open, d.contactConversations)
	d.app(mux, "POST /contacts/{contact}/contact_inboxes", write, d.createContactInbox)
	d.app(mux, "GET /contacts/{contact}/contactable_inboxes", open, d.contactableInboxes)
	d.app(mux, "POST /contact_inboxes/filter", open, d.filterContactInboxes)
}

// contactNamed finds the contact that the path names.
func (d *Door) contactNamed(ctx context.Context, c caller, r *request) (domain.PersonSeen, error) {
	id, err := r.id("contact")
	if err != nil {
		return domain.PersonSeen{}, err
	}
	return d.People.Person(ctx, c.account.Name, id)
}

// showContact renders a contact with its inboxes.
func (d *Door) showContact(ctx context.Context, c caller, p domain.PersonSeen) any {
	v := d.viewed(ctx, c.account.Name)
	return v.contact(p, v.there.contact(p.ID), true)
}

func (d *Door) getContact(ctx context.Context, c caller, r *request) (any, error) {
	p, err := d.contactNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	return payload{d.showContact(ctx, c, p)}, nil
}

// createdContact is the answer to the creation of a contact.
type createdContact struct {
	Contact      any              `json:"contact"`
	ContactInbox createdInContact `json:"contact_inbox"`
}

// createdInContact is the identity that was made with it; both are null without one.
type createdInContact struct {
	Inbox    any `json:"inbox"`
	SourceID any `json:"source_id"`
}

func (d *Door) createContact(ctx context.Context, c caller, r *request) (any, error) {
	p := r.params
	var to *linkInput
	var inbox domain.Channel
	if !p.null("inbox_id") && p.has("inbox_id") {
		var err error
		if inbox, err = d.inboxGiven(c, p); err != nil {
			return nil, err
		}
		source, _ := p.text("source_id")
		to = &linkInput{Channel: inbox, SourceID: source}
	}
	var in personInput
	in.Name, _ = p.text("name")
	in.Email, _ = p.text("email")
	in.Phone, _ = p.text("phone_number")
	in.Identifier, _ = p.text("identifier")
	in.Avatar, _ = p.text("avatar_url")
	in.Blocked, _ = p.boolean("blocked")
	in.Additional, _ = p.object("additional_attributes")
	in.Custom, _ = p.object("custom_attributes")
	if err := d.takeAvatar(ctx, p, &in.Avatar); err != nil {
		return nil, err
	}
	made, identity, err := d.desk.registerPerson(ctx, c.actor(), in, to)
	if err != nil {
		return nil, err
	}
	answer := createdContact{Contact: d.showContact(ctx, c, made)}
	if identity != nil {
		answer.ContactInbox = createdInContact{Inbox: d.view.rawInbox(inbox), SourceID: identity.SourceID}
	}
	return payload{answer}, nil
}

// inboxGiven finds the inbox that a request names by inbox_id.
func (d *Door) inboxGiven(c caller, p *params) (domain.Channel, error) {
	number, ok := p.integer("inbox_id")
	if !ok {
		return domain.Channel{}, errNotThere
	}
	return d.inboxOf(c, number)
}

// changeContact changes what a request names; attributes are merged by their names.
func (d *Door) changeContact(ctx context.Context, c caller, r *request) (any, error) {
	id, err := r.id("contact")
	if err != nil {
		return nil, err
	}
	p := r.params
	change := personChange{
		Name: given(p, "name"), Email: given(p, "email"), Phone: given(p, "phone_number"), Identifier: given(p, "identifier"),
		Avatar: given(p, "avatar_url"),
	}
	if blocked, ok := p.boolean("blocked"); ok {
		change.Blocked = &blocked
	}
	change.Additional, _ = p.object("additional_attributes")
	change.Custom, _ = p.object("custom_attributes")
	if len(p.files("avatar")) > 0 {
		var avatar string
		if err := d.takeAvatar(ctx, p, &avatar); err != nil {
			return nil, err
		}
		change.Avatar = &avatar
	}
	changed, err := d.desk.changePerson(ctx, c.actor(), id, change)
	if err != nil {
		return nil, err
	}
	return payload{d.showContact(ctx, c, changed)}, nil
}

// given is a text that a request names; null makes it blank, and what is not named
// stays.
func given(p *params, name string) *string {
	text, ok := p.text(name)
	if !ok && !p.null(name) {
		return nil
	}
	return &text
}

func (d *Door) deleteContact(ctx context.Context, c caller, r *request) (any, error) {
	p, err := d.contactNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	if d.viewed(ctx, c.account.Name).there.contact(p.ID) {
		return nil, invalidRecord{Texts: []string{p.Name + " is Online, please try again later"}}
	}
	return nil, d.desk.removePerson(ctx, c.actor(), p.ID)
}

// mergeContacts makes two contacts one; what the base has wins.
func (d *Door) mergeContacts(ctx context.Context, c caller, r *request) (any, error) {
	base, ok := r.params.integer("base_contact_id")
	merged, also := r.params.integer("mergee_contact_id")
	if !ok || !also {
		return nil, errNotThere
	}
	p, err := d.desk.mergePersons(ctx, c.actor(), base, merged)
	if err != nil {
		return nil, err
	}
	v := d.viewed(ctx, c.account.Name)
	return v.contact(p, v.there.contact(p.ID), false), nil
}
