package eventstore

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

// functionRecord is the stored form of a function. Fields are only ever added.
type functionRecord struct {
	Number      int64     `json:"id"`
	Account     string    `json:"account"`
	Name        string    `json:"name"`
	URL         string    `json:"url"`
	TokenID     string    `json:"token_id,omitempty"`
	AccessToken string    `json:"access_token_sealed"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

func newFunctions(r *Registry) *directory[domain.Function] {
	owner := func(account string, number int64) string {
		return kindFunction + "/" + numbered{account, number}.String() + "/access_token"
	}
	return newDirectory(r, kindFunction,
		func(f *domain.Function) entry { return entry{&f.Account, &f.Number, &f.CreatedAt, &f.UpdatedAt} },
		func(f domain.Function) (functionRecord, error) {
			rec := functionRecord(f)
			var err error
			rec.AccessToken, err = r.seal(owner(f.Account, f.Number), f.AccessToken)
			return rec, err
		},
		func(rec functionRecord) (domain.Function, error) {
			f := domain.Function(rec)
			var err error
			f.AccessToken, err = r.unseal(owner(rec.Account, rec.Number), rec.AccessToken)
			return f, err
		})
}

// Function finds a function of an account.
func (r *Registry) Function(account string, number int64) (domain.Function, bool) {
	return r.functions.get(numbered{account, number})
}

// Functions lists the functions of an account by number.
func (r *Registry) Functions(account string) []domain.Function { return r.functions.list(account) }

// CreateFunction makes a function known under the number that it has;
// CodeConflict when that is taken.
func (r *Registry) CreateFunction(ctx context.Context, f domain.Function) (domain.Function, error) {
	return r.functions.create(ctx, f)
}

// ChangeFunction changes a function; CodeNotFound when there is none.
func (r *Registry) ChangeFunction(
	ctx context.Context, account string, number int64, change func(*domain.Function) error,
) (domain.Function, error) {
	return r.functions.change(ctx, account, number, change)
}

// DeleteFunction forgets a function; CodeNotFound when there is none.
func (r *Registry) DeleteFunction(ctx context.Context, account string, number int64) error {
	return r.functions.delete(ctx, account, number)
}
