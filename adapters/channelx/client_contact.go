package channelx

import (
	"context"
	"strings"

	"github.com/parley-im/parley/domain"
)

// clientNamed finds the identity that the path names in an inbox, and its person.
func (d *Door) clientNamed(ctx context.Context, inbox domain.Channel, r *request) (domain.Identity, domain.PersonSeen, error) {
	i, err := d.People.Identity(ctx, inbox.ID, r.value("source_id"))
	if err != nil {
		return i, domain.PersonSeen{}, err
	}
	p, err := d.People.Person(ctx, inbox.Account, i.PersonID)
	return i, p, err
}

// clientCreateContact gives the identity that is known by the source id. Otherwise
// it makes one, of the person who is known by what the request says, or of a new
// one (channelx.md 5.1).
func (d *Door) clientCreateContact(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	proven, err := prove(inbox, r.params)
	if err != nil {
		return nil, err
	}
	var in personInput
	in.Name, _ = r.params.text("name")
	in.Email, _ = r.params.text("email")
	in.Phone, _ = r.params.text("phone_number")
	in.Identifier, _ = r.params.text("identifier")
	in.Avatar, _ = r.params.text("avatar_url")
	in.Custom, _ = r.params.object("custom_attributes")
	to := &linkInput{Channel: inbox, Proven: proven.identifier}
	if source, _ := r.params.text("source_id"); strings.TrimSpace(source) != "" {
		to.SourceID = source
	}
	p, i, err := d.desk.registerPerson(ctx, d.contactOf(inbox), in, to)
	if err != nil {
		return nil, err
	}
	settled, err := d.settle(ctx, inbox, proven, *i, p)
	if err != nil {
		return nil, err
	}
	return d.view.clientContact(settled, p.Person), nil
}

// clientEntry finds the contact that the path names, and takes what the request
// proves of them.
func (d *Door) clientEntry(ctx context.Context, inbox domain.Channel, r *request) (domain.Identity, domain.PersonSeen, error) {
	proven, err := prove(inbox, r.params)
	if err != nil {
		return domain.Identity{}, domain.PersonSeen{}, err
	}
	i, p, err := d.clientNamed(ctx, inbox, r)
	if err != nil {
		return i, p, err
	}
	i, err = d.settle(ctx, inbox, proven, i, p)
	return i, p, err
}

// clientGetContact shows a contact to themselves.
func (d *Door) clientGetContact(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	i, p, err := d.clientEntry(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	return d.view.clientContact(i, p.Person), nil
}

// clientChangeContact changes what a contact says of themselves. Blank values and
// the identifier stay as they are; a person who has the e-mail address or the phone
// number already becomes one with the contact, where that shows nobody what somebody
// else wrote (channelx.md 5.1).
func (d *Door) clientChangeContact(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	i, p, err := d.clientEntry(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	change := personChange{
		Name: stated(r.params, "name"), Email: stated(r.params, "email"), Phone: stated(r.params, "phone_number"),
		Avatar: stated(r.params, "avatar_url"),
	}
	change.Custom, _ = r.params.object("custom_attributes")
	if p, err = d.desk.changePerson(ctx, d.contactOf(inbox), p.ID, change); err != nil {
		return nil, err
	}
	return d.view.rawContactAs(inbox.Account, p, i), nil
}

// stated is a text that a contact says of themselves; a blank one says nothing.
func stated(p *params, name string) *string {
	text, _ := p.text(name)
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return &text
}
