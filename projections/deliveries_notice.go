package projections

import (
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// noticeRun is what one run makes of events of dialects with tickets: who is told,
// and which events are void and tell nobody. That is decided by revisions that the
// projection keeps for itself: it is not where Conversations is in the log.
type noticeRun struct {
	touched   domain.Touched
	revisions *domain.Revisions
	told      map[int64][]domain.Delivery // by the offset of what they tell
}

// The kinds of what has revisions here. Identities tell nobody anything.
const (
	revisedPerson = "person"
	revisedTicket = "ticket"
	revisedPost   = "post"
)

// notices notes what the run tells, and where. A run without events of such
// dialects costs no more than a look at each.
func (run *deliveryRun) notices(events []domain.Recorded, seen map[uuid.UUID]struct{}) {
	touched, ok := domain.Touches(events)
	if !ok {
		return
	}
	run.noticed = &noticeRun{touched: touched, revisions: domain.NewRevisions(), told: map[int64][]domain.Delivery{}}
	run.noticed.revisions.Identities, run.noticed.revisions.FirstPosts = nil, true
	for _, r := range events {
		deliveries := domain.NoticesOf(r)
		for _, d := range deliveries {
			run.name(d.ID, r, seen)
			run.lane(d.Lane(), r.Stream())
		}
		if len(deliveries) > 0 {
			run.noticed.told[r.Position.Offset] = deliveries
		}
	}
}

// takes tells whether an event takes effect; one that does not tells nobody
// anything.
func (run *deliveryRun) takes(r domain.Recorded) bool {
	return run.noticed == nil || run.noticed.revisions.Take(r)
}

// tell makes the deliveries of an event that has taken effect.
func (run *deliveryRun) tell(r domain.Recorded) {
	if run.noticed == nil {
		return
	}
	for _, d := range run.noticed.told[r.Position.Offset] {
		run.make(d, r.Stream())
	}
}

func (run *deliveryRun) queueRevisions(batch *pgx.Batch) {
	if run.noticed == nil {
		return
	}
	var kinds []string
	var ids []uuid.UUID
	add := func(kind string, id uuid.UUID) { kinds, ids = append(kinds, kind), append(ids, id) }
	for id := range run.noticed.touched.People {
		add(revisedPerson, numbered(id))
	}
	for id := range run.noticed.touched.Tickets {
		add(revisedTicket, id)
	}
	for id := range run.noticed.touched.Posts {
		add(revisedPost, numbered(id))
	}
	if len(ids) == 0 {
		return
	}
	batch.Queue(`
		select r.kind, r.id, r.revision, r.error from unnest($1::text[], $2::uuid[]) k(kind, id) cross join lateral (
			select * from delivery_revisions where kind = k.kind and id = k.id offset 0
		) r`, kinds, uuidArray(ids)).Query(eachRow(run.noticed.load))
}

func (n *noticeRun) load(row pgx.CollectableRow) error {
	var kind string
	var id uuid.UUID
	known := &domain.Revised{}
	if err := row.Scan(&kind, raw(&id), &known.Revision, &known.Error); err != nil {
		return fmt.Errorf("read a revision: %w", err)
	}
	known.Removed = known.Revision == math.MaxInt32
	switch kind {
	case revisedPerson:
		n.revisions.People[number(id)] = known
	case revisedTicket:
		n.revisions.Tickets[id] = known
	case revisedPost:
		n.revisions.Posts[number(id)] = known
	}
	return nil
}

// writeRevisions keeps what has moved. A post is kept from its second revision on:
// its first comes with one of its ticket.
func (run *deliveryRun) writeRevisions(batch *pgx.Batch) {
	if run.noticed == nil {
		return
	}
	var kinds []string
	var ids []uuid.UUID
	var revisions []int32
	var errors []*string
	add := func(kind string, id uuid.UUID, to *domain.Revised) {
		if !to.Changed {
			return
		}
		revision := int32(min(to.Revision, math.MaxInt32-1))
		if to.Removed {
			revision = math.MaxInt32
		}
		kinds, ids, revisions, errors = append(kinds, kind), append(ids, id), append(revisions, revision), append(errors, cleared(to.Error))
	}
	for id, to := range run.noticed.revisions.People {
		add(revisedPerson, numbered(id), to)
	}
	for id, to := range run.noticed.revisions.Tickets {
		add(revisedTicket, id, to)
	}
	for id, to := range run.noticed.revisions.Posts {
		if to.Revision > 1 {
			add(revisedPost, numbered(id), to)
		}
	}
	if len(ids) == 0 {
		return
	}
	// Keys are sorted by the statement, so that no two writers wait in a circle.
	batch.Queue(`
		insert into delivery_revisions as r (kind, id, revision, error)
		select * from unnest($1::text[], $2::uuid[], $3::int[], $4::text[]) n(kind, id, revision, error) order by kind collate "C", id
		on conflict (kind, id) do update set revision = excluded.revision, error = excluded.error`,
		kinds, uuidArray(ids), revisions, errors)
}

func cleared(text *string) *string {
	if text == nil {
		return nil
	}
	kept := domain.Storable(*text)
	return &kept
}

// numbered puts a number where ids stand.
func numbered(n int64) uuid.UUID {
	var id uuid.UUID
	for i := range 8 {
		id[15-i] = byte(n >> (8 * i))
	}
	return id
}

func number(id uuid.UUID) int64 {
	n := int64(0)
	for _, b := range id[8:] {
		n = n<<8 | int64(b)
	}
	return n
}
