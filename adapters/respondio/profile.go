package respondio

import (
	"net/mail"
	"strings"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// Limits of a contact object, in characters, and in hours (section 3.6).
const (
	maxName     = 50
	maxEmail    = 50
	maxPhone    = 18
	maxPicture  = 2000
	maxTimezone = 24
)

// readProfile reads a contact object (section 3.6): documented lengths and ranges
// are enforced, a malformed hint is dropped and does not cost the message. nil is
// an object that tells nothing.
func readProfile(v value) (*domain.Profile, error) {
	if v.absent() {
		return nil, nil //nolint:nilnil // no profile is an ordinary answer
	}
	if !v.is('{') {
		return nil, domain.Invalid("contact", "must be an object")
	}
	var p domain.Profile
	for name, m := range v.members() {
		var err error
		switch string(name) {
		case "firstName":
			p.FirstName, err = readName("contact.firstName", m)
		case "lastName":
			p.LastName, err = readName("contact.lastName", m)
		case "profilePic":
			p.PictureURL = pictureOf(m)
		case "locale":
			p.Locale = localeOf(m)
		case "countryCode":
			p.CountryCode = countryOf(m)
		case "timezone":
			p.Timezone, err = readTimezone("contact.timezone", m)
		case "email":
			p.Email, err = readEmail("contact.email", m)
		case "phone":
			p.Phone, err = readPhone("contact.phone", m)
		case "language":
			p.Language = languageOf(m)
		}
		if err != nil {
			return nil, err
		}
	}
	if p == (domain.Profile{}) {
		return nil, nil //nolint:nilnil // as above
	}
	return &p, nil
}

func readName(field string, v value) (string, error) {
	s, err := optionalText(field, v)
	if err == nil && tooLong(s, maxName) {
		return "", domain.Invalid(field, "must be at most %d characters", maxName)
	}
	return s, err
}

func tooLong(s string, limit int) bool { return len(s) > limit && utf8.RuneCountInString(s) > limit }

func pictureOf(v value) string {
	s, _ := v.text()
	if domain.ValidateURL("contact.profilePic", s, maxPicture) != nil {
		return ""
	}
	return s
}

// localeOf gives a language, a separator and a region, such as en_US.
func localeOf(v value) string {
	s, _ := v.text()
	at := strings.IndexAny(s, "_-")
	if at < 0 {
		return ""
	}
	language, region := s[:at], s[at+1:]
	if !letters(language, 2) && !letters(language, 3) || !letters(region, 2) && !digits(region, 3) {
		return ""
	}
	return s
}

func countryOf(v value) string {
	s, _ := v.text()
	if !letters(s, 2) {
		return ""
	}
	return strings.ToUpper(s)
}

// languageOf gives two letters; a region or script behind them is cut off.
func languageOf(v value) string {
	s, _ := v.text()
	if at := strings.IndexAny(s, "_-"); at >= 0 {
		s = s[:at]
	}
	if !letters(s, 2) {
		return ""
	}
	return strings.ToLower(s)
}

func readTimezone(field string, v value) (*float64, error) {
	if s, ok := v.text(); v.absent() || ok && s == "" {
		return nil, nil //nolint:nilnil // not known is an ordinary answer
	}
	hours, ok := v.float()
	if !ok || hours < -maxTimezone || hours > maxTimezone {
		return nil, domain.Invalid(field, "must be a number from -%d to %d", maxTimezone, maxTimezone)
	}
	return &hours, nil
}

func readEmail(field string, v value) (string, error) {
	s, _ := v.text()
	if tooLong(s, maxEmail) {
		return "", domain.Invalid(field, "must be at most %d characters", maxEmail)
	}
	if a, err := mail.ParseAddress(s); err == nil && a.Address == s {
		return s, nil
	}
	return "", nil
}

func readPhone(field string, v value) (string, error) {
	s, _ := v.id()
	if tooLong(s, maxPhone) {
		return "", domain.Invalid(field, "must be at most %d characters", maxPhone)
	}
	number, _ := domain.NormalizePhone(s)
	return number, nil
}

func letters(s string, n int) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return len(s) == n
}

func digits(s string, n int) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == n
}
