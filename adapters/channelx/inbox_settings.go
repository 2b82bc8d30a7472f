package channelx

import (
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// maxInboxText bounds what an inbox says by itself, in characters.
const maxInboxText = 10_000

// replyWindow names the attribute that holds in how many hours after a contact's
// message operators may answer (channelx.md 8.5).
const replyWindow = "agent_reply_time_window"

// setInbox takes over what a request sets of an inbox (channelx.md 4.2); what it
// does not name stays. All that is wrong is told at once.
func setInbox(ch *domain.Channel, p *params) error {
	var wrong invalidRecord
	i := &ch.Inbox
	changeName(&ch.Name, p, &wrong)
	changeText(&ch.CallbackURL, p, domain.MaxWebhookURL, "Webhook url", &wrong, "channel", "webhook_url")
	changeBool(&i.HMACMandatory, p, "channel", "hmac_mandatory")
	changeAttributes(i, p, &wrong)
	changeBool(&i.LockToSingle, p, "lock_to_single_conversation")
	changeBool(&i.Greeting, p, "greeting_enabled")
	changeText(&i.GreetingMessage, p, maxInboxText, "Greeting message", &wrong, "greeting_message")
	changeUnless(&i.NoAutoAssignment, p, "enable_auto_assignment")
	changeUnless(&i.NoneAfterResolved, p, "allow_messages_after_resolved")
	changeBool(&i.WorkingHours, p, "working_hours_enabled")
	changeHours(i, p, &wrong)
	changeText(&i.OutOfOffice, p, maxInboxText, "Out of office message", &wrong, "out_of_office_message")
	changeTimezone(i, p, &wrong)
	changeBool(&i.CSAT, p, "csat_survey_enabled")
	if config, ok := p.object("csat_config"); ok {
		if i.CSATConfig = config; oversized(config) {
			wrong.add("csat_config", "Csat config is too long")
		}
	}
	changeUnless(&i.NoEmailCollect, p, "enable_email_collect")
	changeSenderName(i, p, &wrong)
	changeText(&i.BusinessName, p, domain.MaxNumberedName, "Business name", &wrong, "business_name")
	changeText(&i.Avatar, p, domain.MaxWebhookURL, "Avatar url", &wrong, "avatar_url")
	if len(wrong.Texts) > 0 {
		return wrong
	}
	return nil
}

// add tells one more thing that is wrong.
func (e *invalidRecord) add(attribute, text string) {
	e.Texts, e.Attributes = append(e.Texts, text), append(e.Attributes, attribute)
}

func changeName(name *string, p *params, wrong *invalidRecord) {
	before := len(wrong.Texts)
	changeText(name, p, domain.MaxChannelName, "Name", wrong, "name")
	if strings.TrimSpace(*name) == "" && len(wrong.Texts) == before {
		wrong.add("name", "Name can't be blank")
	}
}

// changeText takes over a text of at most so many characters; null makes it blank.
func changeText(to *string, p *params, most int, label string, wrong *invalidRecord, path ...string) {
	if !p.has(path...) {
		return
	}
	text, _ := p.text(path...)
	attribute := path[len(path)-1]
	switch {
	case strings.ContainsRune(text, 0):
		wrong.add(attribute, label+" is invalid")
	case tooLong(text, most):
		wrong.add(attribute, tooLongText(label, most))
	default:
		*to = text
	}
}

func changeBool(to *bool, p *params, path ...string) {
	if b, ok := p.boolean(path...); ok {
		*to = b
	}
}

// changeUnless is changeBool for what is kept as its opposite.
func changeUnless(to *bool, p *params, path ...string) {
	if b, ok := p.boolean(path...); ok {
		*to = !b
	}
}

// changeAttributes takes over the attributes of the channel, whole. The reply
// window is a number of hours, also where a form sends it as text.
func changeAttributes(i *domain.Inbox, p *params, wrong *invalidRecord) {
	attributes, ok := p.object("channel", "additional_attributes")
	if !ok {
		return
	}
	if oversized(attributes) {
		wrong.add("additional_attributes", "Additional attributes is too long")
		return
	}
	hours, isNumber := attributes[replyWindow].(float64)
	if text := strings.TrimSpace(scalarText(attributes[replyWindow])); !isNumber {
		if text == "" {
			delete(attributes, replyWindow)
			i.Additional = attributes
			return
		}
		hours, _ = strconv.ParseFloat(text, 64) // 0 where it is none
	}
	switch {
	case !(hours > 0): // nor what is no number at all
		wrong.add(replyWindow, "Agent reply time window agent_reply_time_window must be greater than 0")
		return
	case hours > maxReplyWindow:
		wrong.add(replyWindow, "Agent reply time window agent_reply_time_window is too big")
		return
	}
	attributes[replyWindow] = hours
	i.Additional = attributes
}

// maxReplyWindow bounds the reply window, in hours: a hundred years.
const maxReplyWindow = 24 * maxDays

// changeHours takes over the working hours of the days that a request names.
func changeHours(i *domain.Inbox, p *params, wrong *invalidRecord) {
	days, ok := p.list("working_hours")
	if !ok || len(days) == 0 {
		return
	}
	hours := workingHours(*i)
	for n, day := range days {
		at := "Working hours " + strconv.Itoa(n)
		members, ok := day.(map[string]any)
		if !ok {
			wrong.add("working_hours", at+" is invalid")
			return
		}
		h, ok := readHours(members)
		if !ok {
			wrong.add("working_hours", at+" is invalid")
			return
		}
		hours[h.Day] = h
	}
	i.Hours = hours
}

// readHours reads one day; false when it is none that can be kept.
func readHours(members map[string]any) (domain.Hours, bool) {
	day, ok := whole(members["day_of_week"], 6)
	if !ok {
		return domain.Hours{}, false
	}
	h := domain.Hours{Day: day, ClosedAll: truth(members["closed_all_day"]), OpenAll: truth(members["open_all_day"])}
	if h.ClosedAll || h.OpenAll {
		return h, h.ClosedAll != h.OpenAll
	}
	for _, part := range []struct {
		name string
		most int
		to   *int
	}{{"open_hour", 23, &h.OpenHour}, {"open_minutes", 59, &h.OpenMinute}, {"close_hour", 23, &h.CloseHour}, {"close_minutes", 59, &h.CloseMinute}} {
		if *part.to, ok = whole(members[part.name], part.most); !ok {
			return domain.Hours{}, false
		}
	}
	return h, h.OpenHour*60+h.OpenMinute < h.CloseHour*60+h.CloseMinute
}

// whole reads a number from 0 up, also out of a text.
func whole(v any, most int) (int, bool) {
	n, err := strconv.Atoi(scalarText(v))
	return n, err == nil && n >= 0 && n <= most
}

func truth(v any) bool {
	text := scalarText(v)
	return text == "true" || text == "1"
}

func changeTimezone(i *domain.Inbox, p *params, wrong *invalidRecord) {
	name, ok := p.text("timezone")
	if !ok {
		return
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		wrong.add("timezone", "Timezone is not included in the list")
		return
	}
	i.Timezone = name
}

func changeSenderName(i *domain.Inbox, p *params, wrong *invalidRecord) {
	kind, ok := p.text("sender_name_type")
	if !ok {
		return
	}
	if kind != "friendly" && kind != "professional" {
		wrong.add("sender_name_type", "Sender name type is not included in the list")
		return
	}
	i.SenderNameType = kind
}

// needChannel refuses to make an inbox of what is no channel of this kind.
func needChannel(p *params) error {
	if !p.has("channel") {
		return missing("channel")
	}
	if kind, _ := p.text("channel", "type"); kind != "api" {
		return invalidRecord{Texts: []string{"Channel must exist"}, Attributes: []string{"channel"}}
	}
	return nil
}
