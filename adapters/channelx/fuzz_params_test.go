package channelx

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// fuzzParams reads a request of a type, and asks for everything that it says in
// every way.
func fuzzParams(t *testing.T, contentType, query, body string) *params {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.URL.RawQuery = query
	r.Header.Set("Content-Type", contentType)
	p, err := readParams(httptest.NewRecorder(), r, 1<<20)
	if err != nil {
		if p != nil || !errors.Is(err, errBadRequest) && domain.CodeOf(err) != domain.CodeTooLarge {
			t.Fatalf("%s %q: %v", contentType, body, err)
		}
		return nil
	}
	defer p.close()
	for _, root := range []map[string]any{p.body, p.query} {
		left := 2 * maxMembers
		for name, v := range root {
			if !sound(name) {
				t.Fatalf("the name %q", name)
			}
			walk(t, p, []string{name}, v, &left)
		}
	}
	return p
}

// walk holds what is at a path against the bounds.
func walk(t *testing.T, p *params, path []string, v any, left *int) {
	t.Helper()
	if *left--; *left < 0 || len(path) > maxDepth+1 {
		t.Fatal("there are too many or too deep members")
	}
	p.has(path...)
	p.null(path...)
	p.text(path...)
	p.integer(path...)
	p.boolean(path...)
	p.object(path...)
	p.texts(path...)
	p.integers(path...)
	p.list(path...)
	p.files(path[0])
	switch v := v.(type) {
	case string:
		if !sound(v) {
			t.Fatalf("the text %q", v)
		}
	case map[string]any:
		for name, m := range v {
			if !sound(name) {
				t.Fatalf("the name %q", name)
			}
			walk(t, p, append(slices.Clip(path), name), m, left)
		}
	case []any:
		for _, m := range v {
			walk(t, p, append(slices.Clip(path), ""), m, left)
		}
	case json.Number, bool, nil:
	default:
		t.Fatalf("a %T", v)
	}
}

// sound tells whether every store can keep a text.
func sound(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// FuzzParamsJSON reads JSON. What is read is JSON that says the same.
func FuzzParamsJSON(f *testing.F) {
	for _, s := range []string{
		`{"content":"hi","private":false,"contact_id":"77","content_attributes":{"in_reply_to":7},"labels":["a","b"],"items":[{"x":1},{"x":2.5}],"n":null}`,
		`{"inbox_id":3,"source_id":"\u0000x","custom_attributes":{"plan":"gold","\u0000":1e400}}`, `{"payload":[{"attribute_key":"phone_number","values":["5511988887777"],"query_operator":null}]}`,
		`[]`, `null`, ``, `{`, `{"a":{"a":{"a":[[[{}]]]}}}`, `{"a":1}{`, `{"submitted_values":{"0":{"title":"Yes"},"1":{}}}`, "{\"a\":\"\xff\xed\xa0\x80\"}", `{"a":"{\"b\":[1,{}]}"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		p := fuzzParams(t, "application/json", "", body)
		if p == nil {
			return
		}
		text, err := json.Marshal(p.body)
		if err != nil {
			t.Fatal(err)
		}
		again := fuzzParams(t, "", "", string(text))
		if again == nil || !reflect.DeepEqual(again.body, p.body) {
			t.Fatalf("%q says %v, and that says %v", body, p.body, again)
		}
	})
}

// FuzzParamsForm reads forms and queries, which say the same.
func FuzzParamsForm(f *testing.F) {
	for _, s := range []string{
		"content=hi&private=0&content_attributes[in_reply_to]=7&labels[]=a&labels[]=b", "a[][x]=1&a[][y]=2&a[][x]=3&a[][x][]=4", "a=1&a[b]=2", "a[b]=1&a[]=2",
		"a%5Bb%5D=%00%ff&c=%zz&=x&&d", "a[b][c][d]=1&a[b][c][e][]=2&a[b][c][e][]=", "[a]=1&a]=2&a[=3&a[]b=4&a[[b]]=5", "items[0][x]=1&items[10][x]=2&items[2][x]=3", "q=%2B5511988887777&page=1",
		`content_attributes={"a":{"b":1}}`, "a" + strings.Repeat("[b]", maxDepth+2) + "=1", "a[][][]=1&a[][][]=2", "a[][x][y]=1&a[][x]=2",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		p := fuzzParams(t, formType, body, "")
		if q := fuzzParams(t, formType, "", strings.TrimSpace(body)); p != nil && q != nil && body == strings.TrimSpace(body) &&
			!strings.HasPrefix(body, "{") && !reflect.DeepEqual(p.query, q.body) {
			t.Fatalf("%q says %v in a query and %v in a form", body, p.query, q.body)
		}
	})
}

// FuzzParamsName takes names with brackets apart. Together the steps are the name
// again, and a value is found at the end of them.
func FuzzParamsName(f *testing.F) {
	for _, s := range []string{"a", "a[b]", "a[b][c]", "a[]", "a[][b]", "a[b", "a]b[", "[a]", "a[[b]]", "a[b]c", "", "a[][]", "a[b][]", "a[\x00]"} {
		f.Add(s, "v")
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		steps := splitName(name)
		again := steps[0]
		for _, s := range steps[1:] {
			again += "[" + s + "]"
		}
		if again != name {
			t.Fatalf("%q is %q", name, steps)
		}
		root, left := map[string]any{}, 1
		if err := put(root, name, value, &left); err != nil {
			if len(steps) <= maxDepth {
				t.Fatal(err)
			}
			return
		}
		var v any = root
		for i, s := range splitName(clean(name)) {
			if i == 0 && s == "" {
				return // a pair without a name says nothing
			}
			if list, ok := v.([]any); ok && s == "" {
				v = list[0]
				continue
			}
			v = v.(map[string]any)[s]
		}
		if v != clean(value) {
			t.Fatalf("%q is %v, want %q", name, v, value)
		}
	})
}

// FuzzParamsMultipart reads bodies in parts, whose boundary is "x".
func FuzzParamsMultipart(f *testing.F) {
	part := func(header, content string) string {
		return "--x\r\nContent-Disposition: form-data; " + header + "\r\n\r\n" + content + "\r\n"
	}
	for _, s := range []string{
		part(`name="content"`, "hi") + part(`name="content_attributes"`, `{"in_reply_to":7}`) + part(`name="attachments[]"; filename="a.png"`, "png") + "--x--\r\n",
		part(`name="labels[]"`, "a") + part(`name="labels[]"`, "b") + part(`name="a[][x]"`, "1") + part(`name="a[][y]"`, "2") + part(`name="a[][x]"`, "3") + "--x--",
		part(`name="a"`, "1") + part(`name="a[b]"`, "2") + "--x--", part(`name="a"`, "1"), "--x--", "", "--x\r\n\r\n\r\n--x--", part(`name=""`, "1") + "--x--", part(`filename="f"`, "1") + "--x--",
		part(`name="a[`+strings.Repeat("][", maxDepth)+`]"`, "1") + "--x--", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=00=FF\r\n--x--",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		p := fuzzParams(t, "multipart/form-data; boundary=x", "", body)
		if p == nil || p.form == nil {
			return
		}
		for name := range p.form.File {
			if head, _, _ := strings.Cut(name, "["); len(p.files(name)) == 0 || len(p.files(head)) == 0 {
				t.Fatalf("the files %q are not found", name)
			}
		}
	})
}
