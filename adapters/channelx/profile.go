package channelx

import (
	"cmp"
	"context"
	"net/http"
	"strconv"

	"github.com/parley-im/parley/domain"
)

// profileForm is the caller as they are shown themselves (channelx.md 4.1).
type profileForm struct {
	ID               int64           `json:"id"`
	Name             string          `json:"name"`
	AvailableName    string          `json:"available_name"`
	DisplayName      string          `json:"display_name"`
	Email            string          `json:"email"`
	UID              string          `json:"uid"`
	Provider         string          `json:"provider"`
	Type             *string         `json:"type"`
	Role             string          `json:"role"`
	AccountID        int64           `json:"account_id"`
	InviterID        *int64          `json:"inviter_id"`
	Confirmed        bool            `json:"confirmed"`
	AvatarURL        string          `json:"avatar_url"`
	AccessToken      string          `json:"access_token"`
	PubsubToken      string          `json:"pubsub_token"`
	MessageSignature *string         `json:"message_signature"`
	UISettings       domain.Object   `json:"ui_settings"`
	CustomAttributes domain.Object   `json:"custom_attributes"`
	Accounts         []profileMember `json:"accounts"`
}

// profileMember is an account in which the caller is.
type profileMember struct {
	ID             int64    `json:"id"`
	Name           string   `json:"name"`
	Status         string   `json:"status"`
	OnboardingStep *string  `json:"onboarding_step"`
	ActiveAt       *string  `json:"active_at"`
	Role           string   `json:"role"`
	Permissions    []string `json:"permissions"`
	Availability   string   `json:"availability"`
	Present        string   `json:"availability_status"`
	AutoOffline    bool     `json:"auto_offline"`
}

// profileRoutes are what a caller asks of itself.
func (d *Door) profileRoutes(mux *http.ServeMux) {
	d.profile(mux, "GET /api/v1/profile", d.getProfile)
}

// getProfile shows the caller. The access token is the one that came: no other is
// known, and this one the caller has.
func (d *Door) getProfile(ctx context.Context, c caller, r *request) (any, error) {
	o, account := c.operator, named(c.account)
	there := d.viewed(ctx, c.account.Name).there.operator(o.ID)
	name := shortName(o)
	return profileForm{
		ID: o.ID, Name: o.Name, AvailableName: name, DisplayName: name, Email: o.Email,
		UID: cmp.Or(o.Email, strconv.FormatInt(o.ID, 10)), Provider: "email", Role: c.role(), AccountID: account.ID, Confirmed: true,
		AvatarURL: o.Avatar, AccessToken: secretOf(r.Header), PubsubToken: d.Minter.SocketToken(operatorOwner(c.account.Name, o.ID)),
		UISettings: domain.Object{}, CustomAttributes: domain.Object{},
		Accounts: []profileMember{{
			ID: account.ID, Name: account.Name, Status: "active", Role: c.role(), Permissions: []string{c.role()},
			Availability: there, Present: there, AutoOffline: true,
		}},
	}, nil
}
