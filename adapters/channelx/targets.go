package channelx

import (
	"cmp"
	"slices"
	"strings"

	"github.com/parley-im/parley/domain"
)

// targetsOf lists who is told of a notice (channelx.md 6.2): the callback of the
// channel that it is about, where there is one, and those webhooks of the account
// that want to know. A notice about a contact is about no channel: ch is nil.
func targetsOf(account string, ch *domain.Channel, hooks []domain.Webhook, notice string) []string {
	var targets []string
	if ch != nil && !ch.Disabled && strings.TrimSpace(ch.CallbackURL) != "" {
		targets = append(targets, "")
	}
	hooks = slices.SortedFunc(slices.Values(hooks), func(a, b domain.Webhook) int { return cmp.Compare(a.Number, b.Number) })
	for _, w := range hooks {
		events := w.Events
		if len(events) == 0 {
			events = domain.WebhookEvents[:domain.DefaultWebhookEvents]
		}
		if slices.Contains(events, notice) && (w.Channel == "" || ch != nil && w.Channel == ch.ID) {
			targets = append(targets, domain.WebhookTarget(account, w.Number))
		}
	}
	return targets
}
