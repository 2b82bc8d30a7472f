package channelx

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/parley-im/parley/domain"
)

// readPost reads the message that is at a path of a request (channelx.md 4.6), and
// keeps its files.
func (d *Door) readPost(ctx context.Context, r *request, path ...string) (postInput, error) {
	p := r.params
	at := func(name ...string) []string { return append(append([]string{}, path...), name...) }
	var in postInput
	var err error
	if in.Type, err = typeGiven(p, at("message_type")); err != nil {
		return in, err
	}
	if content, ok := p.text(at("content")...); ok {
		in.Content = &content
	}
	in.ContentType, _ = p.text(at("content_type")...)
	in.Attributes, _ = p.object(at("content_attributes")...)
	if created, ok := p.get(at("external_created_at")...); ok && created != nil {
		if in.Attributes == nil {
			in.Attributes = domain.Object{}
		}
		in.Attributes["external_created_at"] = plain(created)
	}
	in.Private, _ = p.boolean(at("private")...)
	in.SourceID, _ = p.text(at("source_id")...)
	in.EchoID, _ = p.text(at("echo_id")...)
	in.Key = keyGiven(r, at("client_message_id")...)
	voice, _ := p.boolean(at("is_voice_message")...)
	in.Files, err = d.takeFiles(ctx, p, bracketed(at("attachments")), voice)
	return in, err
}

// typeGiven reads the type of a message, by its text or its number; outgoing where
// there is none.
func typeGiven(p *params, path []string) (domain.PostType, error) {
	text, ok := p.text(path...)
	if !ok || text == "" {
		return domain.PostOutgoing, nil
	}
	if t, ok := domain.PostTypeOf(text); ok {
		return t, nil
	}
	if n, err := strconv.Atoi(text); err == nil && n >= int(domain.PostIncoming) && n <= int(domain.PostTemplate) {
		return domain.PostType(n), nil
	}
	return 0, invalidChoice(text, "message_type")
}

// keyGiven reads the idempotency key of a message: the header, or a member of the
// message. Without one nothing is looked for.
func keyGiven(r *request, path ...string) string {
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		return clean(key)
	}
	key, _ := r.params.text(path...)
	return key
}

// bracketed writes a path of names as the name of a part of a form.
func bracketed(path []string) string {
	if len(path) == 1 {
		return path[0]
	}
	return path[0] + "[" + strings.Join(path[1:], "][") + "]"
}

// uncreated is the refusal of a message over the application API, whatever there
// is wrong with it: 422 with one text (channelx.md 4.6).
func uncreated(err error) error {
	if record, ok := errors.AsType[invalidRecord](err); ok {
		return unfit("Validation failed: %s", record.Error())
	}
	if domain.CodeOf(err) == domain.CodeInvalid {
		return unfit("Validation failed: %s", err.Error())
	}
	return err
}
