package projections_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-im/parley/adapters/postgres/pgtest"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// Ensure that the health of an endpoint is that of all its partitions, however the
// log is cut into runs: the last success of any of them forgives what failed before,
// and faults that are not the endpoint's are not charged to it.
func TestDeliveries_endpointHealth(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	ch := domain.Channel{ID: "620418", Account: "default", Dialect: domain.DialectRespondIO}
	type step struct {
		partition, minute int
		verdict           domain.Verdict
		reason            domain.Reason
		status            int
	}
	story := []step{
		{1, 1, domain.Retry, domain.ReasonTimeout, 0},
		{1, 2, domain.Delivered, domain.ReasonOK, 200},
		{1, 3, domain.Retry, domain.ReasonServerError, 500},
		{1, 9, domain.Retry, domain.ReasonServerError, 500},
		{2, 4, domain.Retry, domain.ReasonInternal, 0},
		{2, 5, domain.Delivered, domain.ReasonOK, 200},
		{2, 7, domain.Refused, domain.ReasonRejected, 410},
		{2, 8, domain.Exhausted, domain.ReasonExpired, 0},
		{3, 2, domain.Refused, domain.ReasonRejected, 400},
	}
	for _, size := range []int{1, 100} {
		pool := pgtest.New(t)
		migrateTo(t, pool, "9999")
		p := projections.NewDeliveries(pool)
		for partition := 1; partition <= 3; partition++ {
			var log []domain.Recorded
			add := func(e domain.Event) {
				log = append(log, domain.Recorded{Event: e, Position: domain.Position{Partition: partition, Offset: int64(len(log))}})
			}
			for _, s := range story {
				if s.partition != partition {
					continue
				}
				sent := ch.Send("contact", uuid.New(), domain.Content{Type: domain.ContentText, Text: "hello"}, "", at(s.minute))
				add(sent)
				d, _ := domain.DeliveryOf(log[len(log)-1], nil, false)
				add(d.Attempted(domain.Outcome{Verdict: s.verdict, Reason: s.reason, HTTPStatus: s.status}, ch.Delivery, time.Hour, true, at(s.minute), at(s.minute)))
			}
			for run := range slices.Chunk(log, size) {
				applyDeliveries(t, pool, p, partition, run)
			}
		}
		want := []domain.EndpointHealth{{
			Target: "620418", Account: "default", FailingSince: at(5), FailedAt: at(9), SucceededAt: at(5), GoneAt: at(7),
			Failures: 3, LastReason: domain.ReasonServerError,
		}}
		got, err := p.EndpointHealth(t.Context(), "default", nil)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("runs of %d: %v (-want +got):\n%s", size, err, diff)
		}
		for least, n := range map[time.Duration]int{4 * time.Minute: 1, 240 * time.Hour: 1} { // it is gone
			if got, err := p.Ailing(t.Context(), least, nil); err != nil || len(got) != n {
				t.Errorf("ailing for %s: %+v, %v", least, got, err)
			}
		}
		if got, err := p.EndpointHealth(t.Context(), "other", nil); err != nil || len(got) != 0 {
			t.Errorf("another account sees %+v, %v", got, err)
		}
	}
}
