package channelx

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// fakeTable is the table of who is there.
type fakeTable struct {
	written [][]int64
	listed  []int64
	reads   int
	err     error
}

func (f *fakeTable) Seen(_ context.Context, _ string, _ domain.PresenceKind, ids ...int64) error {
	slices.Sort(ids)
	f.written = append(f.written, ids)
	return f.err
}

func (f *fakeTable) Present(context.Context, string, domain.PresenceKind, time.Time) ([]int64, error) {
	f.reads++
	return f.listed, f.err
}

// Ensure that who is seen here is there at once, until they do not stay any
// longer; that many are written together; and that an answer of the table serves
// all who ask within a second.
func TestRoll(t *testing.T) {
	t.Parallel()
	now := officeNoon
	table := &fakeTable{listed: []int64{9}}
	r := newRoll(table, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	present := func(kind domain.PresenceKind) []int64 {
		t.Helper()
		list, err := r.Present(t.Context(), "acme", kind, now.Add(-stays(kind)))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(list)
		return list
	}
	for range 3 {
		for id := range int64(3) {
			r.note("acme", domain.PresentContact, id+1)
		}
	}
	for range 5 {
		if got := present(domain.PresentContact); !slices.Equal(got, []int64{1, 2, 3, 9}) {
			t.Errorf("%v are there", got)
		}
	}
	if table.reads != 1 {
		t.Errorf("the table was read %d times", table.reads)
	}
	if got := r.lately("other", domain.PresentOperator); len(got) != 0 || table.reads != 1 {
		t.Errorf("%v are there, after %d reads", got, table.reads)
	}
	if err := errors.Join(r.write(t.Context()), r.refresh(t.Context()), r.write(t.Context())); err != nil {
		t.Fatal(err)
	}
	if len(table.written) != 1 || !slices.Equal(table.written[0], []int64{1, 2, 3}) {
		t.Errorf("%v was written", table.written)
	}
	if got := r.lately("other", domain.PresentOperator); !slices.Equal(got, []int64{9}) || table.reads != 2 {
		t.Errorf("%v are there, after %d reads", got, table.reads)
	}

	r.note("acme", domain.PresentOperator, 4)
	now = now.Add(operatorsStay + time.Second)
	table.listed = nil
	if got := present(domain.PresentOperator); len(got) != 0 {
		t.Errorf("%v are there after their time", got)
	}
	if got := present(domain.PresentContact); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("%v are there", got)
	}
	now = now.Add(contactsStay)
	if got := present(domain.PresentContact); len(got) != 0 {
		t.Errorf("%v are there after their time", got)
	}

	now = now.Add(2 * rollForget)
	if err := r.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.pages) != 0 {
		t.Errorf("%d pages are remembered", len(r.pages))
	}
	table.err = errors.New("away")
	if _, err := r.Present(t.Context(), "acme", domain.PresentContact, now); !errors.Is(err, table.err) {
		t.Errorf("the table's fault is %v", err)
	}
	r.note("acme", domain.PresentContact, 1)
	if err := r.write(t.Context()); !errors.Is(err, table.err) {
		t.Errorf("the table's fault is %v", err)
	}
}

// Ensure that what is remembered is bounded, and that the newest is.
func TestRecent(t *testing.T) {
	t.Parallel()
	r := newRecent[int, int](10)
	for i := range 1000 {
		r.put(i, i)
		for j := max(0, i-9); j <= i; j++ {
			if v, ok := r.get(j); !ok || v != j {
				t.Fatalf("%d of the newest is not remembered at %d", j, i)
			}
		}
		if n := len(r.young) + len(r.old); n > 20 {
			t.Fatalf("%d are remembered", n)
		}
	}
}
