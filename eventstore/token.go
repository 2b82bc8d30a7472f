package eventstore

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

// tokenRecord is the stored form of a platform token. Fields are only ever added.
type tokenRecord struct {
	ID        string      `json:"id"`
	Account   string      `json:"account"`
	Name      string      `json:"name"`
	Role      domain.Role `json:"role"`
	Hash      string      `json:"sha256"` // hex
	Agent     int64       `json:"agent_id,omitempty"`
	CreatedAt time.Time   `json:"created_at"`
}

var errHash = errors.New("its hash is not SHA-256 in hex")

func newTokens(r *Registry) *shelf[plain, domain.Token] {
	s := &shelf[plain, domain.Token]{
		kind: kindToken, parse: parsePlain,
		key:    func(t domain.Token) plain { return plain(t.ID) },
		group:  func(t domain.Token) string { return t.Account },
		turned: r.indexToken,
	}
	s.encode, s.decode = stored(
		func(t domain.Token) (tokenRecord, error) {
			return tokenRecord{
				ID: t.ID, Account: t.Account, Name: t.Name, Role: t.Role, Hash: hex.EncodeToString(t.Hash[:]),
				Agent: t.Agent, CreatedAt: t.CreatedAt,
			}, nil
		},
		func(rec tokenRecord) (domain.Token, error) {
			t := domain.Token{ID: rec.ID, Account: rec.Account, Name: rec.Name, Role: rec.Role, Agent: rec.Agent, CreatedAt: rec.CreatedAt}
			hash, err := hex.DecodeString(rec.Hash)
			if err != nil || len(hash) != len(t.Hash) {
				return domain.Token{}, errHash
			}
			copy(t.Hash[:], hash)
			return t, nil
		})
	s.keep(r)
	return s
}

// indexToken keeps the way from a hash to its token. r.mu is held.
func (r *Registry) indexToken(old, now *domain.Token) {
	if old != nil && r.byHash[old.Hash] == old {
		delete(r.byHash, old.Hash)
	}
	if now != nil {
		r.byHash[now.Hash] = now
	}
}

// Token finds a platform token by its secret. Those of a disabled account are not
// good for anything: ok is false, and the token tells whose it would be.
func (r *Registry) Token(secret string) (domain.Token, bool) {
	if secret == "" {
		return domain.Token{}, false
	}
	hash := domain.HashSecret(secret)
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, t := range r.fixed {
		if subtle.ConstantTimeCompare(t.Hash[:], hash[:]) == 1 {
			return t, !r.disabled(t.Account)
		}
	}
	t := r.byHash[hash]
	if t == nil {
		return domain.Token{}, false
	}
	return *t, !r.disabled(t.Account)
}

// Tokens lists the platform tokens of an account, oldest first, without those
// that exist by configuration.
func (r *Registry) Tokens(account string) []domain.Token {
	list := r.tokens.of(account)
	slices.SortFunc(list, func(a, b domain.Token) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// ActingTokens lists all platform tokens of an account: those that exist by
// configuration, then those of Tokens.
func (r *Registry) ActingTokens(account string) []domain.Token {
	var list []domain.Token
	r.mu.RLock()
	for _, t := range r.fixed {
		if t.Account == account {
			list = append(list, t)
		}
	}
	r.mu.RUnlock()
	return append(list, r.Tokens(account)...)
}

// CreateToken makes a platform token known.
func (r *Registry) CreateToken(ctx context.Context, t domain.Token) (domain.Token, error) {
	if err := r.begin(ctx); err != nil {
		return domain.Token{}, err
	}
	defer r.end()
	t.CreatedAt = domain.Stamp(r.now())
	return t, r.tokens.put(ctx, t)
}

// DeleteToken revokes a platform token; CodeNotFound when the account has none of that id.
func (r *Registry) DeleteToken(ctx context.Context, account, id string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	t, ok := r.tokens.get(plain(id))
	if !ok || t.Account != account {
		return r.tokens.missing(plain(id))
	}
	return r.tokens.drop(ctx, t)
}
