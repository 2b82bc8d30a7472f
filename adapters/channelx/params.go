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
	"strconv"
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

// tidy takes zero characters out of all texts, which no store of ours can keep,
// and holds the value against the bounds.
func tidy(v any, depth int, left *int) (any, error) {
	*left--
	if depth == 0 || *left < 0 {
		return nil, fmt.Errorf("%w: too many or too deep members", errBadRequest)
	}
	var err error
	switch v := v.(type) {
	case string:
		return clean(v), nil
	case []any:
		for i := range v {
			if v[i], err = tidy(v[i], depth-1, left); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name, m := range v {
			if m, err = tidy(m, depth-1, left); err != nil {
				return nil, err
			}
			if kept := clean(name); kept != name {
				delete(v, name)
				name = kept
			}
			v[name] = m
		}
	}
	return v, nil
}

// clean makes a text valid UTF-8 without the zero character.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
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

// numbered gives the members of an object in the order of their names, which are
// numbers; false where one is none.
func numbered(object map[string]any) ([]any, bool) {
	names := make([]uint64, 0, len(object))
	for name := range object {
		n, err := strconv.ParseUint(name, 10, 32)
		if err != nil || strconv.FormatUint(n, 10) != name {
			return nil, false
		}
		names = append(names, n)
	}
	slices.Sort(names)
	list := make([]any, len(names))
	for i, n := range names {
		list[i] = object[strconv.FormatUint(n, 10)]
	}
	return list, true
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

func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

func integerOf(v any) (int64, bool) {
	if n, ok := v.(json.Number); ok {
		if f, err := n.Float64(); err == nil && f == float64(int64(f)) && strings.ContainsAny(n.String(), ".eE") {
			return int64(f), true
		}
	}
	s, ok := textOf(v)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return i, err == nil
}

// plain turns numbers into float64, as domain.Object has them; one that is too
// large for that stays as its text.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, m := range v {
			object[name] = plain(m)
		}
		return object
	default:
		return v
	}
}
