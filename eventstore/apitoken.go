package eventstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// apiTokenRecord is the stored form of an API token. Fields are only ever added.
type apiTokenRecord struct {
	ID        string     `json:"id"`
	Account   string     `json:"account"`
	Name      string     `json:"name"`
	Value     string     `json:"value_sealed"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

func newAPITokens(r *Registry) *shelf[owned, domain.APIToken] {
	s := &shelf[owned, domain.APIToken]{
		kind: kindAPIToken, parse: parseOwned,
		key:   func(t domain.APIToken) owned { return owned{t.Account, t.ID} },
		group: func(t domain.APIToken) string { return t.Account },
	}
	owner := func(account, id string) string { return kindAPIToken + "/" + owned{account, id}.String() + "/value" }
	s.encode, s.decode = stored(
		func(t domain.APIToken) (apiTokenRecord, error) {
			rec := apiTokenRecord(t)
			var err error
			rec.Value, err = r.seal(owner(t.Account, t.ID), t.Value)
			return rec, err
		},
		func(rec apiTokenRecord) (domain.APIToken, error) {
			t := domain.APIToken(rec)
			var err error
			t.Value, err = r.unseal(owner(rec.Account, rec.ID), rec.Value)
			return t, err
		})
	s.keep(r)
	return s
}

// APIToken finds an API token of an account, revoked or not.
func (r *Registry) APIToken(account, id string) (domain.APIToken, bool) {
	return r.apiTokens.get(owned{account, id})
}

// APITokens lists the API tokens of an account, oldest first, also the revoked.
func (r *Registry) APITokens(account string) []domain.APIToken {
	list := r.apiTokens.of(account)
	slices.SortFunc(list, func(a, b domain.APIToken) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// APITokenByValue finds the API token of an account that has a value and is good:
// it is not revoked and its account is there and not disabled. Every good token
// is looked at, and how long that takes does not depend on how much of a value is
// right.
func (r *Registry) APITokenByValue(account, value string) (domain.APIToken, bool) {
	if value == "" {
		return domain.APIToken{}, false
	}
	if _, ok := r.Account(account); !ok {
		return domain.APIToken{}, false
	}
	wanted := sha256.Sum256([]byte(value))
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.disabled(account) {
		return domain.APIToken{}, false
	}
	var found *domain.APIToken
	for _, t := range r.apiTokens.groups[account] {
		if t.Revoked() {
			continue
		}
		if hash := sha256.Sum256([]byte(t.Value)); subtle.ConstantTimeCompare(hash[:], wanted[:]) == 1 {
			found = t
		}
	}
	if found == nil {
		return domain.APIToken{}, false
	}
	return *found, true
}

// CreateAPIToken makes an API token known. CodeConflict when its id is taken, or
// when the account has one of that value that is not revoked.
func (r *Registry) CreateAPIToken(ctx context.Context, t domain.APIToken) (domain.APIToken, error) {
	if err := r.begin(ctx); err != nil {
		return domain.APIToken{}, err
	}
	defer r.end()
	if t.ID == "" || t.Account == "" || strings.Contains(t.Account, "/") {
		return domain.APIToken{}, domain.Invalid("id", "of the token and of its account are required")
	}
	if err := t.Validate(); err != nil {
		return domain.APIToken{}, err
	}
	k := owned{t.Account, t.ID}
	if _, taken := r.apiTokens.get(k); taken {
		return domain.APIToken{}, r.apiTokens.taken(k)
	}
	for _, other := range r.apiTokens.of(t.Account) {
		if !other.Revoked() && other.Value == t.Value {
			return domain.APIToken{}, &domain.Error{Code: domain.CodeConflict, Field: "value", Message: "is that of the API token " + other.ID}
		}
	}
	t.CreatedAt, t.RevokedAt = domain.Stamp(r.now()), nil
	if err := r.apiTokens.put(ctx, t); err != nil {
		return domain.APIToken{}, err
	}
	return t, nil
}

// RevokeAPIToken ends what an API token is good for; one that is revoked stays as
// it is. CodeNotFound when the account has none of that id.
func (r *Registry) RevokeAPIToken(ctx context.Context, account, id string) (domain.APIToken, error) {
	if err := r.begin(ctx); err != nil {
		return domain.APIToken{}, err
	}
	defer r.end()
	k := owned{account, id}
	t, ok := r.apiTokens.get(k)
	if !ok {
		return domain.APIToken{}, r.apiTokens.missing(k)
	}
	if t.Revoked() {
		return t, nil
	}
	now := domain.Stamp(r.now())
	t.RevokedAt = &now
	if err := r.apiTokens.put(ctx, t); err != nil {
		return domain.APIToken{}, err
	}
	return t, nil
}
