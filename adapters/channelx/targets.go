package channelx

import (
	"slices"

	"github.com/parley-im/parley/domain"
)

// targetsOf lists who is told of a notice about a channel (channelx.md 6.2): its
// own callback, where it has one, and those webhooks of its account that want to
// know. About contacts there is no channel, and no callback is told; ch then has
// only an account.
func targetsOf(ch domain.Channel, hooks []domain.Webhook, notice string) []string {
	var targets []string
	aboutContact := notice == domain.NoticeContactCreated || notice == domain.NoticeContactUpdated
	if ch.CallbackURL != "" && !aboutContact {
		targets = append(targets, "")
	}
	for _, w := range hooks {
		if wants(w, notice) && (w.Channel == "" || w.Channel == ch.ID && !aboutContact) {
			targets = append(targets, domain.WebhookTarget(w.Account, w.Number))
		}
	}
	return targets
}

// wants tells whether a webhook is told of a notice.
func wants(w domain.Webhook, notice string) bool {
	events := w.Events
	if len(events) == 0 {
		events = domain.WebhookEvents[:domain.DefaultWebhookEvents]
	}
	return slices.Contains(events, notice)
}
