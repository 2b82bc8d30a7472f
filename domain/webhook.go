package domain

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Webhook is a URL of an account that is told of what happens on all its inboxes,
// or on one (channelx.md 4.7), in the form of the dialect's callbacks.
type Webhook struct {
	Number    int64 // of the account
	Account   string
	Name      string
	URL       string // unique in the account
	Channel   string // "" = all
	Events    []string
	Secret    string // clear text; never logged
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Limits of webhooks.
const (
	MaxWebhooks   = 50 // of an account
	MaxWebhookURL = 2048
)

// WebhookEvents is the closed set of what a webhook can be told; the first
// DefaultWebhookEvents of it are what it is told unless it says otherwise
// (channelx.md 4.7).
var WebhookEvents = []string{
	NoticeConversationCreated, NoticeConversationUpdated, NoticeConversationStatusChanged, NoticeMessageCreated,
	NoticeMessageUpdated, NoticeContactCreated, NoticeContactUpdated, "webwidget_triggered",
	"inbox_created", "inbox_updated", NoticeTypingOn, NoticeTypingOff,
}

// DefaultWebhookEvents is how many of WebhookEvents a webhook is told of by itself.
const DefaultWebhookEvents = 8

// Validate checks a webhook as a person entered it.
func (w Webhook) Validate() error {
	if err := length("name", w.Name, 0, MaxNumberedName); err != nil {
		return err
	}
	if err := ValidateURL("url", w.URL, MaxWebhookURL); err != nil {
		return err
	}
	for _, e := range w.Events {
		if !slices.Contains(WebhookEvents, e) {
			return Invalid("subscriptions", "must hold only %s", strings.Join(WebhookEvents, ", "))
		}
	}
	return nil
}

// webhookTarget begins the targets of webhooks. No channel's id holds the
// character.
const webhookTarget = "hook~"

// WebhookTarget names a webhook as an endpoint. Names of accounts hold no tilde.
func WebhookTarget(account string, number int64) string {
	return webhookTarget + account + "~" + strconv.FormatInt(number, 10)
}

// WebhookOf gives the webhook that a target is; false when it is none.
func WebhookOf(target string) (account string, number int64, ok bool) {
	rest, ok := strings.CutPrefix(target, webhookTarget)
	if !ok {
		return "", 0, false
	}
	account, text, ok := strings.Cut(rest, "~")
	number, err := strconv.ParseInt(text, 10, 64)
	return account, number, ok && err == nil
}

// Endpoint shows the webhook as what a delivery needs of a channel: where it goes
// and what it is signed with. One that fails for good holds nothing back.
func (w Webhook) Endpoint() Channel {
	return Channel{
		ID: WebhookTarget(w.Account, w.Number), Account: w.Account, Dialect: DialectChannelX, Name: w.Name,
		CallbackURL: w.URL, Credentials: Credentials{Secret: w.Secret}, Delivery: DeliveryPolicy{OnExhausted: OnExhaustedContinue},
	}
}
