package domain

import (
	"regexp"
	"time"
)

// DefaultAccount is the account that the installation's admin token belongs to.
// It is always there, and its admins make the others.
const DefaultAccount = "default"

// Account is a business on this installation. Its name never changes.
type Account struct {
	Name      string // Kit's account name: the domain of a login
	Title     string // for people
	Number    int64  // channelx: account_id on the wire; 0 = WireNumber gives one
	Disabled  bool   // none of its tokens is good for anything
	CreatedAt time.Time
	UpdatedAt time.Time
}

var accountName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Validate checks an account as a person entered it.
func (a Account) Validate() error {
	if !accountName.MatchString(a.Name) {
		return Invalid("name", "must be 1 to 63 small letters, digits and hyphens, with no hyphen at either end")
	}
	if a.Number < 0 || a.Number > MaxAccountNumber {
		return Invalid("number", "must be from 1 to %d, or 0 for one that follows from the name", MaxAccountNumber)
	}
	return length("title", a.Title, 0, MaxNumberedName)
}

// MaxAccountNumber bounds the numbers of accounts: clients keep them in 32 bits.
const MaxAccountNumber = 1<<31 - 1

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
	Agent     int64 // acts as this agent where the dialect shows who acts; 0 = as itself
	CreatedAt time.Time
}

// WireNumber is the number by which dialects with tickets know the account: its
// own, 1 for the default account, and otherwise one that follows from the name.
func (a Account) WireNumber() int64 {
	switch {
	case a.Number > 0:
		return a.Number
	case a.Name == DefaultAccount:
		return 1
	default:
		return stableNumber("account", a.Name)
	}
}
