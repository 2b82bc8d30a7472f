package channelx

import (
	"cmp"

	"github.com/parley-im/parley/domain"
)

// inboxForm is an inbox (channelx.md 3.2).
type inboxForm struct {
	ID                   int64          `json:"id"`
	AvatarURL            string         `json:"avatar_url"`
	ChannelID            int64          `json:"channel_id"`
	Name                 string         `json:"name"`
	ChannelType          string         `json:"channel_type"`
	GreetingEnabled      bool           `json:"greeting_enabled"`
	GreetingMessage      *string        `json:"greeting_message"`
	WorkingHoursEnabled  bool           `json:"working_hours_enabled"`
	EnableEmailCollect   bool           `json:"enable_email_collect"`
	CSATSurveyEnabled    bool           `json:"csat_survey_enabled"`
	CSATConfig           domain.Object  `json:"csat_config"`
	EnableAutoAssignment bool           `json:"enable_auto_assignment"`
	AutoAssignmentConfig domain.Object  `json:"auto_assignment_config"`
	OutOfOfficeMessage   *string        `json:"out_of_office_message"`
	WorkingHours         []domain.Hours `json:"working_hours"`
	Timezone             string         `json:"timezone"`
	CallbackWebhookURL   *string        `json:"callback_webhook_url"`
	AllowAfterResolved   bool           `json:"allow_messages_after_resolved"`
	LockToSingle         bool           `json:"lock_to_single_conversation"`
	SenderNameType       string         `json:"sender_name_type"`
	BusinessName         *string        `json:"business_name"`
	WidgetColor          *string        `json:"widget_color"`
	WebsiteURL           *string        `json:"website_url"`
	HMACMandatory        bool           `json:"hmac_mandatory"`
	WelcomeTitle         *string        `json:"welcome_title"`
	WelcomeTagline       *string        `json:"welcome_tagline"`
	WebWidgetScript      *string        `json:"web_widget_script"`
	WebsiteToken         *string        `json:"website_token"`
	SelectedFeatureFlags *string        `json:"selected_feature_flags"`
	ReplyTime            *string        `json:"reply_time"`
	AllowedDomains       *string        `json:"allowed_domains"`
	MessagingServiceSID  *string        `json:"messaging_service_sid"`
	PhoneNumber          *string        `json:"phone_number"`
	Provider             *string        `json:"provider"`
	HMACToken            string         `json:"hmac_token,omitempty"` // to administrators, as is the secret
	Secret               string         `json:"secret,omitempty"`
	WebhookURL           *string        `json:"webhook_url"`
	InboxIdentifier      string         `json:"inbox_identifier"`
	AdditionalAttributes domain.Object  `json:"additional_attributes"`
}

// slimInboxForm is an inbox inside of a contact.
type slimInboxForm struct {
	ID          int64   `json:"id"`
	AvatarURL   string  `json:"avatar_url"`
	ChannelID   int64   `json:"channel_id"`
	Name        string  `json:"name"`
	ChannelType string  `json:"channel_type"`
	Provider    *string `json:"provider"`
}

// rawInboxForm is an inbox as the answer to a new contact has it.
type rawInboxForm struct {
	ID          int64  `json:"id"`
	ChannelID   int64  `json:"channel_id"`
	AccountID   int64  `json:"account_id"`
	Name        string `json:"name"`
	ChannelType string `json:"channel_type"`
	CreatedAt   string `json:"created_at"`
	UpdatedAt   string `json:"updated_at"`
}

// clientInboxForm is an inbox of the client API (channelx.md 5.1).
type clientInboxForm struct {
	Identifier         string         `json:"identifier"`
	IdentityValidation bool           `json:"identity_validation_enabled"`
	Name               string         `json:"name"`
	Timezone           string         `json:"timezone"`
	WorkingHours       []domain.Hours `json:"working_hours"`
	WorkingHoursOn     bool           `json:"working_hours_enabled"`
	CSATSurveyEnabled  bool           `json:"csat_survey_enabled"`
	GreetingEnabled    bool           `json:"greeting_enabled"`
}

// inbox shows an inbox; its secrets only to an administrator.
func (v *view) inbox(ch domain.Channel, admin bool) any {
	i := ch.Inbox
	form := inboxForm{
		ID: i.Number, AvatarURL: i.Avatar, ChannelID: i.Number, Name: ch.Name, ChannelType: channelType,
		GreetingEnabled: i.Greeting, GreetingMessage: textOrNull(i.GreetingMessage), WorkingHoursEnabled: i.WorkingHours,
		EnableEmailCollect: !i.NoEmailCollect, CSATSurveyEnabled: i.CSAT, CSATConfig: object(i.CSATConfig),
		EnableAutoAssignment: !i.NoAutoAssignment, AutoAssignmentConfig: domain.Object{}, OutOfOfficeMessage: textOrNull(i.OutOfOffice),
		WorkingHours: workingHours(i), Timezone: cmp.Or(i.Timezone, "UTC"), AllowAfterResolved: !i.NoneAfterResolved,
		LockToSingle: i.LockToSingle, SenderNameType: cmp.Or(i.SenderNameType, "friendly"), BusinessName: textOrNull(i.BusinessName),
		HMACMandatory: i.HMACMandatory, WebhookURL: textOrNull(ch.CallbackURL), InboxIdentifier: i.Identifier,
		AdditionalAttributes: object(i.Additional),
	}
	if admin {
		form.HMACToken, form.Secret = ch.Credentials.HMACToken, ch.Credentials.Secret
	}
	return form
}

// slimInbox shows an inbox inside of a contact.
func (v *view) slimInbox(ch domain.Channel) any { return slimInboxOf(ch) }

func slimInboxOf(ch domain.Channel) slimInboxForm {
	return slimInboxForm{ID: ch.Inbox.Number, AvatarURL: ch.Inbox.Avatar, ChannelID: ch.Inbox.Number, Name: ch.Name, ChannelType: channelType}
}

// rawInbox shows an inbox as the answer to a new contact has it.
func (v *view) rawInbox(ch domain.Channel) any {
	return rawInboxForm{
		ID: ch.Inbox.Number, ChannelID: ch.Inbox.Number, AccountID: v.account(ch.Account).ID, Name: ch.Name, ChannelType: channelType,
		CreatedAt: iso(ch.CreatedAt), UpdatedAt: iso(ch.UpdatedAt),
	}
}

// clientInbox shows an inbox to its contacts.
func (v *view) clientInbox(ch domain.Channel) any {
	i := ch.Inbox
	return clientInboxForm{
		Identifier: i.Identifier, IdentityValidation: i.HMACMandatory, Name: ch.Name, Timezone: cmp.Or(i.Timezone, "UTC"),
		WorkingHours: workingHours(i), WorkingHoursOn: i.WorkingHours, CSATSurveyEnabled: i.CSAT, GreetingEnabled: i.Greeting,
	}
}

// workingHours gives the hours of all seven days, from Sunday.
func workingHours(i domain.Inbox) []domain.Hours {
	days := make([]domain.Hours, 7)
	for day := range days {
		days[day] = domain.Hours{Day: day, ClosedAll: true}
		if day > 0 && day < 6 {
			days[day] = domain.Hours{Day: day, OpenHour: 9, CloseHour: 17}
		}
	}
	for _, h := range i.Hours {
		if h.Day >= 0 && h.Day < len(days) {
			days[h.Day] = h
		}
	}
	return days
}
