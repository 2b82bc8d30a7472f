package channelx

import (
	"context"
	"slices"
	"strconv"

	"github.com/parley-im/parley/domain"
)

// anyStatus is the value of a filter that every status meets.
const anyStatus = "all"

// conversationKeys are the attributes of a conversation that a filter may name.
var conversationKeys = map[string]filterKey{
	"status":           {allowed: filterEqual, value: isStatus},
	"priority":         {allowed: filterExact, value: func(text string) bool { return slices.Contains(domain.TicketPriorities, text) }},
	"assignee_id":      {allowed: filterExact, value: isNumber},
	"team_id":          {allowed: filterExact, value: isNumber},
	"inbox_id":         {allowed: filterExact, value: isNumber},
	"contact_id":       {allowed: filterEqual, value: isNumber},
	"display_id":       {allowed: filterEqual, value: isNumber},
	"labels":           {allowed: filterExact},
	"created_at":       {allowed: filterOrder, value: isMoment},
	"last_activity_at": {allowed: filterOrder, value: isMoment},
}

func isStatus(text string) bool {
	return text == anyStatus || slices.Contains(domain.TicketStatuses, domain.TicketStatus(text))
}

// filterConversations lists the conversations that meet conditions.
func (d *Door) filterConversations(ctx context.Context, c caller, r *request) (any, error) {
	lines, _ := r.params.list("payload")
	conditions, err := readConditions(lines, conversationKeys)
	if err != nil {
		return nil, err
	}
	for i := range conditions {
		d.meant(c, &conditions[i])
	}
	page, _ := r.page()
	return d.pageOf(ctx, c, domain.TicketQuery{
		Account: c.account.Name, Channels: c.channels(), Conditions: conditions,
		Offset: (page - 1) * conversationsPage, Limit: conversationsPage,
	})
}

// meant puts what rows know in the place of what the wire says: inboxes are known
// by their channels, and there is no status that means any.
func (d *Door) meant(c caller, line *domain.Condition) {
	switch {
	case line.Custom:
	case line.Key == "status" && slices.Contains(line.Values, anyStatus):
		line.Values = nil
		for _, s := range domain.TicketStatuses {
			line.Values = append(line.Values, string(s))
		}
	case line.Key == "inbox_id":
		for i, text := range line.Values {
			number, _ := strconv.ParseInt(text, 10, 64) // isNumber has seen it
			ch, _ := d.Inboxes.ChannelByInbox(c.account.Name, number)
			line.Values[i] = ch.ID // "" is no channel's
		}
	}
}
