package httpapi

import (
	"fmt"
	"time"

	"github.com/parley-im/parley/domain"
)

// PageParams ask for a part of a list.
type PageParams struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many entries at most."`
	Cursor string `query:"cursor" maxLength:"512" doc:"next_cursor of the part before."`
}

func (p PageParams) page() domain.Page { return domain.Page{Limit: p.Limit, After: p.Cursor} }

// list is a part of a list.
type list[T any] struct {
	Data       []T     `json:"data" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"Send it as cursor for the part that follows; null at the end."`
}

// listOutput is the answer to a request for a list.
type listOutput[T any] struct {
	ReadHeaders
	Body list[T]
}

// listOf shows domain values as a part of a list.
func listOf[D, V any](values []D, next string, show func(D) V) list[V] {
	out := list[V]{Data: make([]V, len(values))}
	for i, v := range values {
		out.Data[i] = show(v)
	}
	if next != "" {
		out.NextCursor = &next
	}
	return out
}

// cut makes a part of a list that is in memory, sorted by ageKey. Cursors are
// such keys, so an entry that has gone since does no harm.
func cut[D any](all []D, page domain.Page, key func(D) string) ([]D, string, error) {
	if page.After != "" && (len(page.After) < ageKeyWidth+2 || page.After[ageKeyWidth] != '-') {
		return nil, "", domain.Invalid("cursor", "must be the next_cursor of an earlier answer")
	}
	start := 0
	for start < len(all) && key(all[start]) <= page.After {
		start++
	}
	rest := all[start:]
	if len(rest) <= page.Limit {
		return rest, "", nil
	}
	rest = rest[:page.Limit]
	return rest, key(rest[len(rest)-1]), nil
}

// ageKeyWidth is the width of a time in a key, in hexadecimal digits.
const ageKeyWidth = 13

// ageKey orders things by age, and by id within a millisecond.
func ageKey(created time.Time, id string) string {
	return fmt.Sprintf("%0*x-%s", ageKeyWidth, max(0, created.UnixMilli()), id) // of no time at all: the oldest
}
