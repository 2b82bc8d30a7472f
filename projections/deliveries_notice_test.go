package projections_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// answer lets the callbacks of some notices fail or succeed, and people redrive
// them: the events stand in the log behind what they are about.
func (o *agency) answer(t *rapid.T, folded map[uuid.UUID]*domain.Delivery) {
	var open []*domain.Delivery
	for _, r := range o.told {
		for _, d := range domain.NoticesOf(r) {
			if folded[d.ID] == nil {
				folded[d.ID] = &d
			}
			open = append(open, folded[d.ID])
		}
	}
	for range rapid.IntRange(0, 10).Draw(t, "outcomes") {
		d := rapid.SampledFrom(open).Draw(t, "delivery")
		now := o.tick()
		out := domain.Outcome{Verdict: rapid.SampledFrom([]domain.Verdict{domain.Delivered, domain.Retry, domain.Refused}).Draw(t, "verdict"), Reason: domain.ReasonServerError}
		e := d.Attempted(out, domain.DeliveryPolicy{}, time.Second, true, now, now)
		if d.State == domain.StateDead {
			e, _ = d.Redrive("a person", now)
		}
		r := o.append(e)
		o.told = append(o.told, r)
		d.Apply(r)
	}
}

// Ensure that whatever the cuts between runs and whatever stands in the log twice,
// each notice of an event that took effect is one delivery, made by the record
// that took effect, and that an event without effect makes none.
func TestDeliveries_noticesOfWhatTookEffect(t *testing.T) {
	t.Parallel()
	pool := database(t)
	rapid.Check(t, func(t *rapid.T) {
		forgetDeliveries(t, pool)
		o, folded := busy(t), map[uuid.UUID]*domain.Delivery{}
		o.answer(t, folded)
		var want []domain.Delivery
		for _, r := range o.told {
			want = append(want, domain.NoticesOf(r)...)
		}
		p := projections.NewDeliveries(pool)
		var made []domain.Delivery
		for rest := o.log; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "run")
			p.Begin(partition)
			applyDeliveries(t, pool, p, partition, rest[:n])
			for _, r := range rest[:n] {
				made = append(made, p.Made(partition, r.Position.Offset)...)
			}
			rest = rest[n:]
		}
		if diff := cmp.Diff(want, made); diff != "" {
			t.Fatalf("made (-want +got):\n%s", diff)
		}
		list, _, err := p.Deliveries(t.Context(), domain.DeliveryFilter{Account: agencyAccount, Kind: domain.DeliverNotice}, domain.Page{Limit: 10_000})
		if err != nil || len(list) != len(want) {
			t.Fatalf("%d notices are listed, want %d: %v", len(list), len(want), err)
		}
		for _, got := range list {
			if diff := cmp.Diff(*folded[got.ID], got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("row differs from the fold (-want +got):\n%s", diff)
			}
		}
	})
}

func forgetDeliveries(t rapidOrTest, pool *pgxpool.Pool) {
	t.Helper()
	if _, err := pool.Exec(context.Background(), "truncate deliveries, delivery_attempts, delivery_depth, delivery_endpoints, delivery_revisions"); err != nil {
		t.Fatal(err)
	}
}

// Ensure that a notice to a webhook has a lane of its own: its failure holds the
// callback back as little as the callback's holds it.
func TestDeliveries_noticesOfTwoTargets(t *testing.T) {
	t.Parallel()
	pool := database(t)
	p, o := projections.NewDeliveries(pool), newAgency()
	_, i := o.register("Ana", "c1")
	o.open(i)
	o.say(0, "outgoing", "hello")
	applyDeliveries(t, pool, p, partition, o.log)
	targets, err := p.OpenTargets(t.Context(), partition)
	if want := []string{"c1", domain.WebhookTarget(agencyAccount, 1)}; err != nil || !slices.Equal(targets, want) {
		t.Fatalf("targets %v, %v; want %v", targets, err, want)
	}
	heads, err := p.OpenHeads(t.Context(), partition, "c1", time.Time{}, 10, 10, 10, nil)
	if err != nil || len(heads) != 2 || heads[0].Subject.Notice.Name != domain.NoticeConversationCreated || heads[1].Subject.Notice.Name != domain.NoticeMessageCreated {
		t.Fatalf("the callback is told %+v, %v", heads, err)
	}
	for n, message := range []bool{false, true} {
		if got := heads[n].MessageID != uuid.Nil; got != message {
			t.Errorf("delivery %d is about a message: %v", n, got)
		}
	}
}
