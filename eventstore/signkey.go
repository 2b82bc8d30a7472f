package eventstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

// leastSignKey is how short the secret of a key may be, in bytes.
const leastSignKey = 32

// signKeyRecord is the stored form of a key of the installation. Fields are only
// ever added.
type signKeyRecord struct {
	ID        string            `json:"id"`
	Purpose   domain.KeyPurpose `json:"purpose"`
	Secret    string            `json:"secret_sealed"`
	CreatedAt time.Time         `json:"created_at"`
}

func newSignKeys(r *Registry) *shelf[plain, domain.SignKey] {
	s := &shelf[plain, domain.SignKey]{
		kind: kindSignKey, parse: parsePlain,
		key:     func(k domain.SignKey) plain { return plain(k.ID) },
		group:   func(k domain.SignKey) string { return string(k.Purpose) },
		account: func(domain.SignKey) string { return domain.DefaultAccount },
		turned:  r.orderSignKeys,
	}
	owner := func(id string) string { return kindSignKey + "/" + id + "/secret" }
	s.encode, s.decode = stored(
		func(k domain.SignKey) (signKeyRecord, error) {
			sealed, err := r.seal(owner(k.ID), string(k.Secret))
			return signKeyRecord{ID: k.ID, Purpose: k.Purpose, Secret: sealed, CreatedAt: k.CreatedAt}, err
		},
		func(rec signKeyRecord) (domain.SignKey, error) {
			secret, err := r.unseal(owner(rec.ID), rec.Secret)
			return domain.SignKey{ID: rec.ID, Purpose: rec.Purpose, Secret: []byte(secret), CreatedAt: rec.CreatedAt}, err
		})
	s.keep(r)
	return s
}

// orderSignKeys keeps the lists that SignKeys gives. r.mu is held.
func (r *Registry) orderSignKeys(old, now *domain.SignKey) {
	for _, k := range []*domain.SignKey{old, now} {
		if k == nil {
			continue
		}
		list := make([]domain.SignKey, 0, len(r.signKeys.groups[string(k.Purpose)]))
		for _, known := range r.signKeys.groups[string(k.Purpose)] {
			list = append(list, *known)
		}
		slices.SortFunc(list, func(a, b domain.SignKey) int {
			return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
		})
		r.signKeyLists[k.Purpose] = slices.Clip(list) // so that nobody appends into it
	}
}

// SignKeys lists the keys of a purpose, newest first. The list is shared and made
// anew for each change: it must not be written into.
func (r *Registry) SignKeys(p domain.KeyPurpose) []domain.SignKey {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.signKeyLists[p]
}

// CreateSignKey makes a key known; CodeConflict when its id is taken.
func (r *Registry) CreateSignKey(ctx context.Context, k domain.SignKey) (domain.SignKey, error) {
	if err := r.begin(ctx); err != nil {
		return domain.SignKey{}, err
	}
	defer r.end()
	if k.ID == "" || k.Purpose == "" {
		return domain.SignKey{}, domain.Invalid("id", "and purpose of a key are required")
	}
	if len(k.Secret) < leastSignKey {
		return domain.SignKey{}, domain.Invalid("secret", "must be at least %d bytes long", leastSignKey)
	}
	if _, taken := r.signKeys.get(plain(k.ID)); taken {
		return domain.SignKey{}, r.signKeys.taken(plain(k.ID))
	}
	k.CreatedAt = domain.Stamp(r.now())
	if err := r.signKeys.put(ctx, k); err != nil {
		return domain.SignKey{}, err
	}
	return k, nil
}

// DeleteSignKey forgets a key, and with it all that it signed. CodeNotFound when
// there is none.
func (r *Registry) DeleteSignKey(ctx context.Context, id string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	k, ok := r.signKeys.get(plain(id))
	if !ok {
		return r.signKeys.missing(plain(id))
	}
	return r.signKeys.drop(ctx, k)
}
