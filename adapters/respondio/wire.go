package respondio

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// The wire is lenient in places (3.2 to 3.6), so each kind of value notes what
// it found instead of ending the decoding: the rules are applied afterwards,
// where the field's path is known. null counts as absent everywhere.

// state is what was found where a value was expected.
type state uint8

const (
	absent state = iota
	wrong        // a value of another kind
	present
)

// text is a JSON string.
type text struct {
	state state
	value string
}

// UnmarshalJSON takes any JSON value.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = text{}
	switch {
	case isNull(b):
	case b[0] != '"' || json.Unmarshal(b, &t.value) != nil:
		t.state = wrong
	default:
		t.state = present
	}
	return nil
}

// name is an identifier: a JSON string, or an integer taken as its decimal text
// without a detour through floating point (5, rule 17).
type name struct{ text }

// UnmarshalJSON takes any JSON value.
func (n *name) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && (b[0] == '-' || isDigit(b[0])) {
		if bytes.ContainsAny(b, ".eE") {
			n.text = text{state: wrong}
			return nil
		}
		n.text = text{state: present, value: string(b)}
		return nil
	}
	return n.text.UnmarshalJSON(b)
}

// number is a JSON number, or a text that reads as one.
type number struct {
	state state
	value float64
}

// UnmarshalJSON takes any JSON value. An empty text is absent.
func (n *number) UnmarshalJSON(b []byte) error {
	*n = number{}
	literal := string(b)
	switch {
	case isNull(b):
		return nil
	case b[0] == '"':
		if json.Unmarshal(b, &literal) != nil {
			n.state = wrong
			return nil
		}
		if literal = strings.TrimSpace(literal); literal == "" {
			return nil
		}
	}
	v, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		n.state = wrong
		return nil
	}
	n.state, n.value = present, v
	return nil
}

// Bounds of timestamps (3.4).
const (
	leastMillis = 100_000_000_000     // below it the number counts seconds
	mostMillis  = 253_402_300_799_999 // the end of the year 9999, the last that RFC 3339 can write
)

// instant is a moment: milliseconds or seconds since 1970 (3.4).
type instant struct {
	state state
	value time.Time
}

// UnmarshalJSON takes any JSON value.
func (t *instant) UnmarshalJSON(b []byte) error {
	*t = instant{}
	if isNull(b) {
		return nil
	}
	digits := b
	if len(b) >= 2 && b[0] == '"' {
		digits = b[1 : len(b)-1]
	}
	millis, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		var n number
		_ = n.UnmarshalJSON(b) // notes what it found, never fails
		if n.state != present || n.value > mostMillis {
			t.state = wrong
			return nil
		}
		millis = int64(n.value) // a fraction is dropped
	}
	if millis > 0 && millis < leastMillis {
		millis *= 1000
	}
	if millis <= 0 || millis > mostMillis {
		t.state = wrong
		return nil
	}
	t.state, t.value = present, time.UnixMilli(millis).UTC()
	return nil
}

func isNull(b []byte) bool { return len(b) == 0 || string(b) == "null" }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// hasZero tells whether a JSON text holds the escape \u0000, which no string may
// (5, rule 11). A backslash that is itself escaped does not begin one.
func hasZero(raw []byte) bool {
	for rest := raw; ; {
		i := bytes.Index(rest, []byte(`\u0000`))
		if i < 0 {
			return false
		}
		slashes := 0
		for j := i - 1; j >= 0 && rest[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return true
		}
		rest = rest[i+1:]
	}
}

// body is what an integration server posts (3.2).
type body struct {
	ChannelID name    `json:"channelId"`
	ContactID name    `json:"contactId"`
	Events    []event `json:"events"`
	Contact   *person `json:"contact"`
}

// event is one entry of events (3.5).
type event struct {
	Type      text     `json:"type"`
	MID       name     `json:"mId"`
	MLD       name     `json:"mld"` // the field tables print mId so
	Timestamp instant  `json:"timestamp"`
	Message   *message `json:"message"`
	Status    *receipt `json:"status"`
}

// message is a message object (3.3).
type message struct {
	isObject   bool
	Type       text        `json:"type"`
	Text       text        `json:"text"`
	Attachment *attachment `json:"attachment"`
	Latitude   number      `json:"latitude"`
	Longitude  number      `json:"longitude"`
	Longtitude number      `json:"longtitude"` // the field tables print longitude so
	Address    text        `json:"address"`
	Title      text        `json:"title"`
	Replies    []text      `json:"replies"`
}

// UnmarshalJSON takes any JSON value: where the object does not count, as in a
// receipt, a malformed one must not count either.
func (m *message) UnmarshalJSON(b []byte) error {
	type plain message
	var p plain
	if json.Unmarshal(b, &p) != nil {
		*m = message{}
		return nil
	}
	*m = message(p)
	m.isObject = true
	return nil
}

type attachment struct {
	Type        text `json:"type"`
	URL         text `json:"url"`
	MimeType    text `json:"mimeType"`
	FileName    text `json:"fileName"`
	Description text `json:"description"`
}

// receipt is a status object (3.5).
type receipt struct {
	isObject bool
	Value    text `json:"value"`
	Message  text `json:"message"`
}

// UnmarshalJSON takes any JSON value, as that of message does.
func (r *receipt) UnmarshalJSON(b []byte) error {
	type plain receipt
	var p plain
	if json.Unmarshal(b, &p) != nil {
		*r = receipt{}
		return nil
	}
	*r = receipt(p)
	r.isObject = true
	return nil
}

// person is a contact object (3.6).
type person struct {
	FirstName   text   `json:"firstName"`
	LastName    text   `json:"lastName"`
	ProfilePic  text   `json:"profilePic"`
	Locale      text   `json:"locale"`
	CountryCode text   `json:"countryCode"`
	Timezone    number `json:"timezone"`
	Email       text   `json:"email"`
	Phone       name   `json:"phone"`
	Language    text   `json:"language"`
}
