package eventstore_test

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// ordinary is what most records are: a line of text with a profile.
func ordinary() domain.Event {
	ch := domain.Channel{ID: "204815162342", Account: "default", Dialect: domain.DialectRespondIO}
	now := time.Date(2026, 3, 1, 9, 30, 0, 125e6, time.UTC)
	return ch.Receive("+15550100", "wamid-0001", now,
		domain.Content{Type: domain.ContentText, Text: "Hello, is the blue one still there? I would like two of them by Friday, please."},
		&domain.Profile{FirstName: "Ada", Phone: "+15550100"}, now)
}

func BenchmarkEncode(b *testing.B) {
	event := ordinary()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eventstore.Encode(event); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	msg, err := eventstore.Encode(ordinary())
	if err != nil {
		b.Fatal(err)
	}
	at := func(*message.Message) (int, int64, bool) { return 3, 41, true }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eventstore.Decode(msg, at); err != nil {
			b.Fatal(err)
		}
	}
}
