package voximplant

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// value is one JSON value of a body, as its bytes stand there; empty is no value.
// It is cut only out of text that encoding/json has found valid, so walking it
// never meets a syntax error.
//
// A struct would not do: the rules of section 4.3 need the digits of a number
// where a string is expected, the kind of a value that is not the one expected,
// items as they came, and that the last of doubled keys counts alone.
type value []byte

// parse finds the object that a body is. What is not UTF-8 in it is replaced when
// texts are taken out (section 8.3).
func parse(body []byte) (value, error) {
	v := value(bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF")))) // a byte order mark is no JSON, and some editors leave one
	switch {
	case len(v) == 0:
		return nil, domain.Errorf(domain.CodeInvalid, "body must not be empty")
	case !json.Valid(v): // also when something follows the first value
		return nil, domain.Errorf(domain.CodeInvalid, "body must be JSON")
	case !v.is('{'):
		return nil, domain.Errorf(domain.CodeInvalid, "body must be a JSON object")
	}
	return v, nil
}

// is tells whether the value begins with c: '{', '[' or '"' is its kind.
func (v value) is(c byte) bool { return len(v) > 0 && v[0] == c }

// absent tells whether there is no value, or null, which says the same.
func (v value) absent() bool { return len(v) == 0 || v[0] == 'n' }

// number tells whether the value is a JSON number.
func (v value) number() bool {
	return len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9')
}

// text gives a string, or a number as its decimal text, so that no digit of a
// long one is lost on the way; ok is false for any other kind. The text is valid
// UTF-8 and holds no U+0000, which no store of ours can keep: what does not fit
// is U+FFFD in it.
func (v value) text() (s string, ok bool) {
	switch {
	case v.is('"'):
		return string(unescape(v[1 : len(v)-1])), true
	case v.number():
		return string(v), true
	default:
		return "", false
	}
}

// float gives a number, or a string that spells one; ok is false for an empty
// string, which says that there is none, and for whatever no number can hold.
func (v value) float() (f float64, ok bool) {
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" { // ParseFloat knows Inf, NaN and hexadecimal too
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// integer gives a whole number, or a string that spells one.
func (v value) integer() (n int64, ok bool) {
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return n, err == nil
}

// boolean gives true for true and for what clients write in its place.
func (v value) boolean() bool {
	s, _ := v.text()
	return v.is('t') || s == "1" || strings.EqualFold(s, "true")
}

// unescape gives the inside of a JSON string as text: without escapes, and with
// U+FFFD for each byte that is not UTF-8, each lone surrogate and U+0000.
func unescape(inside value) value {
	plain := bytes.IndexByte(inside, '\\')
	if plain < 0 {
		if utf8.Valid(inside) {
			return inside
		}
		plain = 0
	}
	out := make(value, plain, len(inside)+2*utf8.UTFMax)
	copy(out, inside[:plain])
	if !utf8.Valid(out) {
		out, plain = out[:0], 0
	}
	for i := plain; i < len(inside); {
		switch c := inside[i]; {
		case c != '\\' && c < utf8.RuneSelf:
			out = append(out, c)
			i++
		case c != '\\':
			r, size := utf8.DecodeRune(inside[i:])
			out = utf8.AppendRune(out, r)
			i += size
		case inside[i+1] == 'u':
			r, size := unit(inside[i:])
			out = utf8.AppendRune(out, r)
			i += size
		default:
			out = append(out, short(inside[i+1]))
			i += 2
		}
	}
	return out
}

// short gives the character of an escape of one letter.
func short(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c // a quote, a slash or a backslash stands for itself
	}
}

// unit reads the escape \uXXXX that text begins with, and the one behind it when
// the two are a pair. It gives the character and how many bytes stand for it.
func unit(text value) (r rune, size int) {
	r = codeUnit(text[2:6])
	if r == 0 {
		return utf8.RuneError, 6
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(text) >= 12 && text[6] == '\\' && text[7] == 'u' {
		if pair := utf16.DecodeRune(r, codeUnit(text[8:12])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6 // alone; what follows counts for itself
}

// codeUnit reads four hexadecimal digits.
func codeUnit(digits value) rune {
	var r rune
	for _, c := range digits {
		switch {
		case c <= '9':
			r = r<<4 | rune(c-'0')
		default:
			r = r<<4 | rune(c|0x20-'a'+10)
		}
	}
	return r
}

// members walks an object. Names come without escapes; the caller lets the last
// of doubled ones count.
func (v value) members() iter.Seq2[value, value] {
	return func(yield func(name, member value) bool) {
		for i := v.space(1); v[i] != '}'; i = v.space(i) {
			if v[i] == ',' {
				i = v.space(i + 1)
			}
			end := v.end(i)
			name := unescape(v[i+1 : end-1])
			i = v.space(v.space(end) + 1) // behind the colon
			end = v.end(i)
			if !yield(name, v[i:end]) {
				return
			}
			i = end
		}
	}
}

// elements walks an array.
func (v value) elements() iter.Seq2[int, value] {
	return func(yield func(n int, element value) bool) {
		n := 0
		for i := v.space(1); v[i] != ']'; i = v.space(i) {
			if v[i] == ',' {
				i = v.space(i + 1)
			}
			end := v.end(i)
			if !yield(n, v[i:end]) {
				return
			}
			n, i = n+1, end
		}
	}
}

// member gives one member of an object; empty when there is none, or when v is no
// object.
func (v value) member(name string) value {
	var found value
	if v.is('{') {
		for n, m := range v.members() {
			if string(n) == name {
				found = m
			}
		}
	}
	return found
}

// space gives the place of the next token from i on.
func (v value) space(i int) int {
	for i < len(v) && (v[i] == ' ' || v[i] == '\n' || v[i] == '\r' || v[i] == '\t') {
		i++
	}
	return i
}

// end gives the place behind the value that begins at i.
func (v value) end(i int) int {
	switch v[i] {
	case '"':
		return v.stringEnd(i)
	case '{', '[':
		for depth := 0; i < len(v); i++ {
			switch v[i] {
			case '"':
				i = v.stringEnd(i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(v)
	default:
		for i < len(v) && strings.IndexByte(",]} \n\r\t", v[i]) < 0 {
			i++
		}
		return i
	}
}

// stringEnd gives the place behind the string that begins at i.
func (v value) stringEnd(i int) int {
	for i++; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(v)
}

// Bounds of what is kept as it came.
const (
	maxKeptDepth  = 32  // nested arrays and objects; what is deeper is kept as text
	maxKeptNumber = 100 // bytes of a number; a longer one is kept as text
)

// kept gives a value in a form that every store takes: compact, with its texts
// made good, and with numbers that a database may not hold as texts.
func (v value) kept() json.RawMessage { return v.keep(nil, 0) }

func (v value) keep(out []byte, depth int) []byte {
	switch {
	case depth >= maxKeptDepth && (v.is('{') || v.is('[')):
		return quoted(out, strings.ToValidUTF8(string(v), "\uFFFD"))
	case v.is('{'):
		out = append(out, '{')
		for name, m := range v.members() {
			if out[len(out)-1] != '{' {
				out = append(out, ',')
			}
			out = append(quoted(out, string(name)), ':')
			out = m.keep(out, depth+1)
		}
		return append(out, '}')
	case v.is('['):
		out = append(out, '[')
		for i, e := range v.elements() {
			if i > 0 {
				out = append(out, ',')
			}
			out = e.keep(out, depth+1)
		}
		return append(out, ']')
	case v.is('"'):
		s, _ := v.text()
		return quoted(out, s)
	case v.number():
		f, ok := v.float()
		if !ok || len(v) > maxKeptNumber || f == 0 && bytes.ContainsAny(v, "eE") {
			return quoted(out, string(v))
		}
		return append(out, v...)
	default:
		return append(out, v...)
	}
}

// quoted appends a text as a JSON string.
func quoted(out []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		return append(out, `""`...) // cannot be: every text is a JSON string
	}
	return append(out, q...)
}
