package channelx

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

// Bounds of lists of conversations (channelx.md 4.5).
const (
	conversationsPage = 25
	mostUpdated       = 1000 // that a list of all those updated lately shows
	mostWithin        = 365 * 24 * time.Hour
)

// conversationCounts are the figures over a list, whoever is assigned.
type conversationCounts struct {
	Mine       int64 `json:"mine_count"`
	Assigned   int64 `json:"assigned_count"`
	Unassigned int64 `json:"unassigned_count"`
	All        int64 `json:"all_count"`
}

// conversationPage is a page of conversations with the figures over all pages.
type conversationPage struct {
	Meta    conversationCounts `json:"meta"`
	Payload []any              `json:"payload"`
}

func (d *Door) listConversations(ctx context.Context, c caller, r *request) (any, error) {
	q, err := d.readTicketQuery(c, r)
	if err != nil {
		return nil, err
	}
	page, err := d.pageOf(ctx, c, q)
	if err != nil {
		return nil, err
	}
	return struct {
		Data conversationPage `json:"data"`
	}{page}, nil
}

// countConversations gives the figures alone.
func (d *Door) countConversations(ctx context.Context, c caller, r *request) (any, error) {
	if err := d.mayCount(c); err != nil {
		return nil, err
	}
	q, err := d.readTicketQuery(c, r)
	if err != nil {
		return nil, err
	}
	counts, err := d.countsOf(ctx, c, q)
	if err != nil {
		return nil, err
	}
	return struct {
		Meta conversationCounts `json:"meta"`
	}{counts}, nil
}

// pageOf reads and shows a page.
func (d *Door) pageOf(ctx context.Context, c caller, q domain.TicketQuery) (conversationPage, error) {
	page := conversationPage{Payload: []any{}}
	if q.Channels != nil && len(q.Channels) == 0 {
		return page, nil // nothing that the caller may see
	}
	var err error
	if page.Meta, err = d.countsOf(ctx, c, q); err != nil {
		return page, err
	}
	list, err := d.Tickets.Tickets(ctx, q)
	if err != nil {
		return page, err
	}
	v := d.viewed(ctx, c.account.Name)
	for _, t := range list {
		page.Payload = append(page.Payload, v.conversation(t))
	}
	return page, nil
}

func (d *Door) countsOf(ctx context.Context, c caller, q domain.TicketQuery) (conversationCounts, error) {
	if q.Channels != nil && len(q.Channels) == 0 {
		return conversationCounts{}, nil
	}
	n, err := d.Tickets.TicketCounts(ctx, q, c.operator.ID)
	return conversationCounts{Mine: n.Mine, Assigned: n.Assigned, Unassigned: n.Unassigned, All: n.All}, err
}

// readTicketQuery reads which conversations are asked for, of those that the
// caller may see.
func (d *Door) readTicketQuery(c caller, r *request) (domain.TicketQuery, error) {
	p := r.params
	q := domain.TicketQuery{Account: c.account.Name, Channels: c.channels()}
	q.Search, _ = p.text("q")
	status, given := p.text("status")
	switch {
	case q.Search != "" || status == "all":
	case !given || status == "":
		q.Statuses = []domain.TicketStatus{domain.TicketOpen}
	default:
		q.Statuses = []domain.TicketStatus{domain.TicketStatus(status)}
	}
	if p.has("inbox_id") && !p.null("inbox_id") {
		inbox, err := d.inboxGiven(c, p)
		if err != nil {
			return q, err
		}
		q.Channels = []string{inbox.ID}
	}
	switch assignee, _ := p.text("assignee_type"); assignee {
	case "me":
		q.Assignee = c.operator.ID
	case "assigned":
		q.Assigned = new(true)
	case "unassigned":
		q.Assigned = new(false)
	}
	q.Team, _ = p.integer("team_id")
	q.Labels, _ = p.texts("labels")
	q.SourceID, _ = p.text("source_id")
	sort, _ := p.text("sort_by")
	q.Sort, q.Ascending = ticketOrder(sort)
	page, _ := r.page()
	q.Offset, q.Limit = (page-1)*conversationsPage, conversationsPage
	if seconds, ok := p.integer("updated_within"); ok && seconds > 0 {
		within := min(seconds, int64(mostWithin/time.Second))
		q.UpdatedSince = new(d.Now().Add(-time.Duration(within) * time.Second))
		q.Offset, q.Limit = 0, mostUpdated
	}
	return q, nil
}

// ticketOrder reads how a list is ordered; what is unknown is the default, newest
// activity first.
func ticketOrder(sort string) (by string, ascending bool) {
	switch sort {
	case "last_activity_at_asc":
		return "last_activity_at", true
	case "created_at_asc":
		return "created_at", true
	case "created_at_desc":
		return "created_at", false
	case "priority_asc":
		return "priority", true
	case "priority_desc":
		return "priority", false
	case "waiting_since_asc":
		return "waiting_since", true
	case "waiting_since_desc":
		return "waiting_since", false
	case "unread":
		return "unread", false
	default:
		return "last_activity_at", false
	}
}
