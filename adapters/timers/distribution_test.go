package timers

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
)

// agent is one who is ready, in queue 1, with room for five.
func agent(number int64, change func(*domain.Agent)) domain.Agent {
	a := domain.Agent{Number: number, Account: account, Ready: true, MostOpen: 5, Queues: []int64{1}}
	if change != nil {
		change(&a)
	}
	return a
}

// serving makes a world with queues 1 to 3 of the priorities 10, 10 and 1, and a
// channel for each, named by it.
func serving(t *testing.T, agents ...domain.Agent) *world {
	t.Helper()
	w := newWorld(t)
	w.queues = []domain.Queue{
		{Number: 1, Account: account, Priority: 10}, {Number: 2, Account: account, Priority: 10}, {Number: 3, Account: account, Priority: 1},
	}
	for _, q := range w.queues {
		w.channelWith(strconv.FormatInt(q.Number, 10), desk(domain.Desk{Queue: q.Number, CloseAfter: domain.DefaultCloseSeconds}))
	}
	w.staff(agents...)
	return w
}

// arrive lets contacts write to queue 1's channel, a second apart.
func (w *world) arrive(refs ...string) {
	w.t.Helper()
	for _, ref := range refs {
		w.writes("1", ref)
		pass(time.Second)
	}
}

// given lists who got whom, in the order of the log.
func (w *world) given() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, r := range w.log {
		if a, ok := r.Data.(domain.ConversationAssigned); ok && a.By == "queue" && a.To == domain.HandlerAgent {
			list = append(list, r.ContactRef+"->"+a.AgentID)
		}
	}
	return list
}

// Ensure that conversations go to the agents they should go to, in order.
func TestDistribute(t *testing.T) {
	t.Parallel()
	knows := func(skill int64, level int) []domain.SkillLevel {
		return []domain.SkillLevel{{Skill: skill, Level: level}}
	}
	wants := func(w *world, ref string, skill int64, level, priority int) {
		w.assigns("1", ref, domain.Assignment{To: domain.HandlerQueue, Queue: 1, Skills: knows(skill, level), Priority: priority})
	}
	for name, row := range map[string]struct {
		agents []domain.Agent
		before func(w *world)
		want   []string
	}{
		"first in, first out": {
			agents: []domain.Agent{agent(1, func(a *domain.Agent) { a.MostOpen = 2 })},
			before: func(w *world) { w.arrive("a", "b", "c") },
			want:   []string{"a->1", "b->1"},
		},
		"fewest open first, then the lowest number": {
			agents: []domain.Agent{agent(2, nil), agent(1, nil), agent(3, nil)},
			before: func(w *world) {
				w.arrive("x")
				w.assigns("1", "x", domain.Assignment{To: domain.HandlerAgent, AgentID: "1"})
				w.arrive("a", "b", "c", "d")
			},
			want: []string{"a->2", "b->3", "c->1", "d->2"},
		},
		"not ready": {
			agents: []domain.Agent{agent(1, func(a *domain.Agent) { a.Ready = false }), agent(2, nil)},
			before: func(w *world) { w.arrive("a") }, want: []string{"a->2"},
		},
		"not in the queue": {
			agents: []domain.Agent{agent(1, func(a *domain.Agent) { a.Queues = []int64{2} }), agent(2, nil)},
			before: func(w *world) { w.arrive("a") }, want: []string{"a->2"},
		},
		"full": {
			agents: []domain.Agent{agent(1, func(a *domain.Agent) { a.MostOpen = 1 })},
			before: func(w *world) {
				w.arrive("x")
				w.assigns("1", "x", domain.Assignment{To: domain.HandlerAgent, AgentID: "1"})
				w.arrive("a")
			},
		},
		"queues by priority": {
			agents: []domain.Agent{agent(1, func(a *domain.Agent) { a.Queues, a.MostOpen = []int64{1, 2, 3}, 3 })},
			before: func(w *world) {
				w.arrive("a")
				w.writes("2", "b")
				pass(time.Second)
				w.writes("3", "c")
				w.writes("3", "d")
			},
			want: []string{"c->1", "d->1", "a->1"},
		},
		"requests by priority": {
			agents: []domain.Agent{agent(1, func(a *domain.Agent) { a.Skills, a.MostOpen = knows(1, 5), 2 })},
			before: func(w *world) {
				w.arrive("a", "b", "c")
				wants(w, "b", 1, 1, 3)
				pass(time.Second)
				wants(w, "c", 1, 1, 7)
			},
			want: []string{"c->1", "b->1"},
		},
		"the longest wait counts from the transfer": {
			agents: []domain.Agent{agent(1, func(a *domain.Agent) { a.MostOpen = 1 })},
			before: func(w *world) {
				w.arrive("a", "b")
				w.assigns("1", "a", domain.Assignment{To: domain.HandlerQueue, Queue: 1})
			},
			want: []string{"b->1"},
		},
		"skills and levels, and whoever wants a rare one blocks nobody": {
			agents: []domain.Agent{agent(1, nil), agent(2, func(a *domain.Agent) { a.Skills = knows(7, 3) })},
			before: func(w *world) {
				w.arrive("a", "b", "c")
				wants(w, "a", 7, 4, 10)
				wants(w, "b", 7, 3, 10)
			},
			want: []string{"b->2", "c->1"},
		},
		"skills of the channel": {
			agents: []domain.Agent{agent(1, nil), agent(2, func(a *domain.Agent) { a.Skills = knows(7, 3) })},
			before: func(w *world) {
				w.channelWith("1", func(ch *domain.Channel) { ch.Desk.Skills = knows(7, 2) })
				w.arrive("a", "b")
			},
			want: []string{"a->2", "b->2"},
		},
		"a queue that was deleted is served last": {
			agents: []domain.Agent{agent(1, func(a *domain.Agent) { a.Queues, a.MostOpen = []int64{1, 2}, 1 })},
			before: func(w *world) {
				w.arrive("a")
				w.writes("2", "b")
				w.queues = w.queues[1:]
			},
			want: []string{"b->1"},
		},
		"a channel that is switched off": {
			agents: []domain.Agent{agent(1, nil)},
			before: func(w *world) {
				w.arrive("a")
				w.channelWith("1", func(ch *domain.Channel) { ch.Disabled = true })
			},
		},
		"many": {
			agents: []domain.Agent{agent(1, func(a *domain.Agent) { a.MostOpen = 1000; a.Queues = []int64{2} })},
			before: func(w *world) {
				for i := range page + 10 { // nobody serves them
					w.writes("1", fmt.Sprint(i))
				}
				pass(time.Second)
				w.writes("2", "a")
			},
			want: []string{"a->1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := serving(t, row.agents...)
				row.before(w)
				w.keeper(nil)
				pass(precision)
				if got := w.given(); !slices.Equal(got, row.want) {
					t.Errorf("given: %v, want %v", got, row.want)
				}
			})
		})
	}
}

// Ensure that an agent who is made ready, or has room again, gets the next one
// within the precision, and nobody is given more than they take while the rows do
// not tell.
func TestDistribute_room(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := agent(1, func(a *domain.Agent) { a.MostOpen = 2 })
		w := serving(t)
		w.keeper(nil)
		w.arrive("a", "b", "c", "d")
		w.stall(true)
		w.staff(one)
		pass(time.Minute)
		if got := w.given(); !slices.Equal(got, []string{"a->1", "b->1"}) {
			t.Fatalf("given while nothing was projected: %v", got)
		}
		w.stall(false)
		closed, err := w.at("1", "a").Close(w.channelWith("1", nil), domain.Closing{Sender: petra}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.tell(closed)
		pass(precision)
		if got := w.given(); !slices.Equal(got, []string{"a->1", "b->1", "c->1"}) {
			t.Fatalf("given when one was closed: %v", got)
		}
	})
}

// Ensure that whoever took a conversation first keeps it, whatever keepers decide.
func TestDistribute_takenMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := serving(t)
		w.keeper(nil)
		w.arrive("a")
		w.stall(true)
		w.answers("1", "a", petra)
		w.staff(agent(1, nil))
		pass(precision)
		w.stall(false)
		if e := w.episode("1", "a"); e.AgentID != "31" || len(w.given()) != 1 {
			t.Fatalf("agent %s has it, given %v; want the one who wrote", e.AgentID, w.given())
		}
	})
}

// Ensure that two nodes of which neither has heard what the other gave do not give
// an agent more than it takes, even when they would give other conversations.
func TestDistribute_lastPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := serving(t, agent(1, func(a *domain.Agent) { a.Queues, a.MostOpen = []int64{1, 3}, 1 }))
		w.writes("1", "a")
		w.stall(true)
		stop := w.keeper(nil)
		pass(100 * time.Millisecond)
		stop()
		w.writes("3", "b") // is served before a
		w.mu.Lock()
		w.rows.Apply(w.log[len(w.log)-1]) // in another partition, which is not behind
		w.mu.Unlock()
		w.keeper(nil)
		pass(time.Second)
		w.stall(false)
		pass(time.Minute)
		if got := w.given(); !slices.Equal(got, []string{"a->1"}) {
			t.Fatalf("given: %v, want a only", got)
		}
	})
}

// bubble is a test that has no deadline: a bubble of synctest must not ask for it.
type bubble struct{ testing.TB }

// Ensure that in any story of arrivals, closes, agents and outages nobody is given
// more than they take, without the skills that are wanted, or before somebody who
// wants the same and has waited longer.
func TestDistribute_properties(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubble{t}, func(r *rapid.T) {
			w := serving(t)
			keepers := rapid.IntRange(1, 3).Draw(r, "keepers")
			waits := keepers > 1 || rapid.Bool().Draw(r, "freshness")
			for range keepers {
				stop := w.keeper(func(cfg *Config) {
					if waits {
						cfg.Freshness = fresh{w}
					}
				})
				defer stop()
				pass(time.Duration(rapid.IntRange(0, 100).Draw(r, "stagger_ms")) * time.Millisecond)
			}
			terms := []domain.Agent{}
			for i := range rapid.IntRange(1, 4).Draw(r, "agents") {
				terms = append(terms, agent(int64(i+1), func(a *domain.Agent) {
					a.MostOpen = rapid.IntRange(1, 3).Draw(r, "most_open")
					a.Queues = rapid.SliceOfNDistinct(rapid.Int64Range(1, 3), 1, 3, rapid.ID).Draw(r, "queues")
					a.Skills = skills(r)
				}))
			}
			for i := range rapid.IntRange(5, 40).Draw(r, "steps") {
				ref := "u" + strconv.Itoa(rapid.IntRange(0, i).Draw(r, "contact"))
				channel := strconv.Itoa(rapid.IntRange(1, 3).Draw(r, "channel"))
				switch rapid.IntRange(0, 6).Draw(r, "step") {
				case 0:
					for j := range terms {
						terms[j].Ready = rapid.Bool().Draw(r, "ready")
					}
					w.staff(slices.Clone(terms)...)
				case 1:
					w.stall(rapid.Bool().Draw(r, "stalled"))
				case 2:
					w.ends(channel, ref)
				case 3:
					w.wants(r, channel, ref)
				default:
					w.writes(channel, "u"+strconv.Itoa(i))
				}
				pass(time.Duration(rapid.IntRange(1, 700).Draw(r, "pause_ms")) * time.Millisecond)
			}
			w.stall(false)
			pass(2 * precision)
			w.fair(r, terms, keepers == 1)
			w.served(r)
		})
	})
}

func skills(r *rapid.T) []domain.SkillLevel {
	var list []domain.SkillLevel
	for skill := range int64(2) {
		if level := rapid.IntRange(0, 3).Draw(r, "level"); level > 0 {
			list = append(list, domain.SkillLevel{Skill: skill + 1, Level: level})
		}
	}
	return list
}

// ends closes a conversation, if there is one that is open.
func (w *world) ends(channel, ref string) {
	w.mu.Lock()
	c := w.rows.Conversations[domain.ConversationID(channel, ref)]
	w.mu.Unlock()
	if c == nil {
		return
	}
	if e, err := w.at(channel, ref).Close(w.channelWith(channel, nil), domain.Closing{}, time.Now()); err == nil {
		w.tell(e)
	}
}

// wants transfers a conversation to a queue, if there is one that waits.
func (w *world) wants(r *rapid.T, channel, ref string) {
	w.mu.Lock()
	c := w.rows.Conversations[domain.ConversationID(channel, ref)]
	w.mu.Unlock()
	if c == nil || c.State.Handler != domain.HandlerQueue || !c.State.Open {
		return
	}
	w.assigns(channel, ref, domain.Assignment{
		To: domain.HandlerQueue, Queue: rapid.Int64Range(1, 3).Draw(r, "queue"), Skills: skills(r), Priority: rapid.IntRange(0, 2).Draw(r, "priority"),
	})
}

// fair reads the log again and looks at each conversation that was given to an
// agent, as everything stood then.
func (w *world) fair(r *rapid.T, agents []domain.Agent, inOrder bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	episodes := map[string]*domain.Episode{}
	for _, rec := range w.log {
		e := episodes[rec.Stream()]
		if e == nil {
			e = &domain.Episode{}
			episodes[rec.Stream()] = e
		}
		before := *e
		a, ok := rec.Data.(domain.ConversationAssigned)
		if took := e.Apply(rec); !took || !ok || a.To != domain.HandlerAgent {
			continue
		}
		who := agents[slices.IndexFunc(agents, func(x domain.Agent) bool { return x.ID() == a.AgentID })]
		has := 0
		for stream, other := range episodes {
			if other.Open && other.AgentID == who.ID() {
				has++
			}
			if inOrder && other.Status() == domain.RequestWaiting && other.Queue == before.Queue && other.Priority == before.Priority &&
				slices.Equal(other.Skills, before.Skills) && other.HandlingAt.Before(before.HandlingAt) && rec.Time.Sub(other.HandlingAt) > 0 {
				r.Errorf("%s was given before %s, which had waited longer", rec.Stream(), stream)
			}
		}
		if has > who.MostOpen {
			r.Errorf("agent %s has %d conversations, takes %d", who.ID(), has, who.MostOpen)
		}
		if !who.Can(before.Skills) || !slices.Contains(who.Queues, before.Queue) {
			r.Errorf("agent %+v was given a conversation of queue %d that wants %v", who, before.Queue, before.Skills)
		}
	}
}

// served makes sure that nobody waits whom somebody could take.
func (w *world) served(r *rapid.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	has := map[string]int{}
	for _, e := range w.episodes {
		if e.Open {
			has[e.AgentID]++
		}
	}
	for _, e := range w.episodes {
		for _, a := range w.agents {
			if e.Status() == domain.RequestWaiting && a.Ready && has[a.ID()] < a.MostOpen && slices.Contains(a.Queues, e.Queue) && a.Can(e.Skills) {
				r.Errorf("a conversation waits in queue %d although agent %s has room", e.Queue, a.ID())
			}
		}
	}
}
