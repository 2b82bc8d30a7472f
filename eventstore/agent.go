package eventstore

import (
	"context"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

// agentRecord is the stored form of an agent. Fields are only ever added.
type agentRecord struct {
	Number      int64               `json:"id"`
	Account     string              `json:"account"`
	Username    string              `json:"username"`
	DisplayName string              `json:"display_name,omitempty"`
	Email       string              `json:"email,omitempty"`
	Avatar      string              `json:"avatar,omitempty"`
	Ready       bool                `json:"ready,omitempty"`
	MostOpen    int                 `json:"most_open"`
	Queues      []int64             `json:"queues,omitempty"`
	Skills      []domain.SkillLevel `json:"skills,omitempty"`
	CreatedAt   time.Time           `json:"created_at"`
	UpdatedAt   time.Time           `json:"updated_at"`
}

func newAgents(r *Registry) *directory[domain.Agent] {
	d := newDirectory(r, kindAgent,
		func(a *domain.Agent) entry { return entry{&a.Account, &a.Number, &a.CreatedAt, &a.UpdatedAt} },
		func(a domain.Agent) (agentRecord, error) { return agentRecord(a), nil },
		func(rec agentRecord) (domain.Agent, error) { return domain.Agent(rec), nil })
	d.own = func(a *domain.Agent) { a.Queues, a.Skills = slices.Clone(a.Queues), slices.Clone(a.Skills) }
	d.fits = func(a domain.Agent, others []domain.Agent) error {
		if slices.ContainsFunc(others, func(o domain.Agent) bool { return o.Username == a.Username }) {
			return &domain.Error{Code: domain.CodeConflict, Field: "username", Message: "is that of another agent of the account"}
		}
		return nil
	}
	return d
}

// Agent finds an agent of an account. Its queues and skills are not to be written into.
func (r *Registry) Agent(account string, number int64) (domain.Agent, bool) {
	return r.agents.get(numbered{account, number})
}

// Agents lists the agents of an account by number.
func (r *Registry) Agents(account string) []domain.Agent { return r.agents.list(account) }

// CreateAgent makes an agent known under the number that it has. CodeConflict
// when that or the username is taken.
func (r *Registry) CreateAgent(ctx context.Context, a domain.Agent) (domain.Agent, error) {
	return r.agents.create(ctx, a)
}

// ChangeAgent changes an agent. CodeNotFound when there is none, CodeConflict
// when the username is another's.
func (r *Registry) ChangeAgent(ctx context.Context, account string, number int64, change func(*domain.Agent) error) (domain.Agent, error) {
	return r.agents.change(ctx, account, number, change)
}

// DeleteAgent forgets an agent; CodeNotFound when there is none.
func (r *Registry) DeleteAgent(ctx context.Context, account string, number int64) error {
	return r.agents.delete(ctx, account, number)
}
