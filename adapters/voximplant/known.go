package voximplant

import (
	"crypto/sha256"
	"sync"
)

// maxKnown bounds the tokens that are known, one for each channel that is busy.
const maxKnown = 4096

// known holds what was read of tokens that were good, by the hash of each, so
// that how long a look-up takes tells nothing of a token.
type known struct {
	mu     sync.RWMutex
	tokens map[[sha256.Size]byte]knownToken
}

type knownToken struct {
	claims claims
	key    string // id of the key that signed it
}

func newKnown() *known { return &known{tokens: map[[sha256.Size]byte]knownToken{}} }

func (k *known) get(hash [sha256.Size]byte) (claims, string, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	t, ok := k.tokens[hash]
	return t.claims, t.key, ok
}

// keep makes a token known; when there are too many, some other is read anew the
// next time.
func (k *known) keep(hash [sha256.Size]byte, c claims, key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.tokens) >= maxKnown {
		for some := range k.tokens {
			delete(k.tokens, some)
			break
		}
	}
	k.tokens[hash] = knownToken{claims: c, key: key}
}
