package voximplant

import (
	"net/url"
	"path"
	"strings"

	"github.com/parley-im/parley/domain"
)

// The items that go out, each with all its keys (section 5.4).
type (
	outMedia struct {
		Type     string `json:"type"`
		FileName string `json:"file_name"`
		FileURL  string `json:"file_url"`
	}
	outLocation struct {
		Type      string  `json:"type"`
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
		Address   string  `json:"address"`
	}
	outContact struct {
		Type   string `json:"type"`
		Name   string `json:"name"`
		Number string `json:"number"`
		Avatar string `json:"avatar"`
	}
)

// payloadOf gives the text and the items that content is on the wire. The
// description of an image is its text.
func payloadOf(c domain.Content) (text string, payload []any) {
	payload = []any{}
	switch c.Type {
	case domain.ContentAttachment:
		a := c.Attachment
		if a.Type == domain.ItemImage {
			text = a.Description
		}
		payload = append(payload, media(a.Type, a.MimeType, a.FileName, a.URL))
	case domain.ContentLocation:
		payload = append(payload, location(c.Latitude, c.Longitude, c.Address))
	default:
		text = c.Text
		for _, i := range c.Attachments {
			if item := itemOf(i); item != nil {
				payload = append(payload, item)
			}
		}
	}
	return text, payload
}

// itemOf gives an item as it goes out, nil where there is no form for it.
func itemOf(i domain.Item) any {
	switch i.Type {
	case domain.ItemImage, domain.ItemVideo, domain.ItemAudio, domain.ItemFile:
		return media(i.Type, i.MimeType, i.FileName, i.URL)
	case domain.ItemContact:
		return outContact{Type: itemContact, Name: i.Name, Number: i.Number, Avatar: i.Avatar}
	case domain.ItemLocation:
		return location(i.Latitude, i.Longitude, i.Address)
	default:
		return nil
	}
}

// media gives a file. Its kind follows the MIME type where that is known.
func media(kind, mimeType, name, fileURL string) outMedia {
	general, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(mimeType)), "/")
	if general == "" {
		general = kind
	}
	m := outMedia{Type: itemDocument, FileName: name, FileURL: fileURL}
	switch general {
	case "image":
		m.Type = itemPhoto
	case "video":
		m.Type = itemVideo
	case "audio":
		m.Type = itemAudio
	}
	if m.FileName == "" {
		m.FileName = fileName(fileURL)
	}
	return m
}

// fileName is what a URL calls its file, "" when it does not.
func fileName(fileURL string) string {
	u, err := url.Parse(fileURL)
	if err != nil || strings.HasSuffix(u.Path, "/") || u.Path == "" {
		return ""
	}
	return path.Base(u.Path)
}

func location(latitude, longitude *float64, address string) outLocation {
	l := outLocation{Type: itemLocation, Address: address}
	if latitude != nil {
		l.Latitude = *latitude
	}
	if longitude != nil {
		l.Longitude = *longitude
	}
	return l
}
