package channelx

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/parley-im/parley/domain"
)

// errUnproven is the answer to a wrong identifier_hash, or to none where one is
// asked for (channelx.md 5.2).
var errUnproven = plainError{http.StatusUnauthorized, "HMAC failed: Invalid Identifier Hash Provided"}

// proof is what a request proves of who sent it.
type proof struct {
	identifier string // "" = nothing is proven
}

// prove checks the identifier_hash of a request, where there is one or must be
// one. A blank identifier proves nothing, however well it is hashed.
func prove(inbox domain.Channel, p *params) (proof, error) {
	hash, _ := p.text("identifier_hash")
	identifier, _ := p.text("identifier")
	if strings.TrimSpace(hash) == "" && !inbox.Inbox.HMACMandatory {
		return proof{}, nil
	}
	if !proves(inbox.Credentials.HMACToken, identifier, hash) {
		return proof{}, errUnproven
	}
	if strings.TrimSpace(identifier) == "" {
		if inbox.Inbox.HMACMandatory {
			return proof{}, errUnproven
		}
		return proof{}, nil
	}
	return proof{identifier}, nil
}

// fits tells whether what was proven can be true of a person: not of one who is
// known by another identifier.
func (p proof) fits(person domain.Person) bool {
	return p.identifier == "" || person.Identifier == "" || person.Identifier == p.identifier
}

// proves tells whether an identity may be trusted to be its person, and with that
// to see the person's other conversations: the person bears the identifier, or
// bears none and is known by nothing but this identity, so that there is nothing
// else to see.
func (p proof) proves(i domain.Identity, person domain.PersonSeen) bool {
	if p.identifier == "" || i.Verified {
		return false
	}
	return person.Identifier == p.identifier ||
		person.Identifier == "" && !i.Claimed && len(person.Identities) == 1 && person.Identities[0].ID == i.ID
}

// settle checks what a request proves against the person whom it is about, and
// has the desk note where it makes an identity trusted.
func (d *Door) settle(ctx context.Context, inbox domain.Channel, p proof, i domain.Identity, person domain.PersonSeen) (domain.Identity, error) {
	if !p.fits(person.Person) {
		return i, errUnproven
	}
	if !p.proves(i, person) {
		return i, nil
	}
	return d.desk.verify(ctx, d.contactOf(inbox), i.ID, p)
}

// mayUnite tells whether a contact may become one with another person because they
// have said what that one has. Their identities are claims from then on. Not
// somebody with an identifier, or with a proof of one: they would see by it, or
// could have it proven to see, what the other one wrote.
func mayUnite(who domain.PersonSeen) bool {
	return who.Identifier == "" && !slices.ContainsFunc(who.Identities, func(i domain.Identity) bool { return i.Verified })
}

// mayRead tells whether a contact may see a conversation: one of their own or,
// when their identity is trusted, of any of their identities that is no mere claim
// (channelx.md 5.1). An e-mail address that somebody else said shows nobody what
// was written under it, neither way round.
func mayRead(i domain.Identity, t domain.TicketSeen) bool {
	if t.Identity.ID == i.ID {
		return true
	}
	return i.Verified && t.Person.ID == i.PersonID && (t.Identity.Verified || !t.Identity.Claimed)
}
