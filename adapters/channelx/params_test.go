package channelx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

const formType = "application/x-www-form-urlencoded"

// read reads the parameters of a request.
func read(t *testing.T, query, contentType, body string) *params {
	t.Helper()
	p, err := tryRead(query, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s %q: %v", contentType, body, err)
	}
	t.Cleanup(p.close)
	return p
}

func tryRead(query, contentType string, body io.Reader) (*params, error) {
	r := httptest.NewRequest(http.MethodPost, "/?"+query, body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return readParams(httptest.NewRecorder(), r, 1<<20)
}

// part is a part of a multipart body; with a file name it is a file.
type part struct{ name, file, text string }

// multiparts makes a body in parts, and its type.
func multiparts(t testing.TB, parts ...part) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		var to io.Writer
		var err error
		if p.file == "" {
			to, err = w.CreateFormField(p.name)
		} else {
			to, err = w.CreateFormFile(p.name, p.file)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(to, p.text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// said is everything that a body says, as JSON.
func said(t *testing.T, p *params) string {
	t.Helper()
	b, err := json.Marshal(p.body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Ensure a body says the same in whichever encoding it comes.
func TestParams_SayTheSameInAllEncodings(t *testing.T) {
	t.Parallel()
	body, contentType := multiparts(t,
		part{name: "content", text: "hi"}, part{name: "private", text: "false"}, part{name: "contact_id", text: "77"},
		part{name: "content_attributes[in_reply_to]", text: "7"}, part{name: "labels[]", text: "a"}, part{name: "labels[]", text: "b"},
		part{name: "items[][x]", text: "1"}, part{name: "items[][y]", text: "2"}, part{name: "items[][x]", text: "3"})
	for name, p := range map[string]*params{
		"json": read(t, "", "application/json; charset=utf-8",
			`{"content":"hi","private":false,"contact_id":"77","content_attributes":{"in_reply_to":7},"labels":["a","b"],"items":[{"x":1,"y":"2"},{"x":3}],"else":[null]}`),
		"json without a type":  read(t, "", "", ` {"content":"hi","private":0,"contact_id":77,"content_attributes":{"in_reply_to":"7"},"labels":["a","b"],"items":[{"x":"1","y":"2"},{"x":"3"}]}`),
		"json under another":   read(t, "", formType, `{"content":"hi","private":"off","contact_id":77.0,"content_attributes":{"in_reply_to":7},"labels":["a","b"],"items":[{"x":"1","y":"2"},{"x":"3"}]}`),
		"urlencoded":           read(t, "", formType, "content=hi&private=0&contact_id=77&content_attributes[in_reply_to]=7&labels[]=a&labels[]=b&items[][x]=1&items[][y]=2&items[][x]=3"),
		"urlencoded, escaped":  read(t, "", formType+"; charset=UTF-8", "content=hi&private=f&contact_id=+77&content_attributes%5Bin_reply_to%5D=7&labels%5B%5D=a&labels%5B%5D=b&items%5B%5D%5Bx%5D=1&items%5B%5D%5By%5D=2&items%5B%5D%5Bx%5D=3"),
		"multipart":            read(t, "", contentType, body),
		"the query":            read(t, "content=hi&private=False&contact_id=77&content_attributes[in_reply_to]=7&labels[]=a&labels[]=b&items[0][x]=1&items[0][y]=2&items[1][x]=3", "", ""),
		"the query, beside it": read(t, "content=no&private=off&contact_id=77&labels[]=a&labels[]=b&items[0][x]=1&items[0][y]=2&items[1][x]=3", "application/json", `{"content":"hi","content_attributes":{"in_reply_to":7}}`),
	} {
		if s, ok := p.text("content"); s != "hi" || !ok {
			t.Errorf("%s: content %q %v", name, s, ok)
		}
		if b, ok := p.boolean("private"); b || !ok {
			t.Errorf("%s: private %v %v", name, b, ok)
		}
		if n, ok := p.integer("contact_id"); n != 77 || !ok {
			t.Errorf("%s: contact_id %d %v", name, n, ok)
		}
		if n, ok := p.integer("content_attributes", "in_reply_to"); n != 7 || !ok {
			t.Errorf("%s: in_reply_to %d %v", name, n, ok)
		}
		if l, ok := p.texts("labels"); !slices.Equal(l, []string{"a", "b"}) || !ok {
			t.Errorf("%s: labels %v %v", name, l, ok)
		}
		items, ok := p.list("items")
		if !ok || len(items) != 2 || fmt.Sprint(items) != "[map[x:1 y:2] map[x:3]]" {
			t.Errorf("%s: items %v %v", name, items, ok)
		}
	}
}

// Ensure names with brackets nest as the clients of the original expect.
func TestParams_Brackets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ form, want string }{
		{"a=1&a=2", `{"a":"2"}`},
		{"a[b][c]=1&a[b][d]=2&a[e]=3", `{"a":{"b":{"c":"1","d":"2"},"e":"3"}}`},
		{"a[]=1&a[]=2", `{"a":["1","2"]}`},
		{"a[][x]=1&a[][x]=2", `{"a":[{"x":"1"},{"x":"2"}]}`},
		{"a[][x]=1&a[][y]=2&a[][x]=3&a[][y]=4", `{"a":[{"x":"1","y":"2"},{"x":"3","y":"4"}]}`},
		{"a[][x][]=1&a[][x][]=2", `{"a":[{"x":["1","2"]}]}`},
		{"a[][x][k]=1&a[][x][l]=2&a[][x][k]=3", `{"a":[{"x":{"k":"1","l":"2"}},{"x":{"k":"3"}}]}`},
		{"a[b][]=1&a[b][]=2", `{"a":{"b":["1","2"]}}`},
		{"a[b=1&[c]=2&]d=3&a]b[=4", `{"[c]":"2","]d":"3","a[b":"1","a]b[":"4"}`},
		{"=1&&a", `{"a":""}`},
		{"a=%zz&b=1&%zz=2", `{"b":"1"}`},
		{"a=%00x%ff", `{"a":"x` + "\uFFFD" + `"}`},
		{"a[b]=1&a[b]=2", `{"a":{"b":"2"}}`},
		{"a=1;b=2", `{"a":"1;b=2"}`},
	} {
		if got := said(t, read(t, "", formType, tt.form)); got != tt.want {
			t.Errorf("%s says %s, want %s", tt.form, got, tt.want)
		}
	}
}

// Ensure what cannot be read is a bad request, and what is too much is refused.
func TestParams_Refused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1)
	for _, tt := range []struct{ contentType, body string }{
		{"application/json", "{"},
		{"application/json", "content=hi"},
		{"application/json", `{"a":1}{"b":2}`},
		{"application/json", deep},
		{"application/json", `{"a":[` + strings.Repeat("1,", maxMembers) + `1]}`},
		{"", `{"a":`},
		{formType, "a=1&a[b]=2"},
		{formType, "a[b]=1&a[]=2"},
		{formType, "a[]=1&a[b]=2"},
		{formType, "a" + strings.Repeat("[b]", maxDepth) + "=1"},
		{formType, strings.Repeat("a=1&", maxMembers+1)},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1"},
	} {
		if p, err := tryRead("", tt.contentType, strings.NewReader(tt.body)); !errors.Is(err, errBadRequest) || p != nil {
			t.Errorf("%s %.60q: %v", tt.contentType, tt.body, err)
		}
	}
	if _, err := tryRead("a=1&a[b]=2", "", nil); !errors.Is(err, errBadRequest) {
		t.Errorf("a query that contradicts itself: %v", err)
	}
	for _, contentType := range []string{"application/json", "multipart/form-data; boundary=x"} {
		body := "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\n" + strings.Repeat(" ", maxPlainBody+1) + "\r\n--x--"
		if _, err := tryRead("", contentType, strings.NewReader(body)); domain.CodeOf(err) != domain.CodeTooLarge {
			t.Errorf("%s: %v", contentType, err)
		}
	}
}

// Ensure an empty body says nothing, whatever its header says, and that JSON which
// is no object does neither.
func TestParams_EmptyBodies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ contentType, body string }{
		{"", ""}, {"application/json", ""}, {"application/json", " \n"}, {formType, ""}, {"multipart/form-data; boundary=x", ""},
		{"multipart/form-data; boundary=x", "--x--"}, {"multipart/form-data; boundary=x", "no parts"}, {"application/json", "null"}, {"application/json", "[1]"}, {"application/json", `"a"`},
		{"application/json", "{}"}, {"no type/at all", ""},
	} {
		p := read(t, "q=1", tt.contentType, tt.body)
		if got := said(t, p); got != "{}" || !p.has("q") {
			t.Errorf("%s %q says %s", tt.contentType, tt.body, got)
		}
	}
}

// Ensure a body in chunks without a length is read, with its files, which are gone
// from the disk afterwards.
func TestParams_ChunkedMultipart(t *testing.T) {
	body, contentType := multiparts(t, part{name: "content", text: "see"}, part{name: "content_attributes", text: `{"in_reply_to_external_id":"ext-881"}`},
		part{"attachments[]", "a.png", strings.Repeat("p", maxInMemory)}, part{"attachments[]", "b.txt", "b"}, part{"attachments", "c", "c"}, part{"attachment", "d", "d"})
	kept := t.TempDir()
	t.Setenv("TMPDIR", kept)
	answered := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answered <- func() error {
			if r.ContentLength != -1 {
				return fmt.Errorf("the length is %d", r.ContentLength)
			}
			p, err := readParams(w, r, 4<<20)
			if err != nil {
				return err
			}
			var names []string
			for _, f := range p.files("attachments") {
				names = append(names, f.Filename)
			}
			o, ok := p.object("content_attributes")
			if !slices.Equal(names, []string{"c", "a.png", "b.txt"}) || !ok || o["in_reply_to_external_id"] != "ext-881" {
				return fmt.Errorf("files %v, attributes %v", names, o)
			}
			f, err := p.files("attachments")[1].Open()
			if err != nil {
				return err
			}
			content, err := io.ReadAll(f)
			if err != nil || len(content) != maxInMemory {
				return fmt.Errorf("%d bytes of the file: %w", len(content), err)
			}
			_ = f.Close()
			p.close()
			left, err := os.ReadDir(kept)
			if err != nil || len(left) > 0 {
				return fmt.Errorf("files are left: %v %w", left, err)
			}
			return nil
		}()
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, struct{ io.Reader }{strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// Ensure values are read as what is asked for, or not at all.
func TestParams_Kinds(t *testing.T) {
	t.Parallel()
	p := read(t, "", "application/json", `{"null":null,"blank":" ","text":"x","zero":"\u0000a","digits":" 42 ","int":42,"big":9007199254740993,"float":4.5,
		"exp":1e3,"huge":1e400,"true":true,"false":false,"f":"F","one":1,"list":["a",1,null,""," ",true,{}],"ids":[1,"2","x",3.0],"object":{"n":1e2,"big":1e400,"l":[1]},
		"objects":{"0":{"a":1},"10":2,"9":3},"mixed":{"0":1,"x":2},"json":"{\"a\":{\"b\":1}}","notjson":"{a","notobject":"[1]","empty":[]}`)
	for _, tt := range []struct {
		what string
		got  []any
		want []any
	}{
		{"has", []any{p.has("null"), p.has("none"), p.has("text", "x"), p.has("object", "n"), p.has()}, []any{true, false, false, true, false}},
		{"null", []any{p.null("null"), p.null("blank"), p.null("none"), p.null("text"), p.null("int"), p.null("list")}, []any{true, true, false, false, false, false}},
		{"text", pair(p.text("text")), []any{"x", true}},
		{"text without zero", pair(p.text("zero")), []any{"a", true}},
		{"text of a number", pair(p.text("int")), []any{"42", true}},
		{"text of a boolean", pair(p.text("true")), []any{"true", true}},
		{"text of null", pair(p.text("null")), []any{"", false}},
		{"text of a list", pair(p.text("list")), []any{"", false}},
		{"integer", pair(p.integer("int")), []any{int64(42), true}},
		{"integer in text", pair(p.integer("digits")), []any{int64(42), true}},
		{"integer beyond float64", pair(p.integer("big")), []any{int64(9007199254740993), true}},
		{"integer of a float", pair(p.integer("float")), []any{int64(0), false}},
		{"integer of 1e3", pair(p.integer("exp")), []any{int64(1000), true}},
		{"integer of 1e400", pair(p.integer("huge")), []any{int64(0), false}},
		{"boolean", pair(p.boolean("true")), []any{true, true}},
		{"boolean false", pair(p.boolean("false")), []any{false, true}},
		{"boolean F", pair(p.boolean("f")), []any{false, true}},
		{"boolean 1", pair(p.boolean("one")), []any{true, true}},
		{"boolean x", pair(p.boolean("text")), []any{true, true}},
		{"boolean blank", pair(p.boolean("blank")), []any{false, false}},
		{"boolean null", pair(p.boolean("null")), []any{false, false}},
		{"boolean list", pair(p.boolean("list")), []any{false, false}},
		{"texts", pair(p.texts("list")), []any{[]string{"a", "1", "true"}, true}},
		{"texts of one", pair(p.texts("text")), []any{[]string{"x"}, true}},
		{"texts of none", pair(p.texts("empty")), []any{[]string{}, true}},
		{"texts of null", pair(p.texts("null")), []any{[]string{}, true}},
		{"texts of nothing", pair(p.texts("none")), []any{[]string(nil), false}},
		{"integers", pair(p.integers("ids")), []any{[]int64{1, 2, 3}, true}},
		{"object", pair(p.object("object")), []any{domain.Object{"n": 100.0, "big": "1e400", "l": []any{1.0}}, true}},
		{"object in text", pair(p.object("json")), []any{domain.Object{"a": map[string]any{"b": 1.0}}, true}},
		{"object of no JSON", pair(p.object("notjson")), []any{domain.Object(nil), false}},
		{"object of a list in text", pair(p.object("notobject")), []any{domain.Object(nil), false}},
		{"object of a text", pair(p.object("text")), []any{domain.Object(nil), false}},
		{"list", pair(p.list("empty")), []any{[]any{}, true}},
		{"list by numbers", pair(p.list("objects")), []any{[]any{map[string]any{"a": 1.0}, 3.0, 2.0}, true}},
		{"list of an object", pair(p.list("mixed")), []any{[]any(nil), false}},
		{"list of a text", pair(p.list("text")), []any{[]any(nil), false}},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s is %#v, want %#v", tt.what, tt.got, tt.want)
		}
	}
	if files := p.files("attachments"); files != nil {
		t.Errorf("JSON has files %v", files)
	}
}

func pair[T any](v T, ok bool) []any { return []any{v, ok} }
