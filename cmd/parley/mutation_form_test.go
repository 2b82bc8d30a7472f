//go:build mutations

package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
)

// formBoundary parts the bodies of multipart.
const formBoundary = "bbbb"

// formFile is a file in a body of multipart.
type formFile struct{ part, name, kind, body string }

// asForm has a body sent as another form than JSON now and then.
func (m *mutant) asForm(rng *rand.Rand) {
	if m.tree == nil {
		return
	}
	switch rng.IntN(4) {
	case 0:
		m.sentAs = "urlencoded"
		m.header("Content-Type", "application/x-www-form-urlencoded")
	case 1:
		m.sentAs = "multipart"
		m.header("Content-Type", "multipart/form-data; boundary="+formBoundary)
	default:
		m.header("Content-Type", "application/json")
	}
}

// attach puts files into a body of multipart.
func (m *mutant) attach(rng *rand.Rand, part string) {
	if m.sentAs != "multipart" {
		return
	}
	for range oneOf(rng, 0, 1, 1, 2, 15, 16) {
		m.files = append(m.files, formFile{
			part: oneOf(rng, part, part, part, part, "attachments", "attachments[][file]", "", "content", "attachments[0]"),
			name: oneOf(rng, "a.png", "a.txt", "voice.ogg", "a", "", "../../etc/passwd", "a.svg", "a.html", "a\x00.png", "\xff.png", "a b?.png", strings.Repeat("n", 300)+".png", "%2e%2e%2f.png", "日本.png", ".png", "a\".png", "a;b.png"),
			kind: oneOf(rng, "image/png", "text/plain", "audio/ogg", "video/mp4", "", "x", "image/svg+xml", "text/html", "image/png; a=\"", strings.Repeat("a/", 200)),
			body: oneOf(rng, "", "x", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\b\x06\x00\x00\x00", "GIF89a\xff\xff\xff\xff", "\xff\xd8\xff\xc0", strings.Repeat("some file ", 5000), "<svg/>"),
		})
	}
}

// encodeForm writes the tree as a form.
func (m *mutant) encodeForm(rng *rand.Rand) []byte {
	pairs := flat(nil, "", m.tree)
	for range m.brackets {
		pairs = changeBrackets(rng, pairs)
	}
	var b strings.Builder
	if m.sentAs == "urlencoded" {
		for i, f := range pairs {
			if i > 0 {
				b.WriteByte('&')
			}
			name := url.QueryEscape(f.name)
			if rng.IntN(2) == 0 {
				name = strings.NewReplacer("%5B", "[", "%5D", "]").Replace(name)
			}
			b.WriteString(name + "=" + url.QueryEscape(f.text()))
		}
		return []byte(b.String())
	}
	quoted := func(s string) string {
		return strings.NewReplacer("\\", "\\\\", "\"", "\\\"", "\r", "", "\n", "").Replace(s)
	}
	for _, f := range pairs {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", formBoundary, quoted(f.name), f.text())
	}
	for _, f := range m.files {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n", formBoundary, quoted(f.part), quoted(f.name))
		if f.kind != "" {
			b.WriteString("Content-Type: " + f.kind + "\r\n")
		}
		b.WriteString("\r\n" + f.body + "\r\n")
	}
	b.WriteString("--" + formBoundary + "--\r\n")
	return []byte(b.String())
}

// flat lists the leaves of a tree under names with brackets.
func flat(out []field, name string, v any) []field {
	switch v := v.(type) {
	case []field:
		for _, f := range v {
			inner := f.name
			if name != "" {
				inner = name + "[" + f.name + "]"
			}
			out = flat(out, inner, f.value)
		}
		return out
	case []any:
		for _, e := range v {
			out = flat(out, name+"[]", e)
		}
		return out
	case nil:
		return append(out, field{name, ""})
	case verbatim:
		return append(out, field{name, string(v)})
	default:
		return append(out, field{name, fmt.Sprint(v)})
	}
}

// changeBrackets changes the names of a form.
func changeBrackets(rng *rand.Rand, pairs []field) []field {
	if len(pairs) == 0 {
		return []field{{oneOf(rng, "[", "]", "[]", "[a]", "a[", ""), "x"}}
	}
	out := append([]field(nil), pairs...)
	i := rng.IntN(len(out))
	name := out[i].name
	odd := oneOf(rng, name+"[]", name+"[a]", name+"[", name+"]", "["+name+"]", name+"[a][b][c]", name+"[][]", name+"[0]", name+"[][a]", name+"["+strings.Repeat("x", 70000)+"]",
		name+strings.Repeat("[a]", 20000), name+strings.Repeat("[]", 3000), "[]", "["+name, name+"[\x00]", name+"[a]b", name+" []", strings.ReplaceAll(name, "[", "[["), "content_attributes", "labels")
	switch rng.IntN(4) {
	case 0:
		out[i].name = odd
	case 1:
		out = append(out, field{odd, "x"})
	case 2:
		out = append([]field{{odd, "x"}}, out...)
	default:
		for n := range oneOf(rng, 2, 50, 3000) {
			out = append(out, field{fmt.Sprintf("%s[%d]", name, n), "x"})
		}
	}
	return out
}
