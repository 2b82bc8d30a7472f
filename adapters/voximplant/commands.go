package voximplant

import (
	"log/slog"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// queues finds the queues of an account, in memory; the list is by number.
type queues interface {
	Queue(account string, number int64) (domain.Queue, bool)
	Queues(account string) []domain.Queue
}

// agents finds the agents of an account, in memory; the list is by number.
type agents interface {
	Agent(account string, number int64) (domain.Agent, bool)
	Agents(account string) []domain.Agent
}

// words finds what conversations of an account can be marked with, in memory.
type words interface {
	Tag(account string, number int64) (domain.Tag, bool)
	Skill(account string, number int64) (domain.Skill, bool)
}

// directory finds what the commands of a function name.
type directory interface {
	queues
	agents
	words
}

// commands turns a function's reply into what the account can do of it. What is
// named and not there is logged and left out; the rest counts.
type commands struct {
	directory directory
	logger    *slog.Logger
}

// of looks up what a reply names.
func (c *commands) of(ch domain.Channel, r reply) domain.FunctionReply {
	f := domain.FunctionReply{Text: r.text, Finish: r.finish, Marks: domain.Marks{ReplaceTags: r.replaceTags}}
	for _, n := range r.tags {
		if _, ok := c.directory.Tag(ch.Account, n); !ok {
			c.ignored(ch, "tag", n)
			continue
		}
		f.Marks.Tags = append(f.Marks.Tags, n)
	}
	if marks := (domain.Marks{Variables: r.variables}); marks.Validate() == nil {
		f.Marks.Variables = r.variables
	} else {
		c.ignored(ch, "variables", len(r.variables))
	}
	if marks := (domain.Marks{Custom: r.custom}); marks.Validate() == nil {
		f.Marks.Custom = r.custom
	} else {
		c.ignored(ch, "custom_data", len(r.custom))
	}
	for _, t := range r.transfers {
		if f.Transfer = c.transfer(ch, t); f.Transfer != nil {
			break // the first that can be done
		}
	}
	return f
}

func (c *commands) transfer(ch domain.Channel, t transfer) *domain.Assignment {
	if t.toUser {
		agent, ok := c.agent(ch.Account, t)
		if !ok {
			c.ignored(ch, "user", t.number)
			return nil
		}
		return &domain.Assignment{To: domain.HandlerAgent, AgentID: agent.ID()}
	}
	queue, ok := c.queue(ch.Account, t)
	if !ok {
		c.ignored(ch, "queue", t.number)
		return nil
	}
	a := &domain.Assignment{
		To: domain.HandlerQueue, Queue: queue.Number, Wait: queue.MaxWait, Priority: int(max(0, min(t.priority, domain.MaxPriority))),
	}
	for _, s := range t.skills {
		if _, ok := c.directory.Skill(ch.Account, s.Skill); !ok {
			c.ignored(ch, "skill", s.Skill) // nobody has it: the conversation would wait for ever
			continue
		}
		a.Skills = append(a.Skills, s)
	}
	return a
}

func (c *commands) queue(account string, t transfer) (domain.Queue, bool) {
	if t.number != 0 {
		return c.directory.Queue(account, t.number)
	}
	for _, q := range c.directory.Queues(account) {
		if t.name != "" && q.Name == t.name {
			return q, true
		}
	}
	return domain.Queue{}, false
}

func (c *commands) agent(account string, t transfer) (domain.Agent, bool) {
	if t.number != 0 {
		return c.directory.Agent(account, t.number)
	}
	for _, a := range c.directory.Agents(account) {
		if t.name != "" && strings.EqualFold(a.Email, t.name) {
			return a, true
		}
	}
	return domain.Agent{}, false
}

func (c *commands) ignored(ch domain.Channel, what string, number any) {
	c.logger.Warn("kit.command_ignored", "channel", ch.ID, "account", ch.Account, "what", what, "number", number)
}

// Replies gives what follows from the last call of a delivery: what a function
// that answered asks for, or the fallback queue of a channel whose function did
// not (section 7). The events are of the delivery's stream and belong into the
// append of the outcome.
func (o Outbound) Replies(ch domain.Channel, d domain.Delivery, a domain.Answer, out domain.Outcome, now time.Time) []domain.Event {
	if d.Kind != domain.DeliverFunction || d.Subject.Episode == nil {
		return nil
	}
	to := domain.Answering{
		ContactRef: d.ContactRef, Conversation: d.Conversation, Handling: d.Subject.Episode.Handling, Inbound: d.Subject.Inbound, ID: d.ID,
	}
	if out.Verdict == domain.Delivered {
		if r, err := readReply(a); err == nil {
			return ch.Answer(to, o.commands.of(ch, r), now)
		}
	}
	return o.commands.fallback(ch, d, to, out, now)
}

// fallback hands a conversation over whose function failed, where the channel says
// to whom. Otherwise it stays with the function, which is asked again when the
// contact writes again.
func (c *commands) fallback(ch domain.Channel, d domain.Delivery, to domain.Answering, out domain.Outcome, now time.Time) []domain.Event {
	queue, ok := c.directory.Queue(ch.Account, ch.Desk.FallbackQueue)
	c.logger.Warn("kit.function_failed", "channel", ch.ID, "account", ch.Account, "function", d.Subject.Function, "conversation", d.Conversation,
		"reason", out.Reason, "http_status", out.HTTPStatus, "detail", out.Detail, "fallback_queue", queue.Number)
	if !ok {
		return nil
	}
	return ch.Answer(to, domain.FunctionReply{
		Transfer: &domain.Assignment{To: domain.HandlerQueue, Queue: queue.Number, Wait: queue.MaxWait},
	}, now)
}
