package callback

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// memory is a Store that keeps the promises of the real one in plain Go, for
// tests in which time is faked: those cannot wait for a database.
type memory struct {
	mu     sync.Mutex
	rows   map[uuid.UUID]*domain.Delivery
	made   map[domain.Position]domain.Delivery
	leases map[int]memoryLease
	stands map[string]*domain.Episode // by stream
	away   bool                       // the database cannot be reached
	lag    func()                     // between reading and answering; nil = none
}

type memoryLease struct {
	owner string
	epoch int64
	until time.Time
}

func newMemory() *memory {
	return &memory{
		rows: map[uuid.UUID]*domain.Delivery{}, made: map[domain.Position]domain.Delivery{}, leases: map[int]memoryLease{},
		stands: map[string]*domain.Episode{},
	}
}

func (m *memory) project(_ context.Context, _ int, events []domain.Recorded) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range events {
		if d, ok := m.asked(r); ok {
			if m.rows[d.ID] == nil {
				m.rows[d.ID], m.made[r.Position] = &d, d
			}
			continue
		}
		var id uuid.UUID
		switch e := r.Data.(type) {
		case domain.DeliveryAttempted:
			id = e.DeliveryID
		case domain.DeliveryRedriven:
			id = e.DeliveryID
		case domain.DeliveryDropped:
			id = e.DeliveryID
		}
		if d := m.rows[id]; d != nil {
			d.Apply(r)
		}
	}
	return nil
}

// asked folds the episode of an event and tells what delivery the event asks for.
func (m *memory) asked(r domain.Recorded) (domain.Delivery, bool) {
	if !r.Dialect.HasEpisodes() {
		d, ok := domain.DeliveryOf(r, nil, false)
		if strings.HasPrefix(d.Content.Text, "receipt") {
			d.Kind, d.Subject.Notice = domain.DeliverNotice, &domain.Notice{Name: domain.NoticeMessageUpdated}
		}
		return d, ok
	}
	e := m.stands[r.Stream()]
	if e == nil {
		e = &domain.Episode{}
		m.stands[r.Stream()] = e
	}
	took := e.Apply(r)
	return domain.DeliveryOf(r, e, took)
}

func (m *memory) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

// answerLate runs after the lock is given back.
func (m *memory) answerLate() {
	if m.lag != nil {
		m.lag()
	}
}

func (m *memory) reachable() error {
	if m.away {
		return context.DeadlineExceeded
	}
	return nil
}

func (m *memory) Lease(_ context.Context, partition int, owner string, ttl time.Duration, steal bool) (int64, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reachable(); err != nil {
		return 0, 0, err
	}
	now, l := time.Now(), m.leases[partition]
	if l.owner != "" && l.owner != owner && l.until.After(now) && !steal {
		return 0, l.until.Sub(now), nil
	}
	m.leases[partition] = memoryLease{owner: owner, epoch: l.epoch + 1, until: now.Add(ttl)}
	return l.epoch + 1, 0, nil
}

func (m *memory) Renew(_ context.Context, partition int, owner string, epoch int64, ttl time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.leases[partition]
	if err := m.reachable(); err != nil || l.owner != owner || l.epoch != epoch {
		return false, err
	}
	l.until = time.Now().Add(ttl)
	m.leases[partition] = l
	return true, nil
}

func (m *memory) Release(_ context.Context, partition int, owner string, epoch int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.leases[partition]; l.owner == owner && l.epoch == epoch {
		l.until = time.Now()
		m.leases[partition] = l
	}
	return nil
}

// lanes gives what blocks in a partition, by lane in order.
func (m *memory) lanes(partition int) map[string][]domain.Delivery {
	lanes := map[string][]domain.Delivery{}
	for _, d := range m.rows {
		if d.Position.Partition == partition && d.Blocks() {
			lanes[d.Lane()] = append(lanes[d.Lane()], *d)
		}
	}
	for _, rows := range lanes {
		slices.SortFunc(rows, func(a, b domain.Delivery) int { return cmp.Compare(a.Position.Offset, b.Position.Offset) })
	}
	return lanes
}

func (m *memory) OpenTargets(_ context.Context, partition int) ([]string, error) {
	defer m.answerLate()
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for _, rows := range m.lanes(partition) {
		if !slices.Contains(list, rows[0].Target()) {
			list = append(list, rows[0].Target())
		}
	}
	return list, m.reachable()
}

func (m *memory) ParkedLanes(_ context.Context, partition int, target string, limit int) ([]string, error) {
	defer m.answerLate()
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for lane, rows := range m.lanes(partition) {
		if rows[0].Target() == target && rows[0].Parked && len(list) < limit {
			list = append(list, lane)
		}
	}
	return list, m.reachable()
}

func (m *memory) OpenHeads(_ context.Context, partition int, target string, due time.Time, fresh, retried, depth int, known []string) ([]domain.Delivery, error) {
	defer m.answerLate()
	m.mu.Lock()
	defer m.mu.Unlock()
	dueOf := func(d domain.Delivery) time.Time {
		if d.NextAttemptAt != nil {
			return *d.NextAttemptAt
		}
		return d.CreatedAt
	}
	var heads []domain.Delivery
	lanes := m.lanes(partition)
	for lane, rows := range lanes {
		if rows[0].Target() == target && !rows[0].Parked && !slices.Contains(known, lane) && (due.IsZero() || !dueOf(rows[0]).After(due)) {
			heads = append(heads, rows[0])
		}
	}
	slices.SortFunc(heads, func(a, b domain.Delivery) int { return dueOf(a).Compare(dueOf(b)) })
	var list []domain.Delivery
	for _, h := range heads {
		room := &fresh
		if h.State == domain.StateRetrying {
			room = &retried
		}
		if *room == 0 {
			continue
		}
		*room--
		rows := lanes[h.Lane()]
		list = append(list, rows[:min(depth, len(rows))]...)
	}
	return list, m.reachable()
}

func (m *memory) LaneRows(_ context.Context, names []string, after []int64, limit int) ([]domain.Delivery, error) {
	defer m.answerLate()
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []domain.Delivery
	for partition := range 16 {
		lanes := m.lanes(partition)
		for i, lane := range names {
			n := 0
			for _, d := range lanes[lane] {
				if d.Position.Offset > after[i] && n < limit {
					n++
					list = append(list, d)
				}
			}
		}
	}
	return list, m.reachable()
}

func (m *memory) Depth(context.Context, []int) (map[domain.DeliveryState]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	depth := map[domain.DeliveryState]int64{}
	for _, d := range m.rows {
		depth[d.State]++
	}
	return depth, m.reachable()
}

func (m *memory) Made(partition int, offset int64) []domain.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d, ok := m.made[domain.Position{Partition: partition, Offset: offset}]; ok {
		return []domain.Delivery{d}
	}
	return nil
}

// delivery gives a row.
func (m *memory) delivery(t testing.TB, id uuid.UUID) domain.Delivery {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.rows[id]
	if d == nil {
		t.Fatalf("there is no delivery %s", id)
	}
	return *d
}
