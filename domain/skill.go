package domain

import "time"

// Skill is something that an agent can know, at a level from 1 to 5.
type Skill struct {
	Number    int64 // of the account
	Account   string
	Name      string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Validate checks a skill as a person entered it.
func (s Skill) Validate() error { return length("name", s.Name, 1, MaxNumberedName) }
