package domain

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// ContentType is the kind of a message's content.
type ContentType string

// The kinds of content.
const (
	ContentText       ContentType = "text"
	ContentAttachment ContentType = "attachment"
	ContentLocation   ContentType = "location"
	ContentQuickReply ContentType = "quick_reply"
)

// AttachmentTypes is the closed set of Attachment.Type.
var AttachmentTypes = []string{"image", "video", "audio", "file"}

// Content is what a message says. Which fields count depends on Type; the JSON
// form is that of the log and of the platform API.
type Content struct {
	Type       ContentType `json:"type"`
	Text       string      `json:"text,omitempty"`
	Attachment *Attachment `json:"attachment,omitempty"`
	Latitude   *float64    `json:"latitude,omitempty"`  // degrees
	Longitude  *float64    `json:"longitude,omitempty"` // degrees
	Address    string      `json:"address,omitempty"`
	Title      string      `json:"title,omitempty"`
	Replies    []string    `json:"replies,omitempty"`
}

// Attachment is a file by reference.
type Attachment struct {
	Type        string `json:"type"` // one of AttachmentTypes
	URL         string `json:"url"`
	MimeType    string `json:"mimeType,omitempty"`
	FileName    string `json:"fileName,omitempty"`
	Description string `json:"description,omitempty"`
}

// Limits of content, counted in Unicode code points.
type Limits struct {
	Text, URL, MimeType, FileName, Description, Address, Title, Reply, Replies int
}

// LimitsOf gives the limits of a dialect (respond-io.md 3.3 and 4.2).
func LimitsOf(Dialect) Limits {
	return Limits{
		Text: 7000, URL: 2000, MimeType: 255, FileName: 256, Description: 256,
		Address: 256, Title: 256, Reply: 256, Replies: 10,
	}
}

// Validate checks content against limits. path is put before field names, such
// as "events[0].message."; it may be empty.
func (c Content) Validate(path string, l Limits) error {
	switch c.Type {
	case ContentText:
		return length(path+"text", c.Text, 1, l.Text)
	case ContentAttachment:
		return c.Attachment.validate(path+"attachment", l)
	case ContentLocation:
		return c.validateLocation(path, l)
	case ContentQuickReply:
		return c.validateQuickReply(path, l)
	case "":
		return Invalid(path+"type", "is required")
	default:
		return Invalid(path+"type", "must be one of text, attachment, location, quick_reply")
	}
}

func (a *Attachment) validate(field string, l Limits) error {
	if a == nil {
		return Invalid(field, "is required")
	}
	if !slices.Contains(AttachmentTypes, a.Type) {
		return Invalid(field+".type", "must be one of %s", strings.Join(AttachmentTypes, ", "))
	}
	if err := ValidateURL(field+".url", a.URL, l.URL); err != nil {
		return err
	}
	if err := length(field+".mimeType", a.MimeType, 0, l.MimeType); err != nil {
		return err
	}
	if err := length(field+".fileName", a.FileName, 0, l.FileName); err != nil {
		return err
	}
	if a.Type != "image" {
		return nil // a description has no meaning there: accepted and not used
	}
	return length(field+".description", a.Description, 0, l.Description)
}

func (c Content) validateLocation(path string, l Limits) error {
	if err := degrees(path+"latitude", c.Latitude, 90); err != nil {
		return err
	}
	if err := degrees(path+"longitude", c.Longitude, 180); err != nil {
		return err
	}
	return length(path+"address", c.Address, 0, l.Address)
}

func degrees(field string, v *float64, limit float64) error {
	if v == nil {
		return Invalid(field, "is required")
	}
	if math.IsNaN(*v) || *v < -limit || *v > limit {
		return Invalid(field, "must be a number from -%g to %g", limit, limit)
	}
	return nil
}

func (c Content) validateQuickReply(path string, l Limits) error {
	if err := length(path+"title", c.Title, 1, l.Title); err != nil {
		return err
	}
	if len(c.Replies) < 1 || len(c.Replies) > l.Replies {
		return Invalid(path+"replies", "must hold 1 to %d texts", l.Replies)
	}
	for i, r := range c.Replies {
		if err := length(fmt.Sprintf("%sreplies[%d]", path, i), r, 1, l.Reply); err != nil {
			return err
		}
	}
	return nil
}

// length checks a text's length in code points, and that it holds no zero
// character, which no store of ours can keep.
func length(field, s string, least, most int) error {
	if strings.IndexByte(s, 0) >= 0 {
		return Invalid(field, "must not contain the character U+0000")
	}
	if len(s) == 0 && least > 0 {
		return Invalid(field, "is required")
	}
	if len(s) > most && utf8.RuneCountInString(s) > most {
		return Invalid(field, "must be at most %d characters", most)
	}
	return nil
}
