package timers

import "github.com/google/uuid"

// remembered is how many appended events a Keeper knows: at least so many, at most
// twice. Ids never come again, so what is forgotten costs at most a second record
// of the same id when the rows have not caught up by then.
const remembered = 50_000

// memory knows the newest events that were appended here, and which agent each
// gives a conversation to, if any.
type memory struct {
	most     int
	new, old map[uuid.UUID]string
}

func newMemory(most int) *memory {
	return &memory{most: most, new: map[uuid.UUID]string{}}
}

// add remembers an event; the older half is forgotten when there are too many.
func (m *memory) add(id uuid.UUID, agent string) {
	if len(m.new) >= m.most {
		m.old, m.new = m.new, make(map[uuid.UUID]string, m.most)
	}
	m.new[id] = agent
}

func (m *memory) agent(id uuid.UUID) (agent string, known bool) {
	if agent, known = m.new[id]; known {
		return agent, true
	}
	agent, known = m.old[id]
	return agent, known
}

func (m *memory) knows(id uuid.UUID) bool {
	_, known := m.agent(id)
	return known
}
