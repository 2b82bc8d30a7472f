package domain

import "time"

// DefaultAccount is the account that the installation's admin token belongs to.
const DefaultAccount = "default"

// Role says what a platform token may do in its account.
type Role string

// The roles; each may do what the next one may.
const (
	RoleAdmin  Role = "admin"  // everything: channels, tokens, redrives
	RoleAgent  Role = "agent"  // read, reply, close and assign conversations
	RoleReader Role = "reader" // read only
)

// Roles lists the closed set.
var Roles = []Role{RoleAdmin, RoleAgent, RoleReader}

// Allows tells whether a token of role r may do what needs role need.
func (r Role) Allows(need Role) bool { return r.rank() >= need.rank() && r.rank() > 0 }

func (r Role) rank() int {
	switch r {
	case RoleAdmin:
		return 3
	case RoleAgent:
		return 2
	case RoleReader:
		return 1
	default:
		return 0
	}
}

// Token is a platform token: the right of a program to act in an account. Its
// secret is shown once and kept only as a SHA-256 hash.
type Token struct {
	ID        string
	Account   string
	Name      string
	Role      Role
	Hash      [32]byte
	CreatedAt time.Time
}
