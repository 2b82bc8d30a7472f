package eventstore

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

// tagRecord is the stored form of a tag. Fields are only ever added.
type tagRecord struct {
	Number    int64     `json:"id"`
	Account   string    `json:"account"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func newTags(r *Registry) *directory[domain.Tag] {
	return newDirectory(r, kindTag,
		func(t *domain.Tag) entry { return entry{&t.Account, &t.Number, &t.CreatedAt, &t.UpdatedAt} },
		func(t domain.Tag) (tagRecord, error) { return tagRecord(t), nil },
		func(rec tagRecord) (domain.Tag, error) { return domain.Tag(rec), nil })
}

// Tag finds a tag of an account.
func (r *Registry) Tag(account string, number int64) (domain.Tag, bool) {
	return r.tags.get(numbered{account, number})
}

// Tags lists the tags of an account by number.
func (r *Registry) Tags(account string) []domain.Tag { return r.tags.list(account) }

// CreateTag makes a tag known under the number that it has; CodeConflict when
// that is taken.
func (r *Registry) CreateTag(ctx context.Context, t domain.Tag) (domain.Tag, error) {
	return r.tags.create(ctx, t)
}

// ChangeTag changes a tag; CodeNotFound when there is none.
func (r *Registry) ChangeTag(ctx context.Context, account string, number int64, change func(*domain.Tag) error) (domain.Tag, error) {
	return r.tags.change(ctx, account, number, change)
}

// DeleteTag forgets a tag; CodeNotFound when there is none.
func (r *Registry) DeleteTag(ctx context.Context, account string, number int64) error {
	return r.tags.delete(ctx, account, number)
}
