package domain

import (
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Posted is what an event about a message says in a dialect with tickets: the
// message as operators see it, and its ticket, both whole and as they are after
// the event.
type Posted struct {
	Telling

	Post    Post     `json:"post"`
	Scene   Scene    `json:"scene"`
	Changes []Change `json:"changes,omitempty"`
	EchoID  string   `json:"echo_id,omitempty"` // that the client named it by; told to sockets only
	Again   bool     `json:"again,omitempty"`   // the callback is told of the message as of a new one
	By      Author   `json:"by,omitzero"`       // who caused it
}

// Turned is what an event about a ticket says: the ticket whole and as it is
// after the event.
type Turned struct {
	Telling

	Scene   Scene    `json:"scene"`
	Changes []Change `json:"changes,omitempty"`
	By      Author   `json:"by,omitzero"` // who caused it
}

// MessageNoted tells of a post that the contact does not see: a note of an
// operator, or an activity.
type MessageNoted struct {
	MessageID      uuid.UUID `json:"message_id"`
	ConversationID uuid.UUID `json:"conversation_id"`
	Posted         *Posted   `json:"posted"`
}

// MessageChanged tells that a post is not what it was: its status, its
// attributes, or that it was deleted.
type MessageChanged struct {
	MessageID      uuid.UUID `json:"message_id"`
	ConversationID uuid.UUID `json:"conversation_id"`
	Posted         *Posted   `json:"posted"`
}

// MessageFailed tells that the callback did not take a post for good. The worker
// tells it, who knows the post only as it was told: the fold takes the error and
// no more.
type MessageFailed struct {
	MessageID      uuid.UUID `json:"message_id"`
	ConversationID uuid.UUID `json:"conversation_id"`
	Error          string    `json:"error"` // such as "500 Internal Server Error"
	Posted         *Posted   `json:"posted"`
}

// ConversationOpened tells of a new ticket.
type ConversationOpened struct {
	ConversationID uuid.UUID `json:"conversation_id"`
	ContactID      uuid.UUID `json:"contact_id"`
	Turned
}

// ConversationTurned tells that a ticket's status changed; a ConversationChanged
// follows it in the same append.
type ConversationTurned struct {
	ConversationID uuid.UUID `json:"conversation_id"`
	Turned
}

// ConversationChanged tells that a ticket is not what it was. Without Targets and
// Changes it tells only what nobody outside is told of.
type ConversationChanged struct {
	ConversationID uuid.UUID `json:"conversation_id"`
	Turned
}

// TypingNoticed tells that somebody has begun to type, or stopped. It changes
// nothing.
type TypingNoticed struct {
	Telling

	ConversationID uuid.UUID `json:"conversation_id"`
	On             bool      `json:"on"`
	Private        bool      `json:"private,omitempty"`
	By             Author    `json:"by"`
	Scene          Scene     `json:"scene"`
}

// ContactRegistered tells of a new person, with the first identity where there is one.
type ContactRegistered struct {
	Telling

	Account  Named     `json:"account"`
	Person   Person    `json:"person"`
	Identity *Identity `json:"identity,omitempty"`
}

// ContactChanged tells that a person is not what they were.
type ContactChanged struct {
	Telling

	Account Named    `json:"account"`
	Person  Person   `json:"person"` // as they are after the event
	Changes []Change `json:"changes,omitempty"`
}

// ContactLinked tells of a new identity of a person, or of one as it is now.
type ContactLinked struct {
	Identity Identity `json:"identity"`
}

// ContactMerged tells that two people are one: the identities of Merged, and with
// them all tickets, are those of Person now.
type ContactMerged struct {
	Telling

	Account Named    `json:"account"`
	Person  Person   `json:"person"` // as they are after the event
	Merged  int64    `json:"merged_id"`
	Claimed bool     `json:"claimed,omitempty"` // the identities of Merged are claims from then on
	Changes []Change `json:"changes,omitempty"`
}

// ContactRemoved tells that a person is forgotten, with their identities and
// tickets: the read models show none of it any more.
type ContactRemoved struct {
	Person int64 `json:"person_id"`
}

func (MessageNoted) data()        {}
func (MessageChanged) data()      {}
func (MessageFailed) data()       {}
func (ConversationOpened) data()  {}
func (ConversationTurned) data()  {}
func (ConversationChanged) data() {}
func (TypingNoticed) data()       {}
func (ContactRegistered) data()   {}
func (ContactChanged) data()      {}
func (ContactLinked) data()       {}
func (ContactMerged) data()       {}
func (ContactRemoved) data()      {}

// PeopleChannel is what stands for a channel in the streams of an account's people.
// No channel's id holds the character.
func PeopleChannel(account string) string { return "people~" + account }

// PartitionKey names what keeps its order in the log: the stream, but the account
// in dialects whose rules hold across its people and channels, such as the numbers
// of tickets and a contact that two inboxes share. All their events of an account
// are one partition.
func (e Event) PartitionKey() string {
	if e.Dialect.HasTickets() {
		return AccountKey(e.Account)
	}
	return e.Stream()
}

// AccountKey is the partition key of what is told about an account's people and
// tickets.
func AccountKey(account string) string { return "account/" + account }

// About starts an event of a dialect with tickets, on the stream of an identity.
func (i Identity) About(account string, now time.Time) Event {
	return Event{Account: account, Channel: i.Channel, Dialect: DialectChannelX, ContactRef: i.Ref(), Time: Stamp(now)}
}

// About starts an event about a person.
func (p Person) About(account string, now time.Time) Event {
	return Event{
		Account: account, Channel: PeopleChannel(account), Dialect: DialectChannelX, ContactRef: strconv.FormatInt(p.ID, 10), Time: Stamp(now),
	}
}
