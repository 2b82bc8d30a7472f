package projections_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// remembered checks that each checkpoint knows the record before it, as the log
// holds it.
func (r *rig) remembered(t *testing.T) {
	t.Helper()
	for number := range logPartitions {
		var next, offset int64
		var id string
		err := r.pool.QueryRow(t.Context(), `select next, coalesce(last_offset, -1), coalesce(last_id, '?') from checkpoints where projection = 'counter' and partition = $1`,
			number).Scan(&next, &offset, &id)
		if err != nil {
			t.Fatal(err)
		}
		if next == 0 {
			continue
		}
		want, ok, err := r.log.IDAt(t.Context(), r.topic, number, next-1)
		if err != nil || !ok {
			t.Fatalf("the log holds nothing at %d:%d: %v", number, next-1, err)
		}
		if want = domain.Cut(domain.Storable(want), 200); id != want || offset != next-1 {
			t.Errorf("partition %d: the checkpoint %d remembers %q at %d, the log holds %q before it", number, next, id, offset, want)
		}
	}
}

// Ensure that a checkpoint remembers the record before it, also one that was not
// applied, and that a start that finds it in the log goes on.
func TestCheckpoint_remembersLastRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t, counter{}, nil)
	r.writeMany(t, 300)
	r.settled(t)
	r.remembered(t)

	unread := r.spoil(t, written(1, "unread"), noJSON) // decoding fails
	refused := written(2, "refused")
	r.refuse(t, refused.ID, true) // the database fails
	r.write(t, refused)
	foreign := r.spoil(t, written(3, "foreign"), func(msg *message.Message) { msg.UUID = "no id of ours: " + strings.Repeat("x", 300) })
	r.settled(t, stream(1), stream(2), stream(3))
	r.remembered(t)
	r.write(t, written(2, "waits")) // behind the refused one
	r.settled(t, stream(1), stream(2), stream(3))
	r.remembered(t)
	p.stop()

	p = r.start(t, counter{}, nil)
	for _, q := range r.quarantined(t) {
		r.decide(t, domain.Position{Partition: q.Partition, Offset: q.Offset}, projections.VerdictSkip)
	}
	until(t, "nothing is held", func() bool { return len(r.quarantined(t)) == 0 })
	p.stop()
	p = r.start(t, counter{}, nil)
	r.write(t, written(1, "on"), written(2, "on"), written(3, "on"))
	until(t, "all go on", func() bool {
		return strings.HasSuffix(r.trail(t, 1), " on") && strings.HasSuffix(r.trail(t, 2), " waits on") && strings.HasSuffix(r.trail(t, 3), " on")
	})
	r.remembered(t)
	if len(p.stopped) > 0 {
		t.Errorf("with records at %v and %v: %v", unread, foreign, <-p.stopped)
	}
}

// Ensure that a log that was cut and has grown again is not gone on with, that nobody
// is told of its partitions, and that with the right log everything goes on.
func TestCheckpoint_logRegrown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t, counter{}, nil)
	r.writeMany(t, 200)
	r.settled(t)
	p.stop()
	rows, right, was := fmt.Sprint(r.trails(t)), r.topic, r.written

	r.anew(t)
	for contact := range 20 { // ids are derived from words: what is the same is the same event
		r.write(t, written(contact, "other"))
	}
	r.writeMany(t, 400) // more than were applied, in every partition that has any
	told := &listener{next: map[int]int64{}, has: map[int]bool{}}
	p = r.start(t, counter{}, func(cfg *projections.RuntimeConfig) { cfg.Follower = told })
	stand, err := projections.Checkpoints(t.Context(), r.pool, "counter")
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range stand {
		if next == 0 {
			continue
		}
		select {
		case err := <-p.stopped:
			if !errors.Is(err, projections.ErrRegrown) || !strings.Contains(err.Error(), "the log holds another event at ") {
				t.Errorf("stopped with: %v", err)
			}
		case <-time.After(patience):
			t.Fatal("a partition was not stopped")
		}
	}
	r.writeMany(t, 40)
	if got := fmt.Sprint(r.trails(t)); got != rows {
		t.Errorf("the rows went on: %s", got)
	}
	told.mu.Lock()
	for number, has := range told.has {
		if has && stand[number] > 0 {
			t.Errorf("partition %d was given to the follower", number)
		}
	}
	told.mu.Unlock()
	p.stop()

	r.topic, r.written = right, was
	p = r.start(t, counter{}, nil)
	until(t, "the partitions go on", func() bool { return r.passed(t) })
	if len(p.stopped) > 0 {
		t.Error(<-p.stopped)
	}
	if got := fmt.Sprint(r.trails(t)); got != rows {
		t.Errorf("with the right log the rows are: %s", got)
	}
}

// Ensure that a log that is still too short is waited for, and stops the partition
// whether it has grown over the checkpoint meanwhile or not.
func TestCheckpoint_logShort(t *testing.T) {
	t.Parallel()
	for _, grows := range []bool{false, true} {
		t.Run(fmt.Sprint("grows ", grows), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			p := r.start(t, counter{}, nil)
			r.write(t, written(1, "a"), written(1, "b"), written(1, "c"))
			r.settled(t)
			p.stop()
			r.anew(t)
			r.write(t, written(1, "x"))
			short := make(chan error, 100)
			p = r.start(t, counter{}, func(cfg *projections.RuntimeConfig) {
				look := cfg.IDAt
				cfg.IDAt = func(ctx context.Context, partition int, offset int64) (string, bool, error) {
					id, ok, err := look(ctx, partition, offset)
					if err != nil {
						short <- err
					}
					return id, ok, err
				}
			})
			want := kafka.ErrTruncated
			if grows {
				if err := <-short; !errors.Is(err, want) {
					t.Fatal(err)
				}
				r.write(t, written(1, "y"), written(1, "z"), written(1, "u"))
				want = projections.ErrRegrown
			}
			select {
			case err := <-p.stopped:
				if !errors.Is(err, want) {
					t.Errorf("stopped with %v, want %v", err, want)
				}
			case <-time.After(patience):
				t.Error("not stopped")
			}
			if got := r.trail(t, 1); got != "a b c" {
				t.Errorf("the rows are %q", got)
			}
		})
	}
}

// Ensure what stops a partition that is taken, and what does not.
func TestCheckpoint_compared(t *testing.T) {
	t.Parallel()
	away := errors.New("no leader")
	for _, c := range []struct {
		name  string
		sql   string // what is there
		id    string // what the log holds
		gone  bool   // or that it holds nothing any more
		err   error
		asked int64 // offset, -1 = not asked
		want  error
	}{
		{"nothing applied", `0, null, null`, "x", false, nil, -1, nil},
		{"the same", `7, 6, 'a'`, "a", false, nil, 6, nil},
		{"another", `7, 6, 'a'`, "b", false, nil, 6, projections.ErrRegrown},
		{"one without an id", `7, 6, 'a'`, "", false, nil, 6, projections.ErrRegrown},
		{"one that had none", `7, 6, ''`, "b", false, nil, 6, projections.ErrRegrown},
		{"not kept any more", `7, 6, 'a'`, "", true, nil, 6, nil},
		{"a row from before", `7, null, null`, "b", false, nil, -1, nil},
		{"moved on by an earlier version", `9, 6, 'a'`, "b", false, nil, -1, nil},
		{"the log is away", `7, 6, 'a'`, "b", false, away, 6, away},
		{"what no column holds", `7, 6, 'a` + "\uFFFD" + `'`, "a\xff\x00", false, nil, 6, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, asked := newRig(t), int64(-1)
			if _, err := r.pool.Exec(t.Context(), `insert into checkpoints (projection, partition, next, last_offset, last_id) values ('counter', 2, `+c.sql+`)`); err != nil {
				t.Fatal(err)
			}
			runtime := r.runtime(t, counter{}, func(_ context.Context, number int, offset int64) (string, bool, error) {
				if asked = offset; number != 2 {
					t.Errorf("partition %d is asked about", number)
				}
				return c.id, !c.gone, c.err
			})
			ctx, revoke := context.WithCancel(t.Context())
			next, err := runtime.Assigned(ctx, topic, 2)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || asked != c.asked {
				t.Errorf("asked about %d, want %d; %d, %v, want %v", asked, c.asked, next, err, c.want)
			}
			revoke()
			runtime.Revoked(topic, 2)
		})
	}
}

// Ensure that a zombie's fence, and a rebuilt row, leave the id with its offset.
func TestCheckpoint_movesWithItsID(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second := r.start(t, counter{}, nil), r.start(t, counter{}, nil)
	for range 5 {
		r.writeMany(t, 100)
	}
	r.settled(t)
	r.remembered(t)
	first.stop()
	second.stop()
	if _, err := r.pool.Exec(t.Context(), `update checkpoints set last_id = $1 where next > 0`, uuid.NewString()); err != nil {
		t.Fatal(err)
	}
	third := r.start(t, counter{}, nil)
	select {
	case err := <-third.stopped:
		if !errors.Is(err, projections.ErrRegrown) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("another id was gone on with")
	}
}
