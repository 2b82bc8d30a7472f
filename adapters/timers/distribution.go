package timers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// distribute gives conversations that wait in queues to agents.
func (k *Keeper) distribute(ctx context.Context) error {
	// Without an agent who could take anything the rows are not asked.
	ready := map[string][]domain.Agent{}
	for _, account := range k.cfg.Directory.Accounts() {
		for _, a := range k.cfg.Directory.Agents(account.Name) {
			if a.Ready && len(a.Queues) > 0 && !account.Disabled {
				ready[account.Name] = append(ready[account.Name], a)
			}
		}
	}
	if len(ready) == 0 {
		return nil
	}
	var halls []*hall
	return k.sweep(ctx, "distribute", func(ctx context.Context, limit int) (int, []decision, error) {
		// The rows of those who wait are read before the agents' conversations are
		// counted: one that is given to an agent in between counts twice, not never.
		list, err := k.cfg.Store.Waiting(ctx, limit)
		if err != nil {
			return 0, nil, fmt.Errorf("look for waiting conversations: %w", err)
		}
		if halls, err = k.halls(ctx, list, ready); err != nil {
			return 0, nil, err
		}
		var all []decision
		for _, h := range halls {
			all = append(all, h.give(h.turns)...)
		}
		return len(list), all, nil
	}, func(ctx context.Context, all []decision) (int, error) { return k.hand(ctx, halls, all) })
}

// halls sorts those who wait by account.
func (k *Keeper) halls(ctx context.Context, list []domain.Conversation, ready map[string][]domain.Agent) ([]*hall, error) {
	now := k.cfg.Now()
	byAccount := map[string]*hall{}
	var all []*hall
	for _, c := range list {
		agents := ready[c.Account]
		ch, there := k.cfg.Directory.Channel(c.Channel)
		if len(agents) == 0 || c.State == nil || !there || ch.Disabled {
			continue
		}
		h := byAccount[c.Account]
		if h == nil {
			busy, err := k.cfg.Store.Busy(ctx, c.Account)
			if err != nil {
				return nil, fmt.Errorf("count the conversations of agents: %w", err)
			}
			h = newHall(agents, k.cfg.Directory.Queues(c.Account), busy)
			byAccount[c.Account] = h
			all = append(all, h)
		}
		t := turn{conversation: c, channel: ch, give: func(a domain.Agent) domain.Event { return c.Distribute(ch, a, now) }}
		t.id = t.give(domain.Agent{}).ID
		if agent, told := k.told.agent(t.id); told {
			h.load(agent) // the rows do not have it yet
			continue
		}
		h.wait(t)
	}
	for _, h := range all {
		slices.SortStableFunc(h.turns, turn.compare)
	}
	return all, nil
}

// plans is how often a distribution is planned anew when other nodes have claimed
// a part of it.
const plans = 3

// hand claims what the halls would give, and appends it. Where another node has
// claimed a part, what is left is planned anew, as that node leaves it.
func (k *Keeper) hand(ctx context.Context, halls []*hall, all []decision) (int, error) {
	for plan := 1; ; plan++ {
		var won []decision
		for some := range slices.Chunk(all, batch) {
			mine, err := k.claim(ctx, some)
			if err != nil {
				return 0, err
			}
			won = append(won, mine...)
		}
		if len(won) == len(all) || plan == plans {
			all = won
			break
		}
		taken := map[uuid.UUID]struct{}{}
		for _, d := range all {
			if !k.holds(d.place.id) { // as good as given
				d.place.seat.open = max(d.place.seat.open, d.place.nth)
			} else if !k.holds(d.event.ID) {
				taken[d.event.ID] = struct{}{}
			}
		}
		all = nil
		for _, h := range halls {
			h.lose(taken)
			all = append(all, h.give(h.turns)...)
		}
	}
	appended := 0
	for some := range slices.Chunk(all, batch) {
		n, err := k.append(ctx, some)
		appended += n
		if err != nil {
			return appended, err
		}
	}
	return appended, nil
}

// hall is where the conversations of an account wait, and who may take them.
type hall struct {
	seats []*seat       // by agent number
	queue map[int64]int // priority by number
	turns []turn        // in the order in which they are served
}

// seat is an agent who is ready, and how many conversations it has.
type seat struct {
	agent domain.Agent
	open  int
}

// turn is a conversation that waits.
type turn struct {
	id           uuid.UUID // of the event that gives it to an agent
	conversation domain.Conversation
	channel      domain.Channel
	queue        int // priority of the queue: a smaller one is served first
	give         func(domain.Agent) domain.Event
}

func newHall(agents []domain.Agent, queues []domain.Queue, busy map[string]int) *hall {
	h := &hall{queue: make(map[int64]int, len(queues))}
	for _, q := range queues {
		h.queue[q.Number] = q.Priority
	}
	for _, a := range agents {
		h.seats = append(h.seats, &seat{agent: a, open: busy[a.ID()]})
	}
	slices.SortFunc(h.seats, func(a, b *seat) int { return cmp.Compare(a.agent.Number, b.agent.Number) })
	return h
}

// wait lets a conversation in. A queue that was deleted is served last.
func (h *hall) wait(t turn) {
	t.queue = domain.DefaultQueuePriority + 1
	if priority, there := h.queue[t.conversation.State.Queue]; there {
		t.queue = priority
	}
	h.turns = append(h.turns, t)
}

// load counts one more conversation of an agent.
func (h *hall) load(agent string) {
	for _, s := range h.seats {
		if s.agent.ID() == agent {
			s.open++
		}
	}
}

// compare says who is served first: by the queue, then by the request's own
// priority, then whoever has waited longest.
func (t turn) compare(other turn) int {
	a, b := t.conversation.State, other.conversation.State
	return cmp.Or(
		cmp.Compare(t.queue, other.queue),
		cmp.Compare(b.Priority, a.Priority),
		a.HandlingAt.Compare(b.HandlingAt),
		slices.Compare(t.id[:], other.id[:]),
	)
}

// fits tells whether an agent may take a conversation, had it room for one.
func (t turn) fits(a domain.Agent) bool {
	s := t.conversation.State
	return slices.Contains(a.Queues, s.Queue) && a.Can(s.Skills) && a.Can(t.channel.Desk.Skills)
}

// give finds agents for conversations, in their order. One that finds nobody does
// not hold up those behind it.
func (h *hall) give(turns []turn) []decision {
	open := make(map[*seat]int, len(h.seats))
	free := make([]*seat, 0, len(h.seats))
	for _, s := range h.seats {
		open[s] = s.open
		if s.open < s.agent.MostOpen {
			free = append(free, s)
		}
	}
	var given []decision
	for _, t := range turns {
		if len(free) == 0 {
			break
		}
		var best *seat
		for _, s := range free { // by number
			if t.fits(s.agent) && (best == nil || open[s] < open[best]) {
				best = s
			}
		}
		if best == nil {
			continue
		}
		given = append(given, decision{
			kind: kindDistributed, conversation: t.conversation, event: t.give(best.agent),
			agent: best.agent.ID(), place: best.place(open[best] + 1),
		})
		if open[best]++; open[best] >= best.agent.MostOpen {
			free = slices.DeleteFunc(free, func(s *seat) bool { return s == best })
		}
	}
	return given
}

// place is the nth conversation that an agent may have. It is claimed besides the
// conversation, so that two nodes that have not heard of one another yet do not
// both give the agent its last one.
type place struct {
	id   uuid.UUID
	seat *seat
	nth  int
}

func (s *seat) place(nth int) place {
	return place{id: domain.DeriveID("place", s.agent.Account, s.agent.ID(), strconv.Itoa(nth)), seat: s, nth: nth}
}

// lose takes out the conversations that another node has claimed. Whoever it gives
// them to has less room.
func (h *hall) lose(taken map[uuid.UUID]struct{}) {
	h.turns = slices.DeleteFunc(h.turns, func(t turn) bool {
		_, gone := taken[t.id]
		for _, s := range h.seats {
			if gone && t.fits(s.agent) {
				s.open++
			}
		}
		return gone
	})
}
