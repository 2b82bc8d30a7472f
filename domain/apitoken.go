package domain

import (
	"fmt"
	"io"
	"time"
)

// Bounds of the value of an API token that is brought along, in bytes.
const (
	MinAPIToken = 8
	MaxAPIToken = 255
)

// APIToken is a secret of an account with which integrations log in and their
// callbacks are signed (voximplant-kit.md 2.1). Its value is shown whenever its
// owner asks. One that is revoked lets nobody in; callbacks of channels that
// have picked it are signed with it until they pick another.
type APIToken struct {
	ID        string
	Account   string
	Name      string
	Value     string // clear text; never logged
	CreatedAt time.Time
	RevokedAt *time.Time
}

// Revoked tells whether the token lets nobody in any more.
func (t APIToken) Revoked() bool { return t.RevokedAt != nil }

// Validate checks a token as a person entered it.
func (t APIToken) Validate() error {
	if err := length("name", t.Name, 1, MaxNumberedName); err != nil {
		return err
	}
	if len(t.Value) < MinAPIToken || len(t.Value) > MaxAPIToken {
		return Invalid("value", "must be %d to %d bytes long", MinAPIToken, MaxAPIToken)
	}
	return length("value", t.Value, 1, MaxAPIToken)
}

// NewSalt makes a security salt: 32 hex digits (voximplant-kit.md 2.2).
func NewSalt(random io.Reader) (string, error) {
	s, err := pick(random, "0123456789abcdef", 32)
	if err != nil {
		return "", fmt.Errorf("make salt: %w", err)
	}
	return s, nil
}
