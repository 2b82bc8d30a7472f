package voximplant

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// veil hides ids of conversations. Whoever knows the UUID of a conversation may
// answer in it (section 7), and our own ids follow from the channel and the
// client, which integrations know. So functions are told another UUID, which only
// a key of the installation leads back from: a permutation of all UUIDs of version
// 4, which is what AES does to a block, done again until the block is one.
//
// Nothing is kept. Keys that are not the newest still lead back.
type veil struct{ keys *keyring }

// The versions of ours, and of what functions are told.
const (
	versionOurs = 5
	versionTold = 4
)

// hide gives the UUID that a function is told.
func (v *veil) hide(ctx context.Context, id uuid.UUID) (uuid.UUID, error) {
	key, err := v.keys.newest(ctx, domain.KeyConversation)
	if err != nil {
		return uuid.Nil, err
	}
	block, err := blockOf(key)
	if err != nil {
		return uuid.Nil, err
	}
	walk := withVersion(id, versionTold)
	for more := true; more; more = !shaped(walk) { // some 64 times: 6 bits of a UUID are fixed
		block.Encrypt(walk[:], walk[:])
	}
	return walk, nil
}

// reveal lists the conversations that a UUID may stand for, one for each key; all
// but one of them do not exist. It is empty when nothing can have been told it.
func (v *veil) reveal(told uuid.UUID) ([]uuid.UUID, error) {
	if !shaped(told) {
		return nil, nil
	}
	keys := v.keys.keys.SignKeys(domain.KeyConversation)
	ids := make([]uuid.UUID, 0, len(keys))
	for _, key := range keys {
		block, err := blockOf(key)
		if err != nil {
			return nil, err
		}
		walk := told
		for more := true; more; more = !shaped(walk) {
			block.Decrypt(walk[:], walk[:])
		}
		ids = append(ids, withVersion(walk, versionOurs))
	}
	return ids, nil
}

// shaped tells whether a block has the shape of a random UUID.
func shaped(id uuid.UUID) bool {
	return id.Version() == versionTold && id.Variant() == uuid.RFC4122
}

func withVersion(id uuid.UUID, version byte) uuid.UUID {
	id[6] = id[6]&0x0f | version<<4
	return id
}

// blockOf makes the cipher of a key; the key itself encrypts nothing, so that it
// could serve for something else as well.
func blockOf(key domain.SignKey) (cipher.Block, error) {
	mac := hmac.New(sha256.New, key.Secret)
	_, _ = mac.Write([]byte("parley conversation uuid")) // never fails
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("use key %s: %w", key.ID, err)
	}
	return block, nil
}
