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
	DisplayName string   `json:"display_name,omitempty"`
	Visit       *Visit   `json:"visit,omitempty"` // where and with what the contact writes
}

// Visit is what an integration tells of the place that a contact writes from
// (voximplant-kit.md 4.2). An empty field is not known.
type Visit struct {
	UTM         Texts    `json:"utm,omitempty"` // source, campaign, content, medium, term
	PageURL     string   `json:"page_url,omitempty"`
	PageTitle   string   `json:"page_title,omitempty"`
	Latitude    *float64 `json:"latitude,omitempty"`
	Longitude   *float64 `json:"longitude,omitempty"`
	Country     string   `json:"country,omitempty"`
	CountryCode string   `json:"country_code,omitempty"`
	Region      string   `json:"region,omitempty"`
	RegionCode  string   `json:"region_code,omitempty"`
	City        string   `json:"city,omitempty"`
	IPAddress   string   `json:"ip_address,omitempty"`
	DeviceType  string   `json:"device_type,omitempty"`
	DeviceModel string   `json:"device_model,omitempty"`
	UserAgent   string   `json:"user_agent,omitempty"`
}

// Replace takes from p whatever it knows (voximplant-kit.md 4.5: values that are
// not empty replace stored ones). It tells whether q changed.
func (q *Profile) Replace(p Profile) bool {
	changed := false
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&q.FirstName, p.FirstName},
		{&q.LastName, p.LastName},
		{&q.PictureURL, p.PictureURL},
		{&q.Locale, p.Locale},
		{&q.CountryCode, p.CountryCode},
		{&q.Email, p.Email},
		{&q.Phone, p.Phone},
		{&q.Language, p.Language},
		{&q.DisplayName, p.DisplayName},
	} {
		changed = replace(f.to, f.from) || changed
	}
	if p.Timezone != nil && (q.Timezone == nil || *q.Timezone != *p.Timezone) {
		q.Timezone, changed = p.Timezone, true
	}
	if p.Visit != nil {
		var v Visit
		if q.Visit != nil {
			v = *q.Visit // what was there may be shared
		}
		if v.replace(*p.Visit) {
			q.Visit, changed = &v, true
		}
	}
	return changed
}

func replace(to *string, from string) bool {
	if from == "" || *to == from {
		return false
	}
	*to = from
	return true
}

func (v *Visit) replace(p Visit) bool {
	changed := false
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&v.PageURL, p.PageURL},
		{&v.PageTitle, p.PageTitle},
		{&v.Country, p.Country},
		{&v.CountryCode, p.CountryCode},
		{&v.Region, p.Region},
		{&v.RegionCode, p.RegionCode},
		{&v.City, p.City},
		{&v.IPAddress, p.IPAddress},
		{&v.DeviceType, p.DeviceType},
		{&v.DeviceModel, p.DeviceModel},
		{&v.UserAgent, p.UserAgent},
	} {
		changed = replace(f.to, f.from) || changed
	}
	for _, f := range []struct{ to, from **float64 }{{&v.Latitude, &p.Latitude}, {&v.Longitude, &p.Longitude}} {
		if *f.from != nil && (*f.to == nil || **f.to != **f.from) {
			*f.to, changed = *f.from, true
		}
	}
	for name, text := range p.UTM {
		if text != "" && v.UTM[name] != text {
			v.UTM, changed = v.UTM.with(Texts{name: text}), true
		}
	}
	return changed
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
	if c.Profile.DisplayName != "" {
		return c.Profile.DisplayName
	}
	if name := strings.TrimSpace(c.Profile.FirstName + " " + c.Profile.LastName); name != "" {
		return name
	}
	if c.Profile.Phone != "" {
		return c.Profile.Phone
	}
	return c.Ref
}
