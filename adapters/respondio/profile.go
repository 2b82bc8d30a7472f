package respondio

import (
	"strings"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// Limits of a profile (3.6): characters, and hours.
const (
	maxName     = 50
	maxEmail    = 50
	maxPhone    = 18
	maxURL      = 2000
	maxTimezone = 24
)

// profile reads a contact object (3.6). Documented lengths and ranges are
// enforced; a hint that is malformed is dropped, since it must not cost the
// contact's message.
func (p *person) profile(path string) (domain.Profile, error) {
	if p == nil {
		return domain.Profile{}, nil
	}
	var out domain.Profile
	var err error
	if out.FirstName, err = p.FirstName.limited(path+"firstName", maxName); err != nil {
		return out, err
	}
	if out.LastName, err = p.LastName.limited(path+"lastName", maxName); err != nil {
		return out, err
	}
	if out.Email, err = p.Email.limited(path+"email", maxEmail); err != nil {
		return out, err
	}
	if out.Phone, err = p.Phone.limited(path+"phone", maxPhone); err != nil {
		return out, err
	}
	if out.Timezone, err = p.Timezone.optional(path + "timezone"); err != nil {
		return out, err
	}
	if out.Timezone != nil && (*out.Timezone < -maxTimezone || *out.Timezone > maxTimezone) {
		return out, domain.Invalid(path+"timezone", "must be a number from -%d to %d", maxTimezone, maxTimezone)
	}
	if !isAddress(out.Email) {
		out.Email = ""
	}
	out.Phone, _ = domain.NormalizePhone(out.Phone) // "" when it is no number
	if pic := p.ProfilePic.value; domain.ValidateURL("", pic, maxURL) == nil {
		out.PictureURL = pic
	}
	if isLocale(p.Locale.value) {
		out.Locale = p.Locale.value
	}
	if code := p.CountryCode.value; len(code) == 2 && allLetters(code) {
		out.CountryCode = strings.ToUpper(code)
	}
	out.Language = languageOf(p.Language.value)
	return out, nil
}

func (t text) limited(field string, most int) (string, error) {
	value, err := t.optional(field)
	if err == nil && utf8.RuneCountInString(value) > most {
		err = domain.Invalid(field, "must be at most %d characters", most)
	}
	return value, err
}

// isAddress tells whether s looks like an e-mail address: one at sign between
// two parts without white space.
func isAddress(s string) bool {
	local, host, ok := strings.Cut(s, "@")
	return ok && local != "" && host != "" && !strings.Contains(host, "@") && !strings.ContainsAny(s, " \t\r\n<>")
}

// isLocale tells whether s is a language, a separator and a region, such as
// pt_PT or es-419.
func isLocale(s string) bool {
	i := strings.IndexAny(s, "_-")
	if i != 2 && i != 3 {
		return false
	}
	region := s[i+1:]
	digits := len(region) == 3 && isDigit(region[0]) && isDigit(region[1]) && isDigit(region[2])
	return allLetters(s[:i]) && (digits || (len(region) == 2 && allLetters(region)))
}

// languageOf gives the two letters of ISO 639-1 in pt, pt-BR and pt_BR, "" for
// anything else.
func languageOf(s string) string {
	if len(s) < 2 || !allLetters(s[:2]) || (len(s) > 2 && s[2] != '-' && s[2] != '_') {
		return ""
	}
	return strings.ToLower(s[:2])
}

func allLetters(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}
