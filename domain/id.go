package domain

import (
	"strings"

	"github.com/google/uuid"
)

// idSpace is the UUIDv5 name space of all derived ids. It must never change:
// every id in every log depends on it.
var idSpace = uuid.MustParse("6f1d5c1e-3f0c-5b8e-9a55-7a0f3a1c9e42")

// DeriveID makes an id out of the words that name a thing, so that a repeated
// webhook and a record that landed twice meet under one id. Words are separated
// by a zero byte, which no door lets into an identifier.
func DeriveID(kind string, words ...string) uuid.UUID {
	var name strings.Builder
	name.WriteString(kind)
	for _, w := range words {
		name.WriteByte(0)
		name.WriteString(w)
	}
	return uuid.NewSHA1(idSpace, []byte(name.String()))
}

// ContactID is the id of a contact: a person as one channel knows them.
func ContactID(channel, ref string) uuid.UUID { return DeriveID("contact", channel, ref) }

// ConversationID is the id of the conversation of a contact where the dialect
// has one conversation per contact, so ingest knows it without a look-up.
func ConversationID(channel, ref string) uuid.UUID { return DeriveID("conversation", channel, ref) }

// MessageID is the id of a message that the outside world named: the same
// channel, contact, direction and external id give the same message.
func MessageID(channel, ref string, d Direction, external string) uuid.UUID {
	return DeriveID("message", channel, ref, string(d), external)
}

// EventMessageID is the id of a message of a contact where the outside world
// names both the message and the event that brought it, and means another
// message by another event (voximplant-kit.md 4.6).
func EventMessageID(channel, ref, event, external string) uuid.UUID {
	return DeriveID("message", channel, ref, string(In), event, external)
}

// DeliveryID is the id of the delivery of an outbound event to its channel's callback.
func DeliveryID(event uuid.UUID) uuid.UUID { return DeriveID("delivery", event.String(), "callback") }

// StreamOf names the stream of a contact on a channel. It is the key of its
// records in the log, so all of them are one partition, in order. Channel ids
// hold no slash; contact references may.
func StreamOf(channel, ref string) string { return channel + "/" + ref }

// SplitStream undoes StreamOf.
func SplitStream(stream string) (channel, ref string, ok bool) {
	return strings.Cut(stream, "/")
}

// Position is the place of an event in the log.
type Position struct {
	Partition int
	Offset    int64
}
