package respondio

import (
	"errors"
	"fmt"

	"github.com/parley-im/parley/domain"
)

const notText = "must be a string"

// under puts the path of what holds a field before the field that err names.
func under(path string, err error) error {
	var e *domain.Error
	if !errors.As(err, &e) {
		return err
	}
	moved := *e
	moved.Field = path + e.Field
	return &moved
}

// requiredText gives a string that must be there and not be empty.
func requiredText(field string, v value) (string, error) {
	if v.absent() {
		return "", domain.Invalid(field, "is required")
	}
	s, ok := v.text()
	switch {
	case !ok:
		return "", domain.Invalid(field, notText)
	case s == "":
		return "", domain.Invalid(field, "is required")
	}
	return s, nil
}

// optionalText gives a string that may be absent.
func optionalText(field string, v value) (string, error) {
	if v.absent() {
		return "", nil
	}
	s, ok := v.text()
	if !ok {
		return "", domain.Invalid(field, notText)
	}
	return s, nil
}

// messageFields are the members of a message object; which of them count depends
// on its type (section 3.3).
type messageFields struct {
	kind, text, attachment, latitude, longitude, longtitude, address, title, replies value
}

// readContent reads a message object. Fields in errors are relative to it.
func readContent(v value, limits domain.Limits) (domain.Content, error) {
	var f messageFields
	for name, m := range v.members() {
		switch string(name) {
		case "type":
			f.kind = m
		case "text":
			f.text = m
		case "attachment":
			f.attachment = m
		case "latitude":
			f.latitude = m
		case "longitude":
			f.longitude = m
		case "longtitude": // as the field tables spell it
			f.longtitude = m
		case "address":
			f.address = m
		case "title":
			f.title = m
		case "replies":
			f.replies = m
		}
	}
	kind, err := requiredText("type", f.kind)
	if err != nil {
		return domain.Content{}, err
	}
	c := domain.Content{Type: domain.ContentType(kind)}
	switch c.Type {
	case domain.ContentText:
		c.Text, err = requiredText("text", f.text)
	case domain.ContentAttachment:
		c.Attachment, err = readAttachment(f.attachment)
	case domain.ContentLocation:
		err = f.readLocation(&c)
	case domain.ContentQuickReply:
		err = f.readQuickReply(&c)
	}
	if err != nil {
		return domain.Content{}, err
	}
	return c, c.Validate("", limits)
}

func readAttachment(v value) (*domain.Attachment, error) {
	if v.absent() {
		return nil, domain.Invalid("attachment", "is required")
	}
	if !v.is('{') {
		return nil, domain.Invalid("attachment", "must be an object")
	}
	var kind, url, mimeType, fileName, description value
	for name, m := range v.members() {
		switch string(name) {
		case "type":
			kind = m
		case "url":
			url = m
		case "mimeType":
			mimeType = m
		case "fileName":
			fileName = m
		case "description":
			description = m
		}
	}
	var a domain.Attachment
	var err error
	if a.Type, err = requiredText("attachment.type", kind); err != nil {
		return nil, err
	}
	if a.URL, err = requiredText("attachment.url", url); err != nil {
		return nil, err
	}
	if a.MimeType, err = optionalText("attachment.mimeType", mimeType); err != nil {
		return nil, err
	}
	if a.FileName, err = optionalText("attachment.fileName", fileName); err != nil {
		return nil, err
	}
	if a.Type == "image" { // on other types it is accepted and not used
		a.Description, err = optionalText("attachment.description", description)
	}
	return &a, err
}

// readLocation reads coordinates; of the two spellings of the longitude the
// right one wins.
func (f *messageFields) readLocation(c *domain.Content) error {
	longitude := f.longitude
	if longitude.absent() {
		longitude = f.longtitude
	}
	var err error
	if c.Latitude, err = readDegrees("latitude", f.latitude); err != nil {
		return err
	}
	if c.Longitude, err = readDegrees("longitude", longitude); err != nil {
		return err
	}
	c.Address, err = optionalText("address", f.address)
	return err
}

func readDegrees(field string, v value) (*float64, error) {
	if v.absent() {
		return nil, domain.Invalid(field, "is required")
	}
	d, ok := v.float()
	if !ok {
		return nil, domain.Invalid(field, "must be a number")
	}
	return &d, nil
}

// readQuickReply reads a title and replies.
func (f *messageFields) readQuickReply(c *domain.Content) error {
	var err error
	if c.Title, err = requiredText("title", f.title); err != nil {
		return err
	}
	if f.replies.absent() {
		return domain.Invalid("replies", "is required")
	}
	if !f.replies.is('[') {
		return domain.Invalid("replies", "must be an array of strings")
	}
	for i, v := range f.replies.elements() {
		reply, ok := v.text()
		if !ok {
			return domain.Invalid(fmt.Sprintf("replies[%d]", i), notText)
		}
		c.Replies = append(c.Replies, reply)
	}
	return nil
}
