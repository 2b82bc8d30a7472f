package projections_test

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// Ensure that who was seen is there for those who ask how long ago, on every node,
// and is forgotten after a day.
func TestPresence(t *testing.T) {
	t.Parallel()
	pool := database(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	one, other := projections.NewPresence(pool, clock), projections.NewPresence(pool, clock)
	seen := func(p *projections.Presence, account string, kind domain.PresenceKind, ids ...int64) {
		t.Helper()
		if err := p.Seen(t.Context(), account, kind, ids...); err != nil {
			t.Fatal(err)
		}
	}
	present := func(kind domain.PresenceKind, ago time.Duration, want ...int64) {
		t.Helper()
		got, err := other.Present(t.Context(), "acme", kind, now.Add(-ago))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s within %s: %v, %v; want %v", kind, ago, got, err, want)
		}
	}
	seen(one, "acme", domain.PresentContact, 3, 1, 3)
	seen(one, "acme", domain.PresentOperator, 4)
	seen(one, "umbra", domain.PresentContact, 9)
	seen(one, "acme", domain.PresentContact)
	present(domain.PresentContact, 0, 1, 3)
	now = now.Add(time.Minute)
	seen(other, "acme", domain.PresentContact, 3, 2)
	present(domain.PresentContact, 59*time.Second, 2, 3)
	present(domain.PresentContact, time.Minute, 1, 2, 3)
	present(domain.PresentOperator, 20*time.Second)
	now = now.Add(25 * time.Hour)
	seen(one, "acme", domain.PresentContact, 5)
	present(domain.PresentContact, 100*time.Hour, 5)
}
