package voximplant

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/parley-im/parley/domain"
)

// maxForm bounds the body of a login or a refresh, in bytes (section 8.1).
const maxForm = 64 << 10

// maxParts bounds the parts of a multipart body that are looked at.
const maxParts = 100

// form holds the fields of a body, by name.
type form map[string]string

// first gives the first of the texts that is not empty.
func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// readForm reads the fields of a body in whichever of the encodings of section
// 3.1 it has: the header says so, or, where it does not, the body's beginning.
// CodeTooLarge above maxForm, CodeInvalid for what is none of them.
func readForm(r *http.Request) (form, error) {
	body, err := readAll(r, new(bytes.Buffer), maxForm)
	if err != nil {
		return nil, err
	}
	return parseForm(r.Header.Get("Content-Type"), body)
}

func parseForm(contentType string, body []byte) (form, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = ""
	}
	trimmed := bytes.TrimSpace(body)
	switch {
	case len(trimmed) == 0:
		return form{}, nil
	case kind == "multipart/form-data" && params["boundary"] != "":
		return parseMultipart(body, params["boundary"])
	case strings.HasSuffix(kind, "json"), kind != "application/x-www-form-urlencoded" && trimmed[0] == '{':
		return parseObject(body)
	default:
		return parsePairs(string(trimmed)), nil
	}
}

// parseMultipart reads parts; of doubled names the first counts.
func parseMultipart(body []byte, boundary string) (form, error) {
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	f := form{}
	for range maxParts {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, &domain.Error{Code: domain.CodeInvalid, Message: "body must be multipart/form-data as its header says", Err: err}
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return nil, &domain.Error{Code: domain.CodeInvalid, Message: "body must be multipart/form-data as its header says", Err: err}
		}
		f.add(part.FormName(), string(text))
	}
	return f, nil
}

// parseObject reads the texts of a JSON object.
func parseObject(body []byte) (form, error) {
	v, err := parse(body)
	if err != nil {
		return nil, err
	}
	f := form{}
	for name, m := range v.members() {
		if s, ok := m.text(); ok {
			f.add(string(name), s)
		}
	}
	return f, nil
}

// parsePairs reads name=value&...; what is not escaped well is left out.
func parsePairs(text string) form {
	values, _ := url.ParseQuery(text) // what could be read counts
	f := form{}
	for name, texts := range values {
		for _, s := range texts {
			f.add(name, s)
		}
	}
	return f
}

func (f form) add(name, text string) {
	if f[name] == "" {
		f[name] = strings.TrimSpace(text)
	}
}
