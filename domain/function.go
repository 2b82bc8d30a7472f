package domain

import "time"

// Function is an HTTP service of the account that answers instead of an agent
// (voximplant-kit.md 7).
type Function struct {
	Number      int64 // of the account
	Account     string
	Name        string
	URL         string
	TokenID     string // the platform token that its calls carry
	AccessToken string // that token's secret, in clear text; never logged
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Validate checks a function as a person entered it.
func (f Function) Validate() error {
	if err := length("name", f.Name, 1, MaxNumberedName); err != nil {
		return err
	}
	return ValidateURL("url", f.URL, MaxCallbackURL)
}
