package channelx

import (
	"context"
	"net/http"
	"slices"

	"github.com/parley-im/parley/domain"
)

// staffRoutes are those who answer, and who of them sees which inbox (channelx.md
// 4.7). Agents, teams and labels are set up over the platform API.
func (d *Door) staffRoutes(mux *http.ServeMux) {
	d.app(mux, "GET /agents", open, d.listAgents)
	d.app(mux, "GET /teams", open, d.listTeams)
	d.app(mux, "GET /inbox_members/{inbox}", open, d.listMembers)
	d.app(mux, "POST /inbox_members", admin, d.addMembers)
	d.app(mux, "PATCH /inbox_members", admin, d.replaceMembers)
	d.app(mux, "PUT /inbox_members", admin, d.replaceMembers)
	d.app(mux, "DELETE /inbox_members", admin, d.removeMembers)
}

// operators lists who there is in an account, if they have the role at least: its
// agents, and the tokens that are bound to none of them.
func (d *Door) operators(account string, least domain.Role) []int64 {
	var ids []int64
	for _, a := range d.Directory.Agents(account) {
		ids = append(ids, a.Number)
	}
	for _, t := range d.Directory.Tokens(account) {
		_, bound := d.Directory.Agent(account, t.Agent)
		if (t.Agent == 0 || !bound) && t.Role.Allows(least) {
			ids = append(ids, domain.OperatorOfToken(t).ID)
		}
	}
	return ids
}

// showOperators renders those of an account who have these ids.
func (d *Door) showOperators(ctx context.Context, account string, ids []int64) []any {
	v := d.viewed(ctx, account)
	shown := []any{}
	for _, id := range ids {
		if o, role, ok := v.operator(account, id); ok {
			shown = append(shown, v.fullUser(account, o, role, v.there.operator(id)))
		}
	}
	return shown
}

// listAgents lists who can answer.
func (d *Door) listAgents(ctx context.Context, c caller, _ *request) (any, error) {
	return d.showOperators(ctx, c.account.Name, d.operators(c.account.Name, domain.RoleAgent)), nil
}

func (d *Door) listTeams(_ context.Context, c caller, _ *request) (any, error) {
	agent, _ := d.Directory.Agent(c.account.Name, c.agent)
	list := []any{}
	for _, t := range d.Directory.Queues(c.account.Name) {
		list = append(list, d.view.team(t, agent.Member(t.Number)))
	}
	return list, nil
}

func (d *Door) listMembers(ctx context.Context, c caller, r *request) (any, error) {
	ch, err := d.inboxNamed(c, r)
	if err != nil {
		return nil, err
	}
	return payload{d.showOperators(ctx, ch.Account, ch.Inbox.Members)}, nil
}

func (d *Door) addMembers(ctx context.Context, c caller, r *request) (any, error) {
	return d.changeMembers(ctx, c, r, func(members, given []int64) []int64 { return append(members, given...) })
}

func (d *Door) replaceMembers(ctx context.Context, c caller, r *request) (any, error) {
	return d.changeMembers(ctx, c, r, func(_, given []int64) []int64 { return given })
}

func (d *Door) removeMembers(ctx context.Context, c caller, r *request) (any, error) {
	_, err := d.changeMembers(ctx, c, r, func(members, given []int64) []int64 {
		return slices.DeleteFunc(members, func(id int64) bool { return slices.Contains(given, id) })
	})
	return nil, err
}

// changeMembers changes who sees the inbox that a request names, and answers with
// those who do then. Whoever is no longer there is left out.
func (d *Door) changeMembers(ctx context.Context, c caller, r *request, change func(members, given []int64) []int64) (any, error) {
	ch, err := d.inboxGiven(c, r.params)
	if err != nil {
		return nil, err
	}
	given, ok := r.params.integers("user_ids")
	if !ok {
		return nil, missing("user_ids")
	}
	known := d.operators(c.account.Name, domain.RoleReader)
	if r.Method != http.MethodDelete && slices.ContainsFunc(given, func(id int64) bool { return !slices.Contains(known, id) }) {
		return nil, errNotThere
	}
	changed, err := d.InboxAdmin.ChangeChannel(ctx, ch.ID, func(ch *domain.Channel) error {
		members := slices.DeleteFunc(change(ch.Inbox.Members, given), func(id int64) bool { return !slices.Contains(known, id) })
		slices.Sort(members)
		ch.Inbox.Members = slices.Compact(members)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return payload{d.showOperators(ctx, changed.Account, changed.Inbox.Members)}, nil
}
