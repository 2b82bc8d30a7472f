package projections

import (
	"encoding/base64"
	"errors"
	"strconv"
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

// Cursors of lists that are sorted by other keys are read back as what they are made
// of, or refused by name.
func FuzzOtherCursors(f *testing.F) {
	f.Add(encodeCursor(messageList, "3", "1042"))
	f.Add(deliveryCursor(domain.Delivery{CreatedAt: time.UnixMicro(1767261600000000).UTC(), ID: uuid.Max}))
	for _, text := range []string{
		"m1 -1 -1", "m1 2147483648 0", "m1 0 9223372036854775808", "m1 +1 0x1", "m1 1", "2026-03-01T09:30:00Z x", "0000-01-01T00:00:00Z 00000000-0000-0000-0000-000000000000",
		"9999-12-31T23:59:59.999999999+23:59 {00000000-0000-0000-0000-000000000000}", "10000-01-01T00:00:00Z ", "\x00 \xff", "",
	} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(text)))
	}
	f.Add("=")
	f.Fuzz(func(t *testing.T, cursor string) {
		invalid := func(err error) {
			t.Helper()
			if e, ok := errors.AsType[*domain.Error](err); !ok || e.Field != "cursor" || e.Code != domain.CodeInvalid {
				t.Fatalf("%q: %v", cursor, err)
			}
		}
		if at, err := readMessagePlace(cursor); err != nil {
			invalid(err)
		} else if again, err := readMessagePlace(encodeCursor(messageList, strconv.Itoa(at.Partition), strconv.FormatInt(at.Offset, 10))); err != nil || again != at {
			t.Fatalf("%q is %+v and again %+v (%v)", cursor, at, again, err)
		}
		at, id, err := readDeliveryCursor(cursor)
		if err != nil {
			invalid(err)
			return
		}
		if year := at.UTC().Year(); year < 1 || year > 9999 {
			t.Fatalf("%q is of the year %d", cursor, year)
		}
		again, same, err := readDeliveryCursor(deliveryCursor(domain.Delivery{CreatedAt: at, ID: id}))
		if err != nil || !again.Equal(at) || same != id {
			t.Fatalf("%q is %s %s and again %s %s (%v)", cursor, at, id, again, same, err)
		}
	})
}
