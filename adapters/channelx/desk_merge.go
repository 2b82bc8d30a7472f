package channelx

import (
	"context"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

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
