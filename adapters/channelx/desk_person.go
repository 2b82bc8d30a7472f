package channelx

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

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
