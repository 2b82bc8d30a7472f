package channelx

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// What is unique among the people of an account, as locks call it.
const (
	anEmail      = "email"
	aPhone       = "phone"
	anIdentifier = "identifier"
)

// unique is one of the values that are unique among the people of an account.
type unique struct {
	lock, attribute, human string
	of                     func(*domain.Person) *string
	key                    func(value string) domain.PersonKey
}

// uniques are all of them, in the order in which contacts are known by them
// (channelx.md 5.1).
func uniques() [3]unique {
	return [3]unique{
		{
			anIdentifier, "identifier", "Identifier", func(p *domain.Person) *string { return &p.Identifier },
			func(v string) domain.PersonKey { return domain.PersonKey{Identifier: v} },
		},
		{
			anEmail, "email", "Email", func(p *domain.Person) *string { return &p.Email },
			func(v string) domain.PersonKey { return domain.PersonKey{Email: v} },
		},
		{
			aPhone, "phone_number", "Phone number", func(p *domain.Person) *string { return &p.Phone },
			func(v string) domain.PersonKey { return domain.PersonKey{Phone: v} },
		},
	}
}

// lockValues are the locks on what of a person is unique.
func lockValues(account string, p domain.Person) []string {
	var names []string
	for _, u := range uniques() {
		names = append(names, lockValue(u.lock, account, *u.of(&p)))
	}
	return names
}

// owner finds who has a value; without an id, nobody has.
func (d *desk) owner(ctx context.Context, account string, key domain.PersonKey) (domain.PersonSeen, error) {
	if key == (domain.PersonKey{}) {
		return domain.PersonSeen{}, nil
	}
	p, err := d.People.PersonBy(ctx, account, key)
	return p, ignore(err)
}

// taken lists what of a person somebody else has. Those whom events merge away have
// nothing any more, whatever the rows still say.
func (d *desk) taken(ctx context.Context, account string, p domain.Person, events []domain.Event) (f faults, err error) {
	for _, u := range uniques() {
		other, err := d.owner(ctx, account, u.key(*u.of(&p)))
		if err != nil {
			return f, err
		}
		if other.ID != 0 && other.ID != p.ID && !mergedAway(events, other.ID) {
			f.add(u.attribute, u.human+" has already been taken")
		}
	}
	return f, nil
}

// landedPerson reads what has become of a person in the rows.
func (d *desk) landedPerson(ctx context.Context, a actor, want domain.Person, seen *domain.PersonSeen) (bool, error) {
	row, err := d.People.Person(ctx, a.account.Name, want.ID)
	if err != nil {
		return false, ignore(err)
	}
	*seen = row
	return row.Revision == want.Revision && row.UpdatedAt.Equal(want.UpdatedAt) && row.Email == want.Email &&
		row.Phone == want.Phone && row.Identifier == want.Identifier, nil
}

// tell makes the event of a revision of a person.
func (d *desk) tell(a actor, p domain.Person, now time.Time, data domain.Data) domain.Event {
	e := p.About(a.account.Name, now)
	e.ID = domain.DeriveID("person revision", strconv.FormatInt(p.ID, 10), strconv.Itoa(p.Revision))
	e.Data = data
	return e
}

// changedPerson tells that a person is not what they were.
func (d *desk) changedPerson(a actor, before, after domain.Person, now time.Time) domain.Event {
	return d.tell(a, after, now, domain.ContactChanged{
		Telling: domain.Telling{Targets: d.targets(a.account.Name, nil, domain.NoticeContactUpdated)},
		Account: named(a.account), Person: after, Changes: after.Since(before),
	})
}

// changePerson changes what a person is. A contact who changes themselves keeps
// their identifier, and leaves out what is blank; where they name the e-mail or the
// phone of somebody else, the two are one from then on if that shows nobody what the
// other wrote (channelx.md 5.1). The answer is the other then.
func (d *desk) changePerson(ctx context.Context, a actor, id int64, change personChange) (domain.PersonSeen, error) {
	var seen domain.PersonSeen
	if a.role == roleContact {
		change = change.byContact()
	}
	// What is unique of the person afterwards is among this, or was theirs before.
	wanted := change.apply(domain.Person{})
	names := append(lockValues(a.account.Name, wanted), lockPerson(a.account.Name, id))
	err := d.run(ctx, toChange, a.account.Name, names, func(ctx context.Context) (decision, error) {
		row, err := d.People.Person(ctx, a.account.Name, id)
		if err != nil {
			return decision{}, err
		}
		var united []domain.Event
		now := domain.Stamp(d.Now())
		if a.role == roleContact {
			if row, united, err = d.unite(ctx, a, row, wanted, now); err != nil {
				return decision{}, err
			}
		}
		seen = row
		after := change.apply(row.Person)
		var f faults
		f.person(after)
		if err := f.record(); err != nil {
			return decision{}, err
		}
		if f, err = d.taken(ctx, a.account.Name, after, united); err != nil {
			return decision{}, err
		}
		if err := f.record(); err != nil {
			return decision{}, err
		}
		events := united
		if !after.Same(row.Person) {
			after = after.Next(now)
			events = append(events, d.changedPerson(a, row.Person, after, now))
		}
		after.Revision = settlePeople(events, after)
		return decision{events: events, landed: func(ctx context.Context) (bool, error) { return d.landedPerson(ctx, a, after, &seen) }}, nil
	})
	return seen, err
}

// unite merges a contact into whoever has the e-mail or the phone that they name,
// as far as that may be; what is left is somebody else's, and refused as that. A
// phone of somebody with another e-mail than the one that is named is.
func (d *desk) unite(
	ctx context.Context, a actor, p domain.PersonSeen, wanted domain.Person, now time.Time,
) (domain.PersonSeen, []domain.Event, error) {
	var events []domain.Event
	for _, key := range []domain.PersonKey{{Email: wanted.Email}, {Phone: wanted.Phone}} {
		other, err := d.owner(ctx, a.account.Name, key)
		if err != nil {
			return p, nil, err
		}
		if other.ID == 0 || other.ID == p.ID || mergedAway(events, other.ID) || !mayUnite(p) {
			continue
		}
		if key.Phone != "" && wanted.Email != "" && other.Email != "" && other.Email != wanted.Email {
			continue
		}
		if err := holding(ctx, lockPerson(a.account.Name, other.ID)); err != nil {
			return p, nil, err
		}
		told, after := d.absorb(a, other, p, now, true)
		events = append(events, told)
		after.Identities = append(after.Identities, p.Identities...)
		p = after
	}
	return p, events, nil
}

// mergedAway tells whether events merge somebody into somebody else.
func mergedAway(events []domain.Event, id int64) bool {
	return slices.ContainsFunc(events, func(e domain.Event) bool {
		m, ok := e.Data.(domain.ContactMerged)
		return ok && m.Merged == id
	})
}

// absorb tells that other is base from now on; the identities move with it.
func (d *desk) absorb(a actor, base, other domain.PersonSeen, now time.Time, claimed bool) (domain.Event, domain.PersonSeen) {
	before := base.Person
	base.Person = before.Absorb(other.Person).Next(now)
	base.Identities = slices.Clone(base.Identities)
	return d.tell(a, base.Person, now, domain.ContactMerged{
		Account: named(a.account), Person: base.Person, Merged: other.ID, Claimed: claimed, Changes: base.Since(before),
	}), base
}

// settlePeople lets the last revision of each person whom events tell of be the one
// at which all decisions end that know what this one does, and gives that of p.
func settlePeople(events []domain.Event, p domain.Person) int {
	revision := p.Revision
	made := map[int64]int{}
	for _, e := range events {
		switch data := e.Data.(type) {
		case domain.ContactChanged:
			made[data.Person.ID]++
		case domain.ContactMerged:
			made[data.Person.ID]++
		}
	}
	for i := len(events) - 1; i >= 0; i-- {
		settle := func(p domain.Person) domain.Person {
			if n := made[p.ID]; n > 0 {
				made[p.ID] = 0
				p.Revision = domain.Settled(p.Revision - n)
			}
			return p
		}
		switch data := events[i].Data.(type) {
		case domain.ContactChanged:
			data.Person = settle(data.Person)
			events[i].Data = data
			if data.Person.ID == p.ID {
				revision = max(revision, data.Person.Revision)
			}
		case domain.ContactMerged:
			data.Person = settle(data.Person)
			events[i].Data = data
			if data.Person.ID == p.ID {
				revision = max(revision, data.Person.Revision)
			}
		}
	}
	return revision
}

// personChanged is the decision that a person is what after says.
func (d *desk) personChanged(a actor, before, after domain.Person, seen *domain.PersonSeen) decision {
	now := domain.Stamp(d.Now())
	after = after.Next(now)
	events := []domain.Event{d.changedPerson(a, before, after, now)}
	after.Revision = settlePeople(events, after)
	return decision{
		events: events,
		landed: func(ctx context.Context) (bool, error) { return d.landedPerson(ctx, a, after, seen) },
	}
}

// byContact is the change as far as contacts may ask for it.
func (c personChange) byContact() personChange {
	c.Identifier, c.Blocked = nil, nil
	for _, text := range []**string{&c.Name, &c.Email, &c.Phone, &c.Avatar} {
		if *text != nil && strings.TrimSpace(clean(**text)) == "" {
			*text = nil
		}
	}
	return c
}

// apply makes the change.
func (c personChange) apply(p domain.Person) domain.Person {
	for _, f := range []struct {
		to   *string
		from *string
	}{{&p.Name, c.Name}, {&p.Email, c.Email}, {&p.Phone, c.Phone}, {&p.Identifier, c.Identifier}, {&p.Avatar, c.Avatar}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if c.Blocked != nil {
		p.Blocked = *c.Blocked
	}
	p.Additional = p.Additional.With(tidyObject(c.Additional))
	p.Custom = p.Custom.With(tidyObject(c.Custom))
	return tidyPerson(p)
}

// mergePersons makes two people one: what the base has stands, and the other's
// identities, and with them the tickets, are the base's (channelx.md 4.3).
func (d *desk) mergePersons(ctx context.Context, a actor, base, other int64) (domain.PersonSeen, error) {
	var seen domain.PersonSeen
	names := []string{lockPerson(a.account.Name, base), lockPerson(a.account.Name, other)}
	err := d.run(ctx, toMerge, a.account.Name, names, func(ctx context.Context) (decision, error) {
		row, err := d.People.Person(ctx, a.account.Name, base)
		if err != nil {
			return decision{}, err
		}
		if seen = row; base == other {
			return decision{}, nil
		}
		gone, err := d.People.Person(ctx, a.account.Name, other)
		if err != nil {
			return decision{}, err
		}
		now := domain.Stamp(d.Now())
		event, united := d.absorb(a, row, gone, now, false)
		events, after := []domain.Event{event}, united.Person
		if !after.Same(row.Person) { // webhooks are told of what the base has got
			after = after.Next(now)
			events = append(events, d.changedPerson(a, row.Person, after, now))
		}
		after.Revision = settlePeople(events, after)
		return decision{events: events, landed: func(ctx context.Context) (bool, error) { return d.landedPerson(ctx, a, after, &seen) }}, nil
	})
	return seen, err
}

// removePerson forgets a person, with their identities and tickets.
func (d *desk) removePerson(ctx context.Context, a actor, id int64) error {
	return d.run(ctx, toRemove, a.account.Name, []string{lockPerson(a.account.Name, id)}, func(ctx context.Context) (decision, error) {
		row, err := d.People.Person(ctx, a.account.Name, id)
		if err != nil {
			return decision{}, err
		}
		gone := d.tell(a, row.Person.Next(d.Now()), d.Now(), domain.ContactRemoved{Person: id})
		return decision{events: []domain.Event{gone}, landed: func(ctx context.Context) (bool, error) {
			_, err := d.People.Person(ctx, a.account.Name, id)
			return notFound(err), ignore(err)
		}}, nil
	})
}

// labelPerson gives a person these labels and no others.
func (d *desk) labelPerson(ctx context.Context, a actor, id int64, labels []string) (domain.PersonSeen, error) {
	var seen domain.PersonSeen
	labels, err := tidyLabels(labels)
	if err != nil {
		return seen, err
	}
	err = d.run(ctx, toLabelPerson, a.account.Name, []string{lockPerson(a.account.Name, id)}, func(ctx context.Context) (decision, error) {
		row, err := d.People.Person(ctx, a.account.Name, id)
		if err != nil {
			return decision{}, err
		}
		seen = row
		after := row.Person
		after.Labels = labels
		if after.Same(row.Person) {
			return decision{}, nil
		}
		return d.personChanged(a, row.Person, after, &seen), nil
	})
	return seen, err
}
