package channelx

import (
	"cmp"
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// ticketNumbers knows tickets by their ids. CodeNotFound where there is none.
type ticketNumbers interface {
	TicketNumber(ctx context.Context, account string, id uuid.UUID) (int64, error)
	// TicketNumbers leaves out those that are not there.
	TicketNumbers(ctx context.Context, account string, ids []uuid.UUID) ([]int64, error)
}

// Platform is what programs of the account may do to tickets from outside of the
// dialect's own paths. It goes through the desk, so contacts, callbacks and sockets
// cannot tell the difference.
type Platform struct {
	door    *Door
	numbers ticketNumbers
}

// Platform gives the tickets behind the door to another one.
func (d *Door) Platform(numbers ticketNumbers) Platform { return Platform{door: d, numbers: numbers} }

// actorOf is who a platform token acts as. The platform API knows no inboxes, so a
// token of any role may act on all of them there.
func (d *Door) actorOf(t domain.Token) (actor, error) {
	account, ok := d.Directory.Account(t.Account)
	if !ok {
		return actor{}, domain.Errorf(domain.CodeNotFound, "there is no account %s", t.Account)
	}
	operator, number := operatorBehind(d.Directory, t)
	a := actor{account: account, operator: &operator, agent: number, role: roleAgent}
	if t.Role.Allows(domain.RoleAdmin) {
		a.role = roleAdministrator
	}
	return a, nil
}

// find names a ticket and who acts on it.
func (p Platform) find(ctx context.Context, by domain.Token, conversation uuid.UUID) (actor, int64, error) {
	a, err := p.door.actorOf(by)
	if err != nil {
		return actor{}, 0, err
	}
	number, err := p.numbers.TicketNumber(ctx, by.Account, conversation)
	return a, number, err
}

// Reply says something in a conversation; the same key there is the same message.
func (p Platform) Reply(ctx context.Context, by domain.Token, conversation uuid.UUID, content domain.Content, key string) (uuid.UUID, error) {
	a, number, err := p.find(ctx, by, conversation)
	if err != nil {
		return uuid.Nil, err
	}
	return p.say(ctx, a, number, content, key)
}

// platformKeys begins the keys of posts that are written here: those that
// integrations send are others.
const platformKeys = "platform:"

func (p Platform) say(ctx context.Context, a actor, number int64, content domain.Content, key string) (uuid.UUID, error) {
	in := postOf(content)
	if key != "" {
		in.Key = platformKeys + key
	}
	post, _, err := p.door.desk.post(ctx, a, number, in)
	if err != nil {
		return uuid.Nil, explained(err)
	}
	return post.Message, nil
}

// Start says something to a contact of a channel, by its source id: in the newest
// ticket of theirs that is not resolved, or in a new one. CodeConflict when nobody
// has that source id. If the process dies on the way, a repeat finds the ticket.
func (p Platform) Start(ctx context.Context, by domain.Token, ch domain.Channel, ref string, content domain.Content, key string) (uuid.UUID, error) {
	a, err := p.door.actorOf(by)
	if err != nil {
		return uuid.Nil, err
	}
	identity, err := p.door.People.Identity(ctx, ch.ID, ref)
	if notFound(err) {
		if err := p.door.Freshness.FreshFor(ctx, domain.AccountKey(by.Account)); err != nil {
			return uuid.Nil, err
		}
		identity, err = p.door.People.Identity(ctx, ch.ID, ref)
	}
	if notFound(err) {
		return uuid.Nil, &domain.Error{Code: domain.CodeConflict, Field: "contact_ref", Message: "is the source_id of no contact of this channel"}
	}
	if err != nil {
		return uuid.Nil, err
	}
	open, err := p.door.Tickets.Tickets(ctx, domain.TicketQuery{
		Account: by.Account, Identity: identity.ID, Sort: "created_at", Limit: 1,
		Statuses: []domain.TicketStatus{domain.TicketOpen, domain.TicketPending, domain.TicketSnoozed},
	})
	if err != nil {
		return uuid.Nil, err
	}
	if len(open) > 0 {
		return p.say(ctx, a, open[0].Number, content, key)
	}
	made, err := p.door.desk.open(ctx, a, ticketInput{Channel: &ch, Identity: identity.ID, Person: identity.PersonID, SourceID: ref})
	if err != nil {
		return uuid.Nil, explained(err)
	}
	return p.say(ctx, a, made.Number, content, key)
}

// Close resolves a conversation; CodeConflict when it is resolved.
func (p Platform) Close(ctx context.Context, by domain.Token, conversation uuid.UUID) error {
	a, number, err := p.find(ctx, by, conversation)
	if err != nil {
		return err
	}
	return explained(p.door.desk.resolve(ctx, a, number))
}

// CloseAll resolves those of the conversations that are not resolved, and counts
// them. Those that are gone are passed over.
func (p Platform) CloseAll(ctx context.Context, by domain.Token, conversations []uuid.UUID) (int, error) {
	return p.every(ctx, toTurn, by, conversations, func(ctx context.Context, t *draft) error {
		if t.ticket.Status == domain.TicketResolved {
			return nil
		}
		return t.shift(ctx, t.ticket.Turn(domain.TicketResolved, nil))
	})
}

// LeaveAll takes the conversations away from the agents who have them, and counts
// those that somebody had. Those that are gone are passed over.
func (p Platform) LeaveAll(ctx context.Context, by domain.Token, conversations []uuid.UUID) (int, error) {
	return p.every(ctx, toAssign, by, conversations, func(ctx context.Context, t *draft) error {
		after := t.ticket
		after.Assignee = 0
		return t.shift(ctx, after)
	})
}

func (p Platform) every(
	ctx context.Context, kind task, by domain.Token, conversations []uuid.UUID, decide func(context.Context, *draft) error,
) (int, error) {
	a, err := p.door.actorOf(by)
	if err != nil {
		return 0, err
	}
	numbers, err := p.numbers.TicketNumbers(ctx, by.Account, conversations)
	if err != nil {
		return 0, err
	}
	n, err := p.door.desk.aboutMany(ctx, kind, a, numbers, decide)
	return n, explained(err)
}

// Assign gives a conversation to an agent or a team; 0 is nobody, nil leaves it.
func (p Platform) Assign(ctx context.Context, by domain.Token, conversation uuid.UUID, agent, team *int64) error {
	a, number, err := p.find(ctx, by, conversation)
	if err != nil {
		return err
	}
	_, err = p.door.desk.assign(ctx, a, number, agent, team)
	return explained(err)
}

// Label adds labels to a conversation, or replaces all that it has.
func (p Platform) Label(ctx context.Context, by domain.Token, conversation uuid.UUID, labels []string, replace bool) error {
	a, number, err := p.find(ctx, by, conversation)
	if err != nil {
		return err
	}
	if !replace {
		t, err := p.door.Tickets.Ticket(ctx, by.Account, number)
		if err != nil {
			return err
		}
		labels = slices.Compact(slices.Sorted(slices.Values(slices.Concat(t.Labels, labels))))
	}
	_, err = p.door.desk.label(ctx, a, number, labels)
	return explained(err)
}

// postOf is a post that says what a message of the platform does: a choice is a
// text with items to select, and a file goes by its URL, with what is known of it.
func postOf(content domain.Content) postInput {
	in := postInput{Type: domain.PostOutgoing}
	files := content.Attachments
	switch content.Type {
	case domain.ContentQuickReply:
		in.Content, in.ContentType = &content.Title, contentTypeSelect
		items := make([]any, len(content.Replies))
		for i, reply := range content.Replies {
			items[i] = map[string]any{"title": reply, "value": reply}
		}
		in.Attributes = domain.Object{"items": items}
	case domain.ContentAttachment:
		f := content.Attachment
		files = []domain.Item{{Type: f.Type, URL: f.URL, MimeType: f.MimeType, FileName: f.FileName}}
		if f.Description != "" {
			in.Content = &f.Description
		}
	default:
		if content.Text != "" {
			in.Content = &content.Text
		}
	}
	for _, item := range files {
		in.Files = append(in.Files, fileOf(item))
	}
	return in
}

// contentTypeSelect is the content type of a choice (channelx.md 3.1).
const contentTypeSelect = "input_select"

// fileOf is a file that is somewhere else, whose size nobody has looked at.
func fileOf(item domain.Item) domain.PostFile {
	name := item.FileName
	if u, err := url.Parse(item.URL); err == nil && name == "" {
		name = path.Base(u.Path)
	}
	if name == "" || name == "." || name == "/" {
		name = item.Type
	}
	return domain.PostFile{
		Kind: item.Type, Name: name, URL: item.URL,
		ContentType: cmp.Or(item.MimeType, mime.TypeByExtension(path.Ext(name)), "application/octet-stream"),
	}
}

// explained turns what the dialect's clients are told into what others are.
func explained(err error) error {
	if record, ok := errors.AsType[invalidRecord](err); ok {
		return &domain.Error{Code: domain.CodeInvalid, Message: record.Error(), Err: err}
	}
	plain, ok := errors.AsType[plainError](err)
	if !ok {
		return err
	}
	told := &domain.Error{Code: domain.CodeInvalid, Message: plain.text, Err: err}
	switch plain.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		told.Code = domain.CodeForbidden
	case http.StatusNotFound:
		told.Code = domain.CodeNotFound
	case http.StatusTooManyRequests:
		told.Code = domain.CodeRateLimited
	}
	return told
}
