package eventstore_test

import (
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// BenchmarkRegistry_Subscribers tells what an event costs before it is known
// whether anybody wants it: of an account without subscriptions, with one that
// does not want it, and with one that does.
func BenchmarkRegistry_Subscribers(b *testing.B) {
	r := newTestLog(b).registry(b, newSealer(b, key(1)))
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	s := aSubscription("acme", "desk-1", now)
	s.Revisions = []domain.Revision{{Since: now, Events: []string{"message.received"}}}
	must(b, r.CreateSubscription, s)
	for _, c := range []struct {
		name, account string
		data          domain.Data
	}{
		{"no-subscription", "umbra", domain.MessageReceived{}},
		{"unwanted", "acme", domain.ReceiptRecorded{}},
		{"wanted", "acme", domain.MessageReceived{}},
	} {
		e := domain.Event{Account: c.account, Channel: "c1", ContactRef: "anna", Time: now, Data: c.data}
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				r.Subscribers(e)
			}
		})
	}
}
