package eventstore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// SealKeySize is the length of a sealing key, in bytes.
const SealKeySize = 32

// ErrSealed tells that a sealed secret cannot be opened: its key is not among
// those configured, or the text was changed.
var ErrSealed = errors.New("sealed secret cannot be opened")

// Sealer keeps secrets that a protocol needs back in clear text: AES-256-GCM
// under a key with an id, so that keys can be changed. The first key seals, all
// of them open.
type Sealer struct {
	newest  string
	keys    map[string]cipher.AEAD
	minting []byte // of the oldest key: see Registry.SocketToken
}

// NewSealer makes a Sealer from keys of SealKeySize bytes, the newest first.
func NewSealer(keys ...[]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("a sealing key is needed")
	}
	s := &Sealer{keys: map[string]cipher.AEAD{}}
	for i, key := range keys {
		if len(key) != SealKeySize {
			return nil, fmt.Errorf("sealing key %d has %d bytes; it must have %d", i+1, len(key), SealKeySize)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("use sealing key %d: %w", i+1, err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("use sealing key %d: %w", i+1, err)
		}
		sum := sha256.Sum256(key)
		id := hex.EncodeToString(sum[:4])
		if i == 0 {
			s.newest = id
		}
		s.keys[id] = aead
	}
	s.minting = mintingKey(keys[len(keys)-1])
	return s, nil
}

// ParseSealKeys reads PARLEY_SECRET_KEY: one or more keys in base64, separated
// by commas, the newest first.
func ParseSealKeys(text string) ([][]byte, error) {
	var keys [][]byte
	for i, part := range strings.Split(text, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(part))
		if err != nil || len(key) != SealKeySize {
			return nil, fmt.Errorf("secret key %d must be %d bytes in base64 (make one with: openssl rand -base64 %d)",
				i+1, SealKeySize, SealKeySize)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Seal hides plain. owner names what the secret belongs to; the sealed text
// opens for no other owner.
func (s *Sealer) Seal(owner string, plain []byte) (string, error) {
	aead := s.keys[s.newest]
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("make a nonce: %w", err)
	}
	sealed := aead.Seal(nonce, nonce, plain, []byte(owner))
	return s.newest + "." + base64.RawStdEncoding.EncodeToString(sealed), nil
}

// Open undoes Seal; ErrSealed when it cannot.
func (s *Sealer) Open(owner, sealed string) ([]byte, error) {
	id, text, ok := strings.Cut(sealed, ".")
	if !ok {
		return nil, fmt.Errorf("%w: it names no key", ErrSealed)
	}
	aead, ok := s.keys[id]
	if !ok {
		return nil, fmt.Errorf("%w: key %s is not configured", ErrSealed, id)
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(raw) < aead.NonceSize() {
		return nil, fmt.Errorf("%w: it is not whole", ErrSealed)
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(owner))
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed, or belongs to something else", ErrSealed)
	}
	return plain, nil
}
