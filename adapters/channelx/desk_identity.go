package channelx

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// errSourceTaken refuses a source id that is another person's (channelx.md 10.1).
func errSourceTaken() error { return unfit("source_id should be unique") }

// newIdentity makes an identity of a person on a channel.
func (d *desk) newIdentity(ctx context.Context, person int64, channel, source string, now time.Time) (domain.Identity, error) {
	id, err := d.Numbers.ID(ctx, "identity", 0)
	if err != nil {
		return domain.Identity{}, err
	}
	token := sha256.Sum256([]byte(d.Minter.SocketToken(identityOwner(id))))
	return domain.Identity{
		ID: id, Revision: 1, PersonID: person, Channel: channel, SourceID: source, TokenHash: hex.EncodeToString(token[:]),
		CreatedAt: now, UpdatedAt: now,
	}, nil
}

// linked tells of a revision of an identity.
func linked(a actor, i domain.Identity, now time.Time) domain.Event {
	e := i.About(a.account.Name, now)
	e.ID = domain.DeriveID("identity revision", strconv.FormatInt(i.ID, 10), strconv.Itoa(i.Revision))
	e.Data = domain.ContactLinked{Identity: i}
	return e
}

// landedIdentity reads what has become of an identity in the rows.
func (d *desk) landedIdentity(ctx context.Context, want domain.Identity) (domain.Identity, bool, error) {
	row, err := d.People.IdentityByID(ctx, want.ID)
	if err != nil {
		return row, false, ignore(err)
	}
	return row, row.Revision == want.Revision && row.PersonID == want.PersonID && row.Verified == want.Verified, nil
}

// link gives a person an identity on a channel (channelx.md 4.4). One that is theirs
// already is the answer; without a source id there is a new one each time.
func (d *desk) link(ctx context.Context, a actor, person int64, ch domain.Channel, sourceID string) (domain.Identity, error) {
	sourceID = clean(sourceID)
	if tooLong(sourceID, maxSource) {
		return domain.Identity{}, invalidRecord{[]string{tooLongText("Source", maxSource)}, []string{"source_id"}}
	}
	if err := a.sees(ch.ID); err != nil {
		return domain.Identity{}, err
	}
	if sourceID == "" {
		sourceID = uuid.NewString()
	}
	var identity domain.Identity
	names := []string{lockPerson(a.account.Name, person), lockSource(ch.ID, sourceID)}
	err := d.run(ctx, toLink, a.account.Name, names, func(ctx context.Context) (decision, error) {
		row, err := d.People.Person(ctx, a.account.Name, person)
		if err != nil {
			return decision{}, err
		}
		known, err := d.People.Identity(ctx, ch.ID, sourceID)
		switch {
		case err == nil && known.PersonID == row.ID:
			identity = known
			return decision{}, nil
		case err == nil:
			return decision{}, errSourceTaken()
		case !notFound(err):
			return decision{}, err
		}
		now := domain.Stamp(d.Now())
		made, err := d.newIdentity(ctx, row.ID, ch.ID, sourceID, now)
		if err != nil {
			return decision{}, err
		}
		return d.toldIdentity(a, made, now, &identity), nil
	})
	return identity, err
}

// verify notes that whoever has an identity has proved who they are (channelx.md
// 5.2), where what is proven proves that.
func (d *desk) verify(ctx context.Context, a actor, identity int64, proven proof) (domain.Identity, error) {
	var verified domain.Identity
	err := d.run(ctx, toVerify, a.account.Name, []string{lockIdentity(identity)}, func(ctx context.Context) (decision, error) {
		row, err := d.People.IdentityByID(ctx, identity)
		if err != nil {
			return decision{}, err
		}
		if ch, ok := d.Inboxes.Channel(row.Channel); !ok || ch.Account != a.account.Name {
			return decision{}, errNotThere
		}
		if verified = row; row.Verified {
			return decision{}, nil
		}
		// The person may be merged away meanwhile, which moves the identity.
		if err := holding(ctx, lockPerson(a.account.Name, row.PersonID)); err != nil {
			return decision{}, err
		}
		person, err := d.People.Person(ctx, a.account.Name, row.PersonID)
		if err != nil {
			return decision{}, err
		}
		if !proven.fits(person.Person) {
			return decision{}, errUnproven
		}
		if !proven.proves(row, person) {
			return decision{}, nil
		}
		now := domain.Stamp(d.Now())
		row.Verified, row.UpdatedAt = true, now
		row.Revision++
		return d.toldIdentity(a, row, now, &verified), nil
	})
	return verified, err
}

// toldIdentity is the decision that an identity is what i says.
func (d *desk) toldIdentity(a actor, i domain.Identity, now time.Time, to *domain.Identity) decision {
	return decision{events: []domain.Event{linked(a, i, now)}, landed: func(ctx context.Context) (bool, error) {
		row, ok, err := d.landedIdentity(ctx, i)
		*to = row
		return ok, err
	}}
}
