package domain

import (
	"strings"
	"unicode/utf8"
)

// MaxContactRef is how long a contact reference may be as it is given, in
// characters (respond-io.md 2.1).
const MaxContactRef = 50

// Bounds of a phone number, in digits without the plus sign (respond-io.md 2.1).
const (
	leastPhoneDigits = 7
	mostPhoneDigits  = 15
)

// NormalizePhone gives the normal form of an international number: a plus sign
// and 7 to 15 digits that do not begin with zero. Spaces and the signs - . ( )
// are removed, and a missing plus sign is added (respond-io.md 2.1). ok is false
// for anything else. The length of the raw value is not looked at.
func NormalizePhone(raw string) (number string, ok bool) {
	digits := make([]byte, 0, mostPhoneDigits)
	plus := false
	for i := range len(raw) {
		switch c := raw[i]; {
		case c >= '0' && c <= '9':
			if len(digits) == mostPhoneDigits {
				return "", false
			}
			digits = append(digits, c)
		case c == '+' && !plus && len(digits) == 0:
			plus = true
		case c == ' ' || c == '-' || c == '.' || c == '(' || c == ')':
		default:
			return "", false
		}
	}
	if len(digits) < leastPhoneDigits || digits[0] == '0' {
		return "", false
	}
	return "+" + string(digits), true
}

// validCustomID tells whether every character of s is one that a custom contact
// id may hold (respond-io.md 2.1).
func validCustomID(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("_=+/@", c) < 0 {
			return false
		}
	}
	return true
}

// Normalize gives the form under which a contact reference of this type is
// kept: the normal form of a phone number, a custom id byte for byte
// (respond-io.md 2.1). CodeInvalid, about field, when it is not one.
func (t IDType) Normalize(field, raw string) (string, error) {
	if raw == "" {
		return "", Invalid(field, "is required")
	}
	if utf8.RuneCountInString(raw) > MaxContactRef {
		return "", Invalid(field, "must be at most %d characters", MaxContactRef)
	}
	if t == IDTypePhone {
		number, ok := NormalizePhone(raw)
		if !ok {
			return "", Invalid(field, "must be an international phone number of %d to %d digits, such as +15550100",
				leastPhoneDigits, mostPhoneDigits)
		}
		return number, nil
	}
	if !validCustomID(raw) {
		return "", Invalid(field, "may hold only A-Z a-z 0-9 _ = + / @")
	}
	return raw, nil
}
