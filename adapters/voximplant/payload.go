package voximplant

import (
	"fmt"

	"github.com/parley-im/parley/domain"
)

// Limits of what stands in an item, in characters; what is longer is cut, and a
// URL is not one then.
const (
	maxItemText = 1000
	maxItemURL  = 8000
)

// The types of items (section 4.2).
const (
	itemPhoto    = "photo"
	itemVideo    = "video"
	itemAudio    = "audio"
	itemDocument = "document"
	itemContact  = "contact"
	itemLocation = "location"
)

// readPayload reads the items of a message.
func readPayload(field string, v value) ([]domain.Item, error) {
	if v.absent() {
		return nil, nil
	}
	if !v.is('[') {
		return nil, domain.Invalid(field, "must be an array")
	}
	var items []domain.Item
	for i, e := range v.elements() {
		if i == maxItems {
			return nil, domain.Invalid(field, "must hold at most %d items", maxItems)
		}
		if !e.is('{') {
			return nil, domain.Invalid(fmt.Sprintf("%s[%d]", field, i), "must be an object")
		}
		items = append(items, readItem(e))
	}
	return items, nil
}

// itemFields are the members of an item; which of them count depends on its type.
type itemFields struct {
	kind, fileName, fileURL, name, number, avatar, latitude, longitude, address value
}

// readItem reads an item. One that cannot be shown, because its type is not known
// or what makes it one is missing, is kept as it came (section 4.3).
func readItem(v value) domain.Item {
	var f itemFields
	for name, m := range v.members() {
		switch string(name) {
		case "type":
			f.kind = m
		case "file_name":
			f.fileName = m
		case "file_url":
			f.fileURL = m
		case "name":
			f.name = m
		case "number":
			f.number = m
		case "avatar":
			f.avatar = m
		case "latitude":
			f.latitude = m
		case "longitude":
			f.longitude = m
		case "address":
			f.address = m
		}
	}
	if item, ok := f.item(); ok {
		return item
	}
	return domain.Item{Type: domain.ItemUnsupported, Raw: v.kept()}
}

func (f *itemFields) item() (domain.Item, bool) {
	kind, _ := f.kind.text()
	switch kind {
	case itemPhoto:
		return f.media(domain.ItemImage)
	case itemVideo:
		return f.media(domain.ItemVideo)
	case itemAudio:
		return f.media(domain.ItemAudio)
	case itemDocument:
		return f.media(domain.ItemFile)
	case itemContact:
		return domain.Item{
			Type: domain.ItemContact, Name: hint(f.name, maxItemText), Number: hint(f.number, maxItemText), Avatar: link(f.avatar),
		}, true
	case itemLocation:
		latitude, longitude := degrees(f.latitude, 90), degrees(f.longitude, 180)
		return domain.Item{
			Type: domain.ItemLocation, Latitude: latitude, Longitude: longitude, Address: hint(f.address, maxItemText),
		}, latitude != nil && longitude != nil
	default:
		return domain.Item{}, false
	}
}

func (f *itemFields) media(kind string) (domain.Item, bool) {
	item := domain.Item{Type: kind, URL: link(f.fileURL), FileName: hint(f.fileName, maxItemText)}
	return item, item.URL != ""
}

// hint gives a text that may be absent, and is as good as absent when it is of
// another kind; it is cut after so many characters.
func hint(v value, limit int) string {
	s, _ := v.text()
	return domain.Cut(s, limit)
}

// link gives an absolute http or https URL, "" for anything else.
func link(v value) string {
	s, _ := v.text()
	if s == "" || domain.ValidateURL("", s, maxItemURL) != nil {
		return ""
	}
	return s
}

// degrees gives an angle up to limit on either side, nil for anything else.
func degrees(v value, limit float64) *float64 {
	d, ok := v.float()
	if !ok || d < -limit || d > limit {
		return nil
	}
	return &d
}
