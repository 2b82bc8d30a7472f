package httpapi

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagQueues = "Queues"

// queueInput is a queue to be made.
type queueInput struct {
	Name     string `json:"name" minLength:"1" maxLength:"255" doc:"Unique in the account." example:"Sales"`
	MaxWait  int64  `json:"max_wait,omitempty" minimum:"0" maximum:"604799" doc:"Seconds that a conversation waits at most; then it is unassigned. 0, the default, is for ever."`
	Priority *int   `json:"priority,omitempty" minimum:"1" maximum:"10" doc:"1 is served first. Default 10."`
}

// queueChangeInput holds the settings to be changed; what is absent stays.
type queueChangeInput struct {
	Name     *string `json:"name,omitempty" minLength:"1" maxLength:"255" doc:"Unique in the account."`
	MaxWait  *int64  `json:"max_wait,omitempty" minimum:"0" maximum:"604799" doc:"Seconds; 0 is for ever. Must be less than close_after of every channel that redirects or falls back to the queue."`
	Priority *int    `json:"priority,omitempty" minimum:"1" maximum:"10" doc:"1 is served first."`
}

// queueView is a queue as the API shows it.
type queueView struct {
	ID        int64     `json:"id" example:"3"`
	Name      string    `json:"name"`
	MaxWait   int64     `json:"max_wait" doc:"Seconds; 0 is for ever."`
	Priority  int       `json:"priority" doc:"1 is served first."`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func showQueue(q domain.Queue) queueView {
	return queueView{ID: q.Number, Name: q.Name, MaxWait: q.MaxWait, Priority: q.Priority, CreatedAt: q.CreatedAt, UpdatedAt: q.UpdatedAt}
}

func numberOfQueue(q domain.Queue) int64 { return q.Number }

func nameOfQueue(q domain.Queue) (int64, string) { return q.Number, q.Name }

func (p *platform) queueRoutes() {
	nounRoutes(p, noun[domain.Queue, queueInput, queueChangeInput, queueView]{
		path: "queues", tag: tagQueues, one: "queue", many: "queues",
		whenMade:    fmt.Sprintf("An account has at most %d queues; 409 beyond that.", domain.MaxQueues),
		whenChanged: "A new max_wait applies to conversations that come into the queue from now on.",
		whenRemoved: "409 while a channel, an agent or a waiting conversation needs it.",
		all:         p.Directory.Queues, read: p.Directory.Queue, number: numberOfQueue, show: showQueue,
		create: p.createQueue, change: p.changeQueue, remove: p.removeQueue,
	})
}

func (p *platform) createQueue(ctx context.Context, c caller, _ string, in queueInput) (domain.Queue, error) {
	q := domain.Queue{Account: c.Account, Name: in.Name, MaxWait: in.MaxWait, Priority: domain.DefaultQueuePriority}
	if in.Priority != nil {
		q.Priority = *in.Priority
	}
	if err := q.Validate(); err != nil {
		return domain.Queue{}, err
	}
	all := p.Directory.Queues(c.Account)
	if err := free(all, "name", "queue", q.Name, 0, nameOfQueue); err != nil {
		return domain.Queue{}, err
	}
	if len(all) >= domain.MaxQueues {
		return domain.Queue{}, domain.Errorf(domain.CodeConflict, "An account has at most %d queues.", domain.MaxQueues)
	}
	var err error
	if q.Number, err = next(ctx, p, c.Account, "queue", all, numberOfQueue); err != nil {
		return domain.Queue{}, err
	}
	return p.Directory.CreateQueue(ctx, q)
}

func (p *platform) changeQueue(ctx context.Context, c caller, q domain.Queue, in queueChangeInput) (domain.Queue, error) {
	apply := func(q *domain.Queue) error {
		set(&q.Name, in.Name)
		set(&q.MaxWait, in.MaxWait)
		set(&q.Priority, in.Priority)
		return q.Validate()
	}
	if err := apply(&q); err != nil {
		return domain.Queue{}, err
	}
	if err := free(p.Directory.Queues(c.Account), "name", "queue", q.Name, q.Number, nameOfQueue); err != nil {
		return domain.Queue{}, err
	}
	for _, ch := range p.Channels.Channels(c.Account) {
		if (ch.Desk.Queue == q.Number || ch.Desk.FallbackQueue == q.Number) && ch.Desk.CheckWait(q) != nil {
			return domain.Queue{}, unmet("max_wait", "must be less than close_after of channel %s, which is %d seconds", ch.ID, ch.Desk.CloseAfter)
		}
	}
	return p.Directory.ChangeQueue(ctx, c.Account, q.Number, apply)
}

// removeQueue deletes a queue that nothing names. Whether a conversation waits in
// it is asked of the rows, which are waited for.
func (p *platform) removeQueue(ctx context.Context, c caller, q domain.Queue) error {
	for _, ch := range p.Channels.Channels(c.Account) {
		if ch.Desk.Queue == q.Number || ch.Desk.FallbackQueue == q.Number {
			return inUse("queue", q.Name, "channel", ch.ID)
		}
	}
	for _, a := range p.Directory.Agents(c.Account) {
		if slices.Contains(a.Queues, q.Number) {
			return inUse("queue", q.Name, "agent", a.Username)
		}
	}
	if err := p.certain(ctx); err != nil {
		return err
	}
	waiting, _, err := p.Reads.Conversations(ctx, domain.ConversationFilter{
		Account: c.Account, Status: domain.StatusOpen, Handler: domain.HandlerQueue, Queue: q.Number,
	}, domain.Page{Limit: 1})
	if err != nil {
		return fmt.Errorf("look for conversations that wait in the queue: %w", err)
	}
	if len(waiting) > 0 {
		return inUse("queue", q.Name, "conversation", waiting[0].ID.String())
	}
	return p.Directory.DeleteQueue(ctx, c.Account, q.Number)
}

// inUse is the conflict of deleting what something names.
func inUse(one, name, by, which string) error {
	return domain.Errorf(domain.CodeConflict, "The %s %q is used by %s %s.", one, name, by, which)
}

// set takes over a setting that is there.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
