package eventstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

// accountRecord is the stored form of an account. Fields are only ever added.
type accountRecord struct {
	Name      string    `json:"name"`
	Title     string    `json:"title,omitempty"`
	Number    int64     `json:"number,omitempty"`
	Disabled  bool      `json:"disabled,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"` // none for the default account, which nobody created
	UpdatedAt time.Time `json:"updated_at"`
}

func newAccounts(r *Registry) *shelf[plain, domain.Account] {
	s := &shelf[plain, domain.Account]{
		kind: kindAccount, parse: parsePlain,
		key:     func(a domain.Account) plain { return plain(a.Name) },
		group:   func(domain.Account) string { return "" },
		account: func(a domain.Account) string { return a.Name },
		turned:  r.indexAccount,
	}
	s.encode, s.decode = stored(
		func(a domain.Account) (accountRecord, error) { return accountRecord(a), nil },
		func(rec accountRecord) (domain.Account, error) { return domain.Account(rec), nil })
	s.keep(r)
	return s
}

// Account finds an account. The default account is there without a record, too.
func (r *Registry) Account(name string) (domain.Account, bool) {
	a, ok := r.accounts.get(plain(name))
	if !ok && name == domain.DefaultAccount {
		return domain.Account{Name: name}, true
	}
	return a, ok
}

// Accounts lists the accounts, oldest first; the default account is the oldest.
func (r *Registry) Accounts() []domain.Account {
	list := r.accounts.of("")
	if !slices.ContainsFunc(list, func(a domain.Account) bool { return a.Name == domain.DefaultAccount }) {
		list = append(list, domain.Account{Name: domain.DefaultAccount})
	}
	slices.SortFunc(list, func(a, b domain.Account) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// indexAccount keeps the way from the number of an account. r.mu is held.
func (r *Registry) indexAccount(old, now *domain.Account) {
	if old != nil && r.byNumber[old.WireNumber()] == old {
		delete(r.byNumber, old.WireNumber())
	}
	if now != nil {
		r.byNumber[now.WireNumber()] = now
	}
}

// AccountByNumber finds an account by domain.Account.WireNumber. The default
// account is there without a record, too.
func (r *Registry) AccountByNumber(number int64) (domain.Account, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if a := r.byNumber[number]; a != nil {
		return *a, true
	}
	unwritten := domain.Account{Name: domain.DefaultAccount}
	if r.accounts.known[plain(unwritten.Name)] == nil && unwritten.WireNumber() == number {
		return unwritten, true
	}
	return domain.Account{}, false
}

// CreateAccount makes an account known; CodeConflict when its name or number is
// taken.
func (r *Registry) CreateAccount(ctx context.Context, a domain.Account) (domain.Account, error) {
	if err := r.begin(ctx); err != nil {
		return domain.Account{}, err
	}
	defer r.end()
	if _, taken := r.Account(a.Name); taken {
		return domain.Account{}, r.accounts.taken(plain(a.Name))
	}
	now := domain.Stamp(r.now())
	a.CreatedAt, a.UpdatedAt = now, now
	return r.putAccount(ctx, a)
}

// ChangeAccount changes an account; CodeNotFound when there is none, CodeConflict
// when its number is taken. The default account cannot be disabled: CodeConflict.
func (r *Registry) ChangeAccount(ctx context.Context, name string, change func(*domain.Account) error) (domain.Account, error) {
	if err := r.begin(ctx); err != nil {
		return domain.Account{}, err
	}
	defer r.end()
	a, ok := r.Account(name)
	if !ok {
		return domain.Account{}, r.accounts.missing(plain(name))
	}
	createdAt := a.CreatedAt
	if err := change(&a); err != nil {
		return domain.Account{}, err
	}
	a.Name, a.CreatedAt, a.UpdatedAt = name, createdAt, domain.Stamp(r.now())
	return r.putAccount(ctx, a)
}

func (r *Registry) putAccount(ctx context.Context, a domain.Account) (domain.Account, error) {
	if err := a.Validate(); err != nil {
		return domain.Account{}, err
	}
	if a.Disabled && a.Name == domain.DefaultAccount {
		return domain.Account{}, domain.Errorf(domain.CodeConflict, "the account %s cannot be disabled", a.Name)
	}
	if other, taken := r.AccountByNumber(a.WireNumber()); taken && other.Name != a.Name {
		return domain.Account{}, &domain.Error{Code: domain.CodeConflict, Field: "number", Message: "is that of another account"}
	}
	if err := r.accounts.put(ctx, a); err != nil {
		return domain.Account{}, err
	}
	return a, nil
}

// disabled tells whether an account is. One without a record is not: accounts
// were names only before they had records. r.mu is held.
func (r *Registry) disabled(account string) bool {
	a := r.accounts.known[plain(account)]
	return a != nil && a.Disabled && account != domain.DefaultAccount
}
