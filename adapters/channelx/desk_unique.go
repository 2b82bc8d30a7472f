package channelx

import (
	"context"

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
