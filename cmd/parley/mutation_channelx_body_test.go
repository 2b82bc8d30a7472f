//go:build mutations

package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
)

// some keeps the first n members and, of the others, one in two.
func some(rng *rand.Rand, n int, members ...field) any {
	out := append([]field{}, members[:n]...)
	for _, f := range members[n:] {
		if rng.IntN(2) == 0 {
			out = append(out, f)
		}
	}
	return out
}

// attributes gives an object of free form.
func attributes(rng *rand.Rand) any {
	return oneOf[any](rng, []field{{"plan", "gold"}, {"tier", 2}}, []field{{"vip", true}}, []field{}, []field{{"city", "Porto"}, {"social_profiles", []field{{"x", "y"}}}})
}

// anyID gives a number, or its digits as a text.
func (w *mutationWorld) anyID(rng *rand.Rand, kind string, spoils bool) any {
	id := w.id(rng, kind, spoils)
	if rng.IntN(8) == 0 {
		id = oneOf(rng, w.victim.ids[kind]...)
	}
	if rng.IntN(3) == 0 {
		return id
	}
	return verbatim(id)
}

// source gives a source id, unescaped.
func (w *mutationWorld) source(rng *rand.Rand) string {
	switch rng.IntN(4) {
	case 0:
		return fmt.Sprintf("device-%d", rng.IntN(1000))
	case 1:
		return oneOf(rng, w.victim.ids["cx-sources"]...)
	}
	text, err := url.PathUnescape(w.id(rng, "cx-sources", false))
	if err != nil {
		return "device-1"
	}
	return text
}

func inboxBody(rng *rand.Rand, w *mutationWorld) any {
	return some(rng, 2,
		field{"name", fmt.Sprintf("inbox %d", rng.IntN(1000))},
		field{"channel", some(rng, 1, field{"type", "api"}, field{"webhook_url", w.sender.stub.URL + "/cx"}, field{"hmac_mandatory", rng.IntN(2) == 0},
			field{"additional_attributes", []field{{"agent_reply_time_window", 24}}})},
		field{"greeting_enabled", true}, field{"greeting_message", "hi"}, field{"lock_to_single_conversation", true}, field{"enable_auto_assignment", false},
		field{"allow_messages_after_resolved", false}, field{"timezone", oneOf(rng, "UTC", "Europe/Lisbon", "Mars/Base")}, field{"csat_config", []field{{"a", 1}}},
		field{"working_hours_enabled", true}, field{"out_of_office_message", "later"}, field{"sender_name_type", oneOf(rng, "friendly", "professional")},
		field{"working_hours", []any{[]field{{"day_of_week", 1}, {"closed_all_day", false}, {"open_hour", 9}, {"open_minutes", 0}, {"close_hour", 17}, {"close_minutes", 30}, {"open_all_day", false}}}})
}

func contactBody(rng *rand.Rand, w *mutationWorld) any {
	n := rng.IntN(100000)
	return some(rng, 1,
		field{"name", fmt.Sprintf("Ana %d", n)}, field{"inbox_id", w.anyID(rng, "cx-inboxes", false)}, field{"source_id", w.source(rng)},
		field{"identifier", fmt.Sprintf("crm-%d", n)}, field{"email", fmt.Sprintf("A%d@example.com", n)}, field{"phone_number", fmt.Sprintf("+1555%06d", n)},
		field{"blocked", rng.IntN(20) == 0}, field{"avatar_url", "https://example.com/a.png"}, field{"additional_attributes", attributes(rng)}, field{"custom_attributes", attributes(rng)})
}

func visitorBody(rng *rand.Rand, w *mutationWorld) any {
	n := rng.IntN(100000)
	identifier := oneOf(rng, fmt.Sprintf("crm-%d", n), fmt.Sprintf("everybody-%d", rng.IntN(4)))
	email := fmt.Sprintf("A%d@example.com", n)
	if rng.IntN(10) == 0 {
		email = "everybody-3@example.com"
	}
	return some(rng, 0,
		field{"name", "Bo"}, field{"source_id", w.source(rng)}, field{"identifier", identifier},
		field{"identifier_hash", hashed(oneOf(rng, w.sender.desk.hmacToken, "guess"), identifier)}, field{"email", email},
		field{"phone_number", fmt.Sprintf("+1555%06d", n)}, field{"avatar_url", "https://example.com/a.png"}, field{"custom_attributes", attributes(rng)})
}

func mergeBody(rng *rand.Rand, w *mutationWorld) any {
	return some(rng, 2, field{"base_contact_id", w.anyID(rng, "cx-contacts", false)}, field{"mergee_contact_id", w.anyID(rng, "cx-contacts", true)})
}

func linkBody(rng *rand.Rand, w *mutationWorld) any {
	return some(rng, 1, field{"inbox_id", w.anyID(rng, "cx-inboxes", false)}, field{"source_id", w.source(rng)})
}

// filterBody is a filter of contacts or of conversations.
func filterBody(rng *rand.Rand, _ *mutationWorld) any {
	lines := []any{}
	for range rng.IntN(4) {
		lines = append(lines, []field{
			{"attribute_key", oneOf(rng, "name", "phone_number", "email", "identifier", "country_code", "city", "company_name", "labels", "created_at", "last_activity_at", "blocked",
				"plan", "status", "inbox_id", "assignee_id", "team_id", "priority", "display_id", "conversation_language", "browser_language", "referer")},
			{"filter_operator", oneOf(rng, "equal_to", "not_equal_to", "contains", "does_not_contain", "is_present", "is_not_present", "is_greater_than", "is_less_than", "days_before")},
			{"values", oneOf[any](rng, []any{"plain"}, []any{"1"}, []any{1, 2}, []any{"2026-03-01"}, []any{}, "open", []any{true}, []any{"open", "all"}, []any{"99999999999999999999"}, []any{"9999999"})},
			{"query_operator", oneOf[any](rng, "AND", "OR", nil, "and", "XOR")},
		})
	}
	return []field{{"payload", lines}}
}

func conversationBody(rng *rand.Rand, w *mutationWorld) any {
	return some(rng, 1,
		field{"source_id", w.source(rng)}, field{"inbox_id", w.anyID(rng, "cx-inboxes", false)}, field{"contact_id", w.anyID(rng, "cx-contacts", false)},
		field{"status", oneOf(rng, "open", "pending", "resolved", "snoozed")}, field{"assignee_id", w.anyID(rng, "cx-users", false)}, field{"team_id", 1},
		field{"snoozed_until", oneOf(rng, "2030-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "999999-01-01")}, field{"custom_attributes", attributes(rng)},
		field{"additional_attributes", attributes(rng)}, field{"message", messageBody(rng, w)})
}

func messageBody(rng *rand.Rand, w *mutationWorld) any {
	return some(rng, 1,
		field{"content", oneOf(rng, "hello", "{{contact.name}}", "", "a\\\nb\n\n")}, field{"message_type", oneOf(rng, "incoming", "outgoing", "outgoing", "template", "activity")},
		field{"private", rng.IntN(4) == 0}, field{"content_type", oneOf(rng, "text", "input_select", "cards", "form", "article", "input_email")},
		field{"content_attributes", oneOf[any](rng, []field{{"in_reply_to", w.anyID(rng, "cx-messages", false)}}, []field{{"in_reply_to_external_id", "s-1"}}, `{"in_reply_to":7}`,
			[]field{{"items", []any{[]field{{"title", "Yes"}, {"value", "y"}}}}}, []field{{"external_error", "x"}, {"deleted", true}})},
		field{"source_id", fmt.Sprintf("ext-%d", rng.IntN(1000))}, field{"echo_id", "tmp-9"}, field{"external_created_at", oneOf[any](rng, 1765000123, "2026-03-01")},
		field{"sender_type", "AgentBot"}, field{"sender_id", w.anyID(rng, "cx-users", false)}, field{"client_message_id", fmt.Sprintf("key-%d", rng.IntN(1000))})
}

func statusBody(rng *rand.Rand, _ *mutationWorld) any {
	return some(rng, 0, field{"status", oneOf(rng, "open", "pending", "resolved", "snoozed")}, field{"snoozed_until", oneOf[any](rng, 1893456000, "1893456000", "2030-01-01T00:00:00Z", verbatim("99999999999999"), -1)})
}

func priorityBody(rng *rand.Rand, _ *mutationWorld) any {
	return []field{{"priority", oneOf[any](rng, "low", "medium", "high", "urgent", nil, "none")}}
}

func typingBody(rng *rand.Rand, _ *mutationWorld) any {
	return some(rng, 1, field{"typing_status", oneOf(rng, "on", "off")}, field{"is_private", true})
}

func assignBody(rng *rand.Rand, w *mutationWorld) any {
	return oneOf[any](rng, []field{{"assignee_id", w.anyID(rng, "cx-users", false)}}, []field{{"team_id", oneOf(rng, w.sender.ids["queues"]...)}}, []field{{"assignee_id", nil}}, []field{{"team_id", 0}},
		[]field{{"team_id", oneOf(rng, w.victim.ids["queues"]...)}})
}

func labelsBody(rng *rand.Rand, _ *mutationWorld) any {
	return []field{{"labels", oneOf[any](rng, []any{"a", "b"}, []any{}, []any{"refund plain"}, "one", []any{"A", "a", " a "})}}
}

func customBody(rng *rand.Rand, _ *mutationWorld) any {
	return []field{{"custom_attributes", attributes(rng)}}
}

func failedBody(rng *rand.Rand, _ *mutationWorld) any {
	return some(rng, 1, field{"status", oneOf(rng, "sent", "delivered", "read", "failed", "bogus")}, field{"external_error", "no route"})
}

func submitBody(rng *rand.Rand, _ *mutationWorld) any {
	value := []field{{"name", "n"}, {"title", "Yes"}, {"value", "y"}, {"csat_survey_response", []field{{"feedback_message", "ok"}, {"rating", 5}}}}
	return []field{{"submitted_values", oneOf[any](rng, value, []any{value}, []any{value, value})}}
}

func membersBody(rng *rand.Rand, w *mutationWorld) any {
	return []field{{"inbox_id", verbatim(w.id(rng, "cx-inboxes", true))}, {"user_ids", oneOf[any](rng, []any{w.anyID(rng, "cx-users", false)}, []any{}, []any{1, 2, 3, 4})}}
}

func webhookBody(rng *rand.Rand, w *mutationWorld) any {
	return some(rng, 1, field{"url", fmt.Sprintf("%s/hook%d?plain", w.sender.stub.URL, rng.IntN(6))}, field{"name", "hook"}, field{"inbox_id", w.anyID(rng, "cx-inboxes", false)},
		field{"subscriptions", oneOf[any](rng, []any{"message_created"}, []any{"conversation_created", "contact_updated"}, []any{"bogus"}, []any{})})
}
