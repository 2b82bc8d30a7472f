package main

// queueSettings are the flags of a queue.
type queueSettings struct {
	Name     string   `help:"Name that operators see." placeholder:"NAME"`
	MaxWait  *seconds `help:"Longest wait, such as 300 or 5m; then the conversation is unassigned. 0 is for ever." placeholder:"TIME"`
	Priority *int     `help:"1 is served first, 10 (the default) last." placeholder:"1-10"`
}

func (queueSettings) path() string { return "/v1/queues" }

func (queueSettings) columns() []column {
	return []column{{"NAME", "name"}, {"MAX WAIT", "max_wait"}, {"PRIORITY", "priority"}}
}

func (q queueSettings) body() fields {
	f := fields{}
	f.text("name", q.Name)
	given(f, "max_wait", q.MaxWait)
	given(f, "priority", q.Priority)
	return f
}
