package respondio

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// value is one JSON value of a body, as its bytes stand there; empty is no value.
// It is cut only out of text that encoding/json has found valid, so walking it
// never meets a syntax error.
//
// A struct would not do: the rules need the index of an offending event, the kind
// of a value that is not the one expected, the digits of long numbers, and that
// the last of doubled keys counts alone, where a struct merges doubled objects.
type value []byte

// parse finds the object that a body is (section 3.2).
func parse(body []byte) (value, error) {
	switch {
	case !utf8.Valid(body):
		return nil, domain.Errorf(domain.CodeInvalid, "body must be UTF-8")
	case !json.Valid(body): // also when something follows the first value
		return nil, domain.Errorf(domain.CodeInvalid, "body must be JSON")
	case holdsZero(body):
		return nil, domain.Errorf(domain.CodeInvalid, "body must not contain the character U+0000")
	}
	v := value(bytes.TrimSpace(body))
	if !v.is('{') {
		return nil, domain.Errorf(domain.CodeInvalid, "body must be a JSON object")
	}
	return v, nil
}

// holdsZero tells whether any string of a valid JSON text holds the character
// U+0000, which can stand there only as an escape.
func holdsZero(text []byte) bool {
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte(`\u0000`))
		if i < 0 {
			return false
		}
		from += i
		before := 0
		for from-before > 0 && text[from-before-1] == '\\' {
			before++
		}
		if before%2 == 0 { // else this backslash is itself escaped
			return true
		}
		from++
	}
}

// is tells whether the value begins with c: '{', '[' or '"' is its kind.
func (v value) is(c byte) bool { return len(v) > 0 && v[0] == c }

// absent tells whether there is no value, or null, which says the same.
func (v value) absent() bool { return len(v) == 0 || v[0] == 'n' }

// number tells whether the value is a JSON number.
func (v value) number() bool {
	return len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9')
}

// text gives a JSON string; ok is false for any other kind.
func (v value) text() (s string, ok bool) {
	if !v.is('"') {
		return "", false
	}
	return string(unescape(v[1 : len(v)-1])), true
}

// unescape gives the inside of a JSON string without its escapes.
func unescape(inside value) value {
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	var s string
	quoted := append(append(value{'"'}, inside...), '"')
	if json.Unmarshal(quoted, &s) != nil {
		return inside // cannot be: the text it was cut out of is valid
	}
	return value(s)
}

// id gives a string, or an integer as its decimal text: no digit of a long one
// is lost on the way.
func (v value) id() (s string, ok bool) {
	if v.number() && !bytes.ContainsAny(v, ".eE") {
		return string(v), true
	}
	return v.text()
}

// float gives a number, or a string that spells one.
func (v value) float() (f float64, ok bool) {
	s := string(v)
	if v.is('"') {
		s, _ = v.text()
	} else if !v.number() {
		return 0, false
	}
	if strings.Trim(s, "0123456789+-.eE") != "" { // ParseFloat knows Inf, NaN and hexadecimal too
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
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
