package channelx

import "github.com/parley-im/parley/domain"

// pushUserForm is an operator of cable frames, and beside messages (channelx.md
// 3.4).
type pushUserForm struct {
	ID            int64  `json:"id"`
	Name          string `json:"name"`
	AvailableName string `json:"available_name"`
	AvatarURL     string `json:"avatar_url"`
	Type          string `json:"type"`
	Availability  string `json:"availability_status"`
	Thumbnail     string `json:"thumbnail"`
}

// pushUser shows an operator beside messages.
func (v *view) pushUser(o domain.Operator, availability string) any {
	return pushUserOf(o, availability)
}

func pushUserOf(o domain.Operator, availability string) pushUserForm {
	return pushUserForm{
		ID: o.ID, Name: o.Name, AvailableName: shortName(o), AvatarURL: o.Avatar, Type: "user",
		Availability: availability, Thumbnail: o.Avatar,
	}
}

func shortName(o domain.Operator) string {
	if o.Short == "" {
		return o.Name
	}
	return o.Short
}

// callbackUserForm is an operator as callbacks show who is behind them.
type callbackUserForm struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Type  string `json:"type"`
}

func callbackUserOf(o domain.Operator) callbackUserForm {
	return callbackUserForm{ID: o.ID, Name: o.Name, Email: o.Email, Type: "user"}
}

// userForm is an operator in full.
type userForm struct {
	ID            int64  `json:"id"`
	AccountID     int64  `json:"account_id"`
	Availability  string `json:"availability_status"`
	AutoOffline   bool   `json:"auto_offline"`
	Confirmed     bool   `json:"confirmed"`
	Email         string `json:"email"`
	Provider      string `json:"provider"`
	AvailableName string `json:"available_name"`
	Name          string `json:"name"`
	Role          string `json:"role"`
	Thumbnail     string `json:"thumbnail"`
}

// fullUser shows an operator of an account in full; role is that of the wire.
func (v *view) fullUser(account string, o domain.Operator, role, availability string) any {
	return userForm{
		ID: o.ID, AccountID: v.account(account).ID, Availability: availability, AutoOffline: true, Confirmed: true, Email: o.Email,
		Provider: "email", AvailableName: shortName(o), Name: o.Name, Role: role, Thumbnail: o.Avatar,
	}
}

// teamForm is a team (channelx.md 4.7).
type teamForm struct {
	ID              int64  `json:"id"`
	Name            string `json:"name"`
	Description     string `json:"description"`
	AllowAutoAssign bool   `json:"allow_auto_assign"`
	AccountID       int64  `json:"account_id"`
	IsMember        bool   `json:"is_member"`
}

// team shows a team; member tells whether the caller belongs to it.
func (v *view) team(t domain.Team, member bool) any {
	return teamForm{ID: t.Number, Name: t.Name, AllowAutoAssign: true, AccountID: v.account(t.Account).ID, IsMember: member}
}
