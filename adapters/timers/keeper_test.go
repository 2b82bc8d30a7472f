package timers

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-im/parley/domain"
)

// busyWorld has something of every kind that is due within two minutes.
func busyWorld(t *testing.T, each int) *world {
	t.Helper()
	w := newWorld(t)
	w.channelWith("plain", desk(domain.Desk{CloseAfter: 60}))
	w.channelWith("bot", desk(domain.Desk{Function: 1, CloseAfter: 600, BotClose: 60}))
	w.channelWith("queue", desk(domain.Desk{Queue: 1, Wait: 60, CloseAfter: 90}))
	w.channelWith("served", desk(domain.Desk{Queue: 2, CloseAfter: 86_400}))
	w.channelWith("off", desk(domain.Desk{CloseAfter: 86_400}))
	w.staff(domain.Agent{Number: 1, Account: account, Ready: true, MostOpen: each, Queues: []int64{2}})
	for i := range each {
		for _, channel := range []string{"plain", "bot", "queue", "served", "off"} {
			w.writes(channel, fmt.Sprintf("u%d", i))
		}
		w.answers("bot", fmt.Sprintf("u%d", i), domain.BotSender())
	}
	w.channelWith("off", func(ch *domain.Channel) { ch.Disabled = true })
	return w
}

// allSettled makes sure that everything of a busyWorld was decided, each decision
// in effect once.
func (w *world) allSettled(each int) {
	w.t.Helper()
	for i := range each {
		ref := fmt.Sprintf("u%d", i)
		for _, channel := range []string{"plain", "bot", "queue", "off"} {
			w.stands(channel, ref, domain.RequestDone)
		}
		w.stands("served", ref, domain.RequestAgent)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, times := range w.effective {
		if times != 1 {
			w.t.Errorf("event %s took effect %d times", id, times)
		}
	}
	// Two events told of each conversation but those of the bot and the queue, which have three.
	if want := each * 12; len(w.effective) != want {
		w.t.Errorf("%d events took effect, want %d", len(w.effective), want)
	}
}

// Ensure that several keepers on one store decide everything once, in effect, and
// seldom more than once in the log, whether or not the rows are waited for.
func TestKeepers(t *testing.T) {
	t.Parallel()
	for _, waits := range []bool{true, false} {
		t.Run(fmt.Sprintf("freshness=%t", waits), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const each = 40
				w := busyWorld(t, each)
				for range 4 {
					w.keeper(func(cfg *Config) {
						if waits {
							cfg.Freshness = fresh{w}
						}
					})
				}
				pass(3 * time.Minute)
				w.allSettled(each)
				if n := w.repeats(); n != 0 {
					t.Errorf("%d events were told again, want none: the claims keep keepers apart", n)
				}
			})
		})
	}
}

// Ensure that keepers do no more than repeat one another while nothing is
// projected: all of it is void, and it ends.
func TestKeepers_rowsStandStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const each, keepers = 10, 3
		w := busyWorld(t, each)
		for range keepers {
			w.keeper(nil)
		}
		w.stall(true)
		pass(10 * time.Minute)
		w.mu.Lock()
		most := 0
		for _, times := range w.told {
			most = max(most, times)
		}
		w.mu.Unlock()
		if most > keepers {
			t.Fatalf("an event was told %d times by %d keepers", most, keepers)
		}
		w.stall(false)
		pass(precision)
		w.allSettled(each)
	})
}

// Ensure that a keeper that waits for rows decides nothing on old ones, and goes on
// when they have caught up.
func TestKeeper_waitsForRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const each = 10
		w := busyWorld(t, each)
		before := len(w.log)
		metrics := prometheus.NewRegistry()
		w.stall(true)
		w.writes("plain", "u0") // the rows do not know
		w.keeper(func(cfg *Config) { cfg.Freshness, cfg.Registerer = fresh{w}, metrics })
		pass(10 * time.Minute)
		w.mu.Lock()
		appended := len(w.log) - before - 1
		w.mu.Unlock()
		if appended != 0 {
			t.Fatalf("%d events were decided on rows that are behind", appended)
		}
		if counts(t, metrics, "parley_timers_errors_total", "source", sourceBehind) == 0 {
			t.Fatal("no error is counted")
		}
		w.stall(false)
		pass(precision)
		w.stands("plain", "u0", domain.RequestDone)
		w.stands("served", "u0", domain.RequestAgent)
	})
}

// Ensure that what a keeper has claimed is appended by another one when the first
// dies before it appends, within the precision of timers.
func TestKeeper_diesAfterTheClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("c", desk(domain.Desk{CloseAfter: 60}))
		w.writes("c", "u")
		pass(time.Minute - 10*time.Millisecond)

		died := make(chan struct{})
		var once sync.Once
		hang := make(chan struct{})
		w.claimed = func(ids []uuid.UUID) {
			if len(ids) == 0 {
				return
			}
			first := false
			once.Do(func() { first = true })
			if first {
				close(died)
				<-hang // the first that gets a claim comes no further
			}
		}
		for range 2 {
			w.keeper(nil)
		}
		<-died
		pass(precision - 250*time.Millisecond)
		w.stands("c", "u", domain.RequestDone)
		close(hang)
		pass(time.Minute)
		if w.repeats() > 1 { // by the one that was dead, and alive again
			t.Fatalf("%d events were told again", w.repeats())
		}
		for id, times := range w.effective {
			if times != 1 {
				t.Errorf("event %s took effect %d times", id, times)
			}
		}
	})
}

// Ensure that an outage of the store or of the log loses nothing and is logged once,
// whether or not what could not be appended has landed.
func TestKeeper_outage(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		store, log error
		lands      bool
		source     string
	}{
		"store":                   {store: errAway, source: sourceStore},
		"log":                     {log: errAway, source: sourceLog},
		"log, but it lands":       {log: errAway, lands: true, source: sourceLog},
		"store and log":           {store: errAway, log: errAway, source: sourceStore},
		"log answers in time out": {log: fmt.Errorf("append: %w", errAway), source: sourceLog},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const each = 5
				var out lines
				w := busyWorld(t, each)
				metrics := prometheus.NewRegistry()
				w.keeper(func(cfg *Config) {
					cfg.Registerer, cfg.Logger = metrics, slog.New(slog.NewJSONHandler(&out, nil))
				})
				w.fails(row.store, row.log, row.lands)
				pass(2 * time.Minute)
				if n := out.with("timers.stalled", row.source, errAway.Error()); n != 1 {
					t.Errorf("the outage was logged %d times: %s", n, strings.Join(out.all, "\n"))
				}
				if n := counts(t, metrics, "parley_timers_errors_total", "source", row.source); n < 2 {
					t.Errorf("%v failed rounds counted", n)
				}
				w.fails(nil, nil, false)
				w.writes("plain", "u0")
				pass(time.Minute + precision)
				if n := out.with("timers.resumed", row.source); n != 1 {
					t.Errorf("the end of the outage was logged %d times", n)
				}
				pass(3 * time.Minute)
				for i := range each {
					w.stands("plain", fmt.Sprintf("u%d", i), domain.RequestDone)
					w.stands("queue", fmt.Sprintf("u%d", i), domain.RequestDone)
				}
				for id, times := range w.effective {
					if times != 1 {
						t.Errorf("event %s took effect %d times", id, times)
					}
				}
			})
		})
	}
}

// Ensure that an event that the log will not have does not hold up the others.
func TestKeeper_oneEventIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ch := w.channelWith("c", desk(domain.Desk{CloseAfter: 60}))
		for i := range 10 {
			w.writes("c", fmt.Sprintf("u%d", i))
		}
		e, ok := w.at("c", "u3").Expire(ch, time.Now().Add(time.Hour))
		if !ok {
			t.Fatal("nothing expires")
		}
		w.refused = e.ID
		w.keeper(nil)
		pass(time.Minute + precision)
		for i := range 10 {
			want := domain.RequestDone
			if i == 3 {
				want = domain.RequestUnassigned
			}
			w.stands("c", fmt.Sprintf("u%d", i), want)
		}
	})
}

// Ensure that every decision is one line of the log and one of its metric.
func TestKeeper_tellsWhatItDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const each = 3
		var out lines
		w := busyWorld(t, each)
		metrics := prometheus.NewRegistry()
		w.keeper(func(cfg *Config) {
			cfg.Registerer, cfg.Logger = metrics, slog.New(slog.NewJSONHandler(&out, nil))
		})
		pass(3 * time.Minute)
		for kind, want := range map[kind]int{
			kindClosed: 2 * each, kindBotClosed: each, kindUnassigned: each, kindDistributed: each, kindDisabled: each,
		} {
			if n := counts(t, metrics, "parley_timers_decisions_total", "kind", string(kind)); int(n) != want {
				t.Errorf("%v decisions of kind %s counted, want %d", n, kind, want)
			}
			words := []string{`"msg":"timers.decided"`, `"kind":"` + string(kind) + `"`, `"account":"acme"`, `"level":"INFO"`}
			if kind.timed() {
				words = append(words, `"late_ms":`)
			}
			if n := out.with(words...); n != want {
				t.Errorf("%d lines of kind %s logged, want %d", n, kind, want)
			}
			if !kind.timed() {
				continue
			}
			if n := counts(t, metrics, "parley_timers_lateness_seconds", "kind", string(kind)); int(n) != want {
				t.Errorf("lateness of %v decisions of kind %s measured, want %d", n, kind, want)
			}
		}
		if n := out.with("timers.decided"); n != 6*each {
			t.Errorf("%d decisions logged, want %d", n, 6*each)
		}
	})
}

// Ensure that metrics are there before anything happens, and that New says so when
// they cannot be.
func TestNew_metrics(t *testing.T) {
	t.Parallel()
	metrics := prometheus.NewRegistry()
	if _, err := New(Config{Registerer: metrics}); err != nil {
		t.Fatal(err)
	}
	for name, series := range map[string]int{
		"parley_timers_decisions_total": len(kinds), "parley_timers_lateness_seconds": 3, "parley_timers_queue_wait_seconds": 1,
		"parley_timers_round_duration_seconds": 1, "parley_timers_errors_total": len(sources),
	} {
		if n, err := testutil.GatherAndCount(metrics, name); err != nil || n != series {
			t.Errorf("%s has %d series (%v), want %d", name, n, err, series)
		}
	}
	if _, err := New(Config{Registerer: metrics}); err == nil {
		t.Error("registered twice, want an error")
	}
}

// Ensure that nothing is looked for where there is no channel that has timers.
func TestKeeper_idle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("c", func(ch *domain.Channel) { ch.Dialect = domain.DialectRespondIO })
		w.keeper(nil)
		pass(time.Minute)
		if w.looks != 0 {
			t.Fatalf("%d looks", w.looks)
		}
	})
}

// Ensure that the memory holds the newest ids, and not all of them.
func TestMemory(t *testing.T) {
	t.Parallel()
	m := newMemory(10)
	var ids []uuid.UUID
	for i := range 100 {
		id := uuid.New()
		m.add(id, fmt.Sprint(i))
		ids = append(ids, id)
		if agent, known := m.agent(id); !known || agent != fmt.Sprint(i) {
			t.Fatalf("the newest id is remembered as %q, %t", agent, known)
		}
	}
	if !m.knows(ids[90]) || m.knows(ids[70]) || len(m.new)+len(m.old) > 20 {
		t.Fatalf("remembers %d ids; the tenth last: %t, the thirtieth last: %t", len(m.new)+len(m.old), m.knows(ids[90]), m.knows(ids[70]))
	}
}
