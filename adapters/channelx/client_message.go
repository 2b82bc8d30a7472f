package channelx

import (
	"context"

	"github.com/parley-im/parley/domain"
)

// clientCreateMessage takes a message of the contact, which is incoming whatever
// it says.
func (d *Door) clientCreateMessage(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	s, err := d.scopeNamed(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	if s.ticket.Identity.Channel != inbox.ID {
		return nil, errNotThere // a trusted contact reads there and writes here (channelx.md 10.3)
	}
	in := postInput{Type: domain.PostIncoming}
	if content, ok := r.params.text("content"); ok {
		in.Content = &content
	}
	in.EchoID, _ = r.params.text("echo_id")
	in.Key = keyGiven(r, "client_message_id")
	if in.Files, err = d.takeFiles(ctx, r.params, "attachments", false); err != nil {
		return nil, err
	}
	p, t, err := d.desk.post(ctx, d.contactOf(inbox), s.ticket.Number, in)
	if err != nil {
		return nil, err
	}
	return d.view.clientMessage(inbox, p, t.Person), nil
}

// clientListMessages gives what the contact sees of a conversation: the newest, or
// those before one, oldest first.
func (d *Door) clientListMessages(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	s, err := d.scopeNamed(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	q := domain.PostQuery{Account: inbox.Account, Number: s.ticket.Number, PublicOnly: true, Limit: clientMessages, Newest: true}
	q.Before, _ = r.params.integer("before")
	posts, err := d.Posts.Posts(ctx, q)
	if err != nil {
		return nil, err
	}
	v, ch, shown := d.viewed(ctx, inbox.Account), d.channelOf(s.ticket), make([]any, len(posts))
	for n, p := range posts {
		shown[n] = v.clientMessage(ch, p, s.ticket.Person)
	}
	return shown, nil
}

// maxSubmitted bounds the values that a contact submits.
const maxSubmitted = 100

// clientSubmit takes what the contact filled in or chose in a message. What the
// contact does not see is not there.
func (d *Door) clientSubmit(ctx context.Context, inbox domain.Channel, r *request) (any, error) {
	s, err := d.scopeNamed(ctx, inbox, r)
	if err != nil {
		return nil, err
	}
	id, err := r.id("message")
	if err != nil {
		return nil, err
	}
	p, err := d.Posts.Post(ctx, inbox.Account, s.ticket.Number, id)
	if err != nil {
		return nil, err
	}
	if !p.Public() {
		return nil, errNotThere
	}
	values, given, err := submitted(r.params)
	if err != nil {
		return nil, err
	}
	if !given {
		return d.viewed(ctx, inbox.Account).clientMessage(d.channelOf(s.ticket), p, s.ticket.Person), nil // what was submitted stays
	}
	p, t, err := d.desk.submit(ctx, d.contactOf(inbox), s.ticket.Number, id, values)
	if err != nil {
		return nil, err
	}
	return d.viewed(ctx, inbox.Account).clientMessage(d.channelOf(t), p, t.Person), nil
}

// submitted reads the values that a contact submits: an object, or a list of them.
func submitted(p *params) (values []domain.Object, given bool, err error) {
	if value, ok := p.object("submitted_values"); ok {
		return []domain.Object{submittedValue(value)}, true, nil
	}
	list, given := p.list("submitted_values")
	if len(list) > maxSubmitted {
		return nil, given, invalidRecord{Texts: []string{"Content attributes has too many submitted values"}, Attributes: []string{"content_attributes"}}
	}
	values = make([]domain.Object, 0, len(list))
	for _, v := range list {
		if value, ok := v.(map[string]any); ok {
			values = append(values, submittedValue(value))
		}
	}
	return values, given, nil
}

// submittedValue keeps the members of a value that there are (channelx.md 5.1).
func submittedValue(value map[string]any) domain.Object {
	kept := only(value, "name", "title", "value")
	if survey, ok := value["csat_survey_response"].(map[string]any); ok {
		kept["csat_survey_response"] = map[string]any(only(survey, "feedback_message", "rating"))
	}
	return kept
}

// only copies some members of an object.
func only(of map[string]any, names ...string) domain.Object {
	kept := domain.Object{}
	for _, name := range names {
		if v, ok := of[name]; ok {
			kept[name] = v
		}
	}
	return kept
}
