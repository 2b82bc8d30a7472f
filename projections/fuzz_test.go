package projections

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// A cursor that is taken names a place that the database can look for and is
// written as the same; another is refused by name.
func FuzzCursor(f *testing.F) {
	f.Add(place{at: time.UnixMicro(1767261600000000), id: uuid.Nil}.cursor(contactList))
	for _, text := range []string{
		"p1 1 00000000-0000-0000-0000-000000000000", "p1 -1 {00000000-0000-0000-0000-000000000000}", "p1 9223372036854775807 urn:uuid:00000000-0000-0000-0000-000000000000",
		"p1 -9223372036854775808 00000000000000000000000000000000", "p1 253402300800000000 00000000-0000-0000-0000-000000000000", "m1 1 x", "p1 1", "p1  ", "",
	} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(text)))
	}
	f.Add("=")
	f.Add("AA\nBB")
	f.Fuzz(func(t *testing.T, cursor string) {
		got, err := readPlace(contactList, cursor)
		if err != nil {
			if e, ok := errors.AsType[*domain.Error](err); !ok || e.Field != "cursor" || e.Code != domain.CodeInvalid || got != (place{}) {
				t.Fatalf("%q: %+v, %v", cursor, got, err)
			}
			return
		}
		if year := got.at.Year(); year < 1 || year > 9999 {
			t.Fatalf("%q is of the year %d", cursor, year)
		}
		if again, err := readPlace(contactList, got.cursor(contactList)); err != nil || again != got {
			t.Fatalf("%q is %+v and again %+v (%v)", cursor, got, again, err)
		}
		if _, err := readPlace(messageList, cursor); err == nil {
			t.Fatalf("%q is taken by another list", cursor)
		}
	})
}
