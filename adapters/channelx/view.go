package channelx

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
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

// iso is a time as text (channelx.md 2.6).
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// isoOrNull is a time as text, or null for never.
func isoOrNull(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := iso(*t)
	return &s
}

// unix is a time in seconds, 0 for never.
func unix(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.Unix()
}

// fraction is a time in seconds with a decimal fraction.
type fraction time.Time

// MarshalJSON gives such as 1765000130.482.
func (f fraction) MarshalJSON() ([]byte, error) {
	t := time.Time(f)
	b := strconv.AppendInt(nil, t.Unix(), 10)
	ms := strconv.Itoa(t.Nanosecond()/int(time.Millisecond) + 1000)
	return append(append(b, '.'), ms[1:]...), nil
}

// textOrNull is a text, or null for none.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// numberOrNull is a number, or null for none.
func numberOrNull[N int | int64](n N) *N {
	if n == 0 {
		return nil
	}
	return &n
}

// object is an object, never null.
func object(o domain.Object) domain.Object {
	if o == nil {
		return domain.Object{}
	}
	return o
}

// changesOf shows what changed: a list of objects with one member each.
func changesOf(changes []domain.Change) []map[string]change {
	list := make([]map[string]change, 0, len(changes))
	for _, c := range changes {
		list = append(list, map[string]change{c.Name: {c.Previous, c.Current}})
	}
	return list
}

type change struct {
	Previous any `json:"previous_value"`
	Current  any `json:"current_value"`
}

// identityOwner and operatorOwner name whom a socket token belongs to.
func identityOwner(id int64) string { return "identity/" + strconv.FormatInt(id, 10) }

func operatorOwner(account string, id int64) string {
	return "operator/" + account + "/" + strconv.FormatInt(id, 10)
}

// tidyContent is the text of a message in callbacks: without backslashes before
// line breaks, and without line breaks at the end (channelx.md 6.3).
func tidyContent(content *string) *string {
	if content == nil {
		return nil
	}
	s := strings.ReplaceAll(strings.ReplaceAll(*content, "\\\r\n", "\r\n"), "\\\n", "\n")
	s = strings.TrimRight(s, "\r\n")
	return &s
}
