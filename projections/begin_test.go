package projections_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// rememberer is a projection that remembers what the last transaction of each
// partition held, as Deliveries does, and a follower that compares.
type rememberer struct {
	counter

	mu     sync.Mutex
	seen   map[int][]int64 // by partition, since Begin
	told   int
	amiss  []int64 // told, and not remembered
	behind []int64 // remembered, and of an earlier transaction
}

func (m *rememberer) Begin(partition int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.seen, partition)
}

func (m *rememberer) Apply(ctx context.Context, tx pgx.Tx, partition int, events []domain.Recorded) error {
	if err := m.counter.Apply(ctx, tx, partition, events); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range events {
		m.seen[partition] = append(m.seen[partition], r.Position.Offset)
	}
	return nil
}

func (*rememberer) Gained(context.Context, int, int64) {}

func (*rememberer) Lost(int) {}

func (m *rememberer) Applied(partition int, events []domain.Recorded, _ int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var offsets []int64
	for _, r := range events {
		offsets = append(offsets, r.Position.Offset)
		if m.told++; !slices.Contains(m.seen[partition], r.Position.Offset) {
			m.amiss = append(m.amiss, r.Position.Offset)
		}
	}
	for _, offset := range m.seen[partition] {
		if !slices.Contains(offsets, offset) {
			m.behind = append(m.behind, offset)
		}
	}
}

// Ensure that a projection that keeps something of a transaction for its follower
// has all of it when the follower is told, and nothing of earlier ones, also where
// a held stream is released event by event.
func TestRuntime_tellsOfEachTransaction(t *testing.T) {
	t.Parallel()
	r, m := newRig(t), &rememberer{seen: map[int][]int64{}}
	r.start(t, m, func(cfg *projections.RuntimeConfig) { cfg.Follower = m })
	r.write(t, written(1, "a"))
	bad := r.spoil(t, written(1, "b"), noJSON)
	r.write(t, written(1, "c"), written(1, "d"), written(1, "e"))
	const others = 12 // some of them share the partition
	for contact := range others {
		r.write(t, written(2+contact, "a"))
	}
	r.settled(t, stream(1))
	r.decide(t, bad, projections.VerdictSkip)
	until(t, "the stream goes on", func() bool { return r.trail(t, 1) == "a c d e" })
	r.write(t, written(1, "f"))
	r.settled(t)
	until(t, "all is told", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.told == 5+others
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.amiss)+len(m.behind) > 0 {
		t.Errorf("told and not remembered: %v; remembered of earlier transactions: %v", m.amiss, m.behind)
	}
}
