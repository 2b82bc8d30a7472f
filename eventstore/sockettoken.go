package eventstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/parley-im/parley/domain"
)

// socketPurpose is what the secret key is used for besides sealing.
const socketPurpose = "parley.socket-token.v1"

// socketKey is the id of the key that the tokens of sockets are derived from.
const socketKey = "socket"

// SocketToken derives the token that the socket of an owner listens with:
// domain.TokenLength letters and digits that follow from the owner and a key of
// the installation, so that no record has to keep them.
func (r *Registry) SocketToken(owner string) string {
	key := r.sealer.minting
	if kept := r.SignKeys(domain.KeySocket); len(kept) > 0 {
		key = kept[len(kept)-1].Secret
	}
	token, _ := domain.NewToken(&derived{key: key, owner: owner}) // which never ends and never fails
	return token
}

// KeepSocketKey makes sure that the key of the tokens of sockets is kept: they are
// to stay the same when the secret key is another one. The first such key follows
// from the secret key, so that nodes that start together keep the same. While
// several secret keys are in use, it is sealed anew under the newest.
func (r *Registry) KeepSocketKey(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	key, kept := r.signKeys.get(plain(socketKey))
	if kept && len(r.sealer.keys) == 1 {
		return nil
	}
	if !kept {
		key = domain.SignKey{ID: socketKey, Purpose: domain.KeySocket, Secret: r.sealer.minting, CreatedAt: domain.Stamp(r.now())}
	}
	return r.signKeys.put(ctx, key)
}

// derived is an endless stream of bytes that follow from a key and an owner: the
// HMAC-SHA256 of a counter and the owner, for as many counts as are read.
type derived struct {
	key   []byte
	owner string
	count uint64
	left  []byte
}

// Read fills p.
func (d *derived) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		if len(d.left) == 0 {
			mac := hmac.New(sha256.New, d.key)
			mac.Write(binary.BigEndian.AppendUint64(nil, d.count))
			mac.Write([]byte(d.owner))
			d.left = mac.Sum(nil)
			d.count++
		}
		taken := copy(p[n:], d.left)
		n, d.left = n+taken, d.left[taken:]
	}
	return len(p), nil
}

// mintingKey derives the first key of the tokens of sockets out of a sealing key.
func mintingKey(key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(socketPurpose))
	return mac.Sum(nil)
}
