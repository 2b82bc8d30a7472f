package channelx

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Names of locks. Whoever decides about a thing holds its lock.
func lockTicket(account string, number int64) string {
	return "ticket/" + account + "/" + strconv.FormatInt(number, 10)
}

func lockPerson(account string, id int64) string {
	return "person/" + account + "/" + strconv.FormatInt(id, 10)
}

func lockIdentity(id int64) string { return "identity/" + strconv.FormatInt(id, 10) }

func lockSource(channel, source string) string { return "source/" + channel + "/" + source }

// lockValue names what is unique among the people of an account; "" for no value.
func lockValue(what, account, value string) string {
	if value == "" {
		return ""
	}
	return what + "/" + account + "/" + value
}

// draft is what a command is about to tell of a ticket: its events so far, and the
// ticket as it is after them. Each of them is one revision of the ticket or of a
// post, and their ids follow from those.
type draft struct {
	desk    *desk
	actor   actor
	channel domain.Channel
	now     time.Time
	seen    domain.TicketSeen // as the rows say
	ticket  domain.Ticket     // as it is after the events
	public  *domain.Post      // newest post that the contact sees, likewise
	told    *domain.Post      // the post that the command is about, likewise; nil when it is about none
	made    bool              // told is new
	fresh   bool              // the ticket is
	events  []domain.Event
}

// draftOf begins what is told of a ticket of the rows.
func (d *desk) draftOf(a actor, seen domain.TicketSeen) (*draft, error) {
	ch, ok := d.Inboxes.Channel(seen.Identity.Channel)
	if !ok {
		return nil, errNotThere
	}
	if err := a.sees(ch.ID); err != nil {
		return nil, err
	}
	return &draft{desk: d, actor: a, channel: ch, now: domain.Stamp(d.Now()), seen: seen, ticket: seen.Ticket, public: seen.Public}, nil
}

// about carries out a command about a ticket, under its lock.
func (d *desk) about(
	ctx context.Context, kind task, a actor, number int64, decide func(context.Context, *draft) error,
) (domain.Post, domain.TicketSeen, error) {
	var post domain.Post
	var seen domain.TicketSeen
	err := d.run(ctx, kind, a.account.Name, []string{lockTicket(a.account.Name, number)}, func(ctx context.Context) (decision, error) {
		row, err := d.Tickets.Ticket(ctx, a.account.Name, number)
		if err != nil {
			return decision{}, err
		}
		draft, err := d.draftOf(a, row)
		if err != nil {
			return decision{}, err
		}
		if err := decide(ctx, draft); err != nil {
			return decision{}, err
		}
		return draft.decision(&post, &seen), nil
	})
	return post, seen, err
}

// aboutTicket is about where the answer is the ticket.
func (d *desk) aboutTicket(
	ctx context.Context, kind task, a actor, number int64, decide func(context.Context, *draft) error,
) (domain.TicketSeen, error) {
	_, seen, err := d.about(ctx, kind, a, number, decide)
	return seen, err
}

// settle lets the last revision of the ticket be the one at which all decisions end
// that know what this one does, so that one of them is void as a whole where the
// lock was lost. A ticket that nobody can know yet needs none.
func (d *draft) settle() {
	known, last := d.seen.Ticket.Revision, d.ticket.Revision
	if d.fresh {
		known = 0
	}
	if last == known || last == 1 {
		return
	}
	d.ticket.Revision = domain.Settled(known)
	for i, e := range d.events {
		turned := func(t domain.Turned) domain.Turned {
			if t.Scene.Ticket.Revision == last {
				t.Scene.Ticket.Revision = d.ticket.Revision
			}
			return t
		}
		switch data := e.Data.(type) {
		case domain.ConversationOpened:
			data.Turned = turned(data.Turned)
			d.events[i].Data = data
		case domain.ConversationTurned:
			data.Turned = turned(data.Turned)
			d.events[i].Data = data
		case domain.ConversationChanged:
			data.Turned = turned(data.Turned)
			d.events[i].Data = data
		case domain.MessageReceived:
			settlePosted(data.Posted, last, d.ticket.Revision)
		case domain.MessageSent:
			settlePosted(data.Posted, last, d.ticket.Revision)
		case domain.MessageNoted:
			settlePosted(data.Posted, last, d.ticket.Revision)
		case domain.MessageChanged:
			settlePosted(data.Posted, last, d.ticket.Revision)
		}
	}
}

func settlePosted(p *domain.Posted, last, settled int) {
	if p.Scene.Ticket.Revision == last {
		p.Scene.Ticket.Revision = settled
	}
}

// decision makes the draft what the command comes to; what the rows say then goes
// to post and seen.
func (d *draft) decision(post *domain.Post, seen *domain.TicketSeen) decision {
	d.settle()
	*seen = d.seen
	if d.told != nil {
		*post = *d.told
	}
	return decision{events: d.events, landed: func(ctx context.Context) (bool, error) {
		var ok bool
		var err error
		*post, *seen, ok, err = d.landed(ctx)
		return ok, err
	}}
}

// landed reads what has become of the draft in the rows. A new post is there or
// not; everything else is there when the row is what was decided. Another
// decision of the same revision differs from it, at the least by its time.
func (d *draft) landed(ctx context.Context) (post domain.Post, seen domain.TicketSeen, ok bool, err error) {
	account, number := d.actor.account.Name, d.ticket.Number
	seen, err = d.desk.Tickets.Ticket(ctx, account, number)
	if err != nil {
		return post, seen, false, ignore(err)
	}
	if d.told == nil {
		return post, seen, sameTicket(seen.Ticket, d.ticket), nil
	}
	post, err = d.desk.Posts.Post(ctx, account, number, d.told.ID)
	if err != nil {
		return post, seen, false, ignore(err)
	}
	// A failure of its callback may have been told since: that is one revision more.
	ok = d.made || post.Revision > d.told.Revision || post.Revision == d.told.Revision && samePost(post, *d.told)
	return post, seen, ok, nil
}

// ignore takes a row that is not there for events that had no effect.
func ignore(err error) error {
	if notFound(err) {
		return nil
	}
	return err
}

func sameTicket(a, b domain.Ticket) bool {
	return a.Revision == b.Revision && a.UpdatedAt.Equal(b.UpdatedAt) && a.LastPost == b.LastPost && a.Status == b.Status &&
		a.Assignee == b.Assignee && a.Team == b.Team && a.Priority == b.Priority && slices.Equal(a.Labels, b.Labels)
}

func samePost(a, b domain.Post) bool {
	return a.Status == b.Status && attributeText(a.Attributes[domain.ExternalError]) == attributeText(b.Attributes[domain.ExternalError]) &&
		a.UpdatedAt.Equal(b.UpdatedAt)
}

// scene shows the ticket as it is after the events so far.
func (d *draft) scene() domain.Scene {
	account := d.actor.account
	s := domain.Scene{
		Account: named(account), Inbox: domain.Named{ID: d.channel.Inbox.Number, Name: d.channel.Name},
		Ticket: d.ticket, Person: d.seen.Person, Identity: d.seen.Identity, CanReply: d.ticket.CanReply(d.channel.Inbox, d.now),
	}
	if o, _, ok := d.desk.names.operator(account.Name, d.ticket.Assignee); ok && d.ticket.Assignee != 0 {
		s.Assignee = &o
	}
	if team, ok := d.desk.Directory.Queue(account.Name, d.ticket.Team); ok && d.ticket.Team != 0 {
		s.Team = &domain.Named{ID: team.Number, Name: team.Name}
	}
	if d.public != nil {
		public := *d.public
		s.Public = &public
	}
	return s
}

// add tells something on the stream of the ticket's contact.
func (d *draft) add(id uuid.UUID, data domain.Data) {
	e := d.seen.Identity.About(d.actor.account.Name, d.now)
	e.ID, e.Data = id, data
	d.events = append(d.events, e)
}

// next is the id of the event that makes a revision of the ticket.
func (d *draft) next() uuid.UUID {
	return domain.DeriveID("ticket revision", d.ticket.ID.String(), strconv.Itoa(d.ticket.Revision))
}

// turned shows the ticket to those who are told of a notice; to nobody where there
// are no changes to tell.
func (d *draft) turned(notice string, changes []domain.Change) domain.Turned {
	t := domain.Turned{Scene: d.scene(), Changes: changes, By: d.actor.author()}
	if len(changes) > 0 || notice == domain.NoticeConversationCreated {
		t.Targets = d.desk.targets(d.actor.account.Name, &d.channel, notice)
	}
	return t
}

// become tells that the ticket is what after says, which must be of its revision.
// A status that changes is told first (channelx.md 6.2).
func (d *draft) become(after domain.Ticket) {
	before := d.ticket
	d.ticket = after
	if after.Status != before.Status {
		d.ticket = d.ticket.Next(d.now)
		status := []domain.Change{{Name: "status", Previous: string(before.Status), Current: string(after.Status)}}
		d.add(d.next(), domain.ConversationTurned{
			ConversationID: d.ticket.ID, Turned: d.turned(domain.NoticeConversationStatusChanged, status),
		})
	}
	d.changed(before)
}

// changed tells that the ticket is not what it was before.
func (d *draft) changed(before domain.Ticket) {
	d.ticket = d.ticket.Next(d.now)
	d.add(d.next(), domain.ConversationChanged{
		ConversationID: d.ticket.ID, Turned: d.turned(domain.NoticeConversationUpdated, d.ticket.Since(before)),
	})
}

// opened tells that the ticket is new.
func (d *draft) opened() {
	d.add(d.next(), domain.ConversationOpened{
		ConversationID: d.ticket.ID, ContactID: domain.ContactID(d.channel.ID, d.seen.Identity.Ref()),
		Turned: d.turned(domain.NoticeConversationCreated, nil),
	})
}

// targets are who is told of a notice; ch is nil where it is about no channel.
func (d *desk) targets(account string, ch *domain.Channel, notice string) []string {
	return targetsOf(account, ch, d.Webhooks.Webhooks(account), notice)
}
