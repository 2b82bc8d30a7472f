package domain

import "time"

// Tag is a word that conversations of an account can be marked with.
type Tag struct {
	Number    int64 // of the account
	Account   string
	Name      string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Validate checks a tag as a person entered it.
func (t Tag) Validate() error { return length("name", t.Name, 1, MaxNumberedName) }
