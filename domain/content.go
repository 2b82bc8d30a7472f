package domain

import (
	"encoding/json"
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

	// Attachments go with a text, which may then be empty, in dialects that allow it.
	Attachments []Item `json:"attachments,omitempty"`
}

// ItemTypes is the closed set of Item.Type.
var ItemTypes = []string{ItemImage, ItemVideo, ItemAudio, ItemFile, ItemContact, ItemLocation, ItemUnsupported}

// The types of items.
const (
	ItemImage       = "image"
	ItemVideo       = "video"
	ItemAudio       = "audio"
	ItemFile        = "file"
	ItemContact     = "contact"     // Name, Number, Avatar
	ItemLocation    = "location"    // Latitude, Longitude, Address
	ItemUnsupported = "unsupported" // kept as it came, in Raw
)

// Item is one of several things that go with a text.
type Item struct {
	Type      string          `json:"type"` // one of ItemTypes
	URL       string          `json:"url,omitempty"`
	MimeType  string          `json:"mimeType,omitempty"`
	FileName  string          `json:"fileName,omitempty"`
	Name      string          `json:"name,omitempty"`
	Number    string          `json:"number,omitempty"`
	Avatar    string          `json:"avatar,omitempty"`
	Latitude  *float64        `json:"latitude,omitempty"`
	Longitude *float64        `json:"longitude,omitempty"`
	Address   string          `json:"address,omitempty"`
	Raw       json.RawMessage `json:"raw,omitempty"`
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

	Items        int  // attachments of a text; 0 = none
	NoQuickReply bool // the dialect has no form for it
}

// LimitsOf gives the limits of a dialect (respond-io.md 3.3 and 4.2).
func LimitsOf(d Dialect) Limits {
	switch d {
	case DialectVoximplant: // voximplant-kit.md 8.3
		return Limits{
			Text: 65536, URL: 2000, MimeType: 255, FileName: 256, Description: 256,
			Address: 256, Title: 256, Items: 100, NoQuickReply: true,
		}
	case DialectChannelX: // channelx.md 2.7
		return Limits{
			Text: 150_000, URL: 2000, MimeType: 255, FileName: 256, Description: 256,
			Address: 256, Title: 256, Reply: 256, Replies: 10, Items: 15,
		}
	default:
		return Limits{
			Text: 7000, URL: 2000, MimeType: 255, FileName: 256, Description: 256,
			Address: 256, Title: 256, Reply: 256, Replies: 10,
		}
	}
}

// Validate checks content against limits. path is put before field names, such
// as "events[0].message."; it may be empty.
func (c Content) Validate(path string, l Limits) error {
	switch c.Type {
	case ContentText:
		return c.validateText(path, l)
	case ContentAttachment:
		return c.Attachment.validate(path+"attachment", l)
	case ContentLocation:
		return c.validateLocation(path, l)
	case ContentQuickReply:
		if l.NoQuickReply {
			return Invalid(path+"type", "must be one of text, attachment, location on this channel")
		}
		return c.validateQuickReply(path, l)
	case "":
		return Invalid(path+"type", "is required")
	default:
		return Invalid(path+"type", "must be one of text, attachment, location, quick_reply")
	}
}

func (c Content) validateText(path string, l Limits) error {
	least := 1
	if len(c.Attachments) > 0 {
		least = 0
	}
	if err := length(path+"text", c.Text, least, l.Text); err != nil {
		return err
	}
	if len(c.Attachments) > l.Items {
		if l.Items == 0 {
			return Invalid(path+"attachments", "are not possible on this channel; send a message of type attachment")
		}
		return Invalid(path+"attachments", "must hold at most %d items", l.Items)
	}
	for i, item := range c.Attachments {
		if err := item.validate(fmt.Sprintf("%sattachments[%d]", path, i), l); err != nil {
			return err
		}
	}
	return nil
}

func (i Item) validate(field string, l Limits) error {
	switch i.Type {
	case ItemImage, ItemVideo, ItemAudio, ItemFile:
		if err := ValidateURL(field+".url", i.URL, l.URL); err != nil {
			return err
		}
		return length(field+".fileName", i.FileName, 0, l.FileName)
	case ItemContact:
		if err := length(field+".name", i.Name, 0, l.Title); err != nil {
			return err
		}
		return length(field+".number", i.Number, 1, l.Title)
	case ItemLocation:
		return Content{Latitude: i.Latitude, Longitude: i.Longitude, Address: i.Address}.validateLocation(field+".", l)
	default:
		return Invalid(field+".type", "must be one of image, video, audio, file, contact, location")
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
