package domain

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Profile is what is known of a contact. An empty field is not known.
type Profile struct {
	FirstName   string   `json:"first_name,omitempty"`
	LastName    string   `json:"last_name,omitempty"`
	PictureURL  string   `json:"picture_url,omitempty"`
	Locale      string   `json:"locale,omitempty"`
	CountryCode string   `json:"country_code,omitempty"` // ISO 3166-1 alpha-2, capitals
	Timezone    *float64 `json:"timezone,omitempty"`     // hours from UTC
	Email       string   `json:"email,omitempty"`
	Phone       string   `json:"phone,omitempty"`
	Language    string   `json:"language,omitempty"` // ISO 639-1, small letters
}

// Fill takes from p what q does not know yet (respond-io.md 3.6: the profile of
// a contact that exists is only completed). It tells whether q changed.
func (q *Profile) Fill(p Profile) bool {
	changed := false
	fill := func(to *string, from string) {
		if *to == "" && from != "" {
			*to, changed = from, true
		}
	}
	fill(&q.FirstName, p.FirstName)
	fill(&q.LastName, p.LastName)
	fill(&q.PictureURL, p.PictureURL)
	fill(&q.Locale, p.Locale)
	fill(&q.CountryCode, p.CountryCode)
	fill(&q.Email, p.Email)
	fill(&q.Phone, p.Phone)
	fill(&q.Language, p.Language)
	if q.Timezone == nil && p.Timezone != nil {
		q.Timezone, changed = p.Timezone, true
	}
	return changed
}

// Contact is a person as one channel knows them.
type Contact struct {
	ID        uuid.UUID
	Account   string
	Channel   string
	Ref       string // the id that the integration uses
	Profile   Profile
	CreatedAt time.Time
	UpdatedAt time.Time
}

// DisplayName is the name, else the phone number, else the reference
// (respond-io.md 3.6).
func (c Contact) DisplayName() string {
	if name := strings.TrimSpace(c.Profile.FirstName + " " + c.Profile.LastName); name != "" {
		return name
	}
	if c.Profile.Phone != "" {
		return c.Profile.Phone
	}
	return c.Ref
}
