package httpapi

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagAgents = "Agents"

// agentInput is an agent to be made.
type agentInput struct {
	Username    string            `json:"username" minLength:"1" maxLength:"255" doc:"Unique in the account." example:"petra"`
	DisplayName string            `json:"display_name,omitempty" maxLength:"255" doc:"What contacts see." example:"Petra Mala"`
	Email       string            `json:"email,omitempty" maxLength:"255" doc:"Functions may transfer by it."`
	Avatar      string            `json:"avatar,omitempty" maxLength:"2000" doc:"Absolute http or https."`
	Ready       bool              `json:"ready,omitempty" doc:"Takes conversations out of queues. Default false."`
	MostOpen    *int              `json:"most_open,omitempty" minimum:"1" maximum:"1000" doc:"Open conversations up to which queues give it more. Default 5."`
	Queues      []int64           `json:"queues,omitempty" nullable:"false" maxItems:"20" doc:"The queues that it serves."`
	Skills      []skillLevelInput `json:"skills,omitempty" nullable:"false" maxItems:"50"`
}

// agentChangeInput holds the settings to be changed; what is absent stays.
type agentChangeInput struct {
	Username    *string            `json:"username,omitempty" minLength:"1" maxLength:"255" doc:"Unique in the account."`
	DisplayName *string            `json:"display_name,omitempty" maxLength:"255"`
	Email       *string            `json:"email,omitempty" maxLength:"255"`
	Avatar      *string            `json:"avatar,omitempty" maxLength:"2000"`
	Ready       *bool              `json:"ready,omitempty" doc:"All that a token of role agent may change."`
	MostOpen    *int               `json:"most_open,omitempty" minimum:"1" maximum:"1000"`
	Queues      *[]int64           `json:"queues,omitempty" maxItems:"20" doc:"All queues that it serves from now on."`
	Skills      *[]skillLevelInput `json:"skills,omitempty" maxItems:"50" doc:"All skills that it has from now on."`
}

// onlyReady tells whether nothing but ready is to be changed.
func (in agentChangeInput) onlyReady() bool {
	in.Ready = nil
	return in == agentChangeInput{}
}

// agentView is an agent as the API shows it.
type agentView struct {
	ID          int64            `json:"id" doc:"The sender_id on the wire." example:"31"`
	Username    string           `json:"username"`
	DisplayName string           `json:"display_name"`
	Email       string           `json:"email"`
	Avatar      string           `json:"avatar"`
	Ready       bool             `json:"ready"`
	MostOpen    int              `json:"most_open"`
	Queues      []int64          `json:"queues" nullable:"false"`
	Skills      []skillLevelView `json:"skills" nullable:"false"`
	CreatedAt   time.Time        `json:"created_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
}

func showAgent(a domain.Agent) agentView {
	return agentView{
		ID: a.Number, Username: a.Username, DisplayName: a.DisplayName, Email: a.Email, Avatar: a.Avatar, Ready: a.Ready,
		MostOpen: a.MostOpen, Queues: append([]int64{}, a.Queues...), Skills: showLevels(a.Skills), CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
}

func numberOfAgent(a domain.Agent) int64 { return a.Number }

func nameOfAgent(a domain.Agent) (int64, string) { return a.Number, a.Username }

func (p *platform) agentRoutes() {
	nounRoutes(p, noun[domain.Agent, agentInput, agentChangeInput, agentView]{
		path: "agents", tag: tagAgents, one: "agent", many: "agents", changedBy: domain.RoleAgent,
		whenChanged: "A token of role agent may change ready; everything else needs role admin.",
		whenRemoved: "Its open conversations are closed first, with reason unknown.",
		all:         p.Directory.Agents, read: p.Directory.Agent, number: numberOfAgent, show: showAgent,
		create: p.createAgent, change: p.changeAgent, remove: p.removeAgent,
	})
}

func (p *platform) createAgent(ctx context.Context, c caller, _ string, in agentInput) (domain.Agent, error) {
	a := domain.Agent{
		Account: c.Account, Username: in.Username, DisplayName: in.DisplayName, Email: in.Email, Avatar: in.Avatar,
		Ready: in.Ready, MostOpen: domain.DefaultAgentConversations, Queues: in.Queues, Skills: levels(in.Skills),
	}
	set(&a.MostOpen, in.MostOpen)
	if err := p.checkAgent(a); err != nil {
		return domain.Agent{}, err
	}
	var err error
	if a.Number, err = next(ctx, p, c.Account, "agent", p.Directory.Agents(c.Account), numberOfAgent); err != nil {
		return domain.Agent{}, err
	}
	return p.Directory.CreateAgent(ctx, a)
}

// checkAgent checks an agent by itself and beside what it names.
func (p *platform) checkAgent(a domain.Agent) error {
	if err := a.Validate(); err != nil {
		return err
	}
	if err := free(p.Directory.Agents(a.Account), "username", "agent", a.Username, a.Number, nameOfAgent); err != nil {
		return err
	}
	for i, q := range a.Queues {
		if err := p.namesQueue(a.Account, fmt.Sprintf("queues[%d]", i), q); err != nil {
			return err
		}
	}
	return p.nameSkills(a.Account, "skills", a.Skills)
}

func (p *platform) changeAgent(ctx context.Context, c caller, a domain.Agent, in agentChangeInput) (domain.Agent, error) {
	if !c.Role.Allows(domain.RoleAdmin) && !in.onlyReady() {
		return domain.Agent{}, domain.Errorf(domain.CodeForbidden, "A token of role %s may change only ready; the rest needs role admin.", c.Role)
	}
	apply := func(a *domain.Agent) error {
		set(&a.Username, in.Username)
		set(&a.DisplayName, in.DisplayName)
		set(&a.Email, in.Email)
		set(&a.Avatar, in.Avatar)
		set(&a.Ready, in.Ready)
		set(&a.MostOpen, in.MostOpen)
		set(&a.Queues, in.Queues)
		if in.Skills != nil {
			a.Skills = levels(*in.Skills)
		}
		return a.Validate()
	}
	if err := apply(&a); err != nil {
		return domain.Agent{}, err
	}
	if !in.onlyReady() {
		if err := p.checkAgent(a); err != nil {
			return domain.Agent{}, err
		}
	}
	return p.Directory.ChangeAgent(ctx, c.Account, a.Number, apply)
}

// mostLooks is how often the open conversations of an agent that is being deleted
// are looked for.
const mostLooks = 5

// removeAgent lets queues give the agent nothing more, closes what it has, and
// deletes it. If the process dies on the way the agent is there and not ready, and
// a repeat goes on.
func (p *platform) removeAgent(ctx context.Context, c caller, a domain.Agent) error {
	if a.Ready {
		if _, err := p.Directory.ChangeAgent(ctx, c.Account, a.Number, func(a *domain.Agent) error {
			a.Ready = false
			return nil
		}); err != nil {
			return err
		}
	}
	of := domain.ConversationFilter{Account: c.Account, Status: domain.StatusOpen, Agent: a.ID()}
	for range mostLooks {
		closed, err := p.closeAll(ctx, c, of, domain.ClosedByUnknown)
		if err != nil {
			return err
		}
		if closed.count == 0 { // and no contact has written into one that was being closed
			return p.Directory.DeleteAgent(ctx, c.Account, a.Number)
		}
	}
	return domain.Errorf(domain.CodeConflict, "The agent's conversations are open again as soon as they are closed; repeat the request.")
}

// agentNamed finds the registered agent that a text names, by number or username.
func (p *platform) agentNamed(account, text string) (domain.Agent, bool) {
	if text == "" {
		return domain.Agent{}, false
	}
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		if a, ok := p.Directory.Agent(account, number); ok {
			return a, true
		}
	}
	all := p.Directory.Agents(account)
	i := slices.IndexFunc(all, func(a domain.Agent) bool { return a.Username == text })
	if i < 0 {
		return domain.Agent{}, false
	}
	return all[i], true
}
