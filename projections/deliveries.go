package projections

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
)

// Deliveries is the read model of outbound events on their way to callbacks and
// functions, with their attempts. It is also what the delivery worker starts
// from: which deliveries head their lane is kept with the rows (head), so that
// finding work costs the same whatever waits behind it.
//
// What a conversation's events ask to be delivered depends, in dialects that
// have episodes, on where the episode stands. The projection folds episodes for
// itself (domain.Episode), from the same events as Conversations: the two agree,
// however far each of them is.
type Deliveries struct {
	pool          *pgxpool.Pool
	subscriptions subscriptions // nil = there are none

	mu   sync.Mutex
	made map[int]map[int64][]domain.Delivery // by partition and offset, of its last transaction
}

// subscriptions names those that want an event. The answer follows from the
// event alone, whoever asks and whenever.
type subscriptions interface {
	Subscribers(e domain.Event) []string
}

// NewDeliveries makes the projection; pool serves its reads.
func NewDeliveries(pool *pgxpool.Pool) *Deliveries {
	return &Deliveries{pool: pool, made: map[int]map[int64][]domain.Delivery{}}
}

// For makes the projection tell subscriptions, too. It is called before the first
// Apply; all that fold one log must be told the same.
func (p *Deliveries) For(s subscriptions) *Deliveries {
	p.subscriptions = s
	return p
}

// Name is the projection's key in checkpoints.
func (p *Deliveries) Name() string { return "deliveries" }

// Begin forgets what the partition's last transaction has made.
func (p *Deliveries) Begin(partition int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.made, partition)
}

// Made gives the deliveries that the record at an offset of the partition's last
// transaction has made, as they were then. A record that tells of one that was
// known before, or that took no effect, has made none. It is a property of the log,
// true whatever became of the transaction.
func (p *Deliveries) Made(partition int, offset int64) []domain.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made[partition][offset]
}

// noteMade adds what a run has made.
func (p *Deliveries) noteMade(partition int, made []domain.Delivery) {
	if len(made) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made[partition] == nil {
		p.made[partition] = make(map[int64][]domain.Delivery, len(made))
	}
	for _, d := range made {
		delete(p.made[partition], d.Position.Offset) // of a transaction that was rolled back
	}
	for _, d := range made {
		p.made[partition][d.Position.Offset] = append(p.made[partition][d.Position.Offset], d)
	}
}

// Apply folds a run of events into rows: two round trips, whatever its length.
func (p *Deliveries) Apply(ctx context.Context, tx pgx.Tx, partition int, events []domain.Recorded) error {
	run := newDeliveryRun(partition, events, p.subscriptions)
	if run.empty() {
		return nil
	}
	if err := run.load(ctx, tx); err != nil {
		return fmt.Errorf("load deliveries: %w", err)
	}
	for _, r := range events {
		run.apply(r)
	}
	p.noteMade(partition, run.made)
	if err := run.write(ctx, tx); err != nil {
		return fmt.Errorf("write deliveries: %w", err)
	}
	return nil
}

// deliveryRow is a delivery as one run sees it.
type deliveryRow struct {
	domain.Delivery
	lane  string
	head  bool                 // as stored; of no meaning for a new row
	was   domain.DeliveryState // as stored, "" = new
	dirty bool
}

// deliveryRun is one run of events of a partition, folded in memory.
type deliveryRun struct {
	partition int
	told      map[int64][]string // subscriptions by the offset of what they are told
	ids       []uuid.UUID        // deliveries that the run names
	named     map[string]int     // how many, by stream
	lanes     map[string]*runLane
	episodes  map[uuid.UUID]*runEpisode // by conversation
	rows      map[uuid.UUID]*deliveryRow
	order     []*deliveryRow // new rows, in the order of the log
	made      []domain.Delivery
	attempts  []attemptRow
	endpoints map[string]*endpointRun // by target
	noticed   *noticeRun              // nil = no event of a dialect with tickets
}

// runLane is a lane that a run may touch.
type runLane struct {
	stream string
	stored []laneEntry                // its first blocking rows, as stored, one more than the run names of its stream
	rows   map[uuid.UUID]*deliveryRow // those the run names
}

type laneEntry struct {
	id     uuid.UUID
	offset int64
	head   bool
}

type attemptRow struct {
	delivery uuid.UUID
	domain.DeliveryAttempted
}

func newDeliveryRun(partition int, events []domain.Recorded, subscribed subscriptions) *deliveryRun {
	run := &deliveryRun{
		partition: partition, named: map[string]int{}, lanes: map[string]*runLane{}, rows: map[uuid.UUID]*deliveryRow{},
	}
	seen := make(map[uuid.UUID]struct{}, len(events))
	run.notices(events, seen)
	for _, r := range events {
		run.touch(r)
		if subscribed != nil {
			run.subscribe(r, subscribed.Subscribers(r.Event), seen)
		}
		id, ok := deliveryIn(r)
		if !ok || !run.name(id, r, seen) {
			continue
		}
		if _, calls := r.Data.(domain.MessageReceived); !calls {
			run.lane(r.LaneOf(), r.Stream())
		}
	}
	return run
}

// name notes a delivery that the run names; false when it has done so before.
func (run *deliveryRun) name(id uuid.UUID, r domain.Recorded, seen map[uuid.UUID]struct{}) bool {
	if _, again := seen[id]; again {
		return false
	}
	seen[id] = struct{}{}
	run.ids = append(run.ids, id)
	run.named[r.Stream()]++
	return true
}

// subscribe notes who is told of an event, and their lanes.
func (run *deliveryRun) subscribe(r domain.Recorded, ids []string, seen map[uuid.UUID]struct{}) {
	if len(ids) == 0 {
		return
	}
	if run.told == nil {
		run.told = map[int64][]string{}
	}
	run.told[r.Position.Offset] = ids
	for _, id := range ids {
		run.name(domain.SubscriptionDeliveryID(r.ID, id), r, seen)
		run.lane(domain.LaneAt(domain.SubscriptionTarget(id), r.Channel, r.ContactRef), r.Stream())
	}
}

// empty tells whether the run is nobody's business here.
func (run *deliveryRun) empty() bool {
	return len(run.ids) == 0 && len(run.episodes) == 0 && run.noticed == nil
}

// lane gives a lane of a stream.
func (run *deliveryRun) lane(name, stream string) *runLane {
	lane := run.lanes[name]
	if lane == nil {
		lane = &runLane{stream: stream, rows: map[uuid.UUID]*deliveryRow{}}
		run.lanes[name] = lane
	}
	return lane
}

// deliveryIn names the delivery that an event is about, or may have made.
func deliveryIn(r domain.Recorded) (uuid.UUID, bool) {
	switch e := r.Data.(type) {
	case domain.MessageSent:
		return domain.DeliveryID(r.ID), !r.Dialect.HasTickets() // NoticesOf
	case domain.DeliveryAttempted:
		return e.DeliveryID, true
	case domain.DeliveryRedriven:
		return e.DeliveryID, true
	case domain.DeliveryDropped:
		return e.DeliveryID, true
	}
	if !r.Dialect.HasEpisodes() {
		return uuid.UUID{}, false
	}
	switch r.Data.(type) {
	case domain.ConversationClosed:
		return domain.DeliveryID(r.ID), true
	case domain.MessageReceived:
		return domain.FunctionCallID(r), true
	default:
		return uuid.UUID{}, false
	}
}

// load reads the rows that the run names, and of each lane as many of its first
// blocking rows that one of them is not named by the run; the episodes and the
// lanes of their functions with them.
func (run *deliveryRun) load(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	run.queueEpisodes(batch)
	run.queueRevisions(batch)
	batch.Queue(`
		select id, "offset", lane, state, parked, head, attempts, tries, created_at,
			first_tried_at, next_attempt_at, settled_at, last_reason, last_detail
		from deliveries where id = any($1)`, uuidArray(run.ids)).Query(eachRow(run.loadRow))
	names, limits := make([]string, 0, len(run.lanes)), make([]int64, 0, len(run.lanes))
	for name, lane := range run.lanes {
		names, limits = append(names, name), append(limits, int64(run.named[lane.stream]+1))
	}
	batch.Queue(`
		select t.lane, d.id, d."offset", d.head
		from unnest($1::text[], $2::bigint[]) t(lane, n) cross join lateral (
			select id, "offset", head from deliveries
			where lane = t.lane and blocks order by "offset" limit t.n
		) d`, names, limits).Query(eachRow(func(row pgx.CollectableRow) error {
		name, entry, err := scanEntry(row)
		if err != nil {
			return err
		}
		run.lanes[name].stored = append(run.lanes[name].stored, entry)
		return nil
	}))
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	for _, row := range run.rows {
		// A row of a lane that the events do not tell of is known, and left alone.
		if lane := run.lanes[row.lane]; lane != nil {
			lane.rows[row.ID] = row
		}
	}
	return nil
}

func (run *deliveryRun) loadRow(rows pgx.CollectableRow) error {
	row := &deliveryRow{}
	row.Position.Partition = run.partition
	if err := rows.Scan(raw(&row.ID), &row.Position.Offset, &row.lane, &row.State, &row.Parked, &row.head,
		&row.Attempts, &row.Tries, &row.CreatedAt, &row.FirstTriedAt, &row.NextAttemptAt, &row.SettledAt,
		&row.LastReason, &row.LastDetail); err != nil {
		return fmt.Errorf("read a delivery: %w", err)
	}
	row.was = row.State
	run.rows[row.ID] = row
	return nil
}

func scanEntry(row pgx.CollectableRow) (lane string, entry laneEntry, err error) {
	if err := row.Scan(&lane, raw(&entry.id), &entry.offset, &entry.head); err != nil {
		return "", entry, fmt.Errorf("read the head of a lane: %w", err)
	}
	return lane, entry, nil
}

// apply folds one event.
func (run *deliveryRun) apply(r domain.Recorded) {
	if !run.takes(r) {
		return
	}
	run.tell(r)
	for _, id := range run.told[r.Position.Offset] {
		run.make(domain.Tell(r, id), r.Stream())
	}
	episode, took := run.moveOn(r)
	if d, ok := domain.DeliveryOf(r, episode, took); ok {
		run.make(d, r.Stream())
		return
	}
	id, ok := deliveryIn(r)
	if !ok {
		return
	}
	row := run.rows[id]
	if row == nil || row.lane != r.LaneOf() {
		return
	}
	state, attempts := row.State, row.Attempts
	row.Apply(r)
	if row.State == state && row.Attempts == attempts {
		return // told before
	}
	row.dirty = true
	if e, ok := r.Data.(domain.DeliveryAttempted); ok {
		run.attempts = append(run.attempts, attemptRow{delivery: id, DeliveryAttempted: e})
		run.charge(r, e)
	}
}

// make adds a delivery of a stream, unless it was told before.
func (run *deliveryRun) make(d domain.Delivery, stream string) {
	if run.rows[d.ID] != nil {
		return
	}
	row := &deliveryRow{Delivery: d, lane: d.Lane(), dirty: true}
	run.rows[d.ID], run.lane(row.lane, stream).rows[d.ID] = row, row
	run.order, run.made = append(run.order, row), append(run.made, d)
}

// heads finds the head of each lane, marks the rows of the run, and lists the
// other rows that become head or stop being it.
func (run *deliveryRun) heads() (ids []uuid.UUID, flags []bool) {
	for _, lane := range run.lanes {
		var first *deliveryRow
		for _, row := range lane.rows {
			if row.Blocks() && (first == nil || row.Position.Offset < first.Position.Offset) {
				first = row
			}
		}
		// The stored head is a row of the run, or the first entry that is not.
		for _, entry := range lane.stored {
			if lane.rows[entry.id] != nil {
				continue
			}
			leads := first == nil || entry.offset < first.Position.Offset
			if leads {
				first = nil
			}
			if leads != entry.head {
				ids, flags = append(ids, entry.id), append(flags, leads)
			}
			break
		}
		for _, row := range lane.rows {
			if leads := row == first; leads != row.head {
				row.head, row.dirty = leads, true
			}
		}
	}
	return ids, flags
}
