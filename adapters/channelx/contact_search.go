package channelx

import (
	"context"
	"slices"
	"strings"

	"github.com/parley-im/parley/domain"
)

// contactSorts are what contacts can be sorted by (channelx.md 4.3).
var contactSorts = []string{"name", "email", "phone_number", "last_activity_at", "created_at", "company_name", "city", "country"}

// contactList is a part of the contacts.
type contactList struct {
	Meta    contactMeta `json:"meta"`
	Payload []any       `json:"payload"`
}

// contactMeta tells which part it is: the count is of all of them, but in a search
// of this part.
type contactMeta struct {
	Count       int64 `json:"count"`
	CurrentPage any   `json:"current_page"`
	HasMore     *bool `json:"has_more,omitempty"`
}

// contactQuery starts a query with what all lists take: the page, the order, and
// whether inboxes are shown.
func contactQuery(c caller, r *request) domain.PersonQuery {
	page, _ := r.page()
	q := domain.PersonQuery{
		Account: c.account.Name, Offset: (page - 1) * contactsPage, Limit: contactsPage, WithIdentities: withInboxes(r.params),
	}
	sort, _ := r.params.text("sort")
	name, descending := strings.CutPrefix(sort, "-")
	if slices.Contains(contactSorts, name) {
		q.Sort, q.Descending = name, descending
	}
	return q
}

// withInboxes tells whether contacts are shown with their inboxes, as they are
// unless the request says otherwise.
func withInboxes(p *params) bool {
	with, said := p.boolean("include_contact_inboxes")
	return with || !said
}

// showContacts renders a list of contacts.
func (d *Door) showContacts(ctx context.Context, c caller, list []domain.PersonSeen, inboxes bool) []any {
	v := d.viewed(ctx, c.account.Name)
	shown := make([]any, len(list))
	for i, p := range list {
		shown[i] = v.contact(p, v.there.contact(p.ID), inboxes)
	}
	return shown
}

// contactPart answers with one page of those that a query finds, and how many
// there are in all.
func (d *Door) contactPart(ctx context.Context, c caller, r *request, q domain.PersonQuery) (any, error) {
	list, total, err := d.People.Persons(ctx, q)
	if err != nil {
		return nil, err
	}
	return contactList{
		Meta:    contactMeta{Count: total, CurrentPage: r.currentPage()},
		Payload: d.showContacts(ctx, c, list, q.WithIdentities),
	}, nil
}

func (d *Door) listContacts(ctx context.Context, c caller, r *request) (any, error) {
	q := contactQuery(c, r)
	q.ListedOnly = true
	q.Labels, _ = r.params.texts("labels")
	return d.contactPart(ctx, c, r, q)
}

// searchContacts looks for any contact by a part of what it is known by. A blank
// search finds nobody, as in the original.
func (d *Door) searchContacts(ctx context.Context, c caller, r *request) (any, error) {
	if err := d.maySearch(c); err != nil {
		return nil, err
	}
	q := contactQuery(c, r)
	text, _ := r.params.text("q")
	q.Search = strings.TrimSpace(text)
	q.Limit++ // one more tells whether there are more
	var list []domain.PersonSeen
	if q.Search != "" {
		var err error
		if list, _, err = d.People.Persons(ctx, q); err != nil {
			return nil, err
		}
	}
	more := len(list) > contactsPage
	list = list[:min(len(list), contactsPage)]
	shown := d.showContacts(ctx, c, list, q.WithIdentities)
	return contactList{
		Meta: contactMeta{Count: int64(len(shown)), CurrentPage: r.currentPage(), HasMore: &more}, Payload: shown,
	}, nil
}

// filterContacts lists those that conditions name; without any, those that the
// list shows.
func (d *Door) filterContacts(ctx context.Context, c caller, r *request) (any, error) {
	lines, _ := r.params.list("payload")
	conditions, err := readConditions(lines, contactKeys)
	if err != nil {
		return nil, err
	}
	q := contactQuery(c, r)
	q.ListedOnly, q.Conditions = true, conditions
	return d.contactPart(ctx, c, r, q)
}
