package projections_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// applyDeliveries applies one run in one transaction.
func applyDeliveries(t rapidOrTest, pool *pgxpool.Pool, p *projections.Deliveries, partition int, events []domain.Recorded) {
	t.Helper()
	err := pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) error {
		return p.Apply(context.Background(), tx, partition, events)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// deliveryLog makes up the log of a partition as a delivery worker, people and
// failures would write it.
type deliveryLog struct {
	channel domain.Channel
	now     time.Time
	log     []domain.Recorded
	folded  map[uuid.UUID]*domain.Delivery
	order   []uuid.UUID
	made    []int64 // offsets of the records that made one, for each
	subs    subscribers
}

// subscribers are subscriptions, as projections know them.
type subscribers []domain.Subscription

func (all subscribers) Subscribers(e domain.Event) (ids []string) {
	for _, s := range all {
		if s.Wants(e) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func (l *deliveryLog) makes(d domain.Delivery) {
	if l.folded[d.ID] != nil {
		return
	}
	l.made = append(l.made, d.Position.Offset)
	l.folded[d.ID] = &d
	l.order = append(l.order, d.ID)
}

func (l *deliveryLog) append(e domain.Event) {
	r := domain.Recorded{Event: e, Position: domain.Position{Partition: 2, Offset: int64(len(l.log))}}
	l.log = append(l.log, r)
	for _, id := range l.subs.Subscribers(e) {
		l.makes(domain.Tell(r, id))
	}
	if d, ok := domain.DeliveryOf(r, nil, false); ok {
		l.makes(d)
		return
	}
	for _, d := range l.folded {
		switch e := r.Data.(type) {
		case domain.DeliveryAttempted:
			if e.DeliveryID == d.ID {
				d.Apply(r)
			}
		case domain.DeliveryRedriven:
			if e.DeliveryID == d.ID {
				d.Apply(r)
			}
		case domain.DeliveryDropped:
			if e.DeliveryID == d.ID {
				d.Apply(r)
			}
		}
	}
}

func (l *deliveryLog) step(t *rapid.T) {
	l.now = l.now.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "pause")) * time.Millisecond)
	what := rapid.IntRange(0, 9).Draw(t, "what")
	if what < 4 || len(l.order) == 0 {
		ref := fmt.Sprintf("contact/%d", rapid.IntRange(0, 3).Draw(t, "contact"))
		l.append(l.channel.Send(ref, uuid.New(), domain.Content{Type: domain.ContentText, Text: "hello\u2028"}, "", l.now))
		return
	}
	d := *l.folded[l.order[rapid.IntRange(0, len(l.order)-1).Draw(t, "which")]]
	switch what {
	case 4:
		e, err := d.Redrive("a person", l.now)
		if err == nil {
			l.append(e)
		}
	case 5:
		e, err := d.Drop("a person", l.now)
		if err == nil {
			l.append(e)
		}
	case 6: // a record that landed twice
		l.append(l.log[rapid.IntRange(0, len(l.log)-1).Draw(t, "again")].Event)
	default:
		verdict := rapid.SampledFrom([]domain.Verdict{domain.Delivered, domain.Retry, domain.Refused}).Draw(t, "verdict")
		o := domain.Outcome{Verdict: verdict, Reason: domain.ReasonServerError, HTTPStatus: 500, Response: []byte("oh\x00no\xff")}
		policy := domain.DeliveryPolicy{Schedule: []time.Duration{time.Second}}
		wait, more := policy.Wait(d.Tries+1, 0)
		l.append(d.Attempted(o, policy, wait, more, l.now, l.now.Add(time.Millisecond)))
	}
}

// Ensure rows are the fold of the log, each lane's head is its first row that
// blocks, and the counts are those of the rows, whatever the cuts between runs.
func TestDeliveries_RowsAreTheFoldOfTheLog(t *testing.T) {
	t.Parallel()
	pool := database(t)
	rapid.Check(t, func(t *rapid.T) {
		if _, err := pool.Exec(t.Context(), "truncate deliveries, delivery_attempts, delivery_depth"); err != nil {
			t.Fatal(err)
		}
		l := &deliveryLog{
			channel: domain.Channel{ID: "c1", Account: "default", Dialect: domain.DialectRespondIO, IDType: domain.IDTypeCustom},
			now:     time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), folded: map[uuid.UUID]*domain.Delivery{},
		}
		if rapid.Bool().Draw(t, "subscribed") {
			l.subs = someSubscriptions(l.now)
		}
		p := projections.NewDeliveries(pool).For(l.subs)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			l.step(t)
		}
		var made []int64
		for rest := l.log; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "run")
			run := rest[:n]
			rest = rest[n:]
			p.Begin(2)
			applyDeliveries(t, pool, p, 2, run)
			for _, r := range run {
				for _, d := range p.Made(2, r.Position.Offset) {
					made = append(made, d.Position.Offset)
				}
			}
		}
		if !slices.Equal(made, l.made) {
			t.Fatalf("made at %v, want %v", made, l.made)
		}
		compareDeliveries(t, pool, p, l)
	})
}

// someSubscriptions are one that changes its mind, one that hears of deliveries and
// one of another channel.
func someSubscriptions(now time.Time) subscribers {
	after := func(d time.Duration, r domain.Revision) domain.Revision {
		r.Since = now.Add(d)
		return r
	}
	return subscribers{
		{ID: "s1", Account: "default", Revisions: []domain.Revision{
			after(0, domain.Revision{}), after(20*time.Second, domain.Revision{Off: true}), after(40*time.Second, domain.Revision{Channel: "c1"}),
		}},
		{ID: "s2", Account: "default", Revisions: []domain.Revision{after(10*time.Second, domain.Revision{Events: []string{"delivery.*", "message.sent"}})}},
		{ID: "s3", Account: "default", Revisions: []domain.Revision{after(0, domain.Revision{Channel: "c2"})}},
	}
}

func compareDeliveries(t *rapid.T, pool *pgxpool.Pool, p *projections.Deliveries, l *deliveryLog) {
	ctx := context.Background()
	depth := map[domain.DeliveryState]int64{}
	lanes := map[string][]domain.Delivery{}
	for _, id := range l.order {
		want := *l.folded[id]
		depth[want.State]++
		if want.Blocks() {
			lanes[want.Lane()] = append(lanes[want.Lane()], want)
		}
		got, attempts, err := p.Delivery(ctx, "default", id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("row differs from the fold (-want +got):\n%s", diff)
		}
		if len(attempts) != want.Attempts {
			t.Fatalf("%d attempts are kept, %d were made", len(attempts), want.Attempts)
		}
	}
	counted, err := p.Depth(ctx, []int{2})
	if err != nil {
		t.Fatal(err)
	}
	for state, n := range counted {
		if n != depth[state] {
			t.Fatalf("depth of %s is %d, want %d", state, n, depth[state])
		}
	}
	var heads []uuid.UUID
	rows, err := pool.Query(ctx, "select id from deliveries where head order by id")
	if err == nil {
		heads, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	}
	if err != nil {
		t.Fatal(err)
	}
	var want []uuid.UUID
	for _, rows := range lanes {
		want = append(want, rows[0].ID)
	}
	slices.SortFunc(want, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	if !slices.Equal(heads, want) {
		t.Fatalf("heads are %v, want %v", heads, want)
	}
	byTarget := map[string]map[string][]domain.Delivery{}
	for name, rows := range lanes {
		target := rows[0].Target()
		if byTarget[target] == nil {
			byTarget[target] = map[string][]domain.Delivery{}
		}
		byTarget[target][name] = rows
	}
	targets, err := p.OpenTargets(ctx, 2)
	if err != nil || !slices.Equal(targets, slices.Sorted(maps.Keys(byTarget))) {
		t.Fatalf("open targets are %v with %v: %v", targets, slices.Collect(maps.Keys(lanes)), err)
	}
	for target, lanes := range byTarget {
		compareLanes(t, p, target, lanes)
	}
}

func compareLanes(t *rapid.T, p *projections.Deliveries, target string, lanes map[string][]domain.Delivery) {
	ctx := context.Background()
	known := domain.LaneAt(target, "c1", "contact/3")
	open, err := p.OpenHeads(ctx, 2, target, time.Time{}, 100, 100, 2, []string{known})
	if err != nil {
		t.Fatal(err)
	}
	parked, err := p.ParkedLanes(ctx, 2, target, 100)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]uuid.UUID{}
	for _, d := range open {
		got[d.Lane()] = append(got[d.Lane()], d.ID)
	}
	for lane, rows := range lanes {
		if rows[0].Parked != slices.Contains(parked, lane) {
			t.Fatalf("lane %s: parked lanes are %v", lane, parked)
		}
		var want []uuid.UUID
		if !rows[0].Parked && lane != known {
			for _, d := range rows[:min(2, len(rows))] {
				want = append(want, d.ID)
			}
		}
		if !slices.Equal(got[lane], want) {
			t.Fatalf("lane %s is %v, want %v", lane, got[lane], want)
		}
		after := rows[0].Position.Offset
		followers, err := p.LaneRows(ctx, []string{lane}, []int64{after}, 100)
		if err != nil || len(followers) != len(rows)-1 {
			t.Fatalf("lane %s has %d followers, want %d: %v", lane, len(followers), len(rows)-1, err)
		}
	}
}

// Ensure lists come newest first, in parts, narrowed by the filter, and never
// show another account's.
func TestDeliveries_Lists(t *testing.T) {
	t.Parallel()
	pool := database(t)
	p := projections.NewDeliveries(pool)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var log []domain.Recorded
	add := func(e domain.Event) {
		log = append(log, domain.Recorded{Event: e, Position: domain.Position{Offset: int64(len(log))}})
	}
	for i := range 25 {
		ch := domain.Channel{ID: fmt.Sprintf("c%d", i%2), Account: "default", Dialect: domain.DialectRespondIO}
		if i%5 == 4 {
			ch = domain.Channel{ID: "other", Account: "another", Dialect: domain.DialectRespondIO}
		}
		// Ten share a moment: the cursor has to tell them apart.
		add(ch.Send("anna", uuid.New(), domain.Content{Type: domain.ContentText, Text: "hello"}, "", now.Add(time.Duration(i/10)*time.Second)))
		d, _ := domain.DeliveryOf(log[len(log)-1], nil, false)
		if i%3 == 0 {
			add(d.Attempted(domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected}, ch.Delivery, 0, false, now, now))
		}
	}
	applyDeliveries(t, pool, p, 0, log)
	walk := func(f domain.DeliveryFilter) (list []domain.Delivery) {
		for after := ""; ; {
			part, next, err := p.Deliveries(t.Context(), f, domain.Page{Limit: 4, After: after})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, part...)
			if next == "" {
				return list
			}
			after = next
		}
	}
	all := walk(domain.DeliveryFilter{Account: "default"})
	seen := map[uuid.UUID]bool{}
	for i, d := range all {
		if d.Account != "default" || seen[d.ID] || (i > 0 && d.CreatedAt.After(all[i-1].CreatedAt)) {
			t.Fatalf("entry %d is out of place: %+v", i, d)
		}
		seen[d.ID] = true
	}
	if len(all) != 20 {
		t.Fatalf("%d deliveries, want 20", len(all))
	}
	for _, d := range walk(domain.DeliveryFilter{Account: "default", Channel: "c1", State: domain.StateDead}) {
		if d.Channel != "c1" || d.State != domain.StateDead {
			t.Fatalf("got %+v", d)
		}
	}
	if n := len(walk(domain.DeliveryFilter{Account: "default", State: domain.StatePending})) + len(walk(domain.DeliveryFilter{Account: "default", State: domain.StateDead})); n != 20 {
		t.Fatalf("%d are pending or dead, want 20", n)
	}
	if n := len(walk(domain.DeliveryFilter{Account: "default", Channel: "other"})); n != 0 {
		t.Fatalf("%d of another account", n)
	}
	if _, _, err := p.Deliveries(t.Context(), domain.DeliveryFilter{Account: "default"}, domain.Page{Limit: 4, After: "nonsense"}); domain.CodeOf(err) != domain.CodeInvalid {
		t.Fatalf("a cursor of nobody's: %v", err)
	}
	if _, _, err := p.Delivery(t.Context(), "another", all[0].ID); domain.CodeOf(err) != domain.CodeNotFound {
		t.Fatalf("another account's delivery: %v", err)
	}
}

// Ensure a lease has one owner at a time, is kept by renewing, and is told from
// an earlier one of the same owner.
func TestDeliveries_Lease(t *testing.T) {
	t.Parallel()
	p := projections.NewDeliveries(database(t))
	ctx := t.Context()
	lease := func(owner string, ttl time.Duration, steal bool) (int64, time.Duration) {
		epoch, wait, err := p.Lease(ctx, 1, owner, ttl, steal)
		if err != nil {
			t.Fatal(err)
		}
		return epoch, wait
	}
	renew := func(owner string, epoch int64) bool {
		ok, err := p.Renew(ctx, 1, owner, epoch, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	first, _ := lease("a", time.Minute, false)
	if epoch, wait := lease("b", time.Minute, false); first == 0 || epoch != 0 || wait < 50*time.Second || wait > time.Minute {
		t.Fatalf("b got epoch %d, wait %s", epoch, wait)
	}
	if !renew("a", first) || renew("b", first) {
		t.Fatal("renewed by the wrong one")
	}
	again, _ := lease("a", time.Minute, false)
	if again != first+1 || renew("a", first) {
		t.Fatalf("taken again as epoch %d", again)
	}
	if err := p.Release(ctx, 1, "a", first); err != nil {
		t.Fatal(err)
	}
	if epoch, _ := lease("b", time.Minute, false); epoch != 0 {
		t.Fatal("released by an earlier lease")
	}
	stolen, _ := lease("b", time.Minute, true)
	if stolen != again+1 || renew("a", again) {
		t.Fatal("not stolen")
	}
	if err := p.Release(ctx, 1, "b", stolen); err != nil {
		t.Fatal(err)
	}
	if !renew("b", stolen) {
		t.Fatal("a lease that ended and that nobody took is not renewed")
	}
	if err := p.Release(ctx, 1, "b", stolen); err != nil {
		t.Fatal(err)
	}
	if epoch, _ := lease("c", time.Minute, false); epoch != stolen+1 {
		t.Fatalf("c got epoch %d", epoch)
	}
}

// Ensure a transaction that is rolled back leaves nothing, not even in memory.
func TestDeliveries_RolledBackRunIsAppliedAnew(t *testing.T) {
	t.Parallel()
	pool := database(t)
	p := projections.NewDeliveries(pool)
	ch := domain.Channel{ID: "c1", Account: "default", Dialect: domain.DialectRespondIO}
	e := ch.Send("anna", uuid.New(), domain.Content{Type: domain.ContentText, Text: "hello"}, "", time.Now())
	run := []domain.Recorded{{Event: e}, {Event: e, Position: domain.Position{Offset: 1}}}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), tx, 0, run); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	applyDeliveries(t, pool, p, 0, run)
	if len(p.Made(0, 0)) != 1 {
		t.Error("the first record has made nothing")
	}
	if len(p.Made(0, 1)) != 0 {
		t.Error("a repeat has made something")
	}
}
