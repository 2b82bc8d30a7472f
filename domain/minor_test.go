package domain_test

import (
	"testing"

	"github.com/parley-im/parley/domain"
)

// Ensure receipts and the like are minor, and nothing that a person waits for is.
func TestDelivery_Minor(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"receipt.recorded.v1": true, "typing.noticed.v1": true, "contact.changed.v1": true, "delivery.attempted.v1": true,
		"endpoint.warned.v1": true, "message.changed.v1": true,
		"message.received.v1": false, "message.sent.v1": false, "message.failed.v1": false, "conversation.closed.v1": false, "another.v1": false,
	} {
		d := domain.Delivery{Kind: domain.DeliverSubscription, Subject: domain.Subject{Told: &domain.Told{Type: name}}}
		if d.Minor() != want {
			t.Errorf("%s is minor: %t", name, !want)
		}
	}
	for name, want := range map[string]bool{
		domain.NoticeMessageUpdated: true, domain.NoticeTypingOn: true, domain.NoticeContactUpdated: true, domain.NoticeConversationUpdated: true,
		domain.NoticeMessageCreated: false, domain.NoticeConversationCreated: false, domain.NoticeConversationStatusChanged: false,
	} {
		d := domain.Delivery{Kind: domain.DeliverNotice, Subject: domain.Subject{Notice: &domain.Notice{Name: name}}}
		if d.Minor() != want {
			t.Errorf("%s is minor: %t", name, !want)
		}
	}
	for _, kind := range []domain.DeliveryKind{domain.DeliverMessage, domain.DeliverClose, domain.DeliverFunction} {
		if (domain.Delivery{Kind: kind}).Minor() {
			t.Errorf("%s is minor", kind)
		}
	}
}
