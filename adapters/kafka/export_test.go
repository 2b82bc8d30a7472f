package kafka

// Queued returns how many calls wait in the queues of a topic's appenders. A call is
// counted as waiting before it gets there.
func (p *Publisher) Queued(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, a := range p.topics[name].appenders {
		n += len(a.queue)
	}
	return n
}
