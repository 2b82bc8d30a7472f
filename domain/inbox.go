package domain

import (
	"fmt"
	"io"
	"slices"
)

// TokenLength is the length of what ChannelX clients are given as tokens, in
// characters A-Z a-z 0-9 (channelx.md 2.5).
const TokenLength = 24

// NewToken makes such a token out of random bytes, about 142 bits of them.
func NewToken(random io.Reader) (string, error) {
	s, err := pick(random, secretSet, TokenLength)
	if err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return s, nil
}

// Inbox is what a channel has where the dialect knows it as an inbox
// (channelx.md 3.2). Its secrets are in Credentials.
type Inbox struct {
	Number            int64   `json:"id"`         // of the installation
	Identifier        string  `json:"identifier"` // names it in the client API; unique
	HMACMandatory     bool    `json:"hmac_mandatory,omitempty"`
	Additional        Object  `json:"additional_attributes,omitempty"` // agent_reply_time_window in hours
	LockToSingle      bool    `json:"lock_to_single_conversation,omitempty"`
	Greeting          bool    `json:"greeting_enabled,omitempty"`
	GreetingMessage   string  `json:"greeting_message,omitempty"`
	NoAutoAssignment  bool    `json:"no_auto_assignment,omitempty"`
	NoneAfterResolved bool    `json:"no_messages_after_resolved,omitempty"`
	WorkingHours      bool    `json:"working_hours_enabled,omitempty"`
	Hours             []Hours `json:"working_hours,omitempty"` // by day, or none = closed at week-ends and from 17 to 9
	OutOfOffice       string  `json:"out_of_office_message,omitempty"`
	Timezone          string  `json:"timezone,omitempty"` // IANA name; "" = UTC
	CSAT              bool    `json:"csat_survey_enabled,omitempty"`
	CSATConfig        Object  `json:"csat_config,omitempty"`
	NoEmailCollect    bool    `json:"no_email_collect,omitempty"`
	SenderNameType    string  `json:"sender_name_type,omitempty"`
	BusinessName      string  `json:"business_name,omitempty"`
	Avatar            string  `json:"avatar_url,omitempty"`
	Members           []int64 `json:"members,omitempty"` // agents who may see it; admins always may
}

// Hours are the working hours of a day of the week.
type Hours struct {
	Day         int  `json:"day_of_week"` // 0 is Sunday
	ClosedAll   bool `json:"closed_all_day"`
	OpenHour    int  `json:"open_hour"`
	OpenMinute  int  `json:"open_minutes"`
	CloseHour   int  `json:"close_hour"`
	CloseMinute int  `json:"close_minutes"`
	OpenAll     bool `json:"open_all_day"`
}

// Member tells whether an agent may see the inbox.
func (i Inbox) Member(agent int64) bool { return slices.Contains(i.Members, agent) }

// validateInbox checks what a channel has as an inbox.
func (c Channel) validateInbox() error {
	i := c.Inbox
	switch {
	case c.IDType != "":
		return Invalid("id_type", "is only for respondio and ismessenger")
	case i.Number <= 0:
		return Invalid("inbox_id", "must be a number above 0")
	case !isToken(i.Identifier):
		return Invalid("inbox_identifier", "must be 8 to 255 letters, digits, hyphens and underscores")
	case !isToken(c.Credentials.HMACToken):
		return Invalid("hmac_token", "must be 8 to 255 letters, digits, hyphens and underscores")
	case !isToken(c.Credentials.Secret):
		return Invalid("secret", "must be 8 to 255 letters, digits, hyphens and underscores")
	}
	if window, ok := i.Additional["agent_reply_time_window"].(float64); ok && window <= 0 {
		return Invalid("agent_reply_time_window", "must be above 0 hours")
	}
	return nil
}

// isToken tells whether a text can stand in a path and a header.
func isToken(s string) bool {
	if len(s) < MinAPIToken || len(s) > MaxAPIToken {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
