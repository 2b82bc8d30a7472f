package projections_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// sentAndDelivered makes up n messages to many contacts and their outcomes; an
// outcome comes behind records after its message.
func sentAndDelivered(n, behind int) []domain.Recorded {
	ch := domain.Channel{ID: "c1", Account: "default", Dialect: domain.DialectRespondIO}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var log []domain.Recorded
	add := func(e domain.Event) domain.Recorded {
		r := domain.Recorded{Event: e, Position: domain.Position{Offset: int64(len(log))}}
		log = append(log, r)
		return r
	}
	var waiting []domain.Delivery
	for i := 0; i < n || len(waiting) > 0; i++ {
		if i < n {
			text := domain.Content{Type: domain.ContentText, Text: "Your order 88 has left the warehouse and should be with you tomorrow."}
			r := add(ch.Send(fmt.Sprintf("contact-%d", i%5000), uuid.New(), text, "bot", now.Add(time.Duration(i)*time.Millisecond)))
			d, _ := domain.DeliveryOf(r, nil, false)
			waiting = append(waiting, d)
		}
		if len(waiting) > behind || i >= n {
			d := waiting[0]
			waiting = waiting[1:]
			o := domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, HTTPStatus: 200, ExternalID: "m" + d.ID.String()}
			add(d.Attempted(o, ch.Delivery, 0, false, now, now.Add(20*time.Millisecond)))
		}
	}
	return log
}

// BenchmarkDeliveries_Apply tells how many events a second one partition takes
// in, sent and delivered in turn, in runs of 1000.
func BenchmarkDeliveries_Apply(b *testing.B) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	everything := domain.Subscription{ID: "s1", Account: "default", Revisions: []domain.Revision{{Since: now}}}
	others := everything
	others.Account = "another"
	for _, bench := range []struct {
		name   string
		behind int
		subs   subscribers
	}{
		{"outcome-50-behind", 50, nil},
		{"outcome-3000-behind", 3000, nil},
		{"nobody-subscribed", 50, subscribers{others}},
		{"one-subscribed", 50, subscribers{everything}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			pool, behind := database(b), bench.behind
			p := projections.NewDeliveries(pool).For(bench.subs)
			log := sentAndDelivered(20_000, behind)
			b.ResetTimer()
			n := 0
			for b.Loop() {
				for i := 0; i < len(log); i += 1000 {
					applyDeliveries(b, pool, p, 0, log[i:min(i+1000, len(log))])
				}
				n += len(log)
				b.StopTimer()
				if _, err := pool.Exec(b.Context(), "truncate deliveries, delivery_attempts, delivery_depth"); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkDeliveries_OpenHeads finds work among 100,000 open deliveries in
// 50,000 lanes, 20,000 of them behind one parked head.
func BenchmarkDeliveries_OpenHeads(b *testing.B) {
	pool := database(b)
	p := projections.NewDeliveries(pool)
	ch := domain.Channel{ID: "c1", Account: "default", Dialect: domain.DialectRespondIO}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var log []domain.Recorded
	add := func(e domain.Event) {
		log = append(log, domain.Recorded{Event: e, Position: domain.Position{Offset: int64(len(log))}})
	}
	hello := domain.Content{Type: domain.ContentText, Text: "hello"}
	for i := range 100_000 {
		ref := "parked"
		if i >= 20_000 {
			ref = fmt.Sprintf("contact-%d", i%50_000)
		}
		add(ch.Send(ref, uuid.New(), hello, "", now.Add(time.Duration(i)*time.Millisecond)))
		if i == 0 {
			d, _ := domain.DeliveryOf(log[0], nil, false)
			add(d.Attempted(domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError}, ch.Delivery, 0, false, now, now))
		}
	}
	for i := 0; i < len(log); i += 1000 {
		applyDeliveries(b, pool, p, 0, log[i:min(i+1000, len(log))])
	}
	b.Run("heads-256", func(b *testing.B) {
		for b.Loop() {
			list, err := p.OpenHeads(b.Context(), 0, "c1", time.Time{}, 256, 256, 4, nil)
			if err != nil || len(list) < 256 {
				b.Fatalf("%d rows: %v", len(list), err)
			}
		}
	})
	b.Run("heads-1-beside-1000-known", func(b *testing.B) {
		list, err := p.OpenHeads(b.Context(), 0, "c1", time.Time{}, 1000, 1000, 1, nil)
		if err != nil {
			b.Fatal(err)
		}
		known := make([]string, len(list))
		for i, d := range list {
			known[i] = d.Lane()
		}
		for b.Loop() {
			if list, err := p.OpenHeads(b.Context(), 0, "c1", time.Time{}, 1, 1, 4, known); err != nil || len(list) == 0 {
				b.Fatal(err)
			}
		}
	})
	b.Run("channels", func(b *testing.B) {
		for b.Loop() {
			if list, err := p.OpenTargets(b.Context(), 0); err != nil || len(list) != 1 {
				b.Fatal(err)
			}
		}
	})
	b.Run("followers-of-parked", func(b *testing.B) {
		for b.Loop() {
			if list, err := p.LaneRows(b.Context(), []string{"c1/parked"}, []int64{-1}, 64); err != nil || len(list) != 64 {
				b.Fatal(err)
			}
		}
	})
	b.Run("apply-1000-on-top", func(b *testing.B) {
		next := int64(len(log))
		for b.Loop() {
			var run []domain.Recorded
			for i := range 500 {
				r := domain.Recorded{
					Event:    ch.Send(fmt.Sprintf("contact-%d", int(next)+i), uuid.New(), hello, "", now),
					Position: domain.Position{Offset: next + int64(2*i)},
				}
				d, _ := domain.DeliveryOf(r, nil, false)
				run = append(run, r, domain.Recorded{
					Event:    d.Attempted(domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK}, ch.Delivery, 0, false, now, now),
					Position: domain.Position{Offset: next + int64(2*i) + 1},
				})
			}
			next += 1000
			applyDeliveries(b, pool, p, 0, run)
		}
	})
}
