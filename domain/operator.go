package domain

import "slices"

// Operator is somebody who answers contacts in a dialect that knows people who
// do, or a program that acts for the account (channelx.md 3.4, where it is a
// user): a platform token, as the agent that it is bound to or as itself.
type Operator struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Short  string `json:"available_name,omitempty"` // what contacts are shown
	Email  string `json:"email,omitempty"`
	Avatar string `json:"avatar_url,omitempty"`
}

// OperatorOfAgent shows an agent as an operator.
func OperatorOfAgent(a Agent) Operator {
	s := a.Sender()
	return Operator{ID: a.Number, Name: s.DisplayName, Short: s.DisplayName, Email: s.Email, Avatar: s.Avatar}
}

// OperatorOfToken shows a token that is bound to no agent as an operator. Its
// number follows from the token's id and is above those of agents.
func OperatorOfToken(t Token) Operator {
	return Operator{ID: stableNumber("operator", t.Account, t.ID), Name: t.Name, Short: t.Name}
}

// Team is a group of agents that conversations can be given to.
type Team = Queue

// Member tells whether an agent belongs to a team.
func (a Agent) Member(team int64) bool { return slices.Contains(a.Queues, team) }
