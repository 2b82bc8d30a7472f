package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

const tagContacts = "Contacts"

// contactView is a contact as the API shows it. What is not known is absent.
type contactView struct {
	ID          uuid.UUID  `json:"id" format:"uuid"`
	ChannelID   string     `json:"channel_id"`
	ContactRef  string     `json:"contact_ref" doc:"The id that the integration uses."`
	DisplayName string     `json:"display_name" doc:"The name, else the phone number, else the reference."`
	FirstName   string     `json:"first_name,omitempty"`
	LastName    string     `json:"last_name,omitempty"`
	PictureURL  string     `json:"picture_url,omitempty"`
	Locale      string     `json:"locale,omitempty" example:"pt_PT"`
	CountryCode string     `json:"country_code,omitempty" doc:"ISO 3166-1 alpha-2." example:"PT"`
	Timezone    *float64   `json:"timezone,omitempty" doc:"Hours from UTC."`
	Email       string     `json:"email,omitempty"`
	Phone       string     `json:"phone,omitempty"`
	Language    string     `json:"language,omitempty" doc:"ISO 639-1." example:"pt"`
	Visit       *visitView `json:"visit,omitempty" doc:"voximplant: where and with what the contact wrote last."`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// visitView is where and with what a contact writes. What is not known is absent.
type visitView struct {
	UTM         map[string]string `json:"utm,omitempty" doc:"source, campaign, content, medium, term."`
	PageURL     string            `json:"page_url,omitempty"`
	PageTitle   string            `json:"page_title,omitempty"`
	Latitude    *float64          `json:"latitude,omitempty"`
	Longitude   *float64          `json:"longitude,omitempty"`
	Country     string            `json:"country,omitempty"`
	CountryCode string            `json:"country_code,omitempty"`
	Region      string            `json:"region,omitempty"`
	RegionCode  string            `json:"region_code,omitempty"`
	City        string            `json:"city,omitempty"`
	IPAddress   string            `json:"ip_address,omitempty"`
	DeviceType  string            `json:"device_type,omitempty"`
	DeviceModel string            `json:"device_model,omitempty"`
	UserAgent   string            `json:"user_agent,omitempty"`
}

func showVisit(v *domain.Visit) *visitView {
	if v == nil {
		return nil
	}
	return &visitView{
		UTM: v.UTM, PageURL: v.PageURL, PageTitle: v.PageTitle, Latitude: v.Latitude, Longitude: v.Longitude,
		Country: v.Country, CountryCode: v.CountryCode, Region: v.Region, RegionCode: v.RegionCode, City: v.City,
		IPAddress: v.IPAddress, DeviceType: v.DeviceType, DeviceModel: v.DeviceModel, UserAgent: v.UserAgent,
	}
}

func showContact(c domain.Contact) contactView {
	return contactView{
		ID: c.ID, ChannelID: c.Channel, ContactRef: c.Ref, DisplayName: c.DisplayName(),
		FirstName: c.Profile.FirstName, LastName: c.Profile.LastName, PictureURL: c.Profile.PictureURL,
		Locale: c.Profile.Locale, CountryCode: c.Profile.CountryCode, Timezone: c.Profile.Timezone,
		Email: c.Profile.Email, Phone: c.Profile.Phone, Language: c.Profile.Language, Visit: showVisit(c.Profile.Visit),
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
}

// parseID reads the id of a thing; what is no id names nothing.
func parseID(what, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.UUID{}, notFound(what, text)
	}
	return id, nil
}

func notFound(what, id string) error {
	return domain.Errorf(domain.CodeNotFound, "There is no %s %s.", what, domain.Cut(id, 40))
}

func (p *platform) contactRoutes() {
	handle(p, operation{
		id: "list-contacts", method: http.MethodGet, path: "/v1/contacts", tag: tagContacts, need: domain.RoleReader,
		summary: "List contacts",
	}, p.listContacts)
	handle(p, operation{
		id: "get-contact", method: http.MethodGet, path: "/v1/contacts/{id}", tag: tagContacts, need: domain.RoleReader,
		summary: "Read a contact",
	}, p.getContact)
}

func (p *platform) listContacts(ctx context.Context, c caller, in *struct {
	ReadParams
	PageParams
	Channel string `query:"channel" maxLength:"64" doc:"Only contacts of this channel."`
	Search  string `query:"q" maxLength:"200" doc:"Part of a name, reference, phone or e-mail, without regard to case."`
},
) (*listOutput[contactView], error) {
	headers, err := p.await(ctx, projectionConversations, in.ReadParams)
	if err != nil {
		return nil, err
	}
	part, next, err := p.Reads.Contacts(ctx, domain.ContactFilter{Account: c.Account, Channel: in.Channel, Search: strings.TrimSpace(in.Search)}, in.page())
	if err != nil {
		return nil, err
	}
	return &listOutput[contactView]{ReadHeaders: headers, Body: listOf(part, next, showContact)}, nil
}

func (p *platform) getContact(ctx context.Context, c caller, in *struct {
	ReadParams
	ID string `path:"id" doc:"The contact's id."`
},
) (*struct {
	ReadHeaders
	Body contactView
}, error,
) {
	id, err := parseID("contact", in.ID)
	if err != nil {
		return nil, err
	}
	headers, err := p.await(ctx, projectionConversations, in.ReadParams)
	if err != nil {
		return nil, err
	}
	contact, err := p.Reads.Contact(ctx, c.Account, id)
	if err != nil {
		return nil, err
	}
	return &struct {
		ReadHeaders
		Body contactView
	}{headers, showContact(contact)}, nil
}
