package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// ticketColumns are a ticket with what belongs to it, of a table t with ticketJoins.
const (
	ticketColumns = `t.state, p.state, ` + identityColumns + `,
		(select state from posts where id = t.last_post), (select state from posts where id = t.last_said),
		(select state from posts where id = t.last_public)`

	ticketJoins = ` join identities i on i.id = t.identity_id join people p on p.id = i.person_id`
)

func scanTicket(row pgx.CollectableRow, t *domain.TicketSeen, more ...any) error {
	var ticket, person []byte
	posts := [3][]byte{}
	fields := append(append([]any{&ticket, &person}, identityFields(&t.Identity)...), &posts[0], &posts[1], &posts[2])
	if err := row.Scan(append(fields, more...)...); err != nil {
		return fmt.Errorf("read a ticket: %w", err)
	}
	t.Identity.CreatedAt, t.Identity.UpdatedAt = t.Identity.CreatedAt.UTC(), t.Identity.UpdatedAt.UTC()
	if err := json.Unmarshal(ticket, &t.Ticket); err != nil {
		return fmt.Errorf("read what is known of a ticket: %w", err)
	}
	if err := json.Unmarshal(person, &t.Person); err != nil {
		return fmt.Errorf("read the person of ticket %s: %w", t.ID, err)
	}
	for i, post := range []**domain.Post{&t.Post, &t.Said, &t.Public} {
		if posts[i] == nil {
			continue
		}
		*post = &domain.Post{}
		if err := json.Unmarshal(posts[i], *post); err != nil {
			return fmt.Errorf("read a post of ticket %s: %w", t.ID, err)
		}
	}
	return nil
}

// Ticket gives a ticket of an account by its number; CodeNotFound where there is none.
func (r *Reads) Ticket(ctx context.Context, account string, number int64) (domain.TicketSeen, error) {
	id := domain.TicketID(account, number)
	return one(ctx, r.pool, "conversation", "select "+ticketColumns+" from tickets t"+ticketJoins+" where t.id = $1 and not t.removed", scanTicket, raw(&id))
}

// LatestTicket finds the newest ticket of an identity; CodeNotFound where there is none.
func (r *Reads) LatestTicket(ctx context.Context, identity int64) (domain.TicketSeen, error) {
	return one(ctx, r.pool, "conversation", "select "+ticketColumns+
		" from (select * from tickets where identity_id = $1 and not removed order by number desc limit 1) t"+ticketJoins, scanTicket, identity)
}

// ticketOrders are what a list of tickets is sorted by.
var ticketOrders = map[string]string{
	"":                 "t.last_activity_at",
	"last_activity_at": "t.last_activity_at",
	"created_at":       "t.created_at",
	"priority":         "nullif(t.priority, 0)",
	"waiting_since":    "t.waiting_since",
	"unread":           "t.unread",
}

// Tickets lists a part of an account's tickets. A sort that is not known, and a
// condition that cannot be, is CodeInvalid.
func (r *Reads) Tickets(ctx context.Context, asked domain.TicketQuery) ([]domain.TicketSeen, error) {
	order, ok := ticketOrders[asked.Sort]
	if !ok {
		return nil, domain.Invalid("sort_by", "is not known")
	}
	q := &query{}
	order = ticketOrder(asked, order)
	q.add("select " + ticketColumns + " from (select t.*")
	if err := q.tickets(asked); err != nil {
		return nil, err
	}
	switch {
	case asked.Assigned != nil && *asked.Assigned:
		q.add(" and t.assignee <> 0")
	case asked.Assigned != nil:
		q.add(" and t.assignee = 0")
	}
	if asked.Assignee != 0 {
		q.add(" and t.assignee = ?", asked.Assignee)
	}
	q.add(fmt.Sprintf(" order by %s limit %d offset %d) t", order, part(asked.Limit), max(asked.Offset, 0)))
	q.add(ticketJoins + " order by " + order)
	rows, err := r.pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("list tickets: %w", err)
	}
	found, err := collected(rows, scanTicket)
	if err != nil {
		return nil, fmt.Errorf("list tickets: %w", err)
	}
	return found, nil
}

// ticketOrder is how a list is sorted by one of ticketOrders. Those that have no
// value come last, and those of one value with the newest activity first.
func ticketOrder(asked domain.TicketQuery, by string) string {
	direction := " desc"
	if asked.Ascending {
		direction = " asc"
	}
	switch asked.Sort {
	case "waiting_since", "priority":
		return by + direction + " nulls last, t.last_activity_at desc, t.number desc"
	case "unread":
		return by + direction + ", t.last_activity_at desc, t.number desc"
	default:
		return by + direction + ", t.number" + direction
	}
}

// tickets appends what a query asks for, but for the assignee.
func (q *query) tickets(asked domain.TicketQuery) error {
	q.add(" from tickets t where t.account = ? and not t.removed", asked.Account)
	if asked.IDs != nil {
		q.add(" and t.id = any(?::uuid[])", asked.IDs)
	}
	if asked.Channels != nil {
		q.add(" and t.channel_id = any(?::text[])", asked.Channels)
	}
	if asked.Statuses != nil {
		statuses := make([]string, len(asked.Statuses))
		for i, s := range asked.Statuses {
			statuses[i] = string(s)
		}
		if len(statuses) == 1 {
			q.add(" and t.status = ?", statuses[0])
		} else {
			q.add(" and t.status = any(?::text[])", statuses)
		}
	}
	if asked.Person != 0 {
		q.add(" and t.identity_id = any(array(select id from identities where person_id = ? and not removed))", asked.Person)
	}
	if asked.Identity != 0 {
		q.add(" and t.identity_id = ?", asked.Identity)
	}
	if asked.SourceID != "" {
		source := domain.Storable(asked.SourceID)
		q.add(` and t.identity_id = any(array(select id from identities
			where account = ? and hashtextextended(source_id, 0) = hashtextextended(? collate "C", 0) and source_id = ? and not removed))`,
			asked.Account, source, source)
	}
	if asked.Team != 0 {
		q.add(" and t.team = ?", asked.Team)
	}
	if len(asked.Labels) > 0 {
		q.add(" and t.labels @> ?::text[]", asked.Labels)
	}
	if strings.TrimSpace(asked.Search) != "" {
		q.add(` and exists (select from posts where ticket = t.id and not removed and (state->>'content') collate search_text ilike ?)`,
			pattern(asked.Search))
	}
	if asked.UpdatedSince != nil {
		q.add(" and t.updated_at >= ?", *asked.UpdatedSince)
	}
	return q.conditions(asked.Conditions, ticketKeys)
}

// TicketCounts counts those of the query by assignee, whatever the query says of
// assignees; me is an operator.
func (r *Reads) TicketCounts(ctx context.Context, asked domain.TicketQuery, me int64) (domain.TicketCounts, error) {
	q, c := &query{}, domain.TicketCounts{}
	q.add("select count(*) filter (where t.assignee = ? and t.assignee <> 0), count(*) filter (where t.assignee <> 0), "+
		"count(*) filter (where t.assignee = 0), count(*)", me)
	if err := q.tickets(asked); err != nil {
		return c, err
	}
	if err := r.pool.QueryRow(ctx, q.sql.String(), q.args...).Scan(&c.Mine, &c.Assigned, &c.Unassigned, &c.All); err != nil {
		return c, fmt.Errorf("count tickets: %w", err)
	}
	return c, nil
}
