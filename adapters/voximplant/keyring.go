package voximplant

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// signKeys keeps the installation's keys, in memory and in the log. SignKeys lists
// those of a purpose, newest first.
type signKeys interface {
	SignKeys(p domain.KeyPurpose) []domain.SignKey
	CreateSignKey(ctx context.Context, k domain.SignKey) (domain.SignKey, error)
}

// keyring gives keys, and makes the first one of a purpose.
type keyring struct {
	keys   signKeys
	random io.Reader

	mu sync.Mutex // held while a key is made
}

// newest gives the key to use. If the process dies while the first one is made,
// the next use finds it, or makes it again. Two nodes that make one at the same
// time have made two, and both count.
func (k *keyring) newest(ctx context.Context, p domain.KeyPurpose) (domain.SignKey, error) {
	if keys := k.keys.SignKeys(p); len(keys) > 0 {
		return keys[0], nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if keys := k.keys.SignKeys(p); len(keys) > 0 {
		return keys[0], nil
	}
	secret, err := domain.NewSignKeySecret(k.random)
	if err != nil {
		return domain.SignKey{}, err
	}
	id, err := uuid.NewRandomFromReader(k.random)
	if err != nil {
		return domain.SignKey{}, fmt.Errorf("make the id of a key: %w", err)
	}
	key, err := k.keys.CreateSignKey(ctx, domain.SignKey{ID: id.String(), Purpose: p, Secret: secret})
	if err != nil {
		return domain.SignKey{}, fmt.Errorf("keep the first key for %s: %w", p, err)
	}
	return key, nil
}

// named finds a key by its id.
func (k *keyring) named(p domain.KeyPurpose, id string) (domain.SignKey, bool) {
	for _, key := range k.keys.SignKeys(p) {
		if key.ID == id {
			return key, true
		}
	}
	return domain.SignKey{}, false
}
