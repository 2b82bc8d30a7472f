package eventstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/parley-im/parley/domain"
)

// What the secret key is used for besides sealing.
const socketPurpose = "parley.socket-token.v1"

// SocketToken derives the token that the socket of an owner listens with:
// domain.TokenLength letters and digits that follow from the owner and the secret
// key, so that no record has to keep them. It is made with the oldest of the keys:
// tokens stay when a newer one is put in front, and are others when the oldest is
// taken away.
func (s *Sealer) SocketToken(owner string) string {
	token, _ := domain.NewToken(&derived{key: s.minting, owner: owner}) // which never ends and never fails
	return token
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

// mintingKey is what tokens are derived with, out of a sealing key.
func mintingKey(key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(socketPurpose))
	return mac.Sum(nil)
}
