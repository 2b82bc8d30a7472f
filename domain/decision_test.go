package domain_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Ensure what is decided about a conversation has one name, however often and
// wherever it is decided, and another one once the conversation has moved on: even
// when what moved it bears the same id, as a sender may use one again after a day.
func TestConversation_decisionsHaveNames(t *testing.T) {
	t.Parallel()
	ch := domain.Channel{ID: "c", Dialect: domain.DialectVoximplant, Desk: domain.Desk{CloseAfter: 60, BotClose: 60}}
	start := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	decided := func(at, now time.Time) map[string]uuid.UUID {
		moved := domain.DeriveID("message", "m1")
		c := domain.Conversation{
			ID: domain.ConversationID("c", "u"), ContactRef: "u", Status: domain.StatusOpen,
			State: &domain.Episode{
				Number: 1, Open: true, Handler: domain.HandlerQueue, Queue: 1, Wait: 30, CloseAfter: 60,
				Handling: moved, HandlingAt: at, Activity: moved, ActivityAt: at,
			},
		}
		closed, err := c.Close(ch, domain.Closing{Reason: domain.ClosedByUnknown}, now)
		if err != nil {
			t.Fatal(err)
		}
		expired, ok := c.Expire(ch, now)
		unqueued, waited := c.GiveUpWaiting(ch, now)
		if !ok || !waited {
			t.Fatalf("at %s: expired %t, waited too long %t", now, ok, waited)
		}
		return map[string]uuid.UUID{
			"close": closed.ID, "expire": expired.ID, "unqueue": unqueued.ID, "distribute": c.Distribute(ch, domain.Agent{Number: 1}, now).ID,
		}
	}
	first := decided(start, start.Add(time.Minute))
	again := decided(start, start.Add(time.Hour))
	later := decided(start.Add(domain.RepeatWindow), start.Add(domain.RepeatWindow+time.Minute))
	for kind := range first {
		if first[kind] != again[kind] {
			t.Errorf("%s: the same decision has two names", kind)
		}
		if first[kind] == later[kind] {
			t.Errorf("%s: two decisions have one name", kind)
		}
	}
}
