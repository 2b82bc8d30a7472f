package channelx

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

var errUnwritten = domain.Errorf(domain.CodeUnavailable, "not yet")

// desk decides what commands do to people and tickets.
type desk struct{ deskConfig }

func newDesk(c deskConfig) (*desk, error) { return &desk{c}, nil }

func (d *desk) registerPerson(ctx context.Context, a actor, in personInput, link *linkInput) (domain.PersonSeen, *domain.Identity, error) {
	return domain.PersonSeen{}, nil, errUnwritten
}

func (d *desk) changePerson(ctx context.Context, a actor, id int64, change personChange) (domain.PersonSeen, error) {
	return domain.PersonSeen{}, errUnwritten
}

func (d *desk) mergePersons(ctx context.Context, a actor, base, merged int64) (domain.PersonSeen, error) {
	return domain.PersonSeen{}, errUnwritten
}

func (d *desk) removePerson(ctx context.Context, a actor, id int64) error { return errUnwritten }

func (d *desk) labelPerson(ctx context.Context, a actor, id int64, labels []string) (domain.PersonSeen, error) {
	return domain.PersonSeen{}, errUnwritten
}

func (d *desk) link(ctx context.Context, a actor, person int64, ch domain.Channel, sourceID string) (domain.Identity, error) {
	return domain.Identity{}, errUnwritten
}

func (d *desk) verify(ctx context.Context, a actor, identity int64) (domain.Identity, error) {
	return domain.Identity{}, errUnwritten
}

func (d *desk) open(ctx context.Context, a actor, in ticketInput) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errUnwritten
}

func (d *desk) turn(ctx context.Context, a actor, number int64, status domain.TicketStatus, snoozedUntil *time.Time) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errUnwritten
}

func (d *desk) assign(ctx context.Context, a actor, number int64, assignee, team *int64) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errUnwritten
}

func (d *desk) label(ctx context.Context, a actor, number int64, labels []string) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errUnwritten
}

func (d *desk) setPriority(ctx context.Context, a actor, number int64, priority string) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errUnwritten
}

func (d *desk) setCustom(ctx context.Context, a actor, number int64, custom domain.Object) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errUnwritten
}

func (d *desk) seen(ctx context.Context, a actor, number int64) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errUnwritten
}

func (d *desk) unseen(ctx context.Context, a actor, number int64) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errUnwritten
}

func (d *desk) contactSeen(ctx context.Context, a actor, number int64) (domain.TicketSeen, error) {
	return domain.TicketSeen{}, errUnwritten
}

func (d *desk) post(ctx context.Context, a actor, number int64, in postInput) (domain.Post, domain.TicketSeen, error) {
	return domain.Post{}, domain.TicketSeen{}, errUnwritten
}

func (d *desk) setStatus(ctx context.Context, a actor, number, post int64, status string, externalError *string) (domain.Post, domain.TicketSeen, error) {
	return domain.Post{}, domain.TicketSeen{}, errUnwritten
}

func (d *desk) deletePost(ctx context.Context, a actor, number, post int64) (domain.Post, domain.TicketSeen, error) {
	return domain.Post{}, domain.TicketSeen{}, errUnwritten
}

func (d *desk) retryPost(ctx context.Context, a actor, number, post int64) (domain.Post, domain.TicketSeen, error) {
	return domain.Post{}, domain.TicketSeen{}, errUnwritten
}

func (d *desk) submit(ctx context.Context, a actor, number, post int64, values []domain.Object) (domain.Post, domain.TicketSeen, error) {
	return domain.Post{}, domain.TicketSeen{}, errUnwritten
}

func (d *desk) typing(ctx context.Context, a actor, number int64, on, private bool) error {
	return errUnwritten
}
