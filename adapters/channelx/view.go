package channelx

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/parley-im/parley/domain"
)

// view renders things as the wire shows them (channelx.md 3).
type view struct {
	directory directory
	inboxes   inboxes
	minter    minter
	now       func() time.Time
	there     attendance
}

// attendance is who is there.
type attendance struct {
	contacts, operators []int64
	everybody           bool
}

func newView(cfg Config) *view {
	return &view{directory: cfg.Directory, inboxes: cfg.Inboxes, minter: cfg.Minter, now: cfg.Now}
}

// How long somebody is there who has been seen (channelx.md 7.3).
const (
	contactsStay  = 90 * time.Second
	operatorsStay = 20 * time.Second
)

// viewed gives the view of somebody who is shown who is there. What is not known
// of that is not shown.
func (d *Door) viewed(ctx context.Context, account string) *view {
	v, now := *d.view, d.Now()
	var err error
	if v.there.contacts, err = d.Presence.Present(ctx, account, domain.PresentContact, now.Add(-contactsStay)); err != nil {
		v.there.contacts = nil
	}
	if v.there.operators, err = d.Presence.Present(ctx, account, domain.PresentOperator, now.Add(-operatorsStay)); err != nil {
		v.there.operators = nil
	}
	return &v
}

// Availability on the wire.
const (
	online  = "online"
	offline = "offline"
)

// availability says whether somebody is there.
func availability(there bool) string {
	if there {
		return online
	}
	return offline
}

// contact tells whether a person is there.
func (a attendance) contact(id int64) bool { return a.everybody || slices.Contains(a.contacts, id) }

// operator gives the availability of an operator.
func (a attendance) operator(id int64) string {
	return availability(a.everybody || slices.Contains(a.operators, id))
}

// channelType is the type of all inboxes of the dialect.
const channelType = "Channel::Api"

// account shows an account as its things name it.
func (v *view) account(name string) domain.Named {
	a, _ := v.directory.Account(name)
	return named(a)
}

// named shows an account by the name that people gave it.
func named(a domain.Account) domain.Named {
	return domain.Named{ID: a.WireNumber(), Name: cmp.Or(a.Title, a.Name)}
}

// operator finds an operator of an account, and the role they have on the wire.
func (v *view) operator(account string, id int64) (o domain.Operator, role string, ok bool) {
	tokens := v.directory.Tokens(account)
	role = roleAgent
	if a, ok := v.directory.Agent(account, id); ok {
		for _, t := range tokens {
			if t.Agent == id && t.Role.Allows(domain.RoleAdmin) {
				role = roleAdministrator
			}
		}
		return domain.OperatorOfAgent(a), role, true
	}
	for _, t := range tokens {
		if o := domain.OperatorOfToken(t); o.ID == id {
			if t.Role.Allows(domain.RoleAdmin) {
				role = roleAdministrator
			}
			return o, role, true
		}
	}
	return domain.Operator{}, "", false
}

// identityOwner and operatorOwner name whom a socket token belongs to.
func identityOwner(id int64) string { return "identity/" + strconv.FormatInt(id, 10) }

func operatorOwner(account string, id int64) string {
	return "operator/" + account + "/" + strconv.FormatInt(id, 10)
}
