package domain

import "strings"

// Minor tells whether what a delivery tells can wait while there is something that a
// person waits for: receipts and other changes of what was told before, typing, the
// state of contacts, and what became of deliveries and endpoints. Messages, and what
// becomes of conversations, are not minor.
func (d Delivery) Minor() bool {
	switch {
	case d.Kind == DeliverSubscription && d.Subject.Told != nil:
		noun, _, _ := strings.Cut(d.Subject.Told.Type, ".")
		switch noun {
		case "receipt", "typing", "contact", "delivery", "endpoint":
			return true
		}
		return EventName(d.Subject.Told.Type) == "message.changed"
	case d.Kind == DeliverNotice && d.Subject.Notice != nil:
		switch d.Subject.Notice.Name {
		case NoticeMessageUpdated, NoticeTypingOn, NoticeTypingOff, NoticeConversationUpdated, NoticeContactCreated, NoticeContactUpdated:
			return true
		}
	}
	return false
}
