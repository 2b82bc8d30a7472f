package timers

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// precision is how late a timer may be (voximplant-kit.md 6.3).
const precision = 2 * time.Second

var petra = &domain.Sender{Number: 31, Username: "petra", DisplayName: "Petra Mala"}

// closesBetween makes sure that a conversation is open until from, counted from
// now, and closed by time within the precision after it.
func (w *world) closesBetween(channel, ref string, after time.Duration) {
	w.t.Helper()
	pass(after - time.Millisecond)
	if e := w.episode(channel, ref); !e.Open {
		w.t.Fatalf("closed %s too early", after-e.ClosedAt.Sub(e.ActivityAt))
	}
	pass(precision)
	if e := w.episode(channel, ref); e.Open || e.Reason != domain.ClosedByTimeout {
		w.t.Fatalf("%s and %s later it is %s (%q), want it closed by time", after, precision, e.Status(), e.Reason)
	}
}

// Ensure that a silent conversation is closed when its time has passed, and the
// integration is told so once, without a sender (case 54).
func TestClose_whenNobodyDoesAnything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("c", desk(domain.Desk{CloseAfter: 60}))
		w.keeper(nil)
		w.writes("c", "u")
		w.closesBetween("c", "u", time.Minute)
		told := w.deliveries()
		if len(told) != 1 || told[0].Kind != domain.DeliverClose || told[0].Subject.Reason != domain.ClosedByTimeout || told[0].Subject.Sender != nil {
			t.Fatalf("the integration is told %+v, want one close by time", told)
		}
		pass(time.Hour)
		if n := len(w.log); n != 2 {
			t.Fatalf("%d events in the log, want a message and a close", n)
		}
	})
}

// Ensure that whatever counts as activity starts the timer anew (case 55, 6.3), and
// nothing else does.
func TestClose_activity(t *testing.T) {
	t.Parallel()
	queue := domain.Assignment{To: domain.HandlerQueue, Queue: 1}
	for name, row := range map[string]struct {
		opened  domain.Desk
		happens func(w *world)
		same    bool // the timer runs on
	}{
		"contact writes":     {happens: func(w *world) { w.writes("c", "u") }},
		"operator writes":    {happens: func(w *world) { w.answers("c", "u", petra) }},
		"bot writes":         {happens: func(w *world) { w.answers("c", "u", domain.BotSender()) }},
		"assigned":           {happens: func(w *world) { w.assigns("c", "u", domain.Assignment{To: domain.HandlerAgent, AgentID: "1"}) }},
		"unassigned":         {happens: func(w *world) { w.assigns("c", "u", domain.Assignment{To: domain.HandlerUnassigned}) }},
		"transferred":        {happens: func(w *world) { w.assigns("c", "u", queue) }},
		"waits, then writes": {opened: domain.Desk{Queue: 1}, happens: func(w *world) { w.writes("c", "u") }},
		"tagged": {happens: func(w *world) {
			e, err := w.at("c", "u").Mark(w.channelWith("c", nil), uuid.New(), domain.Marks{Tags: []int64{1}}, "desk", time.Now())
			if err != nil {
				w.t.Fatal(err)
			}
			w.tell(e)
		}},
		"nobody took it out of the queue": {opened: domain.Desk{Queue: 1, Wait: 50}, happens: func(w *world) { pass(time.Second) }, same: true},
		"somebody else writes":            {happens: func(w *world) { w.writes("c", "other") }, same: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				row.opened.CloseAfter = 60
				w.channelWith("c", desk(row.opened))
				w.keeper(nil)
				w.writes("c", "u")
				pass(50 * time.Second)
				began := time.Now()
				row.happens(w)
				left := time.Minute
				if row.same {
					left = 10*time.Second - time.Since(began)
				}
				w.closesBetween("c", "u", left)
			})
		})
	}
}

// Ensure that the bot's timer runs from the newest bot message while the contact is
// silent (case 56).
func TestClose_bot(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) *world {
		t.Helper()
		w := newWorld(t)
		w.channelWith("c", desk(domain.Desk{Function: 1, CloseAfter: 86_400, BotClose: 60}))
		w.keeper(nil)
		w.writes("c", "u")
		return w
	}
	for name, story := range map[string]func(t *testing.T, w *world){
		"silent contact": func(_ *testing.T, w *world) {
			pass(7 * time.Second)
			w.answers("c", "u", domain.BotSender())
			w.closesBetween("c", "u", time.Minute)
		},
		"a second bot message starts it again": func(_ *testing.T, w *world) {
			w.answers("c", "u", domain.BotSender())
			pass(50 * time.Second)
			w.answers("c", "u", domain.BotSender())
			w.closesBetween("c", "u", time.Minute)
		},
		"the contact answers": func(_ *testing.T, w *world) {
			w.answers("c", "u", domain.BotSender())
			pass(30 * time.Second)
			w.writes("c", "u")
			pass(20 * time.Hour)
			w.stands("c", "u", domain.RequestFunction)
			w.answers("c", "u", domain.BotSender())
			w.closesBetween("c", "u", time.Minute)
		},
		"no bot message": func(_ *testing.T, w *world) {
			pass(48 * time.Hour)
			w.stands("c", "u", domain.RequestFunction)
		},
		"transferred to a queue: the first timer starts": func(_ *testing.T, w *world) {
			w.answers("c", "u", domain.BotSender())
			pass(50 * time.Second)
			w.assigns("c", "u", domain.Assignment{To: domain.HandlerQueue, Queue: 1})
			w.closesBetween("c", "u", 24*time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { story(t, setup(t)) })
		})
	}
}

// Ensure that a message after the close opens the next request of the same
// conversation, with a timer of its own, and is told to nobody (case 57).
func TestClose_thenTheContactWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("c", desk(domain.Desk{CloseAfter: 60}))
		w.keeper(nil)
		w.writes("c", "u")
		pass(2 * time.Minute)
		w.stands("c", "u", domain.RequestDone)
		w.writes("c", "u")
		if e := w.episode("c", "u"); !e.Open || e.Number != 2 {
			t.Fatalf("request %d, open %t, want the second one", e.Number, e.Open)
		}
		if n := len(w.deliveries()); n != 1 {
			t.Fatalf("%d deliveries, want that of the close only", n)
		}
		w.closesBetween("c", "u", time.Minute)
	})
}

// Ensure that a sender who uses the same message id again, a day later to the
// second, has the conversation closed again.
func TestClose_sameMessageIDTheNextDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("c", desk(domain.Desk{CloseAfter: 60}))
		w.keeper(nil)
		e := w.writes("c", "u")
		pass(domain.RepeatWindow)
		e.Time = domain.Stamp(time.Now())
		w.tell(e)
		if now := w.episode("c", "u"); now.Number != 2 {
			t.Fatalf("request %d, want the second one", now.Number)
		}
		w.closesBetween("c", "u", time.Minute)
	})
}

// Ensure that whichever is stored first wins when a message comes in the second in
// which the timer fires (8.5): the close is void, and the timer starts anew.
func TestClose_messageStoredFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("c", desk(domain.Desk{CloseAfter: 60}))
		w.keeper(nil)
		w.writes("c", "u")
		pass(time.Minute - time.Millisecond)
		w.stall(true) // the rows do not know of it
		w.writes("c", "u")
		pass(precision)
		if e := w.episode("c", "u"); !e.Open || e.Number != 1 {
			t.Fatalf("request %d is %s, want the first one open", e.Number, e.Status())
		}
		if len(w.log) != 3 || w.repeats() != 0 {
			t.Fatalf("%d events in the log, %d of them again, want a void close told once", len(w.log), w.repeats())
		}
		w.stall(false)
		w.closesBetween("c", "u", time.Minute-precision+time.Millisecond)
	})
}

// Ensure that a change of the setting counts from the next activity on, and a
// shorter time for open requests as well, from their last activity (8.5).
func TestClose_settingChanged(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		told, now int64
		activity  bool
		closes    time.Duration // after the change
	}{
		"longer":               {told: 60, now: 600, closes: 30 * time.Second},
		"longer, activity":     {told: 60, now: 600, activity: true, closes: 600 * time.Second},
		"shorter":              {told: 600, now: 60, closes: 30 * time.Second},
		"shorter, activity":    {told: 600, now: 60, activity: true, closes: 60 * time.Second},
		"shorter than it took": {told: 86_400, now: 60, closes: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.channelWith("c", desk(domain.Desk{CloseAfter: row.told}))
				w.keeper(nil)
				w.writes("c", "u")
				pass(30 * time.Second)
				w.channelWith("c", desk(domain.Desk{CloseAfter: row.now}))
				if row.activity {
					w.writes("c", "u")
				}
				w.closesBetween("c", "u", row.closes)
			})
		})
	}
	t.Run("shorter than what has passed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.channelWith("c", desk(domain.Desk{CloseAfter: 600}))
			w.keeper(nil)
			w.writes("c", "u")
			pass(5 * time.Minute)
			w.channelWith("c", desk(domain.Desk{CloseAfter: 60}))
			pass(precision)
			w.stands("c", "u", domain.RequestDone)
		})
	})
}

// Ensure that a conversation nobody takes is unassigned when the queue's longest
// wait has passed, which is told to nobody and starts no timer (case 67).
func TestUnqueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("c", desk(domain.Desk{Queue: 3, Wait: 60, CloseAfter: 600}))
		w.staff(domain.Agent{Number: 1, Account: account, MostOpen: 5, Queues: []int64{3}}) // not ready
		w.keeper(nil)
		w.writes("c", "u")
		pass(time.Minute - time.Millisecond)
		w.stands("c", "u", domain.RequestWaiting)
		pass(precision)
		w.stands("c", "u", domain.RequestUnassigned)
		if n := len(w.deliveries()); n != 0 {
			t.Fatalf("%d deliveries, want none", n)
		}
		pass(600*time.Second - time.Minute - precision)
		w.stands("c", "u", domain.RequestUnassigned)
		pass(precision)
		w.stands("c", "u", domain.RequestDone)
	})
}

// Ensure that a queue without a longest wait keeps conversations until they close.
func TestUnqueue_waitsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("c", desk(domain.Desk{Queue: 3, CloseAfter: 600}))
		w.keeper(nil)
		w.writes("c", "u")
		pass(600*time.Second - time.Millisecond)
		w.stands("c", "u", domain.RequestWaiting)
		pass(precision)
		w.stands("c", "u", domain.RequestDone)
	})
}

// Ensure that timers survive a restart, and those that ran out meanwhile fire at
// the start, however many there are.
func TestClose_ranOutWhileNobodyLooked(t *testing.T) {
	t.Parallel()
	for _, lag := range []bool{false, true} {
		t.Run(fmt.Sprintf("lag=%t", lag), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const many = 3*page + 7
				w := newWorld(t)
				w.channelWith("c", desk(domain.Desk{CloseAfter: 60}))
				stop := w.keeper(nil)
				for i := range many {
					w.writes("c", fmt.Sprintf("u%d", i))
				}
				pass(30 * time.Second)
				stop()
				pass(time.Hour)
				w.stall(lag)
				w.keeper(nil)
				pass(precision)
				for i := range many {
					w.stands("c", fmt.Sprintf("u%d", i), domain.RequestDone)
				}
				if n := w.repeats(); n != 0 {
					t.Fatalf("%d events told again, want none", n)
				}
			})
		})
	}
}

// Ensure that what cannot be closed, because its channel is not there any more,
// does not hold up what can.
func TestClose_channelDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("gone", desk(domain.Desk{CloseAfter: 60}))
		w.channelWith("c", desk(domain.Desk{CloseAfter: 60}))
		for i := range 2 * page {
			w.writes("gone", fmt.Sprintf("u%d", i))
		}
		pass(time.Second)
		w.writes("c", "u")
		w.mu.Lock()
		delete(w.channel, "gone")
		w.mu.Unlock()
		w.keeper(nil)
		w.closesBetween("c", "u", time.Minute)
		w.stands("gone", "u1", domain.RequestUnassigned)
	})
}

// Ensure that open conversations of a channel that is switched off are closed, for
// no reason that the integration's dialect knows, and so are those that come later.
func TestCloseDisabled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, channel := range []string{"c", "on"} {
			w.channelWith(channel, desk(domain.Desk{Queue: 3, CloseAfter: 600}))
			w.writes(channel, "u")
		}
		w.answers("c", "v", petra)
		w.keeper(nil)
		pass(time.Minute)
		w.channelWith("c", func(ch *domain.Channel) { ch.Disabled = true })
		pass(precision)
		w.stands("c", "u", domain.RequestDone)
		w.stands("c", "v", domain.RequestDone)
		w.stands("on", "u", domain.RequestWaiting)
		for _, d := range w.deliveries() {
			if d.Kind == domain.DeliverClose && (d.Subject.Reason != domain.ClosedByUnknown || d.Subject.Sender != nil) {
				t.Errorf("a close is told as %+v, want no reason and no sender", d.Subject)
			}
		}
		pass(time.Hour)
		w.answers("c", "v", petra)
		pass(idleDisabled + precision)
		w.stands("c", "v", domain.RequestDone)
		if e := w.episode("c", "v"); e.Number != 2 || e.Reason != domain.ClosedByUnknown {
			t.Fatalf("request %d was closed by %q", e.Number, e.Reason)
		}
	})
}

// Ensure that conversations are measured by the clock that is handed in, and rounds
// by the real one.
func TestKeeper_movedClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.channelWith("c", desk(domain.Desk{CloseAfter: 600}))
		moved := make(chan time.Duration, 1)
		moved <- 0
		w.keeper(func(cfg *Config) {
			cfg.Now = func() time.Time {
				by := <-moved
				moved <- by
				return time.Now().Add(by)
			}
		})
		w.writes("c", "u")
		pass(10 * time.Second)
		w.stands("c", "u", domain.RequestUnassigned)
		<-moved
		moved <- 10 * time.Minute
		pass(300 * time.Millisecond)
		w.stands("c", "u", domain.RequestDone)
	})
}
