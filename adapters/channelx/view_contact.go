package channelx

import (
	"github.com/parley-im/parley/domain"
)

// contactForm is a contact of the application API (channelx.md 3.3).
type contactForm struct {
	Additional     domain.Object `json:"additional_attributes"`
	Availability   string        `json:"availability_status"`
	Email          *string       `json:"email"`
	ID             int64         `json:"id"`
	Name           string        `json:"name"`
	Phone          *string       `json:"phone_number"`
	Blocked        bool          `json:"blocked"`
	Identifier     *string       `json:"identifier"`
	Thumbnail      string        `json:"thumbnail"`
	Custom         domain.Object `json:"custom_attributes"`
	LastActivityAt int64         `json:"last_activity_at,omitempty"`
	CreatedAt      int64         `json:"created_at"`
	// Inboxes are left out where it is nil.
	Inboxes *[]contactInboxForm `json:"contact_inboxes,omitempty"`
}

type contactInboxForm struct {
	SourceID string        `json:"source_id"`
	Inbox    slimInboxForm `json:"inbox"`
}

// contact shows a person; withInboxes tells of their identities.
func (v *view) contact(p domain.PersonSeen, online, withInboxes bool) any {
	form := contactOf(p.Person, online)
	form.LastActivityAt = unix(p.LastActivityAt)
	if withInboxes {
		list := make([]contactInboxForm, 0, len(p.Identities))
		for _, i := range p.Identities {
			if ch, ok := v.inboxes.Channel(i.Channel); ok {
				list = append(list, contactInboxForm{i.SourceID, slimInboxOf(ch)})
			}
		}
		form.Inboxes = &list
	}
	return form
}

func contactOf(p domain.Person, online bool) contactForm {
	return contactForm{
		Additional: object(p.Additional), Availability: availability(online), Email: textOrNull(p.Email), ID: p.ID, Name: p.Name,
		Phone: textOrNull(p.Phone), Blocked: p.Blocked, Identifier: textOrNull(p.Identifier), Thumbnail: p.Avatar,
		Custom: object(p.Custom), CreatedAt: p.CreatedAt.Unix(),
	}
}

// pushContactForm is a contact of cable frames, and beside messages.
type pushContactForm struct {
	Additional domain.Object `json:"additional_attributes"`
	Custom     domain.Object `json:"custom_attributes"`
	Email      *string       `json:"email"`
	ID         int64         `json:"id"`
	Identifier *string       `json:"identifier"`
	Name       string        `json:"name"`
	Phone      *string       `json:"phone_number"`
	Thumbnail  string        `json:"thumbnail"`
	Blocked    bool          `json:"blocked"`
	Type       string        `json:"type"`
}

// pushContact shows a person beside messages.
func (v *view) pushContact(p domain.Person) any { return pushContactOf(p) }

func pushContactOf(p domain.Person) pushContactForm {
	return pushContactForm{
		Additional: object(p.Additional), Custom: object(p.Custom), Email: textOrNull(p.Email), ID: p.ID,
		Identifier: textOrNull(p.Identifier), Name: p.Name, Phone: textOrNull(p.Phone), Thumbnail: p.Avatar,
		Blocked: p.Blocked, Type: "contact",
	}
}

// callbackContactForm is a contact as callbacks show who is behind them.
type callbackContactForm struct {
	Account    domain.Named  `json:"account"`
	Additional domain.Object `json:"additional_attributes"`
	Avatar     string        `json:"avatar"`
	Custom     domain.Object `json:"custom_attributes"`
	Email      *string       `json:"email"`
	ID         int64         `json:"id"`
	Identifier *string       `json:"identifier"`
	Name       string        `json:"name"`
	Phone      *string       `json:"phone_number"`
	Thumbnail  string        `json:"thumbnail"`
	Blocked    bool          `json:"blocked"`
	Type       string        `json:"type"`
}

func callbackContactOf(account domain.Named, p domain.Person) callbackContactForm {
	return callbackContactForm{
		Account: account, Additional: object(p.Additional), Avatar: p.Avatar, Custom: object(p.Custom), Email: textOrNull(p.Email),
		ID: p.ID, Identifier: textOrNull(p.Identifier), Name: p.Name, Phone: textOrNull(p.Phone), Thumbnail: p.Avatar,
		Blocked: p.Blocked, Type: "contact",
	}
}

// rawContactForm is a contact of the client API, with every column that the
// reference keeps of one (channelx.md 3.3).
type rawContactForm struct {
	ID             int64         `json:"id"`
	Name           string        `json:"name"`
	Email          *string       `json:"email"`
	Phone          *string       `json:"phone_number"`
	AccountID      int64         `json:"account_id"`
	CreatedAt      string        `json:"created_at"`
	UpdatedAt      string        `json:"updated_at"`
	Additional     domain.Object `json:"additional_attributes"`
	Identifier     *string       `json:"identifier"`
	Custom         domain.Object `json:"custom_attributes"`
	LastActivityAt *string       `json:"last_activity_at"`
	ContactType    string        `json:"contact_type"`
	MiddleName     string        `json:"middle_name"`
	LastName       string        `json:"last_name"`
	Location       string        `json:"location"`
	CountryCode    string        `json:"country_code"`
	Blocked        bool          `json:"blocked"`
	CompanyID      *int64        `json:"company_id"`
	Labels         []string      `json:"label_list"`
	// What clients read again of the answer to a change.
	SourceID    string `json:"source_id,omitempty"`
	PubsubToken string `json:"pubsub_token,omitempty"`
}

// rawContactAs is rawContactOf with the identity under which the person came.
func (v *view) rawContactAs(account string, p domain.PersonSeen, as domain.Identity) any {
	form := v.rawContactOf(account, p)
	form.SourceID, form.PubsubToken = as.SourceID, v.minter.SocketToken(identityOwner(as.ID))
	return form
}

// rawContactOf shows a person of an account to themselves.
func (v *view) rawContactOf(account string, p domain.PersonSeen) rawContactForm {
	form := rawContactForm{
		ID: p.ID, Name: p.Name, Email: textOrNull(p.Email), Phone: textOrNull(p.Phone), AccountID: v.account(account).ID,
		CreatedAt: iso(p.CreatedAt), UpdatedAt: iso(p.UpdatedAt), Additional: object(p.Additional), Identifier: textOrNull(p.Identifier),
		Custom: object(p.Custom), LastActivityAt: isoOrNull(p.LastActivityAt), ContactType: "visitor", Blocked: p.Blocked,
		Labels: nonNil(p.Labels),
	}
	if p.Email != "" || p.Phone != "" {
		form.ContactType = "lead"
	}
	form.Location, _ = p.Additional["city"].(string)
	form.CountryCode, _ = p.Additional["country_code"].(string)
	return form
}

// clientContactForm is a contact as the client API answers for one (channelx.md
// 5.1).
type clientContactForm struct {
	SourceID    string  `json:"source_id"`
	PubsubToken string  `json:"pubsub_token"`
	ID          int64   `json:"id"`
	Name        string  `json:"name"`
	Email       *string `json:"email"`
	Phone       *string `json:"phone_number"`
}

// clientContact shows a person to themselves, as an identity.
func (v *view) clientContact(i domain.Identity, p domain.Person) any {
	return clientContactForm{
		SourceID: i.SourceID, PubsubToken: v.minter.SocketToken(identityOwner(i.ID)), ID: p.ID, Name: p.Name,
		Email: textOrNull(p.Email), Phone: textOrNull(p.Phone),
	}
}
