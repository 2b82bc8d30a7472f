package channelx

import (
	"sync"
	"time"

	"github.com/parley-im/parley/domain"
)

// crewAge is how long it may take until a right that was given or taken away
// counts for sockets.
const crewAge = time.Second

// crew knows who may act in an account, as operators. Clients prove who they are
// with a token that is made of their operator, so whether that operator still has
// a right is looked at whenever something is shown.
type crew struct {
	directory directory
	staff     staff
	now       func() time.Time

	mu       sync.Mutex // guards accounts
	accounts map[string]*muster
}

// muster is who may act in one account, as of a time: whether as an administrator,
// by operator.
type muster struct {
	at    time.Time
	admin map[int64]bool
}

// of gives the muster of an account; nobody when it is disabled or not there.
func (c *crew) of(account string) *muster {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.accounts[account]
	if m != nil && now.Sub(m.at) < crewAge && !now.Before(m.at) {
		return m
	}
	m = &muster{at: now, admin: map[int64]bool{}}
	if a, ok := c.directory.Account(account); ok && !a.Disabled {
		for _, t := range c.staff.ActingTokens(account) {
			o, _ := operatorBehind(c.directory, t)
			m.admin[o.ID] = m.admin[o.ID] || t.Role.Allows(domain.RoleAdmin)
		}
	}
	if len(c.accounts) >= maxKnown {
		c.accounts = nil // they are made anew as they are asked for
	}
	if c.accounts == nil {
		c.accounts = map[string]*muster{}
	}
	c.accounts[account] = m
	return m
}

// has tells whether an operator may act in the account at all.
func (m *muster) has(operator int64) bool {
	_, ok := m.admin[operator]
	return ok
}

// sees tells whether an operator may see an inbox (channelx.md 2.2).
func (m *muster) sees(operator int64, ch domain.Channel) bool {
	return m.admin[operator] || m.has(operator) && ch.Inbox.Member(operator)
}
