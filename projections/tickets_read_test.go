package projections_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// enlist registers a person as they are.
func (o *agency) enlist(p domain.Person, i *domain.Identity) domain.Person {
	p.ID, p.Revision, p.CreatedAt = o.id(), 1, o.tick()
	p.UpdatedAt = p.CreatedAt
	if i != nil {
		i.ID, i.Revision, i.PersonID, i.CreatedAt, i.UpdatedAt = o.id(), 1, p.ID, p.CreatedAt, p.CreatedAt
		o.identities[i.ID] = *i
	}
	o.people[p.ID] = p
	e := p.About(agencyAccount, p.CreatedAt)
	e.Data = domain.ContactRegistered{Person: p, Identity: i}
	o.tell(e)
	return p
}

// folded is the agency's log in a database.
func folded(t *testing.T, o *agency) (*projections.Reads, *pgxpool.Pool) {
	t.Helper()
	pool := database(t)
	mustProject(t, pool, o.log...)
	return projections.NewReads(pool), pool
}

func names(people []domain.PersonSeen) string {
	list := make([]string, len(people))
	for i, p := range people {
		list[i] = p.Name
	}
	return strings.Join(list, " ")
}

// someone are people of whom each filter finds some.
func someone() *agency {
	o := newAgency()
	attributes := func(city, company, country string) domain.Object {
		return domain.Object{"city": city, "company_name": company, "country": country, "country_code": "BR"}
	}
	o.enlist(domain.Person{
		Name: "Ana", Email: "ana@example.com", Phone: "+15550100", Identifier: "crm-48213", Labels: []string{"gold", "vip"},
		Additional: attributes("Lisboa", "Acme", "Portugal"), Custom: domain.Object{"plan": "Gold", "tier": 2.0, "since": "2020-01-15", "odd": "100%_\\"},
	}, nil)
	o.enlist(domain.Person{
		Name: "bo", Email: "bo@example.com", Phone: "+15550101", Labels: []string{"gold"}, Blocked: true,
		Additional: attributes("Porto", "umbra", "Portugal"), Custom: domain.Object{"plan": "silver", "tier": 10.0},
	}, nil)
	o.enlist(domain.Person{Name: "Çelik", Identifier: "CRM-9", Custom: domain.Object{"tier": "none"}}, nil)
	o.enlist(domain.Person{Name: "Dee 100%", Email: "dee@example.org"}, nil)
	o.enlist(domain.Person{Name: "passer-by"}, nil)
	return o
}

// Ensure that search, filters and orders find whom they should.
func TestReads_Persons(t *testing.T) {
	t.Parallel()
	o := someone()
	reads, _ := folded(t, o)
	is := func(key string, compare domain.Comparison, values ...string) domain.Condition {
		return domain.Condition{Key: key, Compare: compare, Values: values}
	}
	custom := func(key string, compare domain.Comparison, values ...string) domain.Condition {
		return domain.Condition{Key: key, Custom: true, Compare: compare, Values: values}
	}
	or := func(c domain.Condition) domain.Condition {
		c.Or = true
		return c
	}
	and := func(c ...domain.Condition) domain.PersonQuery { return domain.PersonQuery{Conditions: c} }
	for _, c := range []struct {
		asked domain.PersonQuery
		want  string
	}{
		{domain.PersonQuery{}, "passer-by|Dee 100%|Çelik|bo|Ana"},
		{domain.PersonQuery{ListedOnly: true}, "Dee 100%|Çelik|bo|Ana"},
		{domain.PersonQuery{Search: "ANA"}, "Ana"},
		{domain.PersonQuery{Search: "çEL"}, "Çelik"},
		{domain.PersonQuery{Search: "EXAMPLE.com"}, "bo|Ana"},
		{domain.PersonQuery{Search: "+1555010"}, "bo|Ana"},
		{domain.PersonQuery{Search: "crm-"}, "Ana"},
		{domain.PersonQuery{Search: "CRM-"}, "Çelik"},
		{domain.PersonQuery{Search: "passer"}, "passer-by"},
		{domain.PersonQuery{Search: "100%"}, "Dee 100%"},
		{domain.PersonQuery{Search: "0%0"}, ""},
		{domain.PersonQuery{Labels: []string{"vip", "none"}}, "Ana"},
		{domain.PersonQuery{Labels: []string{"gold"}}, "bo|Ana"},
		{domain.PersonQuery{Sort: "name"}, "Ana|bo|Çelik|Dee 100%|passer-by"},
		{domain.PersonQuery{Sort: "name", Descending: true}, "passer-by|Dee 100%|Çelik|bo|Ana"},
		{domain.PersonQuery{Sort: "email"}, "Ana|bo|Dee 100%|Çelik|passer-by"},
		{domain.PersonQuery{Sort: "phone_number", Descending: true}, "bo|Ana|passer-by|Dee 100%|Çelik"},
		{domain.PersonQuery{Sort: "created_at"}, "Ana|bo|Çelik|Dee 100%|passer-by"},
		{domain.PersonQuery{Sort: "city", Descending: true}, "bo|Ana|passer-by|Dee 100%|Çelik"},
		{domain.PersonQuery{Sort: "company_name"}, "Ana|bo|Çelik|Dee 100%|passer-by"},
		{domain.PersonQuery{Sort: "country"}, "Ana|bo|Çelik|Dee 100%|passer-by"},
		{domain.PersonQuery{Sort: "last_activity_at"}, "Ana|bo|Çelik|Dee 100%|passer-by"},
		{and(is("name", domain.EqualTo, "ANA", "BO")), "bo|Ana"},
		{and(is("name", domain.NotEqualTo, "ana")), "passer-by|Dee 100%|Çelik|bo"},
		{and(is("phone_number", domain.EqualTo, "+15550100")), "Ana"},
		{and(is("identifier", domain.EqualTo, "crm-9")), "Çelik"},
		{and(is("email", domain.Contains, "Example.ORG")), "Dee 100%"},
		{and(is("email", domain.DoesNotContain, "example")), "passer-by|Çelik"},
		{and(is("email", domain.IsPresent)), "Dee 100%|bo|Ana"},
		{and(is("email", domain.IsNotPresent)), "passer-by|Çelik"},
		{and(is("city", domain.EqualTo, "lisboa")), "Ana"},
		{and(is("city", domain.IsNotPresent)), "passer-by|Dee 100%|Çelik"},
		{and(is("country_code", domain.EqualTo, "br")), "bo|Ana"},
		{and(is("company_name", domain.Contains, "cm")), "Ana"},
		{and(is("labels", domain.EqualTo, "vip")), "Ana"},
		{and(is("labels", domain.NotEqualTo, "vip")), "passer-by|Dee 100%|Çelik|bo"},
		{and(is("labels", domain.IsPresent)), "bo|Ana"},
		{and(is("labels", domain.IsNotPresent)), "passer-by|Dee 100%|Çelik"},
		{and(is("blocked", domain.EqualTo, "true")), "bo"},
		{and(is("blocked", domain.EqualTo, "false")), "passer-by|Dee 100%|Çelik|Ana"},
		{and(is("blocked", domain.NotEqualTo, "false")), "bo"},
		{and(is("created_at", domain.IsGreaterThan, "2026-03-01T09:00:03Z")), "passer-by|Dee 100%"},
		{and(is("created_at", domain.IsLessThan, "2026-03-01T09:00:02Z")), "Ana"},
		{and(is("created_at", domain.IsLessThan, "2026-03-01")), ""},
		{and(is("created_at", domain.DaysBefore, "1")), "passer-by|Dee 100%|Çelik|bo|Ana"},
		{and(is("created_at", domain.DaysBefore, "36000")), ""},
		{and(is("last_activity_at", domain.IsPresent)), ""},
		{and(is("last_activity_at", domain.IsNotPresent)), "passer-by|Dee 100%|Çelik|bo|Ana"},
		{and(custom("plan", domain.EqualTo, "gold")), "Ana"},
		{and(custom("plan", domain.NotEqualTo, "gold")), "passer-by|Dee 100%|Çelik|bo"},
		{and(custom("plan", domain.Contains, "IL")), "bo"},
		{and(custom("plan", domain.IsPresent)), "bo|Ana"},
		{and(custom("plan", domain.IsNotPresent)), "passer-by|Dee 100%|Çelik"},
		{and(custom("tier", domain.EqualTo, "2")), "Ana"},
		{and(custom("tier", domain.IsGreaterThan, "3")), "bo"},
		{and(custom("tier", domain.IsLessThan, "10.5")), "bo|Ana"},
		{and(custom("since", domain.IsLessThan, "2021-01-01")), "Ana"},
		{and(custom("since", domain.DaysBefore, "30")), "Ana"},
		{and(custom("odd", domain.Contains, `%_\`)), "Ana"},
		{and(custom("a' or true --", domain.EqualTo, "' or true --")), ""},
		{and(or(is("name", domain.EqualTo, "ana")), is("name", domain.EqualTo, "bo")), "bo|Ana"},
		{and(is("name", domain.EqualTo, "ana"), is("name", domain.EqualTo, "bo")), ""},
		{and(or(is("name", domain.EqualTo, "ana")), is("name", domain.EqualTo, "bo"), is("blocked", domain.EqualTo, "true")), "bo"},
		{and(is("blocked", domain.EqualTo, "true"), or(is("name", domain.EqualTo, "ana")), is("name", domain.EqualTo, "ana")), "Ana"},
	} {
		c.asked.Account = agencyAccount
		got, count, err := reads.Persons(t.Context(), c.asked)
		want := strings.ReplaceAll(c.want, "|", " ")
		if err != nil || names(got) != want || int(count) != len(got) {
			t.Errorf("%+v finds %q, %d, %v; want %q", c.asked, names(got), count, err, want)
		}
	}
	page, count, err := reads.Persons(t.Context(), domain.PersonQuery{Account: agencyAccount, Offset: 2, Limit: 2})
	if err != nil || names(page) != "Çelik bo" || count != 5 {
		t.Errorf("a page: %q of %d, %v", names(page), count, err)
	}
	if none, count, err := reads.Persons(t.Context(), domain.PersonQuery{Account: "umbra"}); err != nil || len(none) != 0 || count != 0 {
		t.Errorf("another account: %v, %d, %v", none, count, err)
	}
	for _, bad := range []domain.PersonQuery{
		{Sort: "id"}, and(is("password", domain.EqualTo, "x")), and(is("", domain.EqualTo, "x")), and(is("name", domain.IsGreaterThan, "x")),
		and(is("name", "like", "x")), and(is("name", domain.EqualTo)), and(is("created_at", domain.IsLessThan, "soon")),
		and(is("created_at", domain.DaysBefore, "x")), and(is("labels", domain.Contains, "x")), and(is("blocked", domain.EqualTo, "maybe")),
	} {
		bad.Account = agencyAccount
		if _, _, err := reads.Persons(t.Context(), bad); domain.CodeOf(err) != domain.CodeInvalid {
			t.Errorf("%+v: %v, want CodeInvalid", bad, err)
		}
	}
}

// Ensure that people and identities are found by each of their names, whatever the
// length, and by no others'.
func TestReads_peopleByName(t *testing.T) {
	t.Parallel()
	o := newAgency()
	long := strings.Repeat("é", 20_000)
	i := domain.Identity{Channel: "c1", SourceID: long, TokenHash: strings.Repeat("ab", 32)}
	ana := o.enlist(domain.Person{Name: "Ana\x00", Email: "ana@example.com", Phone: "+15550100", Identifier: "crm-1", Custom: domain.Object{"nul": "a\x00b\\u0000"}}, &i)
	other := domain.Identity{Channel: "c2", SourceID: long}
	bo := o.enlist(domain.Person{Name: "Bo", Identifier: "CRM-1"}, &other)
	reads, _ := folded(t, o)
	ctx := t.Context()
	for key, want := range map[domain.PersonKey]int64{
		{Identifier: "crm-1"}:                             ana.ID,
		{Identifier: "CRM-1"}:                             bo.ID,
		{Email: "ANA@example.com"}:                        ana.ID,
		{Phone: "+15550100"}:                              ana.ID,
		{Identifier: "CRM-1", Email: "ana@example.com"}:   bo.ID,
		{Identifier: "unknown", Email: "ana@example.com"}: 0,
		{}:                     0,
		{Email: "' or '1'='1"}: 0,
	} {
		got, err := reads.PersonBy(ctx, agencyAccount, key)
		if want == 0 {
			if domain.CodeOf(err) != domain.CodeNotFound {
				t.Errorf("%+v: %v, want CodeNotFound", key, err)
			}
			continue
		}
		if err != nil || got.ID != want || len(got.Identities) != 1 {
			t.Errorf("%+v: %+v, %v", key, got, err)
		}
	}
	if got, err := reads.Person(ctx, agencyAccount, ana.ID); err != nil || got.Name != "Ana" || got.Custom["nul"] != `ab\u0000` {
		t.Errorf("a name with a zero character: %+v, %v", got, err)
	}
	if _, err := reads.PersonBy(ctx, "umbra", domain.PersonKey{Identifier: "crm-1"}); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("another account's: %v", err)
	}
	if got, err := reads.Identity(ctx, "c1", long); err != nil || got != i {
		t.Errorf("a long source id: %+v, %v", got.ID, err)
	}
	if _, err := reads.Identity(ctx, "c1", long[:len(long)-2]); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("a source id that is none: %v", err)
	}
	if got, err := reads.IdentitiesBySource(ctx, agencyAccount, long); err != nil || !slices.Equal(got, []domain.Identity{i, other}) {
		t.Errorf("by source: %d, %v", len(got), err)
	}
	if got, err := reads.IdentitiesBySource(ctx, agencyAccount, "none"); err != nil || len(got) != 0 {
		t.Errorf("by a source that is none: %d, %v", len(got), err)
	}
	if got, err := reads.IdentityByID(ctx, i.ID); err != nil || got != i {
		t.Errorf("by id: %v, %v", got.ID, err)
	}
	if _, err := reads.IdentityByID(ctx, 999); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("by an id that is none: %v", err)
	}
	got, person, account, err := reads.IdentityByToken(ctx, i.TokenHash)
	if err != nil || got != i || person.ID != ana.ID || account != agencyAccount {
		t.Errorf("by token: %v, %v, %s, %v", got.ID, person.ID, account, err)
	}
	for _, hash := range []string{"", "00"} {
		if _, _, _, err := reads.IdentityByToken(ctx, hash); domain.CodeOf(err) != domain.CodeNotFound {
			t.Errorf("by token %q: %v", hash, err)
		}
	}
	if _, err := reads.Person(ctx, "umbra", ana.ID); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("another account's person: %v", err)
	}
	with, _, err := reads.Persons(ctx, domain.PersonQuery{Account: agencyAccount, WithIdentities: true})
	if err != nil || len(with) != 2 || len(with[0].Identities) != 1 || with[0].Identities[0] != other {
		t.Errorf("with identities: %+v, %v", with, err)
	}
}

// desked are tickets of which each query finds some: 1 and 2 are Ana's, 3 is Bo's.
func desked() *agency {
	o := newAgency()
	_, ana := o.register("Ana", "c1")
	_, bo := o.register("Bo", "c2")
	o.next = 0
	for _, i := range []domain.Identity{ana, ana, bo} {
		o.open(i)
	}
	o.next = 100
	o.turned(0, func(t *domain.Ticket) {
		t.Assignee, t.Team, t.Labels, t.Priority, t.Custom = 4, 7, []string{"billing", "late"}, "urgent", domain.Object{"order": "A1"}
	})
	o.turned(1, func(t *domain.Ticket) {
		now := o.now
		t.Assignee, t.Labels, t.Priority, t.Unread, t.WaitingSince = 5, []string{"billing"}, "low", 3, &now
		t.Status = domain.TicketResolved
	})
	o.turned(2, func(t *domain.Ticket) { t.Unread, t.Status = 1, domain.TicketSnoozed })
	o.say(1, "incoming", "where is my ORDER")
	o.say(0, "outgoing", "it ships")
	o.say(0, "note", "call them")
	o.say(0, "activity", "assigned")
	return o
}

// turned changes a ticket in some way.
func (o *agency) turned(n int, change func(*domain.Ticket)) {
	t := o.tickets[n]
	t.Revision, t.UpdatedAt = t.Revision+1, o.tick()
	change(&t)
	o.tickets[n] = t
	e := o.identities[t.IdentityID].About(agencyAccount, o.now)
	e.Data = domain.ConversationChanged{ConversationID: t.ID, Turned: domain.Turned{Scene: o.scene(t)}}
	o.tell(e)
}

func numbersIn(tickets []domain.TicketSeen) string {
	list := make([]string, len(tickets))
	for i, t := range tickets {
		list[i] = fmt.Sprint(t.Number)
	}
	return strings.Join(list, " ")
}

// Ensure that lists of tickets hold what was asked for, in its order, and that the
// counts go by assignee.
func TestReads_Tickets(t *testing.T) {
	t.Parallel()
	o := desked()
	reads, _ := folded(t, o)
	ana, bo := o.identities[o.tickets[0].IdentityID], o.identities[o.tickets[2].IdentityID]
	yes, no := true, false
	all := domain.TicketCounts{Mine: 1, Assigned: 2, Unassigned: 1, All: 3}
	since := o.tickets[1].UpdatedAt
	for _, c := range []struct {
		asked  domain.TicketQuery
		want   string
		counts domain.TicketCounts
	}{
		{domain.TicketQuery{}, "1 2 3", all},
		{domain.TicketQuery{Ascending: true}, "3 2 1", all},
		{domain.TicketQuery{Sort: "last_activity_at"}, "1 2 3", all},
		{domain.TicketQuery{Sort: "created_at"}, "3 2 1", all},
		{domain.TicketQuery{Sort: "created_at", Ascending: true}, "1 2 3", all},
		{domain.TicketQuery{Sort: "priority"}, "1 2 3", all},
		{domain.TicketQuery{Sort: "priority", Ascending: true}, "2 1 3", all},
		{domain.TicketQuery{Sort: "waiting_since"}, "2 1 3", all},
		{domain.TicketQuery{Sort: "unread"}, "2 3 1", all},
		{domain.TicketQuery{Offset: 1, Limit: 1}, "2", all},
		{domain.TicketQuery{Channels: []string{"c1"}}, "1 2", domain.TicketCounts{Mine: 1, Assigned: 2, All: 2}},
		{domain.TicketQuery{Channels: []string{}}, "", domain.TicketCounts{}},
		{domain.TicketQuery{Statuses: []domain.TicketStatus{domain.TicketOpen}}, "1", domain.TicketCounts{Mine: 1, Assigned: 1, All: 1}},
		{domain.TicketQuery{Statuses: []domain.TicketStatus{domain.TicketOpen, domain.TicketSnoozed}}, "1 3", domain.TicketCounts{Mine: 1, Assigned: 1, Unassigned: 1, All: 2}},
		{domain.TicketQuery{Person: ana.PersonID}, "1 2", domain.TicketCounts{Mine: 1, Assigned: 2, All: 2}},
		{domain.TicketQuery{Identity: bo.ID}, "3", domain.TicketCounts{Unassigned: 1, All: 1}},
		{domain.TicketQuery{SourceID: bo.SourceID}, "3", domain.TicketCounts{Unassigned: 1, All: 1}},
		{domain.TicketQuery{Assignee: 5}, "2", all},
		{domain.TicketQuery{Assigned: &yes}, "1 2", all},
		{domain.TicketQuery{Assigned: &no}, "3", all},
		{domain.TicketQuery{Team: 7}, "1", domain.TicketCounts{Mine: 1, Assigned: 1, All: 1}},
		{domain.TicketQuery{Labels: []string{"billing"}}, "1 2", domain.TicketCounts{Mine: 1, Assigned: 2, All: 2}},
		{domain.TicketQuery{Labels: []string{"late", "billing"}}, "1", domain.TicketCounts{Mine: 1, Assigned: 1, All: 1}},
		{domain.TicketQuery{Search: "order"}, "2", domain.TicketCounts{Assigned: 1, All: 1}},
		{domain.TicketQuery{Search: "CALL"}, "1", domain.TicketCounts{Mine: 1, Assigned: 1, All: 1}},
		{domain.TicketQuery{Search: "%"}, "", domain.TicketCounts{}},
		{domain.TicketQuery{UpdatedSince: &since}, "1 2", domain.TicketCounts{Mine: 1, Assigned: 2, All: 2}},
		{domain.TicketQuery{Conditions: []domain.Condition{{Key: "status", Compare: domain.EqualTo, Values: []string{"open", "resolved"}}}}, "1 2", domain.TicketCounts{Mine: 1, Assigned: 2, All: 2}},
		{domain.TicketQuery{Conditions: []domain.Condition{{Key: "order", Custom: true, Compare: domain.EqualTo, Values: []string{"a1"}}}}, "1", domain.TicketCounts{Mine: 1, Assigned: 1, All: 1}},
		{domain.TicketQuery{Conditions: []domain.Condition{{Key: "assignee_id", Compare: domain.IsNotPresent}}}, "3", domain.TicketCounts{Unassigned: 1, All: 1}},
		{domain.TicketQuery{Conditions: []domain.Condition{{Key: "priority", Compare: domain.EqualTo, Values: []string{"urgent"}}}}, "1", domain.TicketCounts{Mine: 1, Assigned: 1, All: 1}},
		{domain.TicketQuery{Conditions: []domain.Condition{{Key: "contact_id", Compare: domain.EqualTo, Values: []string{fmt.Sprint(bo.PersonID)}}}}, "3", domain.TicketCounts{Unassigned: 1, All: 1}},
		{domain.TicketQuery{Conditions: []domain.Condition{{Key: "inbox_id", Compare: domain.NotEqualTo, Values: []string{"c1"}}}}, "3", domain.TicketCounts{Unassigned: 1, All: 1}},
		{domain.TicketQuery{Conditions: []domain.Condition{{Key: "display_id", Compare: domain.EqualTo, Values: []string{"2"}}}}, "2", domain.TicketCounts{Assigned: 1, All: 1}},
	} {
		c.asked.Account = agencyAccount
		got, err := reads.Tickets(t.Context(), c.asked)
		if err != nil || numbersIn(got) != c.want {
			t.Errorf("%+v lists %q, %v; want %q", c.asked, numbersIn(got), err, c.want)
		}
		counts, err := reads.TicketCounts(t.Context(), c.asked, 4)
		if err != nil || counts != c.counts {
			t.Errorf("%+v counts %+v, %v; want %+v", c.asked, counts, err, c.counts)
		}
	}
	if got, err := reads.Tickets(t.Context(), domain.TicketQuery{Account: "umbra"}); err != nil || len(got) != 0 {
		t.Errorf("another account's: %d, %v", len(got), err)
	}
	for _, bad := range []domain.TicketQuery{{Sort: "id"}, {Conditions: []domain.Condition{{Key: "display_id", Compare: domain.EqualTo, Values: []string{"x"}}}}} {
		if _, err := reads.Tickets(t.Context(), bad); domain.CodeOf(err) != domain.CodeInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	first, err := reads.Ticket(t.Context(), agencyAccount, 1)
	if err != nil || first.Post == nil || first.Said == nil || first.Public == nil || *first.Post.Content != "assigned" ||
		*first.Said.Content != "call them" || *first.Public.Content != "it ships" || first.Person.ID != ana.PersonID || first.Identity.ID != ana.ID {
		t.Errorf("ticket 1: %+v, %v", first, err)
	}
	if third, err := reads.Ticket(t.Context(), agencyAccount, 3); err != nil || third.Post != nil || third.Said != nil || third.Public != nil {
		t.Errorf("ticket 3: %+v, %v", third, err)
	}
	if _, err := reads.Ticket(t.Context(), agencyAccount, 4); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("ticket 4: %v", err)
	}
	if latest, err := reads.LatestTicket(t.Context(), ana.ID); err != nil || latest.Number != 2 {
		t.Errorf("the latest of Ana: %d, %v", latest.Number, err)
	}
	if _, err := reads.LatestTicket(t.Context(), 999); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("the latest of nobody: %v", err)
	}
}

// Ensure that posts come in windows, oldest first, and are found by their names.
func TestReads_Posts(t *testing.T) {
	t.Parallel()
	o := newAgency()
	_, ana := o.register("Ana", "c1")
	o.next = 0
	o.open(ana)
	o.open(ana)
	var ids []int64
	for n := range 12 {
		o.next = int64(100 + 10*n)
		p := o.say(0, []string{"incoming", "outgoing", "note", "activity"}[n%4], fmt.Sprint("text", n%6))
		ids = append(ids, p.ID)
	}
	o.say(1, "outgoing", "text0")
	o.alter(0, 1, func(p *domain.Post) { p.Status = domain.StatusDelivered })
	o.alter(0, 5, func(p *domain.Post) { p.Status = domain.StatusRead })
	reads, _ := folded(t, o)
	list := func(q domain.PostQuery, want ...int) {
		t.Helper()
		q.Account, q.Number = agencyAccount, 1
		posts, err := reads.Posts(t.Context(), q)
		var got, expected []int64
		for _, p := range posts {
			got = append(got, p.ID)
		}
		for _, n := range want {
			expected = append(expected, ids[n])
		}
		if err != nil || !slices.Equal(got, expected) {
			t.Errorf("%+v: %v, %v; want %v", q, got, err, expected)
		}
	}
	list(domain.PostQuery{Limit: 3}, 0, 1, 2)
	list(domain.PostQuery{Limit: 3, Newest: true}, 9, 10, 11)
	list(domain.PostQuery{Limit: 3, Newest: true, Before: ids[5]}, 2, 3, 4)
	list(domain.PostQuery{Limit: 3, Before: ids[2]}, 0, 1)
	list(domain.PostQuery{Limit: 3, After: ids[5]}, 6, 7, 8)
	list(domain.PostQuery{Limit: 100, After: ids[9]}, 10, 11)
	list(domain.PostQuery{Limit: 100, After: ids[3], Before: ids[6]}, 3, 4, 5)
	list(domain.PostQuery{PublicOnly: true}, 0, 1, 4, 5, 8, 9)
	list(domain.PostQuery{PublicOnly: true, Newest: true, Limit: 2, Before: ids[9]}, 5, 8)
	if none, err := reads.Posts(t.Context(), domain.PostQuery{Account: "umbra", Number: 1}); err != nil || len(none) != 0 {
		t.Errorf("another account's: %d, %v", len(none), err)
	}
	found := func(want int64) func(domain.Post, error) {
		return func(p domain.Post, err error) {
			t.Helper()
			if want == 0 && domain.CodeOf(err) != domain.CodeNotFound || want != 0 && (err != nil || p.ID != want) {
				t.Errorf("found %d, %v; want %d", p.ID, err, want)
			}
		}
	}
	ctx := t.Context()
	found(ids[3])(reads.Post(ctx, agencyAccount, 1, ids[3]))
	found(0)(reads.Post(ctx, agencyAccount, 2, ids[3]))
	found(0)(reads.Post(ctx, "umbra", 1, ids[3]))
	found(ids[6])(reads.PostBySource(ctx, agencyAccount, 1, "s-text0"))
	found(0)(reads.PostBySource(ctx, agencyAccount, 1, "s-text"))
	found(0)(reads.PostBySource(ctx, agencyAccount, 1, ""))
	found(ids[0])(reads.PostByKey(ctx, agencyAccount, 1, "k-text0"))
	found(0)(reads.PostByKey(ctx, agencyAccount, 2, "k-text1"))
	found(0)(reads.PostByKey(ctx, agencyAccount, 1, ""))

	unread, err := reads.UnreadPosts(ctx, agencyAccount, 1, o.posts[o.tickets[0].ID][9].CreatedAt, 10)
	if err != nil || len(unread) != 2 || unread[0].ID != ids[1] || unread[1].ID != ids[9] {
		t.Errorf("unread: %+v, %v", unread, err)
	}
	if unread, err := reads.UnreadPosts(ctx, agencyAccount, 1, o.posts[o.tickets[0].ID][8].CreatedAt, 10); err != nil || len(unread) != 1 {
		t.Errorf("unread until before the last: %d, %v", len(unread), err)
	}
	since := o.posts[o.tickets[0].ID][8].CreatedAt
	for _, c := range []struct {
		since time.Time
		most  int
		want  int
	}{{since, 10, 4}, {since, 3, 3}, {since.Add(time.Millisecond), 10, 3}, {time.Time{}, 100, 12}} {
		if n, err := reads.PostsSince(ctx, agencyAccount, 1, c.since, c.most); err != nil || n != c.want {
			t.Errorf("since %s at most %d: %d, %v; want %d", c.since, c.most, n, err, c.want)
		}
	}
}
