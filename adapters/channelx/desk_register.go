package channelx

import (
	"context"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// registerPerson makes a person, with an identity where one is asked for
// (channelx.md 4.3). All of it is made, or nothing. A contact who comes by
// themselves is the one that they were: who has the source id, or else who has the
// identifier, the e-mail or the phone (5.1).
func (d *desk) registerPerson(ctx context.Context, a actor, in personInput, link *linkInput) (domain.PersonSeen, *domain.Identity, error) {
	p := tidyPerson(domain.Person{
		Name: in.Name, Email: in.Email, Phone: in.Phone, Identifier: in.Identifier, Avatar: in.Avatar,
		Blocked: in.Blocked, Additional: in.Additional, Custom: in.Custom,
	})
	var source string
	var channel *domain.Channel
	var f faults
	f.person(p)
	names := lockValues(a.account.Name, p)
	if link != nil {
		channel, source = &link.Channel, clean(link.SourceID)
		f.short("source_id", "Source", source, maxSource)
		if source == "" {
			source = uuid.NewString()
		}
		names = append(names, lockSource(channel.ID, source))
	}
	if err := f.record(); err != nil {
		return domain.PersonSeen{}, nil, err
	}
	r := registration{desk: d, actor: a, person: p, channel: channel, source: source}
	if link != nil {
		r.proven = proof{link.Proven}
	}
	err := d.run(ctx, toRegister, a.account.Name, names, r.decide)
	return r.seen, r.identity, err
}

// registration is a person being registered.
type registration struct {
	desk     *desk
	actor    actor
	person   domain.Person
	channel  *domain.Channel // nil = no identity
	source   string
	proven   proof
	seen     domain.PersonSeen
	identity *domain.Identity
}

func (r *registration) decide(ctx context.Context) (decision, error) {
	if r.actor.role == roleContact && r.channel != nil {
		return r.recognise(ctx, r.person)
	}
	return r.register(ctx, r.person)
}

// recognise takes a contact for the one that they were, or else registers them.
// What a person has who is known by another identifier than the one that was
// proven leads to nobody, and is left out.
func (r *registration) recognise(ctx context.Context, p domain.Person) (decision, error) {
	d, account := r.desk, r.actor.account.Name
	known, err := d.People.Identity(ctx, r.channel.ID, r.source)
	if err == nil {
		r.identity = &known
		r.seen, err = d.People.Person(ctx, account, known.PersonID)
		return decision{}, err
	}
	if !notFound(err) {
		return decision{}, err
	}
	for _, u := range uniques() {
		found, err := d.owner(ctx, account, u.key(*u.of(&p)))
		if err != nil {
			return decision{}, err
		}
		if found.ID != 0 && r.proven.fits(found.Person) {
			return r.join(ctx, found)
		}
		if found.ID != 0 {
			*u.of(&p) = ""
		}
	}
	if p.Name == "" {
		p.Name = visitorName()
	}
	return r.register(ctx, p)
}

// join gives a person who is there another identity. It is a claim where the
// person was found by what anybody could have said.
func (r *registration) join(ctx context.Context, p domain.PersonSeen) (decision, error) {
	d, account := r.desk, r.actor.account.Name
	if err := holding(ctx, lockPerson(account, p.ID)); err != nil {
		return decision{}, err
	}
	now := domain.Stamp(d.Now())
	made, err := d.newIdentity(ctx, p.ID, r.channel.ID, r.source, now)
	if err != nil {
		return decision{}, err
	}
	made.Claimed = r.proven.identifier == "" || r.proven.identifier != p.Identifier
	return decision{
		events: []domain.Event{linked(r.actor, made, now)},
		landed: func(ctx context.Context) (bool, error) {
			row, ok, err := d.landedIdentity(ctx, made)
			if !ok || err != nil {
				return false, err
			}
			r.identity = &row
			r.seen, err = d.People.Person(ctx, account, row.PersonID)
			return err == nil, err
		},
	}, nil
}

// visitorName is what a contact is called who has told no name.
func visitorName() string {
	const letters = 6
	return "visitor-" + uuid.NewString()[:letters]
}

// register makes a person, unless somebody has what must be theirs alone.
func (r *registration) register(ctx context.Context, p domain.Person) (decision, error) {
	f, err := r.desk.taken(ctx, r.actor.account.Name, p, nil)
	if err != nil {
		return decision{}, err
	}
	if r.channel != nil {
		if err := r.actor.sees(r.channel.ID); err != nil {
			return decision{}, err
		}
		_, err := r.desk.People.Identity(ctx, r.channel.ID, r.source)
		switch {
		case err == nil:
			f.add("source_id", "Source has already been taken")
		case !notFound(err):
			return decision{}, err
		}
	}
	if err := f.record(); err != nil {
		return decision{}, err
	}
	return r.begin(ctx, p)
}

// begin makes the person.
func (r *registration) begin(ctx context.Context, p domain.Person) (decision, error) {
	d, account := r.desk, r.actor.account.Name
	now := domain.Stamp(d.Now())
	var err error
	if p.ID, err = d.Numbers.ID(ctx, "person", 0); err != nil {
		return decision{}, err
	}
	p.Revision, p.CreatedAt, p.UpdatedAt = 1, now, now
	registered := domain.ContactRegistered{
		Telling: domain.Telling{Targets: d.targets(account, nil, domain.NoticeContactCreated)},
		Account: named(r.actor.account), Person: p,
	}
	if r.channel != nil {
		made, err := d.newIdentity(ctx, p.ID, r.channel.ID, r.source, now)
		if err != nil {
			return decision{}, err
		}
		registered.Identity = &made
	}
	return decision{
		events: []domain.Event{d.tell(r.actor, p, now, registered)},
		landed: func(ctx context.Context) (bool, error) {
			r.identity = registered.Identity
			return d.landedPerson(ctx, r.actor, p, &r.seen)
		},
	}, nil
}
