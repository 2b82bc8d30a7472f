package domain

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// DefaultAgentConversations is how many open conversations an agent is given by
// queues at most, unless told otherwise.
const DefaultAgentConversations = 5

// Limits of agents.
const (
	MaxAgentConversations = 1000
	MaxAgentText          = 255 // characters of each text
)

// Agent is an employee who answers.
type Agent struct {
	Number      int64 // of the account: sender_id on the wire
	Account     string
	Username    string // unique in the account
	DisplayName string
	Email       string
	Avatar      string // URL
	Ready       bool   // takes conversations out of queues
	MostOpen    int    // conversations that queues give it at a time
	Queues      []int64
	Skills      []SkillLevel
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// ID is the agent's id in conversations.
func (a Agent) ID() string { return strconv.FormatInt(a.Number, 10) }

// Sender is how the integration is told of the agent, who always has a name there.
func (a Agent) Sender() *Sender {
	return &Sender{Number: a.Number, Username: a.Username, DisplayName: cmp.Or(a.DisplayName, a.Username), Avatar: a.Avatar, Email: a.Email}
}

// Can tells whether the agent has all skills that are wanted, each at least at
// its level.
func (a Agent) Can(wanted []SkillLevel) bool {
	return !slices.ContainsFunc(wanted, func(w SkillLevel) bool {
		return !slices.ContainsFunc(a.Skills, func(s SkillLevel) bool { return s.Skill == w.Skill && s.Level >= w.Level })
	})
}

// Validate checks an agent as a person entered it.
func (a Agent) Validate() error {
	if err := length("username", a.Username, 1, MaxAgentText); err != nil {
		return err
	}
	if err := length("display_name", a.DisplayName, 0, MaxAgentText); err != nil {
		return err
	}
	if err := length("email", a.Email, 0, MaxAgentText); err != nil {
		return err
	}
	if a.Avatar != "" {
		if err := ValidateURL("avatar", a.Avatar, MaxCallbackURL); err != nil {
			return err
		}
	}
	if a.MostOpen < 1 || a.MostOpen > MaxAgentConversations {
		return Invalid("most_open", "must be from 1 to %d", MaxAgentConversations)
	}
	if len(a.Queues) > MaxQueues {
		return Invalid("queues", "must hold at most %d queues", MaxQueues)
	}
	return ValidateSkills("skills", a.Skills)
}
