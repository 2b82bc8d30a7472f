package domain

import (
	"fmt"
	"io"
	"time"
)

// KeyPurpose says what a key of the installation is for. The set is closed.
type KeyPurpose string

// The purposes.
const (
	KeyLogin        KeyPurpose = "login"        // signs the JWTs of integrations (voximplant-kit.md 3.3)
	KeyConversation KeyPurpose = "conversation" // hides conversation ids from who could derive them (voximplant-kit.md 7)
	KeySocket       KeyPurpose = "socket"       // what the tokens of sockets are derived from (channelx.md 2.5); there is one, for ever
)

// SignKey is a secret of the installation. The newest of a purpose is used; older
// ones still read what they made.
type SignKey struct {
	ID        string
	Purpose   KeyPurpose
	Secret    []byte // 32 bytes; never logged
	CreatedAt time.Time
}

// NewSignKeySecret makes the secret of a key.
func NewSignKeySecret(random io.Reader) ([]byte, error) {
	secret := make([]byte, 32)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return secret, nil
}
