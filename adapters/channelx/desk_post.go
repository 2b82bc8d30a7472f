package channelx

import (
	"context"
	"strconv"
	"time"

	"github.com/parley-im/parley/domain"
)

// post adds a post to a ticket (channelx.md 4.6). A message of the contact opens
// a ticket that was closed or snoozed, and may be answered by the inbox itself.
func (d *desk) post(ctx context.Context, a actor, number int64, in postInput) (domain.Post, domain.TicketSeen, error) {
	in, err := in.checked(a)
	if err != nil {
		return domain.Post{}, domain.TicketSeen{}, err
	}
	return d.about(ctx, toPost, a, number, func(ctx context.Context, t *draft) error { return t.compose(ctx, in) })
}

// compose adds the post that is asked for, unless it has come under the same key.
func (d *draft) compose(ctx context.Context, in postInput) error {
	account, number := d.actor.account.Name, d.ticket.Number
	if in.Key != "" && d.ticket.LastPost != 0 {
		first, err := d.desk.Posts.PostByKey(ctx, account, number, in.Key)
		if err == nil {
			d.told = &first
			return nil
		}
		if !notFound(err) {
			return err
		}
	}
	if err := d.spared(ctx); err != nil {
		return err
	}
	p := domain.Post{
		Type: in.Type, Content: in.Content, ContentType: in.ContentType, Private: in.Private, SourceID: in.SourceID, Key: in.Key,
		By: d.by(in), Files: in.Files,
	}
	var err error
	if p.Attributes, err = d.linked(ctx, in.Attributes); err != nil {
		return err
	}
	for i := range p.Files {
		if p.Files[i].ID != 0 {
			continue
		}
		if p.Files[i].ID, err = d.desk.Numbers.ID(ctx, "file", 0); err != nil {
			return err
		}
	}
	before := d.ticket
	incoming := in.Type == domain.PostIncoming && !in.Private
	if after, ok := before.Reopen(d.seen.Person.Blocked, d.now); ok && incoming {
		d.become(after)
	}
	opened := d.ticket
	p, err = d.say(ctx, p, in.EchoID)
	if err != nil {
		return err
	}
	d.told, d.made = &p, true
	if opened.Status != before.Status {
		if err := d.note(ctx, statusActivity[opened.Status]+" by "+d.contactName()); err != nil {
			return err
		}
	}
	if incoming && !d.seen.Person.Blocked {
		return d.answer(ctx, before)
	}
	return nil
}

// by tells who a new post is by: the operator what goes out, the contact the rest
// (channelx.md 4.6), and nobody what the business says by itself.
func (d *draft) by(in postInput) domain.Author {
	switch {
	case in.Template:
		return domain.Author{}
	case in.Type == domain.PostOutgoing:
		return domain.Author{Operator: d.actor.operator}
	default:
		return domain.Author{Contact: true}
	}
}

func (d *draft) contactName() string {
	if d.seen.Person.Name == "" {
		return "the contact"
	}
	return d.seen.Person.Name
}

// spared makes sure that the ticket has not been given too many posts lately.
func (d *draft) spared(ctx context.Context) error {
	most := d.desk.PostsPerMinute
	if most == 0 || d.ticket.LastPost == 0 {
		return nil
	}
	lately, err := d.desk.Posts.PostsSince(ctx, d.actor.account.Name, d.ticket.Number, d.now.Add(-time.Minute), most)
	if err != nil {
		return err
	}
	if lately >= most {
		return faults{texts: []string{"Too many messages"}, names: []string{"base"}}.ofPost(d.actor)
	}
	return nil
}

// The attributes that link a post to the one it answers.
const (
	inReplyTo         = "in_reply_to"
	inReplyToExternal = "in_reply_to_external_id"
)

// linked completes the link of a post to the one that it answers: by its id, or by
// its source id; both are null where there is none (channelx.md 4.6).
func (d *draft) linked(ctx context.Context, attributes domain.Object) (domain.Object, error) {
	id, external := attributeText(attributes[inReplyTo]), attributeText(attributes[inReplyToExternal])
	if id == "" && external == "" {
		return attributes, nil
	}
	account, number := d.actor.account.Name, d.ticket.Number
	found, err := domain.Post{}, error(errNotThere)
	if n, bad := strconv.ParseInt(id, 10, 64); bad == nil && n > 0 {
		found, err = d.desk.Posts.Post(ctx, account, number, n)
	}
	if notFound(err) && external != "" {
		found, err = d.desk.Posts.PostBySource(ctx, account, number, external)
	}
	link := domain.Object{inReplyTo: nil, inReplyToExternal: nil}
	switch {
	case err == nil:
		link[inReplyTo] = float64(found.ID) // as it comes back from JSON
		if found.SourceID != "" {
			link[inReplyToExternal] = found.SourceID
		}
	case !notFound(err):
		return nil, err
	}
	return attributes.With(link), nil
}

// attributeText reads an attribute that names something: a text or a number.
func attributeText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	default:
		return ""
	}
}

// say adds a post to the ticket, and tells what it changed there.
func (d *draft) say(ctx context.Context, p domain.Post, echo string) (domain.Post, error) {
	id, err := d.desk.Numbers.ID(ctx, "post", d.ticket.LastPost)
	if err != nil {
		return p, err
	}
	p.ID, p.Message = id, domain.DeriveID("post", strconv.FormatInt(id, 10))
	p.Ticket, p.Number, p.Revision, p.Status = d.ticket.ID, d.ticket.Number, 1, domain.StatusSent
	p.CreatedAt, p.UpdatedAt = d.now, d.now
	before := d.ticket
	d.ticket = before.Take(p).Next(d.now)
	if p.Public() {
		d.public = &p
	}
	d.add(p.Message, d.message(p, echo))
	if d.ticket.Since(before) != nil {
		d.changed(before)
	}
	return p, nil
}

// message makes the event of a new post.
func (d *draft) message(p domain.Post, echo string) domain.Data {
	posted := &domain.Posted{Post: p, Scene: d.scene(), EchoID: echo, By: d.actor.author()}
	if p.Type != domain.PostActivity {
		posted.Targets = d.desk.targets(d.actor.account.Name, &d.channel, domain.NoticeMessageCreated)
	}
	if !p.Public() {
		return domain.MessageNoted{MessageID: p.Message, ConversationID: p.Ticket, Posted: posted}
	}
	contact := domain.ContactID(d.channel.ID, d.seen.Identity.Ref())
	if p.Type == domain.PostIncoming {
		external := p.SourceID
		if external == "" {
			external = strconv.FormatInt(p.ID, 10)
		}
		return domain.MessageReceived{
			MessageID: p.Message, ConversationID: p.Ticket, ContactID: contact, ExternalID: external, SentAt: p.CreatedAt,
			Content: contentOf(p), Profile: profileOf(d.seen.Person), Posted: posted,
		}
	}
	sent := domain.MessageSent{
		MessageID: p.Message, ConversationID: p.Ticket, ContactID: contact, Content: contentOf(p),
		Profile: profileOf(d.seen.Person), Posted: posted,
	}
	if o := p.By.Operator; o != nil {
		sent.Author = o.Name
	}
	return sent
}

// contentOf shows a post as other dialects know messages.
func contentOf(p domain.Post) domain.Content {
	c := domain.Content{Type: domain.ContentText}
	if p.Content != nil {
		c.Text = *p.Content
	}
	for _, f := range p.Files {
		c.Attachments = append(c.Attachments, domain.Item{Type: f.Kind, URL: f.URL, MimeType: f.ContentType, FileName: f.Name})
	}
	return c
}

// profileOf shows a person as other dialects know contacts; nil when nothing is known.
func profileOf(p domain.Person) *domain.Profile {
	profile := domain.Profile{DisplayName: p.Name, Email: p.Email, Phone: p.Phone, PictureURL: p.Avatar}
	if profile == (domain.Profile{}) {
		return nil
	}
	return &profile
}

// note adds an activity, which operators alone are shown.
func (d *draft) note(ctx context.Context, text string) error {
	_, err := d.say(ctx, domain.Post{Type: domain.PostActivity, Content: &text, ContentType: "text"}, "")
	return err
}
