package domain

import (
	"testing"
	"time"
)

// Ensure a message that an event brought is told apart by both ids, and by
// nothing that only looks like them when written in a row.
func TestEventMessageID(t *testing.T) {
	t.Parallel()
	first := EventMessageID("c", "u", "e", "m")
	for name, other := range map[string]string{
		"message": EventMessageID("c", "u", "e", "n").String(), "event": EventMessageID("c", "u", "f", "m").String(),
		"contact": EventMessageID("c", "v", "e", "m").String(), "channel": EventMessageID("d", "u", "e", "m").String(),
		"border": EventMessageID("c", "u", "em", "").String(), "without event": MessageID("c", "u", In, "m").String(),
	} {
		if other == first.String() {
			t.Errorf("another %s is the same message", name)
		}
	}
	if EventMessageID("c", "u", "e", "m") != first {
		t.Error("the same words are another message")
	}
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	e := Channel{ID: "c", Dialect: DialectVoximplant}.ReceiveAs(first, "u", "m", now, Content{Type: ContentText}, nil, now)
	d, ok := e.Data.(MessageReceived)
	if !ok || e.ID != first || d.MessageID != first || d.ExternalID != "m" || d.Terms == nil {
		t.Errorf("%+v", e)
	}
}
