package channelx

import (
	"context"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// open makes a ticket (channelx.md 4.5), with its first message where there is one.
// On an inbox that keeps to one conversation the newest of the identity is the
// answer, as it is, and takes the message.
func (d *desk) open(ctx context.Context, a actor, in ticketInput) (domain.TicketSeen, error) {
	in, err := in.checked(a)
	if err != nil {
		return domain.TicketSeen{}, err
	}
	o := opening{desk: d, actor: a, in: in, source: in.SourceID}
	if o.source == "" {
		o.source = uuid.NewString()
	}
	err = d.run(ctx, toOpen, a.account.Name, o.names(), o.decide)
	return o.seen, err
}

// checked makes a ticket that is asked for what is kept, or refuses it.
func (in ticketInput) checked(a actor) (ticketInput, error) {
	if in.Status != "" && !in.Status.Known() {
		return in, invalidChoice(string(in.Status), "status")
	}
	in.SourceID = clean(in.SourceID)
	in.Custom, in.Additional = tidyObject(in.Custom), tidyObject(in.Additional)
	var f faults
	f.short("source_id", "Source", in.SourceID, maxSource)
	f.attributes("custom_attributes", in.Custom)
	f.attributes("additional_attributes", in.Additional)
	if err := f.record(); err != nil || in.Message == nil {
		return in, err
	}
	message, err := in.Message.checked(a)
	in.Message = &message
	return in, err
}

// opening is a ticket being opened.
type opening struct {
	desk   *desk
	actor  actor
	in     ticketInput
	source string // of an identity that is made for it
	number int64  // drawn once, whatever the number of tries: numbers have no gaps
	seen   domain.TicketSeen
	post   domain.Post
}

// names are the locks that are known to be needed before anything is read.
func (o *opening) names() []string {
	switch {
	case o.in.Identity != 0:
		return []string{lockIdentity(o.in.Identity)}
	case o.in.Channel != nil && o.in.Person != 0:
		return []string{lockPerson(o.actor.account.Name, o.in.Person), lockSource(o.in.Channel.ID, o.source)}
	default:
		return nil
	}
}

func (o *opening) decide(ctx context.Context) (decision, error) {
	d, account := o.desk, o.actor.account.Name
	identity, made, err := o.identity(ctx)
	if err != nil {
		return decision{}, err
	}
	// Its person may be merged, and others may open a ticket of it.
	if err := holding(ctx, lockIdentity(identity.ID), lockPerson(account, identity.PersonID)); !made && err != nil {
		return decision{}, err
	}
	ch, ok := d.Inboxes.Channel(identity.Channel)
	if !ok || ch.Account != account {
		return decision{}, errNotThere
	}
	if err := o.actor.sees(ch.ID); err != nil {
		return decision{}, err
	}
	if ch.Inbox.LockToSingle && !made {
		latest, err := d.Tickets.LatestTicket(ctx, identity.ID)
		if err == nil {
			return o.resume(ctx, latest)
		}
		if !notFound(err) {
			return decision{}, err
		}
	}
	return o.begin(ctx, ch, identity, made)
}

// identity finds whose ticket it is to be; made says that the identity is new.
func (o *opening) identity(ctx context.Context) (i domain.Identity, made bool, err error) {
	d, in, account := o.desk, o.in, o.actor.account.Name
	switch {
	case in.Identity != 0:
		i, err = d.People.IdentityByID(ctx, in.Identity)
		return i, false, err
	case in.Channel != nil && in.Person != 0:
		person, err := d.People.Person(ctx, account, in.Person)
		if err != nil {
			return i, false, err
		}
		i, err = d.People.Identity(ctx, in.Channel.ID, o.source)
		switch {
		case err == nil && i.PersonID != person.ID:
			return i, false, errSourceTaken()
		case !notFound(err):
			return i, false, err
		}
		i, err = d.newIdentity(ctx, person.ID, in.Channel.ID, o.source, domain.Stamp(d.Now()))
		return i, true, err
	case in.SourceID != "":
		i, err = o.bySource(ctx)
		return i, false, err
	default:
		return i, false, errNotThere
	}
}

// bySource finds an identity by the source id alone: on the inbox that is named, if
// there is one, or else the oldest that the actor may see.
func (o *opening) bySource(ctx context.Context) (domain.Identity, error) {
	list, err := o.desk.People.IdentitiesBySource(ctx, o.actor.account.Name, o.in.SourceID)
	if err != nil {
		return domain.Identity{}, err
	}
	for _, i := range list {
		if o.in.Channel != nil && i.Channel == o.in.Channel.ID {
			return i, nil
		}
	}
	for _, i := range list {
		if o.actor.sees(i.Channel) == nil {
			return i, nil
		}
	}
	return domain.Identity{}, errNotThere
}

// resume answers with a ticket that is there.
func (o *opening) resume(ctx context.Context, latest domain.TicketSeen) (decision, error) {
	o.seen = latest
	if o.in.Message == nil {
		return decision{}, nil
	}
	if err := holding(ctx, lockTicket(o.actor.account.Name, latest.Number)); err != nil {
		return decision{}, err
	}
	t, err := o.desk.draftOf(o.actor, latest)
	if err != nil {
		return decision{}, err
	}
	if err := t.compose(ctx, *o.in.Message); err != nil {
		return decision{}, err
	}
	return t.decision(&o.post, &o.seen), nil
}

// begin makes a new ticket.
func (o *opening) begin(ctx context.Context, ch domain.Channel, identity domain.Identity, made bool) (decision, error) {
	d, account := o.desk, o.actor.account.Name
	person, err := d.People.Person(ctx, account, identity.PersonID)
	if err != nil {
		return decision{}, err
	}
	fresh := domain.Ticket{
		IdentityID: identity.ID, Status: o.in.Status, Assignee: o.in.Assignee, Team: o.in.Team,
		SnoozedUntil: o.in.SnoozedUntil, Custom: o.in.Custom, Additional: o.in.Additional,
	}
	if err := d.staffed(account, fresh); err != nil {
		return decision{}, err
	}
	if o.number == 0 {
		if o.number, err = d.Numbers.Ticket(ctx, account); err != nil {
			return decision{}, err
		}
	}
	fresh.ID, fresh.Number = domain.TicketID(account, o.number), o.number
	t, err := d.draftOf(o.actor, domain.TicketSeen{Person: person.Person, Identity: identity})
	if err != nil {
		return decision{}, err
	}
	t.channel, t.fresh = ch, true
	t.ticket = fresh.Begun(person.Blocked, t.now)
	t.seen.Ticket = t.ticket
	if made {
		t.events = append(t.events, linked(o.actor, identity, t.now))
	}
	t.opened()
	if o.in.Message != nil {
		if err := t.compose(ctx, *o.in.Message); err != nil {
			return decision{}, err
		}
	}
	return t.decision(&o.post, &o.seen), nil
}
