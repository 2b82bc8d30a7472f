package channelx

import (
	"context"
	"net/http"
)

// labelColor is the colour of all labels: tags of an account have none of their own.
const labelColor = "#1f93ff"

// accountLabel is a tag of the account as the wire shows it (channelx.md 4.7).
type accountLabel struct {
	ID          int64  `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Color       string `json:"color"`
	OnSidebar   bool   `json:"show_on_sidebar"`
}

// labelRoutes are the labels of an account and of its contacts. Those of
// conversations are with the conversations.
func (d *Door) labelRoutes(mux *http.ServeMux) {
	d.app(mux, "GET /labels", open, d.listLabels)
	d.app(mux, "GET /contacts/{contact}/labels", open, d.contactLabels)
	d.app(mux, "POST /contacts/{contact}/labels", write, d.labelContact)
}

func (d *Door) listLabels(_ context.Context, c caller, _ *request) (any, error) {
	list := []accountLabel{}
	for _, t := range d.Directory.Tags(c.account.Name) {
		list = append(list, accountLabel{ID: t.Number, Title: t.Name, Color: labelColor, OnSidebar: true})
	}
	return payload{list}, nil
}

func (d *Door) contactLabels(ctx context.Context, c caller, r *request) (any, error) {
	p, err := d.contactNamed(ctx, c, r)
	if err != nil {
		return nil, err
	}
	return payload{nonNil(p.Labels)}, nil
}

// labelContact puts other labels in the place of those that a contact has.
func (d *Door) labelContact(ctx context.Context, c caller, r *request) (any, error) {
	id, err := r.id("contact")
	if err != nil {
		return nil, err
	}
	labels, _ := r.params.texts("labels")
	p, err := d.desk.labelPerson(ctx, c.actor(), id, labels)
	if err != nil {
		return nil, err
	}
	return payload{nonNil(p.Labels)}, nil
}
