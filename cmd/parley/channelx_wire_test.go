package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// cxHeaders are headers as they are spelt.
type cxHeaders map[string]string

// cxForm is a multipart body. It is sent chunked, without a length, as the
// wrappers do.
type cxForm []cxPart

// cxPart is a part of a form; of a file when it has a file name.
type cxPart struct {
	name, value           string
	fileName, contentType string
	content               []byte
}

// field adds a text to a form.
func (f cxForm) field(name, value string) cxForm { return append(f, cxPart{name: name, value: value}) }

// file adds a file to a form.
func (f cxForm) file(name, contentType string, content []byte) cxForm {
	return append(f, cxPart{name: "attachments[]", fileName: name, contentType: contentType, content: content})
}

// write writes the parts.
func (f cxForm) write(w *multipart.Writer) error {
	for _, p := range f {
		if p.fileName == "" {
			if err := w.WriteField(p.name, p.value); err != nil {
				return err
			}
			continue
		}
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, p.name, p.fileName)}, "Content-Type": {p.contentType},
		})
		if err != nil {
			return err
		}
		if _, err := part.Write(p.content); err != nil {
			return err
		}
	}
	return w.Close()
}

// send makes a request. A body that is nil is none, without a content type; a text
// is JSON as it stands; url.Values and cxForm are forms; anything else is JSON.
func (s *cx) send(t testing.TB, method, path string, headers cxHeaders, body any) answered {
	t.Helper()
	got, err := s.try(t, method, path, headers, body)
	if err != nil {
		if s.killed.Load() {
			runtime.Goexit()
		}
		t.Fatal(err)
	}
	return got
}

// try is send for those who know what to do when there is no answer.
func (s *cx) try(t testing.TB, method, path string, headers cxHeaders, body any) (answered, error) {
	t.Helper()
	contentType, reader := "application/json", io.Reader(nil)
	switch b := body.(type) {
	case nil:
		contentType = ""
	case string:
		reader = strings.NewReader(b)
	case url.Values:
		contentType, reader = "application/x-www-form-urlencoded", strings.NewReader(b.Encode())
	case cxForm:
		in, out := io.Pipe() // a body whose length nobody knows is sent chunked
		form := multipart.NewWriter(out)
		go func() { out.CloseWithError(b.write(form)) }()
		contentType, reader = form.FormDataContentType(), in
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	address := path
	if strings.HasPrefix(path, "/") {
		address = s.parley.URL + path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, reader)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for name, value := range headers {
		req.Header[name] = []string{value}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answered{}, err
	}
	return answered{resp.StatusCode, resp.Header, raw}, nil
}

// download fetches a file as a receiver does: by its URL, without credentials.
func (s *cx) download(t *testing.T, address string) answered {
	t.Helper()
	got := s.send(t, http.MethodGet, address, nil, nil)
	if got.status != http.StatusOK {
		t.Fatalf("%s: %d %s", address, got.status, got.raw)
	}
	return got
}

// cxValue is a JSON value, read by names and places. What is not there is told
// apart from null.
type cxValue struct {
	t    testing.TB
	what string // where it is from, for messages
	v    any
}

// cxMissing stands for what is not there.
type cxMissing struct{}

// cxRead reads JSON.
func cxRead(t testing.TB, what string, raw []byte) cxValue {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%s: %v in %q", what, err, raw)
	}
	return cxValue{t, what, v}
}

// String shows the value as JSON.
func (v cxValue) String() string {
	if v.missing() {
		return "nothing"
	}
	text, err := json.Marshal(v.v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// at goes down by names of members and places in lists.
func (v cxValue) at(path ...any) cxValue {
	for _, step := range path {
		next := cxValue{v.t, fmt.Sprintf("%s.%v", v.what, step), cxMissing{}}
		switch step := step.(type) {
		case string:
			if members, ok := v.v.(object); ok {
				if member, ok := members[step]; ok {
					next.v = member
				}
			}
		case int:
			if items, ok := v.v.([]any); ok && step < len(items) {
				next.v = items[step]
			}
		}
		v = next
	}
	return v
}

func (v cxValue) missing() bool { return v.v == cxMissing{} }

// null tells whether it is there and null.
func (v cxValue) null() bool { return v.v == nil }

// text gives a text.
func (v cxValue) text() string {
	v.t.Helper()
	s, ok := v.v.(string)
	if !ok {
		v.t.Fatalf("%s is %s, want a text", v.what, v)
	}
	return s
}

// integer gives an integer.
func (v cxValue) integer() int64 {
	v.t.Helper()
	n, ok := v.v.(json.Number)
	if !ok {
		v.t.Fatalf("%s is %s, want an integer", v.what, v)
	}
	i, err := n.Int64()
	if err != nil {
		v.t.Fatalf("%s is %s, want an integer", v.what, v)
	}
	return i
}

// list gives the items of a list.
func (v cxValue) list() []cxValue {
	v.t.Helper()
	items, ok := v.v.([]any)
	if !ok {
		v.t.Fatalf("%s is %s, want a list", v.what, v)
	}
	all := make([]cxValue, len(items))
	for i, item := range items {
		all[i] = cxValue{v.t, fmt.Sprintf("%s.%d", v.what, i), item}
	}
	return all
}

// integers gives an integer of each item of a list.
func (v cxValue) integers(path ...any) []int64 {
	v.t.Helper()
	items := v.list()
	all := make([]int64, len(items))
	for i, item := range items {
		all[i] = item.at(path...).integer()
	}
	return all
}

// equals tells whether the value is what JSON makes of want.
func (v cxValue) equals(want any) bool {
	v.t.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		v.t.Fatal(err)
	}
	return !v.missing() && v.String() == cxRead(v.t, "wanted", text).String()
}

// is expects the value to be what JSON makes of want.
func (v cxValue) is(want any) {
	v.t.Helper()
	if !v.equals(want) {
		v.t.Errorf("%s is %s, want %v", v.what, v, want)
	}
}

// isObject expects an object, which may be empty.
func (v cxValue) isObject() {
	v.t.Helper()
	if _, ok := v.v.(object); !ok {
		v.t.Errorf("%s is %s, want an object", v.what, v)
	}
}

// isAbsent expects that there is nothing.
func (v cxValue) isAbsent() {
	v.t.Helper()
	if !v.missing() {
		v.t.Errorf("%s is %s, want nothing", v.what, v)
	}
}

// isISO expects a time as 2025-12-06T05:49:00.201Z, near now.
func (v cxValue) isISO() {
	v.t.Helper()
	const form = "2006-01-02T15:04:05.000Z"
	at, err := time.Parse(form, v.text())
	if err != nil {
		v.t.Errorf("%s is %s, want %s", v.what, v, form)
		return
	}
	v.near(at)
}

// isSeconds expects a time as integer seconds, near now.
func (v cxValue) isSeconds() {
	v.t.Helper()
	v.near(time.Unix(v.integer(), 0))
}

// near expects a time to be one of this test.
func (v cxValue) near(at time.Time) {
	v.t.Helper()
	if age := time.Since(at); age < -2*time.Second || age > 5*time.Minute {
		v.t.Errorf("%s is %s, which is not now", v.what, v)
	}
}

// isToken expects 24 letters and digits.
func (v cxValue) isToken() {
	v.t.Helper()
	wrong := func(r rune) bool { return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') }
	if s := v.text(); len(s) != 24 || strings.ContainsFunc(s, wrong) {
		v.t.Errorf("%s is %s, want 24 letters and digits", v.what, v)
	}
}

// hasText expects a list of texts to hold one.
func (v cxValue) hasText(want string) {
	v.t.Helper()
	if !slices.ContainsFunc(v.list(), func(item cxValue) bool { return item.equals(want) }) {
		v.t.Errorf("%s is %s, want %s among them", v.what, v, want)
	}
}

// find gives the item of a list whose member is want; nothing when there is none.
func (v cxValue) find(name string, want any) cxValue {
	v.t.Helper()
	for _, item := range v.list() {
		if item.at(name).equals(want) {
			return item
		}
	}
	return cxValue{v.t, fmt.Sprintf("%s with %s %v", v.what, name, want), cxMissing{}}
}

// has tells whether members are as they must be: pairs are names, with dots where
// members are nested, and values.
func (v cxValue) has(pairs []any) bool {
	v.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		member := v
		for name := range strings.SplitSeq(fmt.Sprint(pairs[i]), ".") {
			member = member.at(name)
		}
		if !member.equals(pairs[i+1]) {
			return false
		}
	}
	return true
}
