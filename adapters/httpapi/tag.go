package httpapi

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagTags = "Tags"

// nameInput is a thing to be made that has only a name.
type nameInput struct {
	Name string `json:"name" minLength:"1" maxLength:"255" doc:"Unique in the account." example:"Refund"`
}

// nameChangeInput is a new name, or none.
type nameChangeInput struct {
	Name *string `json:"name,omitempty" minLength:"1" maxLength:"255" doc:"Unique in the account."`
}

// tagView is a tag as the API shows it.
type tagView struct {
	ID        int64     `json:"id" example:"5"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func showTag(t domain.Tag) tagView {
	return tagView{ID: t.Number, Name: t.Name, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt}
}

func numberOfTag(t domain.Tag) int64 { return t.Number }

func nameOfTag(t domain.Tag) (int64, string) { return t.Number, t.Name }

func (p *platform) tagRoutes() {
	nounRoutes(p, noun[domain.Tag, nameInput, nameChangeInput, tagView]{
		path: "tags", tag: tagTags, one: "tag", many: "tags",
		whenRemoved: "Conversations that have it keep its number.",
		all:         p.Directory.Tags, read: p.Directory.Tag, number: numberOfTag, show: showTag,
		create: p.createTag, change: p.changeTag,
		remove: func(ctx context.Context, c caller, t domain.Tag) error {
			return p.Directory.DeleteTag(ctx, c.Account, t.Number)
		},
	})
}

func (p *platform) createTag(ctx context.Context, c caller, _ string, in nameInput) (domain.Tag, error) {
	t, all := domain.Tag{Account: c.Account, Name: in.Name}, p.Directory.Tags(c.Account)
	if err := t.Validate(); err != nil {
		return domain.Tag{}, err
	}
	if err := free(all, "name", "tag", t.Name, 0, nameOfTag); err != nil {
		return domain.Tag{}, err
	}
	var err error
	if t.Number, err = next(ctx, p, c.Account, "tag", all, numberOfTag); err != nil {
		return domain.Tag{}, err
	}
	return p.Directory.CreateTag(ctx, t)
}

func (p *platform) changeTag(ctx context.Context, c caller, t domain.Tag, in nameChangeInput) (domain.Tag, error) {
	set(&t.Name, in.Name)
	if err := free(p.Directory.Tags(c.Account), "name", "tag", t.Name, t.Number, nameOfTag); err != nil {
		return domain.Tag{}, err
	}
	return p.Directory.ChangeTag(ctx, c.Account, t.Number, func(t *domain.Tag) error {
		set(&t.Name, in.Name)
		return t.Validate()
	})
}
