package projections_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// Ensure a job has one worker at a time, who finds what the one before was at, and
// that one who has lost it counts nothing any more.
func TestRedrives_claims(t *testing.T) {
	t.Parallel()
	pool := database(t)
	p, r := projections.NewDeliveries(pool), projections.NewRedrives(pool)
	ctx, now := t.Context(), domain.Stamp(time.Now())
	ch := domain.Channel{ID: "c1", Account: "default", Dialect: domain.DialectRespondIO}
	var log []domain.Recorded
	add := func(e domain.Event) {
		log = append(log, domain.Recorded{Event: e, Position: domain.Position{Offset: int64(len(log))}})
	}
	for i := range 5 {
		add(ch.Send(fmt.Sprintf("u%d", i%2), uuid.New(), domain.Content{Type: domain.ContentText, Text: "hello"}, "", now))
		d, _ := domain.DeliveryOf(log[len(log)-1], nil, false)
		add(d.Attempted(domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected}, ch.Delivery, 0, false, now, now))
	}
	applyDeliveries(t, pool, p, 0, log)
	job := domain.Redrive{ID: uuid.New(), Filter: domain.RedriveFilter{Account: "default"}, By: "desk", CreatedAt: now.Add(time.Second)}
	for range 2 { // made once
		made, err := r.CreateRedrive(ctx, job, nil)
		if err != nil || made.Total != 5 || made.State != domain.RedriveRunning {
			t.Fatalf("made %+v, %v", made, err)
		}
	}
	claim := func(owner string, lease time.Duration, steal bool) (domain.RedriveClaim, bool) {
		t.Helper()
		c, ok, err := r.ClaimRedrive(ctx, owner, lease, steal)
		if err != nil {
			t.Fatal(err)
		}
		return c, ok
	}
	first, ok := claim("a", time.Minute, false)
	if _, second := claim("b", time.Minute, false); !ok || second {
		t.Fatalf("claimed %t, and again %t", ok, second)
	}
	targets, err := r.RedriveTargets(ctx, first, 10)
	if err != nil || len(targets) != 1 || targets[0].Name != "c1" || targets[0].Waiting != 0 {
		t.Fatalf("targets %+v, %v", targets, err)
	}
	targets[0].Room = 3
	page, err := r.RedrivePage(ctx, first, targets)
	if err != nil || len(page) != 3 || page[0].Position.Offset != 0 || page[2].Position.Offset != 4 {
		t.Fatalf("page %+v, %v", page, err)
	}
	plan := domain.RedrivePlan{At: now}
	for _, d := range page {
		plan.Items = append(plan.Items, domain.RedriveItem{ID: d.ID, Attempt: d.Attempts})
	}
	if ok, err := r.PlanRedrive(ctx, first, plan, time.Minute); err != nil || !ok {
		t.Fatalf("planned %t, %v", ok, err)
	}

	// The worker dies here; one of its events has landed, and that delivery has died again.
	e, err := page[0].Redrive("desk", now)
	if err != nil {
		t.Fatal(err)
	}
	tail := len(log)
	add(e)
	page[0].Apply(log[tail])
	add(page[0].Attempted(domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected}, ch.Delivery, 0, false, now, now.Add(time.Minute)))
	applyDeliveries(t, pool, p, 0, log[tail:])

	next, ok := claim("b", time.Minute, true)
	if !ok || next.ID != job.ID || next.Plan == nil || len(next.Plan.Items) != 3 || next.Epoch != first.Epoch+1 {
		t.Fatalf("taken over as %+v", next)
	}
	if ok, err := r.PlanRedrive(ctx, first, plan, time.Minute); err != nil || ok {
		t.Fatalf("one who has lost it planned: %t, %v", ok, err)
	}
	steps := []domain.RedriveStep{{Target: "c1", Redriven: 3, Last: page[2].Position}}
	if _, ok, err := r.AdvanceRedrive(ctx, first, steps, now, time.Minute); err != nil || ok {
		t.Fatalf("one who has lost it counted: %t, %v", ok, err)
	}
	now3, err := r.PlannedDeliveries(ctx, next)
	if err != nil || len(now3) != 3 {
		t.Fatalf("planned are %+v, %v", now3, err)
	}
	tail = len(log)
	for _, d := range next.Plan.Planned(now3) {
		e, err := d.Redrive("desk", next.Plan.At)
		if err != nil {
			t.Fatal(err)
		}
		add(e)
	}
	if log[tail].ID != e.ID {
		t.Errorf("the plan carried out again makes another event")
	}
	applyDeliveries(t, pool, p, 0, log[tail:])
	if d, _, err := p.Delivery(ctx, "default", page[0].ID); err != nil || d.State != domain.StateDead || d.Attempts != 2 {
		t.Errorf("what died again after its redrive is %s after %d attempts: %v", d.State, d.Attempts, err)
	}
	done, ok, err := r.AdvanceRedrive(ctx, next, steps, now, time.Minute)
	if err != nil || !ok || done.Redriven != 3 || done.State != domain.RedriveRunning {
		t.Fatalf("counted %+v, %t, %v", done, ok, err)
	}
	if targets, err = r.RedriveTargets(ctx, next, 10); err != nil || targets[0].Waiting != 2 {
		t.Fatalf("waiting are %+v, %v", targets, err)
	}
	targets[0].Room = 10
	rest, err := r.RedrivePage(ctx, next, targets)
	if err != nil || len(rest) != 2 || rest[0].Position.Offset != 6 {
		t.Fatalf("the rest is %+v, %v", rest, err)
	}
	ended := []domain.RedriveStep{{Target: "c1", Redriven: 1, Last: rest[1].Position, Done: true}}
	done, ok, err = r.AdvanceRedrive(ctx, next, ended, now, time.Minute)
	if err != nil || !ok || done.State != domain.RedriveDone || done.Redriven != 4 || done.Skipped != 1 || done.FinishedAt == nil {
		t.Fatalf("ended as %+v, %t, %v", done, ok, err)
	}
	if err := r.ReleaseRedrive(ctx, next, ""); err != nil {
		t.Fatal(err)
	}
	if c, ok := claim("c", time.Minute, true); ok {
		t.Errorf("a job that has ended is claimed: %+v", c)
	}
	if _, err := r.CancelRedrive(ctx, "default", job.ID, now); domain.CodeOf(err) != domain.CodeConflict {
		t.Errorf("cancelled after its end: %v", err)
	}
	// A lease that has run out is anybody's.
	job.ID = uuid.New()
	if _, err := r.CreateRedrive(ctx, job, nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := claim("a", -time.Second, false); !ok {
		t.Error("not claimed")
	}
	if c, ok := claim("b", time.Minute, false); !ok || c.ID != job.ID {
		t.Errorf("a lease that has run out is not taken over: %+v", c)
	}
}
