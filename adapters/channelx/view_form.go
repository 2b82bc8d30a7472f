package channelx

import (
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// iso is a time as text (channelx.md 2.6).
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// isoOrNull is a time as text, or null for never.
func isoOrNull(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := iso(*t)
	return &s
}

// unix is a time in seconds, 0 for never.
func unix(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.Unix()
}

// fraction is a time in seconds with a decimal fraction.
type fraction time.Time

// MarshalJSON gives such as 1765000130.482.
func (f fraction) MarshalJSON() ([]byte, error) {
	t := time.Time(f)
	b := strconv.AppendInt(nil, t.Unix(), 10)
	ms := strconv.Itoa(t.Nanosecond()/int(time.Millisecond) + 1000)
	return append(append(b, '.'), ms[1:]...), nil
}

// textOrNull is a text, or null for none.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// numberOrNull is a number, or null for none.
func numberOrNull[N int | int64](n N) *N {
	if n == 0 {
		return nil
	}
	return &n
}

// object is an object, never null.
func object(o domain.Object) domain.Object {
	if o == nil {
		return domain.Object{}
	}
	return o
}

// changesOf shows what changed: a list of objects with one member each.
func changesOf(changes []domain.Change) []map[string]change {
	list := make([]map[string]change, 0, len(changes))
	for _, c := range changes {
		list = append(list, map[string]change{c.Name: {c.Previous, c.Current}})
	}
	return list
}

type change struct {
	Previous any `json:"previous_value"`
	Current  any `json:"current_value"`
}

// tidyContent is the text of a message in callbacks: without backslashes before
// line breaks, and without line breaks at the end (channelx.md 6.3).
func tidyContent(content *string) *string {
	if content == nil {
		return nil
	}
	s := strings.ReplaceAll(strings.ReplaceAll(*content, "\\\r\n", "\r\n"), "\\\n", "\n")
	s = strings.TrimRight(s, "\r\n")
	return &s
}
