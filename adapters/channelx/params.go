package channelx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/parley-im/parley/domain"
)

// Bounds of what a request may say.
const (
	maxPlainBody = 10 << 20 // bytes of a body without files
	maxMembers   = 10_000   // values in a body, on all levels
	maxDepth     = 32       // levels of objects and lists
	maxInMemory  = 1 << 20  // bytes of files that are not put on disk
)

// urlEncoded is the type of plain forms.
const urlEncoded = "application/x-www-form-urlencoded"

// params is what a request says, whatever its encoding: objects, lists, texts,
// numbers, booleans and nulls. What the body says of a name is all that counts;
// the query tells of the others.
type params struct {
	body  map[string]any
	query map[string]any
	form  *multipart.Form // of a multipart body
}

// readParams reads the query and the body of a request (channelx.md 2.3), which
// has at most limit bytes where it carries files. An empty body says nothing, and
// so does JSON that is no object. errBadRequest for what is not what its header
// says; CodeTooLarge above the bounds.
func readParams(w http.ResponseWriter, r *http.Request, limit int64) (*params, error) {
	p := &params{body: map[string]any{}}
	query, err := parsePairs(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	p.query = query
	kind, options, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	if kind == "multipart/form-data" && options["boundary"] != "" {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if err := p.readMultipart(multipart.NewReader(r.Body, options["boundary"])); err != nil {
			return nil, err
		}
		return p, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPlainBody))
	if err != nil {
		return nil, unread(err)
	}
	trimmed := bytes.TrimSpace(body)
	switch {
	case len(trimmed) == 0:
	case strings.HasSuffix(kind, "json"), trimmed[0] == '{' && (kind != urlEncoded || json.Valid(trimmed)):
		p.body, err = parseJSON(trimmed) // some clients send it under the default of their library
	default:
		p.body, err = parsePairs(string(trimmed))
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// readMultipart reads a body in parts. Between texts of different names the order
// is lost; see interleave.
func (p *params) readMultipart(reader *multipart.Reader) error {
	form, err := reader.ReadForm(maxInMemory)
	if errors.Is(err, io.EOF) {
		return nil // a body without a single part
	}
	if err != nil {
		return unread(err)
	}
	p.form = form
	p.body, err = interleave(form.Value)
	if err != nil {
		p.close()
	}
	return err
}

// unread is the error of a body that could not be read.
func unread(err error) error {
	if big, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &domain.Error{Code: domain.CodeTooLarge, Message: fmt.Sprintf("request body is larger than %d bytes", big.Limit), Err: err}
	}
	if errors.Is(err, multipart.ErrMessageTooLarge) {
		return &domain.Error{Code: domain.CodeTooLarge, Message: "request has too much text", Err: err}
	}
	return fmt.Errorf("%w: %w", errBadRequest, err)
}

// parseJSON reads a JSON text. What is none, is too deep or has too many members
// is a bad request.
func parseJSON(body []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one JSON value", errBadRequest)
	}
	left := maxMembers
	v, err := tidy(v, maxDepth, &left)
	if err != nil {
		return nil, err
	}
	object, _ := v.(map[string]any)
	if object == nil {
		object = map[string]any{}
	}
	return object, nil
}

// close removes what was put on disk. Files cannot be opened afterwards.
func (p *params) close() {
	if p.form != nil {
		_ = p.form.RemoveAll() // the system's own cleaning finds what stays
	}
}

// get gives the value at a path of names.
func (p *params) get(path ...string) (any, bool) {
	if len(path) == 0 {
		return nil, false
	}
	from := p.query
	if _, ok := p.body[path[0]]; ok {
		from = p.body
	}
	v, ok := from[path[0]]
	for _, name := range path[1:] {
		object, isObject := v.(map[string]any)
		if !ok || !isObject {
			return nil, false
		}
		v, ok = object[name]
	}
	return v, ok
}

// has tells whether there is something at a path, null included.
func (p *params) has(path ...string) bool {
	_, ok := p.get(path...)
	return ok
}

// null tells whether what is at a path is null or a blank text.
func (p *params) null(path ...string) bool {
	v, ok := p.get(path...)
	if s, isText := v.(string); isText {
		return strings.TrimSpace(s) == ""
	}
	return ok && v == nil
}

// text reads a text; numbers and booleans are texts, too.
func (p *params) text(path ...string) (string, bool) {
	v, _ := p.get(path...)
	return textOf(v)
}

// integer reads a whole number or its digits.
func (p *params) integer(path ...string) (int64, bool) {
	v, _ := p.get(path...)
	return integerOf(v)
}

// boolean reads a boolean. A text is false where it is 0, f, false or off, neither
// where it is blank, and otherwise true; numbers likewise.
func (p *params) boolean(path ...string) (b, ok bool) {
	v, _ := p.get(path...)
	if b, ok = v.(bool); ok {
		return b, true
	}
	s, ok := textOf(v)
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "":
		return false, false
	case "0", "f", "false", "off":
		return false, ok
	default:
		return ok, ok
	}
}

// object reads an object, or a text that holds the JSON of one; a text that does
// not is none.
func (p *params) object(path ...string) (domain.Object, bool) {
	v, _ := p.get(path...)
	if s, ok := v.(string); ok {
		parsed, err := parseJSON([]byte(s))
		if err != nil || !strings.HasPrefix(strings.TrimSpace(s), "{") {
			return nil, false
		}
		v = parsed
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	return domain.Object(plain(object).(map[string]any)), true //nolint:forcetypeassert // plain keeps the kind
}

// texts reads a list of texts, or a single one; blank ones are left out.
func (p *params) texts(path ...string) ([]string, bool) {
	return each(p, path, func(v any) (string, bool) {
		s, ok := textOf(v)
		return s, ok && strings.TrimSpace(s) != ""
	})
}

// integers reads a list of whole numbers, or a single one; what is none is left
// out.
func (p *params) integers(path ...string) ([]int64, bool) {
	return each(p, path, integerOf)
}

// each reads the elements of a list, or the one value that stands in its place. A
// null is an empty list.
func each[T any](p *params, path []string, read func(any) (T, bool)) ([]T, bool) {
	v, ok := p.get(path...)
	if !ok {
		return nil, false
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	values := make([]T, 0, len(list))
	for _, v := range list {
		if value, ok := read(v); ok {
			values = append(values, value)
		}
	}
	return values, true
}

// list reads a list of anything, or an object whose members are named 0, 1 and so
// on, as forms have it. Numbers in it are float64.
func (p *params) list(path ...string) ([]any, bool) {
	v, _ := p.get(path...)
	list, ok := v.([]any)
	if object, isObject := v.(map[string]any); isObject && len(object) > 0 {
		list, ok = numbered(object)
	}
	if !ok {
		return nil, false
	}
	return plain(list).([]any), true //nolint:forcetypeassert // plain keeps the kind
}

// files gives the files that came under a name, whether or not it ends in
// brackets.
func (p *params) files(name string) []*multipart.FileHeader {
	if p.form == nil {
		return nil
	}
	var names []string
	for n := range p.form.File {
		if n == name || strings.HasPrefix(n, name+"[") {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	var files []*multipart.FileHeader
	for _, n := range names {
		files = append(files, p.form.File[n]...)
	}
	return files
}
