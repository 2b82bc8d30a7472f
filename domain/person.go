package domain

import "time"

// Object holds attributes that integrations name as they like. It is JSON: values
// are texts, float64, bool, nil, lists and objects.
type Object map[string]any

// Person is somebody who writes to an account, whatever the channel, where the
// dialect knows people by account (channelx.md 3.3, where it is a contact). How a
// channel knows a person is an Identity.
type Person struct {
	ID         int64     `json:"id"`       // of the installation
	Revision   int       `json:"revision"` // grows with every change, see Settled
	Name       string    `json:"name"`
	Email      string    `json:"email,omitempty"`        // lower case; unique in the account, as are the next two
	Phone      string    `json:"phone_number,omitempty"` // E.164
	Identifier string    `json:"identifier,omitempty"`   // that the account's own systems use
	Avatar     string    `json:"avatar_url,omitempty"`   // URL
	Blocked    bool      `json:"blocked,omitempty"`
	Additional Object    `json:"additional_attributes,omitempty"`
	Custom     Object    `json:"custom_attributes,omitempty"`
	Labels     []string  `json:"labels,omitempty"` // sorted
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// Listed tells whether lists show the person: one that cannot be found again by
// anything is a passer-by (channelx.md 4.3).
func (p Person) Listed() bool { return p.Email != "" || p.Phone != "" || p.Identifier != "" }

// Identity is how one channel knows a person (channelx.md 1, where it is a
// contact inbox).
type Identity struct {
	ID       int64  `json:"id"`       // of the installation
	Revision int    `json:"revision"` // counts changes, from 1; a merge is one
	PersonID int64  `json:"person_id"`
	Channel  string `json:"channel_id"`
	SourceID string `json:"source_id"`          // unique in the channel
	Verified bool   `json:"verified,omitempty"` // the person has proved the identifier (channelx.md 5.2)
	// Claimed says that the person was found by what anybody could have said of
	// themselves, such as an e-mail address: verified identities of the person do not
	// see what is the identity's, until it is verified, too.
	Claimed   bool      `json:"claimed,omitempty"`
	TokenHash string    `json:"token_sha256"` // of the token that listens to it, hex
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// MaxRefKept is how long a source id may be to be the contact reference of its
// stream, in bytes. Longer ones are known there by their hash.
const MaxRefKept = 255

// Ref is the contact reference of the identity's stream.
func (i Identity) Ref() string {
	if len(i.SourceID) <= MaxRefKept {
		return i.SourceID
	}
	return DeriveID("source", i.Channel, i.SourceID).String()
}

// PersonKey names a person by what is unique in an account; the first field that
// is set counts.
type PersonKey struct{ Identifier, Email, Phone string }

// PersonSeen is a person with what their streams tell.
type PersonSeen struct {
	Person

	LastActivityAt *time.Time // of what they wrote themselves; nil = never
	Identities     []Identity // oldest first, where they were asked for
}

// PersonQuery asks for people of an account.
type PersonQuery struct {
	Account        string
	Search         string      // part of name, e-mail or phone without regard to case, or of the identifier with
	Conditions     []Condition // all or some of them, as they say; none = no condition
	Labels         []string    // any of them
	ListedOnly     bool        // without passers-by
	Sort           string      // name, email, phone_number, last_activity_at, created_at, company_name, city or country; "" = newest first
	Descending     bool
	Offset, Limit  int
	WithIdentities bool
}

// Condition is one line of a filter (channelx.md 4.3). The names in Key are those
// of the wire; Custom says that it names a custom attribute.
type Condition struct {
	Key     string
	Custom  bool
	Compare Comparison
	Values  []string
	Or      bool // how the next condition is joined to those up to here
}

// Comparison is how a Condition compares. The set is closed.
type Comparison string

// The comparisons.
const (
	EqualTo        Comparison = "equal_to"
	NotEqualTo     Comparison = "not_equal_to"
	Contains       Comparison = "contains"
	DoesNotContain Comparison = "does_not_contain"
	IsPresent      Comparison = "is_present"
	IsNotPresent   Comparison = "is_not_present"
	IsGreaterThan  Comparison = "is_greater_than"
	IsLessThan     Comparison = "is_less_than"
	DaysBefore     Comparison = "days_before"
)
