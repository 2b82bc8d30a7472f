package domain

import (
	"crypto/sha256"
	"fmt"
	"io"
)

// Lengths of what Parley generates, in characters (respond-io.md 2).
const (
	ChannelIDLength = 12
	SecretLength    = 48
)

const (
	digitSet  = "0123456789"
	secretSet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// NewChannelID makes the id of a channel out of random bytes: decimal digits, of
// which the first is not zero, so that it survives clients that treat it as a
// number (respond-io.md 2).
func NewChannelID(random io.Reader) (string, error) {
	first, err := pick(random, digitSet[1:], 1)
	if err != nil {
		return "", fmt.Errorf("make channel id: %w", err)
	}
	rest, err := pick(random, digitSet, ChannelIDLength-1)
	if err != nil {
		return "", fmt.Errorf("make channel id: %w", err)
	}
	return first + rest, nil
}

// NewSecret makes a bearer secret out of random bytes, about 285 bits of them
// (respond-io.md 2).
func NewSecret(random io.Reader) (string, error) {
	s, err := pick(random, secretSet, SecretLength)
	if err != nil {
		return "", fmt.Errorf("make secret: %w", err)
	}
	return s, nil
}

// HashSecret is the form in which the secret of a platform token is kept. A
// plain hash is enough: the secret is not one that a person chose.
func HashSecret(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// pick draws n characters of set, each equally likely: bytes that would favour
// the first characters are thrown away.
func pick(random io.Reader, set string, n int) (string, error) {
	fair := 256 - 256%len(set)
	out := make([]byte, 0, n)
	buf := make([]byte, n)
	for len(out) < n {
		if _, err := io.ReadFull(random, buf); err != nil {
			return "", fmt.Errorf("read random bytes: %w", err)
		}
		for _, b := range buf {
			if int(b) < fair && len(out) < n {
				out = append(out, set[int(b)%len(set)])
			}
		}
	}
	return string(out), nil
}
