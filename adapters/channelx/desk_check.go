package channelx

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// Limits of what callers send (channelx.md 2.7), in characters where nothing else
// is said.
const (
	maxShort        = 255
	maxAvatar       = 2048
	maxContent      = 150_000
	maxSource       = 20_000
	maxKeptKey      = 255
	maxEcho         = 255
	maxAttribute    = 1500
	maxAttributeInt = 9_999_999_999
	maxObject       = 256 << 10 // bytes of JSON
)

// faults collects what is wrong with something, for one answer that says it all.
type faults struct{ texts, names []string }

func (f *faults) add(name, text string) {
	f.texts = append(f.texts, text)
	if !slices.Contains(f.names, name) {
		f.names = append(f.names, name)
	}
}

// short makes sure that a text is not too long.
func (f *faults) short(name, human, value string, limit int) {
	if tooLong(value, limit) {
		f.add(name, tooLongText(human, limit))
	}
}

func tooLong(s string, limit int) bool { return len(s) > limit && utf8.RuneCountInString(s) > limit }

func tooLongText(human string, limit int) string {
	return fmt.Sprintf("%s is too long (maximum is %d characters)", human, limit)
}

// object makes sure that an object is not too large.
func (f *faults) object(name, human string, o domain.Object) {
	if oversized(o) {
		f.add(name, human+" is too long")
	}
}

// oversized tells whether an object is larger than what is kept of one.
func oversized(o domain.Object) bool {
	b, err := json.Marshal(o)
	return err != nil || len(b) > maxObject
}

// attributes checks those of a ticket.
func (f *faults) attributes(name string, o domain.Object) {
	human := humanName(name)
	f.object(name, human, o)
	for _, key := range sortedKeys(o) {
		switch v := o[key].(type) {
		case string:
			if tooLong(v, maxAttribute) {
				f.add(name, fmt.Sprintf("%s %s length should be < %d", human, domain.Cut(key, maxQuoted), maxAttribute))
			}
		case float64:
			if v > maxAttributeInt {
				f.add(name, fmt.Sprintf("%s %s value should be < %d", human, domain.Cut(key, maxQuoted), int64(maxAttributeInt)))
			}
		}
	}
}

// humanName is an attribute as texts call it: custom_attributes is Custom attributes.
func humanName(name string) string {
	return strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "_", " ")
}

func sortedKeys(o domain.Object) []string {
	keys := make([]string, 0, len(o))
	for key := range o {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// record refuses a record; nil when nothing is wrong with it.
func (f faults) record() error {
	if len(f.texts) == 0 {
		return nil
	}
	return invalidRecord{f.texts, f.names}
}

// ofPost refuses a message: operators are told in another form than contacts
// (channelx.md 10.1).
func (f faults) ofPost(a actor) error {
	if len(f.texts) == 0 {
		return nil
	}
	if a.role == roleContact {
		return f.record()
	}
	return plainError{http.StatusUnprocessableEntity, "Validation failed: " + strings.Join(f.texts, ", ")}
}

// tidyObject makes an object what it is when it comes back from the rows, so that
// the same can be seen to be the same.
func tidyObject(o domain.Object) domain.Object {
	if len(o) == 0 {
		return nil
	}
	tidy := make(domain.Object, len(o))
	for name, value := range o {
		tidy[clean(name)] = tidyValue(value)
	}
	return tidy
}

func tidyValue(value any) any {
	switch v := value.(type) {
	case string:
		return clean(v)
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case domain.Object:
		return tidyMembers(v)
	case map[string]any:
		return tidyMembers(v)
	case []domain.Object:
		return tidyList(v)
	case []string:
		return tidyList(v)
	case []any:
		return tidyList(v)
	default:
		return v
	}
}

func tidyMembers(members map[string]any) map[string]any {
	tidy := make(map[string]any, len(members))
	for name, value := range members {
		tidy[clean(name)] = tidyValue(value)
	}
	return tidy
}

func tidyList[T any](list []T) []any {
	tidy := make([]any, 0, len(list))
	for _, value := range list {
		tidy = append(tidy, tidyValue(value))
	}
	return tidy
}

var (
	emailForm = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)
	phoneForm = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)
)

// tidyPerson makes what callers send of a person what is kept.
func tidyPerson(p domain.Person) domain.Person {
	p.Name, p.Avatar = clean(p.Name), strings.TrimSpace(clean(p.Avatar))
	if domain.ValidateURL("avatar_url", p.Avatar, math.MaxInt) != nil {
		p.Avatar = "" // no picture can be fetched from there, and pages that show it might run it
	}
	p.Email = strings.ToLower(strings.TrimSpace(clean(p.Email)))
	p.Phone = strings.TrimSpace(clean(p.Phone))
	if p.Identifier = clean(p.Identifier); strings.TrimSpace(p.Identifier) == "" {
		p.Identifier = ""
	}
	p.Additional, p.Custom = tidyObject(p.Additional), tidyObject(p.Custom)
	return p
}

// person checks a person by themselves.
func (f *faults) person(p domain.Person) {
	f.short("name", "Name", p.Name, maxShort)
	f.short("email", "Email", p.Email, maxShort)
	if p.Email != "" && !emailForm.MatchString(p.Email) {
		f.add("email", "Email Invalid email")
	}
	if p.Phone != "" && !phoneForm.MatchString(p.Phone) {
		f.add("phone_number", "Phone number should be in e164 format")
	}
	f.short("identifier", "Identifier", p.Identifier, maxShort)
	f.short("avatar_url", "Avatar url", p.Avatar, maxAvatar)
	f.object("additional_attributes", "Additional attributes", p.Additional)
	f.object("custom_attributes", "Custom attributes", p.Custom)
}

// contentTypes is the closed set (channelx.md 3.1).
var contentTypes = []string{
	"text", "input_text", "input_textarea", "input_email", "input_select", "cards", "form", "article", "incoming_email",
	"input_csat", "integrations", "sticker", "voice_call",
}

// itemKeys are the members that the items of content types which have them may have.
var itemKeys = map[string][]string{
	"input_select": {"title", "value"},
	"cards":        {"title", "description", "media_url", "actions"},
	"form":         {"type", "placeholder", "label", "name", "options", "default", "required", "pattern", "title", "pattern_error"},
	"article":      {"title", "description", "link"},
}

var cardActionKeys = []string{"text", "type", "payload", "uri"}

// checked makes a post that is asked for what is kept, or refuses it.
func (in postInput) checked(a actor) (postInput, error) {
	if in.Template {
		in.Type = domain.PostTemplate
	}
	if in.ContentType == "" {
		in.ContentType = "text"
	}
	if in.Content != nil {
		content := clean(*in.Content)
		in.Content = &content
	}
	in.SourceID, in.Key, in.EchoID = clean(in.SourceID), clean(in.Key), clean(in.EchoID)
	in.Attributes = tidyObject(in.Attributes)
	in.Files = slices.Clone(in.Files)
	if tooLong(in.Key, maxKeptKey) {
		in.Key = domain.DeriveID("key", in.Key).String()
	}
	in.EchoID = domain.Cut(in.EchoID, maxEcho)
	if !slices.Contains(contentTypes, in.ContentType) {
		return in, invalidChoice(in.ContentType, "content_type")
	}
	var f faults
	if in.Content != nil {
		f.short("content", "Content", *in.Content, maxContent)
	}
	f.short("source_id", "Source", in.SourceID, maxSource)
	if len(in.Files) > maxFiles {
		f.add("attachments", "Attachments exceeded maximum allowed")
	}
	for i := range in.Files {
		in.Files[i].Name = clean(in.Files[i].Name)
	}
	f.object("content_attributes", "Content attributes", in.Attributes)
	f.items(in.ContentType, in.Attributes["items"])
	return in, f.ofPost(a)
}

// items checks those of a content type that has them.
func (f *faults) items(contentType string, value any) {
	const name, human = "content_attributes", "Content attributes "
	keys, ok := itemKeys[contentType]
	if !ok {
		return
	}
	list, _ := value.([]any)
	if len(list) == 0 {
		f.add(name, human+"At least one item is required.")
		return
	}
	for _, v := range list {
		item, ok := v.(map[string]any)
		if !ok {
			f.add(name, human+"Items should be a hash.")
			return
		}
		if unknown := lacking(sortedKeys(item), keys); len(unknown) > 0 {
			f.add(name, human+"contains invalid keys for items : "+strings.Join(unknown, ", "))
			return
		}
		if contentType == "cards" && !f.actions(item["actions"]) {
			return
		}
	}
}

// actions checks those of a card.
func (f *faults) actions(value any) bool {
	const name, human = "content_attributes", "Content attributes "
	list, _ := value.([]any)
	if len(list) == 0 {
		f.add(name, human+"contains items missing actions")
		return false
	}
	for _, v := range list {
		action, ok := v.(map[string]any)
		if !ok || len(lacking(sortedKeys(action), cardActionKeys)) > 0 {
			f.add(name, human+"contains invalid keys for actions")
			return false
		}
	}
	return true
}
