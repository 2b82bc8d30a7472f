package channelx

import (
	"slices"

	"github.com/parley-im/parley/domain"
)

// actor is who gives a command.
type actor struct {
	account  domain.Account
	operator *domain.Operator // nil for a contact
	agent    int64            // the agent that the operator is; 0 = a token that acts as itself
	role     string           // roleAdministrator, roleAgent or roleContact
	channels []string         // that they may see; nil = all
}

// Roles of actors.
const (
	roleAdministrator = "administrator"
	roleAgent         = "agent"
	roleContact       = "contact"
)

// author shows who gives a command as who caused something.
func (a actor) author() domain.Author {
	return domain.Author{Contact: a.role == roleContact, Operator: a.operator}
}

// id is the operator's, 0 for a contact.
func (a actor) id() int64 {
	if a.operator == nil {
		return 0
	}
	return a.operator.ID
}

// sees makes sure that the actor may see a channel.
func (a actor) sees(channel string) error {
	if a.channels != nil && !slices.Contains(a.channels, channel) {
		return errNoRight
	}
	return nil
}

// operatorBehind is who a token acts as: the agent that it is bound to, whose
// number comes with it, or else the token itself, and 0.
func operatorBehind(in directory, t domain.Token) (o domain.Operator, agent int64) {
	if a, ok := in.Agent(t.Account, t.Agent); ok && t.Agent != 0 {
		return domain.OperatorOfAgent(a), a.Number
	}
	return domain.OperatorOfToken(t), 0
}
